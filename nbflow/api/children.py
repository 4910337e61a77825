"""Many runs at once, from a parent notebook or from anywhere: submit, wait for all, map over values."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nbflow.api.flow import Flow, flow
from nbflow.api.listing import Runs
from nbflow.api.run import Run
from nbflow.api.session import get_project, slot_released
from nbflow.api.streaming import LogStream, stream_runs
from nbflow.errors import ParameterError, RunError, UsageError, WaitTimeout

LOOK_AGAIN = 0.1


def create_flow_run(
    reference: str | os.PathLike[str] | Flow, *, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Run:
    """Submit a run of a flow (a path, a registered name, or a :class:`Flow`) and return at once.

    *options* are those of :meth:`Flow.options`. The pair of :func:`wait_for_flow_run`, named as in Prefect 1. Raises
    NotebookError, NotFoundError and ParameterError; nothing is started then.
    """
    target = reference if isinstance(reference, Flow) else flow(reference)
    return target.options(**options).submit(parameters or {})


def wait_for_flow_run(
    run: Run | str, *, stream_logs: bool = True, raise_final_state: bool = True, timeout: float | None = None
) -> Run:
    """Wait for the end of a run (or of the one with that id), its lines appearing here meanwhile.

    Raises RunError unless it completed, with *raise_final_state*; WaitTimeout after *timeout* seconds.
    """
    return _find(run).wait(timeout, stream_logs=stream_logs, raise_on_failure=raise_final_state)


def wait_all(
    runs: Iterable[Run | str],
    *,
    stream_logs: bool = False,
    raise_on_failure: bool = True,
    timeout: float | None = None,
) -> Runs:
    """Wait until every one of *runs* (or ids of runs) has ended; with *stream_logs* their lines appear here, each marked
    with its run.

    Raises the RunError of the first that did not complete, once all have ended, naming how many there are; WaitTimeout
    after *timeout* seconds in all.
    """
    waited = Runs(map(_find, runs))
    if not waited:
        return waited
    deadline = None if timeout is None else time.monotonic() + timeout
    project = waited[0].project
    with slot_released(project):
        if stream_logs:
            stream_runs(project, [run.record for run in waited], deadline=deadline)
        for run in waited:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            try:
                run.wait(left, raise_on_failure=False)
            except WaitTimeout as error:
                going_on = sum(not each.state.is_terminal for each in waited)
                text = f"{going_on} of {len(waited)} runs have not ended after {timeout:g} s; they go on"
                raise WaitTimeout(text, run_id=error.run_id) from None
    failed = [run for run in waited if not run.state.is_success]
    if failed and raise_on_failure:
        raise _join_errors(failed, len(waited))
    return waited


def _find(run: Run | str) -> Run:
    if isinstance(run, Run):
        return run
    project = get_project()
    return Run(project.get_run(run), project)


def _join_errors(failed: Sequence[Run], total: int) -> RunError:
    error = failed[0].to_error()
    if total > 1:
        error.args = (f"{len(failed)} of {total} runs did not complete; the first: {error}",)
    return error


def map_flow(
    target: Flow,
    values: Iterable[Mapping[str, Any]],
    *,
    max_workers: int,
    stream_logs: bool,
    raise_on_failure: bool,
) -> Runs:
    """See :meth:`Flow.map`."""
    if max_workers < 1:
        raise UsageError(f"max_workers = {max_workers}: expected 1 or more")
    checked = _check_all(target, values)
    stream = LogStream(target.project) if stream_logs else None
    runs: list[Run] = []
    try:
        _submit_all(target, checked, runs, max_workers, stream)
        with slot_released(target.project):
            while stream is not None and stream.left:
                stream.turn()
        return wait_all(runs, raise_on_failure=raise_on_failure)
    except KeyboardInterrupt:
        for run in runs:
            run.cancel()
        raise


def _check_all(target: Flow, values: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every call is checked before the first one begins."""
    checked = list(values)
    for index, each in enumerate(checked):
        try:
            target.declaration.validate(each)
        except ParameterError as error:
            hint = f"in call {index + 1} of {len(checked)}; none was begun"
            raise ParameterError(error.faults, hint=hint) from None
    return checked


def _submit_all(
    target: Flow, values: Iterable[Mapping[str, Any]], runs: list[Run], max_workers: int, stream: LogStream | None
) -> None:
    """Submit a run for each of *values* and add it to *runs*, as soon as fewer than *max_workers* go on."""
    going_on: list[Run] = []
    for each in values:
        while len(going_on) >= max_workers:
            going_on = _wait_for_one(going_on, stream)
        run = target.submit(each)
        runs.append(run)
        going_on.append(run)
        if stream is not None:
            stream.add(run.record)


def _wait_for_one(runs: list[Run], stream: LogStream | None) -> list[Run]:
    """The runs that are still going on, once one has ended."""
    with slot_released(runs[0].project):
        while True:
            left = [run for run in runs if not run.state.is_terminal]
            if len(left) < len(runs):
                return left
            if stream is None:
                with suppress(WaitTimeout):
                    runs[0].project.wait(left[0].id, timeout=LOOK_AGAIN)
            else:
                until = time.monotonic() + LOOK_AGAIN
                while time.monotonic() < until:
                    stream.turn()
