"""Where the runs of a backfill stand in a grid: by two axes, as a calendar, or in a strip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from nbflow.errors import UsageError
from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter, Store

# Okabe and Ito's colours, which those who see few colours tell apart too; each with a sign of its own and what reads on it.
LOOKS: Mapping[RunState, tuple[str, str, str]] = {
    RunState.FAILED: ("✘", "#d55e00", "#ffffff"),
    RunState.CRASHED: ("✖", "#8a2f6b", "#ffffff"),
    RunState.TIMED_OUT: ("◔", "#e69f00", "#000000"),
    RunState.CANCELLED: ("■", "#6e6e6e", "#ffffff"),
    RunState.CANCELLING: ("□", "#f0e442", "#000000"),
    RunState.RUNNING: ("▶", "#56b4e9", "#000000"),
    RunState.PENDING: ("·", "#c8c8c8", "#000000"),
    RunState.SCHEDULED: ("◌", "#c8c8c8", "#000000"),
    RunState.SKIPPED: ("»", "#7fcdb3", "#000000"),
    RunState.COMPLETED: ("✔", "#009e73", "#000000"),
}
"""Sign, colour and the sign's colour of each state, those that need a look first: a cell of several runs shows its first."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)\S*")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CALENDAR_FROM = 15
"""Days; fewer are a strip."""
_STRIP = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The runs of a backfill field by field, in the order of its rows."""

    axes: tuple[str, ...]
    fields: Mapping[str, Sequence[Any]]

    @property
    def states(self) -> list[RunState]:
        return [RunState(state) for state in self.fields["state"]]

    def values_of(self, name: str) -> list[Any]:
        """What each run's parameter was; None where it is not known. Raises UsageError."""
        used = list(zip(self.fields["parameters"], self.fields["values"], strict=True))
        if not any(name in given or (values and name in values) for given, values in used):
            known = sorted({key for given, values in used for key in {**given, **(values or {})}})
            raise UsageError(f"axis {name!r}: no run has a parameter of that name; there are {', '.join(known)}")
        return [(values or {}).get(name, given.get(name)) for given, values in used]


def read_cells(store: Store, backfill_id: str, axes: Sequence[str], *, extra: Sequence[str] = ()) -> Cells:
    """*extra*: further fields of RunRecord, by column as the store has them."""
    names = ["backfill_row", "state", "parameters", "values", *extra]
    columns = store.list_columns(RunFilter(backfill_id=backfill_id, limit=None, oldest_first=True), names)
    rows = [row or 0 for row in columns["backfill_row"]]
    if any(first > second for first, second in pairwise(rows)):
        order = sorted(range(len(rows)), key=rows.__getitem__)
        columns = {name: [values[index] for index in order] for name, values in columns.items()}
    return Cells(axes=tuple(axes), fields=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A place for every run: a row and a column of a grid."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    """Labels; empty where a column has none of its own."""
    places: Sequence[tuple[int, int]]
    row_title: str = ""
    column_title: str = ""
    strip: Sequence[str] = ()
    """Of a strip: each run's label."""

    def coarsened(self, limit: int) -> Layout:
        """The same in at most *limit* cells: neighbours share one."""
        if self.strip:
            return _lay_strip(self.strip, self.row_title, share=-(-len(self.strip) // limit))
        down, across = 1, 1
        while -(-len(self.rows) // down) * -(-len(self.columns) // across) > limit:
            if len(self.columns) / across >= len(self.rows) / down:
                across *= 2
            else:
                down *= 2
        if down == across == 1:
            return self
        return replace(
            self,
            rows=_merge_labels(self.rows, down),
            columns=_merge_labels(self.columns, across),
            places=[(row // down, column // across) for row, column in self.places],
        )


def lay_out(cells: Cells, x: str | None = None, y: str | None = None) -> Layout:
    """By the axes *x* and *y*; without them by those of the backfill: the longer one across, or days as a calendar."""
    if x is None and y is None and len(cells.axes) == 2:
        first, second = ([_label(value) for value in cells.values_of(name)] for name in cells.axes)
        x, y = cells.axes if len(set(first)) >= len(set(second)) else reversed(cells.axes)
    elif x is None and y is None and len(cells.axes) == 1:
        x = cells.axes[0]
    if x is None:
        x, y = y, None
    if x is None:
        return _lay_strip([f"row {row}" for row in cells.fields["backfill_row"]], "")
    across = [_label(value) for value in cells.values_of(x)]
    if y is not None:
        return _lay_pairs(across, [_label(value) for value in cells.values_of(y)], x, y)
    if across and all(map(_DAY.fullmatch, across)) and len(set(across)) >= _CALENDAR_FROM:
        return _lay_calendar(across, x)
    moments = [_MOMENT.fullmatch(text) for text in across]
    found = [moment.groups() for moment in moments if moment]
    if across and len(found) == len(across) and len({day for day, _ in found}) * 2 <= len(found):
        return _lay_pairs([time for _, time in found], [day for day, _ in found], x, "")
    return _lay_strip(across, x)


def find_worst(states: Sequence[RunState]) -> RunState:
    """The state that a cell of these runs shows."""
    return min(states, key=_RANK.__getitem__)


_RANK = {state: rank for rank, state in enumerate(LOOKS)}


def _label(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _merge_labels(labels: tuple[str, ...], width: int) -> tuple[str, ...]:
    return tuple(next(filter(None, labels[start : start + width]), "") for start in range(0, len(labels), width))


def _lay_pairs(across: Sequence[str], down: Sequence[str], x: str, y: str) -> Layout:
    columns = {label: index for index, label in enumerate(_in_order(across))}
    rows = {label: index for index, label in enumerate(_in_order(down))}
    places = [(rows[row], columns[column]) for row, column in zip(down, across, strict=True)]
    return Layout(rows=tuple(rows), columns=tuple(columns), places=places, row_title=y, column_title=x)


def _in_order(labels: Sequence[str]) -> list[str]:
    """Dates and times in theirs; the others as the rows have them."""
    distinct = list(dict.fromkeys(labels))
    is_time = all(re.match(r"(\d{4}-\d\d-\d\d|\d\d:\d\d)", label) for label in distinct)
    return sorted(distinct) if is_time else distinct


def _lay_calendar(days: Sequence[str], x: str) -> Layout:
    """A column for each week, a row for each day of it; a month's name above the week in which it begins."""
    dates = [date.fromisoformat(day) for day in days]
    first = min(dates) - timedelta(days=min(dates).weekday())
    last = max(dates)
    weeks = (last - first).days // 7 + 1
    columns = []
    for week in range(weeks):
        begins = [first + timedelta(weeks=week, days=day) for day in range(7)]
        month = next((day for day in begins if day.day == 1 and day <= last), begins[0] if week == 0 else None)
        text = "" if month is None else _MONTHS[month.month - 1]
        columns.append(f"{text} {month.year}" if month and (month.month == 1 or week == 0) else text)
    if weeks > 1 and columns[1]:
        columns[0] = ""  # the next one begins right beside it
    places = [(day.weekday(), (day - first).days // 7) for day in dates]
    return Layout(rows=_WEEKDAYS, columns=tuple(columns), places=places, column_title=x)


def _lay_strip(labels: Sequence[str], title: str, *, share: int = 1) -> Layout:
    """One behind the other in lines; *share* runs in each cell."""
    width = min(_STRIP, max(-(-len(labels) // share), 1))
    rows = tuple(labels[start] for start in range(0, len(labels), width * share)) or ("",)
    places = [divmod(index // share, width) for index in range(len(labels))]
    return Layout(rows=rows, columns=("",) * width, places=places, row_title=title, strip=labels)
