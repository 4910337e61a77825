"""Lists of runs, and their table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Self, overload

from nbflow.api.run import Run
from nbflow.api.session import get_project
from nbflow.errors import NotFoundError, UsageError
from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter
from nbflow.project import Project

if TYPE_CHECKING:
    import pandas as pd

_PAGE = 500


class Runs(Sequence[Run]):
    """Runs, in the order in which they were asked for. Which ones is settled; each is read when it is looked at."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        given = list(runs)
        self._known: dict[int, Run] = {run.sequence: run for run in given}
        self._sequences: Sequence[int] = [run.sequence for run in given]
        self._project = given[0].project if given else None

    @classmethod
    def find(cls, project: Project, wanted: RunFilter) -> Self:
        """Those that *wanted* finds now."""
        found = cls()
        found._project = project
        found._sequences = project.store.list_columns(wanted, ["sequence"])["sequence"]
        return found

    def __len__(self) -> int:
        return len(self._sequences)

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Run | Self:
        if isinstance(index, slice):
            part = type(self)()
            part._project, part._known, part._sequences = self._project, self._known, self._sequences[index]
            return part
        sequence = self._sequences[index]
        self._read([sequence])
        if sequence not in self._known:
            raise NotFoundError("this run was pruned since the list was made")
        return self._known[sequence]

    def __iter__(self) -> Iterator[Run]:
        """All but those that were pruned meanwhile."""
        for start in range(0, len(self), _PAGE):
            page = self._sequences[start : start + _PAGE]
            self._read(page)
            yield from (self._known[sequence] for sequence in page if sequence in self._known)

    def _read(self, sequences: Sequence[int]) -> None:
        unknown = tuple(sequence for sequence in sequences if sequence not in self._known)
        if unknown and self._project is not None:
            found = self._project.list_runs(RunFilter(sequences=unknown, limit=None))
            self._known |= {record.sequence: Run(record, self._project) for record in found}

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Runs | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def to_frame(self) -> pd.DataFrame:
        """One row per run: what it was, its parameters and its results, as they are now.

        Columns ``id name flow state created started ended duration attempts error_type error output_path`` (times in UTC,
        duration in seconds, state a category), then one for each parameter and each result, under its own name: numbers as
        such, also where some are missing; a column of dates or times in ISO form as times; tables as objects with a
        ``to_frame`` of their own. A name that is taken gets the prefix ``parameter_`` or ``result_``.
        """
        from nbflow.api.frames import make_frame, read_frame_of

        return make_frame() if self._project is None else read_frame_of(self._project.store, self._sequences)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:10]))
        more = f", … {len(self) - 10:,} more" if len(self) > 10 else ""
        return f"[{shown}{more}]"

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_runs

        return show_runs(self)


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
    return Runs.find(project, wanted)
