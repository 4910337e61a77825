"""Many runs at once, from a parent notebook or from anywhere: submit, wait for all, map over values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbflow.api.flow import Flow, flow
from nbflow.api.listing import Runs
from nbflow.api.run import Run
from nbflow.api.session import get_project, slot_released
from nbflow.api.streaming import stream_runs
from nbflow.errors import RunError, WaitTimeout


def create_flow_run(
    reference: str | os.PathLike[str] | Flow, *, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Run:
    """Submit a run of a flow (a path, a registered name, or a :class:`Flow`) and return at once.

    *options* are those of :meth:`Flow.options`. The pair of :func:`wait_for_flow_run`, named as in Prefect 1.
    """
    target = reference if isinstance(reference, Flow) else flow(reference)
    return target.options(**options).submit(parameters or {})


def wait_for_flow_run(
    run: Run | str, *, stream_logs: bool = True, raise_final_state: bool = True, timeout: float | None = None
) -> Run:
    """Wait for the end of a run (or of the one with that id), its lines appearing here meanwhile.

    Raises RunError unless it completed, with *raise_final_state*; WaitTimeout after *timeout* seconds.
    """
    if isinstance(run, str):
        project = get_project()
        run = Run(project.get_run(run), project)
    return run.wait(timeout, stream_logs=stream_logs, raise_on_failure=raise_final_state)


def wait_all(
    runs: Iterable[Run],
    *,
    stream_logs: bool = False,
    raise_on_failure: bool = True,
    timeout: float | None = None,
) -> Runs:
    """Wait until every one of *runs* has ended; with *stream_logs* their lines appear here, each marked with its run.

    Raises the RunError of the first that did not complete, once all have ended, naming how many there are; WaitTimeout
    after *timeout* seconds in all.
    """
    waited = Runs(runs)
    if not waited:
        return waited
    project = waited[0].project
    with slot_released(project):
        if stream_logs:
            stream_runs(project, [run.record for run in waited], timeout=timeout)
        for run in waited:
            run.wait(timeout, raise_on_failure=False)
    failed = [run for run in waited if not run.state.is_success]
    if failed and raise_on_failure:
        raise _join_errors(failed, len(waited))
    return waited


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
    runs: list[Run] = []
    open_runs: list[Run] = []
    for each in values:
        while len(open_runs) >= max_workers:
            open_runs = _wait_for_one(open_runs)
        run = target.submit(each)
        runs.append(run)
        open_runs.append(run)
    return wait_all(runs, stream_logs=stream_logs, raise_on_failure=raise_on_failure)


def _wait_for_one(runs: list[Run]) -> list[Run]:
    """The runs that are still going on, once one has ended."""
    with slot_released(runs[0].project):
        while True:
            left = [run for run in runs if not run.state.is_terminal]
            if len(left) < len(runs):
                return left
            try:
                runs[0].project.wait(left[0].id, timeout=0.1)
            except WaitTimeout:
                continue
