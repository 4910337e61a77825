"""Backfills as objects, and the list of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from nbflow.api.listing import Runs
from nbflow.api.progress import NoView, choose_view, follow
from nbflow.api.session import get_project, slot_released
from nbflow.backfilling import BackfillRecord, BackfillState, Snapshot
from nbflow.errors import UsageError
from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter
from nbflow.project import Project

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Backfill:
    """Many runs of one flow, one for each row of values; made by :meth:`Flow.backfill`.

    What can still change is read from the store when it is asked for.
    """

    def __init__(self, record: BackfillRecord, project: Project, *, message: str = "") -> None:
        self._record = record
        self._project = project
        self._message = message

    @property
    def project(self) -> Project:
        """Whose store it is in."""
        return self._project

    @property
    def record(self) -> BackfillRecord:
        """All that was asked for, read anew."""
        self._record = self._project.backfills.get(self._record.id)
        return self._record

    @property
    def id(self) -> str:
        """For ever; an unambiguous beginning of it will do where one is asked for."""
        return self._record.id

    @property
    def name(self) -> str:
        """For people: given with the call, or made from the name of the flow."""
        return self._record.name

    @property
    def flow(self) -> str:
        """``project/name``, or the path of the notebook."""
        return self._record.flow

    @property
    def axes(self) -> tuple[str, ...]:
        """The parameters that differ between rows, in their order."""
        return self._record.axes

    @property
    def message(self) -> str:
        """What the call that made this object did: ``31 rows``, ``every row ran before``."""
        return self._message

    def look(self) -> Snapshot:
        """The record, the state and the counts of one moment."""
        return self._project.backfills.look(self.id)

    @property
    def state(self) -> BackfillState:
        """Derived from its runs."""
        return self.look().state

    @property
    def counts(self) -> dict[RunState, int]:
        """How many of its runs are in each state."""
        return dict(self.look().counts)

    def runs(self, *, state: str | Sequence[str] = (), limit: int | None = None) -> Runs:
        """Its runs in the order of its rows: all, or those in one of these states. Raises UsageError for an unknown state."""
        states = (state,) if isinstance(state, str) else tuple(state)
        try:
            wanted = tuple(RunState(text) for text in states)
        except ValueError:
            raise UsageError(f"state {states!r}: there are {', '.join(RunState)}") from None
        chosen = RunFilter(backfill_id=self.id, states=wanted, limit=limit, oldest_first=True)
        return Runs.find(self._project, chosen)

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Self:
        """Wait until nothing more happens by itself. Raises WaitTimeout after *timeout* seconds.

        Meanwhile a notebook shows a bar and the grid, a terminal a bar, unless *progress* is false. Rows that failed raise
        nothing: ``state`` and ``to_frame()`` tell them. Ctrl-C ends the rows that run here; those that wait are left for
        :meth:`resume`.
        """
        backfills = self._project.backfills
        try:
            with slot_released(self._project):
                follow(self._project, self.id, choose_view(self._project) if progress else NoView(), timeout=timeout)
        except KeyboardInterrupt as interrupt:
            snapshot = backfills.interrupt(self.id, reason="SIGINT")
            if snapshot.state is BackfillState.INTERRUPTED:
                interrupt.add_note(
                    f"{snapshot.total - snapshot.succeeded} rows are left: nbflow backfill resume {self.id}"
                )
            raise
        return self

    def pause(self) -> Self:
        """Begin no further row until it is unpaused, whichever process works on it. Rows that run go on."""
        self._record = self._project.backfills.pause(self.id)
        return self

    def unpause(self) -> Self:
        """Begin rows again."""
        self._record = self._project.backfills.unpause(self.id)
        return self

    def cancel(self) -> Self:
        """End the rows that run, and begin no other. Returns at once."""
        self._project.backfills.cancel(self.id)
        return self

    def resume(self, reprocess_behavior: str = "failed", *, wait: bool = True) -> Backfill:
        """Run what is missing: the rows that never ran, and (unless ``"none"``) those that did not complete.

        The notebook is read anew, from its path or as the newest registered version; ``message`` says whether it changed.
        ``"completed"`` makes a new backfill of all rows. Raises ConflictError while a process works on it.
        """
        outcome = self._project.backfills.resume(self.id, reprocess_behavior=reprocess_behavior)
        resumed = Backfill(outcome.backfill, self._project, message=outcome.message)
        return resumed.wait() if wait else resumed

    def to_frame(self) -> pd.DataFrame:
        """One row per run, as :meth:`Runs.to_frame`, in the order of the backfill's rows, whose numbers are ``row``."""
        from nbflow.api.frames import read_frame

        wanted = RunFilter(backfill_id=self.id, limit=None, oldest_first=True)
        frame = read_frame(self._project.store, wanted, extra={"row": "backfill_row"})
        return frame if frame["row"].is_monotonic_increasing else frame.sort_values("row", ignore_index=True)

    def plot(self, x: str | None = None, y: str | None = None, value: str = "state", ax: Axes | None = None) -> Axes:
        """A heat map of its runs by the parameters *x* and *y*: of their states, or of a *value*.

        Without *x* and *y* by the axes of the backfill; days alone make a calendar, anything else alone a strip. *value*
        is a recorded result that is a number, ``"duration"`` (seconds) or ``"attempts"``; where several runs share a cell
        it shows their mean, or the state that most needs a look. Raises UsageError, and MissingExtraError without
        matplotlib.
        """
        from nbflow.api.grid import read_cells
        from nbflow.api.plotting import FIELDS, plot_cells

        return plot_cells(read_cells(self._project.store, self.id, self.axes, extra=FIELDS), x, y, value, ax)

    def __repr__(self) -> str:
        snapshot = self.look()
        counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(snapshot.counts.items()))
        return f"<backfill {self.name} ({self.id}) of {self.flow}: {snapshot.state.replace('_', ' ')}: {counts}>"

    def _repr_html_(self) -> str:
        from nbflow.api.backfill_html import show_backfill

        return show_backfill(self)


class Backfills(list[Backfill]):
    """Backfills, newest first."""

    def _repr_html_(self) -> str:
        from nbflow.api.backfill_html import show_backfills

        return show_backfills(self)


def backfills(flow: str | os.PathLike[str] | None = None, *, limit: int | None = 100) -> Backfills:
    """All backfills, newest first, or those of one *flow*: a registered name, or the path of a notebook."""
    project = get_project()
    text = None if flow is None else os.fspath(flow)
    if text is not None and (os.path.exists(text) or text.endswith(".ipynb")):
        text = os.path.abspath(text)
    return Backfills(Backfill(record, project) for record in project.backfills.find(text, limit=limit))


def get_backfill(backfill_id: str) -> Backfill:
    """The backfill of that id, name or beginning of an id. Raises NotFoundError."""
    project = get_project()
    return Backfill(project.backfills.get(backfill_id), project)
