"""Lists of runs, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nbflow.api.results import restore_result
from nbflow.api.run import Run
from nbflow.api.session import get_project
from nbflow.errors import UsageError
from nbflow.lifecycle import RunRecord, RunState
from nbflow.ports import RunFilter

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("id", "name", "flow", "state", "created", "started", "ended", "duration", "attempts", "error", "output_path")


class Runs(list[Run]):
    """Runs, newest first."""

    def to_frame(self) -> pd.DataFrame:
        """One row per run: what it was, its parameters and its results.

        Columns ``id name flow state created started ended duration attempts error output_path`` (times in UTC, duration in
        seconds), then one per parameter and one per result, under their own names; a name that is taken gets the prefix
        ``parameter_`` or ``result_``.
        """
        return to_frame([run.record for run in self])

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_runs

        return show_runs(self)


def to_frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """See :meth:`Runs.to_frame`."""
    import pandas as pd

    rows = []
    for record in records:
        row: dict[str, Any] = {
            "id": record.id,
            "name": record.name,
            "flow": record.flow or record.source_path,
            "state": record.state.value,
            "created": record.created,
            "started": record.started,
            "ended": record.ended,
            "duration": record.duration,
            "attempts": record.attempts,
            "error": record.failure.message if record.failure else None,
            "output_path": record.output_path,
        }
        used = record.parameters if record.values is None else {**record.parameters, **record.values}
        for name, value in used.items():
            row[f"parameter_{name}" if name in COLUMNS else name] = value
        for name, value in record.results.items():
            row[f"result_{name}" if name in COLUMNS or name in used else name] = restore_result(value)
        rows.append(row)
    frame = pd.DataFrame(rows, columns=None if rows else list(COLUMNS))
    for column in ("created", "started", "ended"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    frame["duration"] = frame["duration"].astype(float)
    return frame


def runs(
    flow: str | None = None,
    *,
    state: str | Sequence[str] = (),
    tag: str | Sequence[str] = (),
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = 100,
) -> Runs:
    """Runs in the store, newest first: of one *flow* (name or path), in one of these *states*, with all these *tags*.

    *name* is a part of the run's name; *since* and *until* bound the time of submission. Raises UsageError for an
    unknown state or a time without a zone.
    """
    import os

    project = get_project()
    states = (state,) if isinstance(state, str) else tuple(state)
    for time in (since, until):
        if time is not None and time.tzinfo is None:
            raise UsageError(f"time {time}: it has no time zone; add one, such as .astimezone()")
    try:
        wanted_states = tuple(RunState(text) for text in states)
    except ValueError:
        raise UsageError(f"state {states!r}: there are {', '.join(RunState)}") from None
    if flow is not None and os.path.isfile(flow):
        flow = os.path.abspath(flow)
    wanted = RunFilter(
        flow=flow,
        states=wanted_states,
        tags=(tag,) if isinstance(tag, str) else tuple(tag),
        name=name,
        created_after=since,
        created_before=until,
        limit=limit,
    )
    return Runs(Run(record, project) for record in project.list_runs(wanted))
