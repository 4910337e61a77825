"""A run: one execution that was asked for, as an object."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from nbflow.api.results import Results, restore_results
from nbflow.api.session import find_parent, slot_released
from nbflow.api.streaming import stream_runs
from nbflow.errors import NotFoundError, RunCancelled, RunCrashed, RunError, RunFailed, RunTimedOut, WaitTimeout
from nbflow.events import Event, EventKind
from nbflow.lifecycle import Failure, RunRecord, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project

_ERRORS: Mapping[RunState, type[RunError]] = {
    RunState.FAILED: RunFailed,
    RunState.CRASHED: RunCrashed,
    RunState.TIMED_OUT: RunTimedOut,
    RunState.CANCELLED: RunCancelled,
}


class Log(list[str]):
    """The lines of a log; printed and shown as text."""

    def __str__(self) -> str:
        return "\n".join(self)

    __repr__ = __str__


class Run:
    """One execution of a flow. What can still change is read from the store when it is asked for."""

    def __init__(self, record: RunRecord, project: Project) -> None:
        self._record = record
        self._project = project

    @property
    def project(self) -> Project:
        """Whose store it is in."""
        return self._project

    def refresh(self) -> Self:
        """Read the run from the store again; done by every property while the run has not ended."""
        self._record = self._project.get_run(self._record.id)
        return self

    @property
    def record(self) -> RunRecord:
        """All that the store knows of it."""
        if not self._record.state.is_terminal:
            self.refresh()
        return self._record

    @property
    def id(self) -> str:
        """For ever; an unambiguous beginning of it will do where one is asked for."""
        return self._record.id

    @property
    def sequence(self) -> int:
        """The order of submission within the store."""
        return self._record.sequence

    @property
    def name(self) -> str:
        """For people: given with the call, made from a template, or changed by the run itself."""
        return self.record.name

    @property
    def state(self) -> RunState:
        """As it is now."""
        return self.record.state

    @property
    def flow(self) -> str:
        """``project/name``, or the path of the notebook."""
        return self._record.flow or self._record.source_path

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels, by which runs are found again."""
        return self._record.tags

    @property
    def parameters(self) -> dict[str, Any]:
        """The values really used, computed defaults included, once they are known; those passed until then. JSON forms."""
        record = self.record
        return dict(record.parameters if record.values is None else {**record.values, **_masked(record)})

    @property
    def given(self) -> dict[str, Any]:
        """The values passed; every other parameter kept its default."""
        return dict(self._record.parameters)

    @property
    def results(self) -> Results:
        """What the notebook recorded: JSON values as they are, tables as DataFrames, figures as images."""
        return restore_results(self.record.results)

    @property
    def failure(self) -> Failure | None:
        """Why the run did not complete."""
        return self.record.failure

    @property
    def started(self) -> datetime | None:
        """When its first attempt began, in UTC; None while it waits."""
        return self.record.started

    @property
    def ended(self) -> datetime | None:
        """When it came to its terminal state, in UTC; None until then."""
        return self.record.ended

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None until it ended."""
        return self.record.duration

    @property
    def output_path(self) -> Path | None:
        """The executed notebook; None as long as there is none."""
        path = self.record.output_path
        return Path(path) if path else None

    @property
    def notebook(self) -> Any:
        """The executed notebook as an ``nbformat.NotebookNode``. Raises NotFoundError as long as there is none."""
        from nbflow.notebooks import to_nbformat

        path = self._project.find_output(self.record)
        if path is None:
            raise NotFoundError(f"run {self.id} has no executed notebook (yet); its state is {self.state}")
        return to_nbformat(path.read_bytes())

    @property
    def parent(self) -> Run | None:
        """The run that submitted this one."""
        parent = self._record.parent_id
        return Run(self._project.get_run(parent), self._project) if parent else None

    @property
    def children(self) -> list[Run]:
        """The runs that this one submitted, oldest first."""
        wanted = RunFilter(parent_id=self.id, limit=None, oldest_first=True)
        return [Run(record, self._project) for record in self._project.list_runs(wanted)]

    def events(self, *, after: str | None = None, follow: bool = False) -> Iterator[Event]:
        """What happened, behind the token *after*; with *follow* also what happens, until the run's end."""
        if follow:
            return self._follow(after)
        return iter(self._project.read_events(self.id, after=after))

    def _follow(self, after: str | None) -> Iterator[Event]:
        with slot_released(self._project):
            yield from self._project.watch(self.id, after=after)

    def logs(self, *, stream: str | None = None) -> Log:
        """The lines printed so far: of ``stdout``, ``stderr`` or ``nbflow``, or of all. Progress bars in their last form."""
        lines = Log()
        for event in self.events():
            if event.kind is EventKind.LOG and stream in (None, event.data["stream"]):
                lines.extend(event.data["lines"])
        return lines

    def wait(
        self,
        timeout: float | None = None,
        *,
        stream_logs: bool = False,
        raise_on_failure: bool = True,
        cancel_on_interrupt: bool = False,
    ) -> Self:
        """Wait for the end, at most *timeout* seconds; with *stream_logs*, the lines appear here meanwhile.

        Raises RunError unless it completed (or *raise_on_failure* is false), and WaitTimeout when it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        left = timeout
        try:
            with slot_released(self._project):
                if stream_logs:
                    stream_runs(self._project, [self._record], deadline=deadline)
                    left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                self._record = self._project.wait(self.id, timeout=left)
        except WaitTimeout:
            text = f"run {self.id} is still {self.state} after {timeout:g} s; it goes on"
            raise WaitTimeout(text, run_id=self.id) from None
        except KeyboardInterrupt:
            if cancel_on_interrupt:
                self._project.cancel(self.id, reason="SIGINT")
                self._record = self._project.wait(self.id)
            raise
        if raise_on_failure and not self._record.state.is_success:
            raise self.to_error()
        return self

    async def wait_async(self, timeout: float | None = None, **options: Any) -> Self:
        """:meth:`wait` without blocking the event loop of an asyncio cell."""
        return await asyncio.to_thread(self.wait, timeout, **options)

    def __await__(self) -> Generator[Any, None, Self]:
        """In an asyncio cell: ``await run``, or many at once by ``await asyncio.gather(*runs)``."""
        return self.wait_async().__await__()

    def to_error(self) -> RunError:
        """The error that stands for the end of a run that did not complete."""
        record = self.record
        failure = record.failure
        message = record.message or (failure.message if failure else str(record.state))
        text = f"run {record.name} ({record.id}) {record.state.replace('_', ' ')}: {message}"
        return _ERRORS.get(record.state, RunError)(
            text,
            run_id=record.id,
            cell_index=failure.cell_index if failure else None,
            ename=failure.ename if failure else None,
            evalue=failure.evalue if failure else None,
        )

    def rename(self, name: str) -> Self:
        """Give the run another name."""
        self._record = self._project.rename(self.id, name)
        return self

    @property
    def hooks(self) -> list[dict[str, Any]]:
        """What was recorded of the hooks that were told of this run: ``time hook old new error seconds``."""
        return self._project.read_hooks(self.id)

    def cancel(self) -> Self:
        """Ask for the end of this run and of its children. Returns at once; ``wait`` for the end."""
        self._record = self._project.cancel(self.id)
        return self

    def retry(self) -> Self:
        """One more attempt of this same run. Raises ConflictError unless it ended otherwise than completed."""
        self._record = self._project.retry(self.id)
        return self

    def rerun(self, parameters: Mapping[str, Any] | None = None, /, **values: Any) -> Run:
        """A new run of the same notebook, as it was then, with the same values but for those given here. Returns at once.

        Secrets are kept nowhere: they have to be given again. Raises ParameterError.
        """
        again = self._project.rerun(self.id, {**(parameters or {}), **values}, parent=find_parent())
        return Run(again, self._project)

    def __repr__(self) -> str:
        record = self.record
        seconds = f" in {record.duration:.1f} s" if record.duration is not None else ""
        return f"<run {record.name} ({record.id}): {record.state.replace('_', ' ')}{seconds}>"

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_run

        return show_run(self)


def _masked(record: RunRecord) -> dict[str, Any]:
    """Secrets are never read back from the kernel; that one was given is told."""
    return {
        name: value
        for name, value in record.parameters.items()
        if record.values is not None and name not in record.values
    }
