"""Runs as a table: one row a run, its columns typed by what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbflow.api.results import restore_cell
from nbflow.lifecycle import TERMINAL, RunState
from nbflow.ports import RunFilter, Store

if TYPE_CHECKING:
    import pandas as pd

FIELDS = (
    "id",
    "name",
    "flow",
    "state",
    "created",
    "started",
    "ended",
    "duration",
    "attempts",
    "error_type",
    "error",
    "output_path",
)
_READ = (
    *("sequence", "id", "name", "flow", "source_path", "state", "created", "started", "ended", "attempts"),
    *("output_path", "failure", "message", "parameters", "values", "results"),
)
_PAGE = 1000
_DATE = r"\d{4}-\d\d-\d\d"
_NAIVE = re.compile(rf"{_DATE}([T ]\d\d:\d\d(:\d\d([.,]\d{{1,9}})?)?)?")
_AWARE = re.compile(rf"{_DATE}[T ]\d\d:\d\d(:\d\d([.,]\d{{1,9}})?)?(Z|[+-]\d\d:?\d\d)")
_UNSUCCESSFUL = frozenset(state.value for state in TERMINAL if not state.is_success)

Columns = Mapping[str, Sequence[Any]]
_NONE: Mapping[str, Any] = MappingProxyType({})


def read_frame(store: Store, wanted: RunFilter, *, extra: Mapping[str, str] = _NONE) -> pd.DataFrame:
    """The runs that *wanted* finds; *extra*: further columns in front, each with the field of RunRecord that it shows."""
    return make_frame(store.list_columns(wanted, [*_READ, *extra.values()]), extra=extra)


def read_frame_of(store: Store, sequences: Sequence[int]) -> pd.DataFrame:
    """The runs of these numbers, in their order, as the store has them now; those that were pruned are left out."""
    columns: dict[str, list[Any]] = {name: [] for name in _READ}
    for start in range(0, len(sequences), _PAGE):
        page = tuple(sequences[start : start + _PAGE])
        for name, values in store.list_columns(RunFilter(sequences=page, limit=None), _READ).items():
            columns[name] += values
    place = {sequence: index for index, sequence in enumerate(columns["sequence"])}
    order = [place[sequence] for sequence in sequences if sequence in place]
    if order != list(range(len(order))):
        columns = {name: [values[index] for index in order] for name, values in columns.items()}
    return make_frame(columns)


def make_frame(columns: Columns = _NONE, *, extra: Mapping[str, str] = _NONE) -> pd.DataFrame:
    """The frame of runs given field by field. See :meth:`Runs.to_frame` for its columns."""
    import pandas as pd

    columns = columns or dict.fromkeys((*_READ, *extra.values()), ())
    made = {name: _as_found(columns[field]) for name, field in extra.items()}
    made |= _make_fields(columns)
    taken = {*made, *FIELDS}
    used = [
        values if not given else {**given, **values} if values else given
        for given, values in zip(columns["parameters"], columns["values"], strict=True)
    ]
    made |= _spread([mapping or {} for mapping in used], "parameter", taken, lambda value: value)
    made |= _spread(columns["results"], "result", taken, restore_cell)
    return pd.DataFrame(made, copy=False)


def _make_fields(columns: Columns) -> dict[str, Any]:
    """What every run has."""
    import pandas as pd

    failures = columns["failure"]
    states = pd.Categorical(
        columns["state"], categories=[state.value for state in RunState if state.value in set(columns["state"])]
    )
    errors = [
        failure["message"] if failure else (message or None) if state in _UNSUCCESSFUL else None
        for failure, message, state in zip(failures, columns["message"], columns["state"], strict=True)
    ]
    times = {name: _as_times(columns[name]) for name in ("created", "started", "ended")}
    return {
        "id": _as_text(columns["id"]),
        "name": _as_text(columns["name"]),
        "flow": _as_text(
            [flow or path for flow, path in zip(columns["flow"], columns["source_path"], strict=True)],
        ),
        "state": states,
        **times,
        "duration": (times["ended"] - times["started"]).total_seconds(),
        "attempts": pd.array(columns["attempts"], dtype="int64"),
        "error_type": _as_text([failure and (failure["ename"] or failure["kind"]) for failure in failures]),
        "error": _as_text(errors),
        "output_path": _as_text(columns["output_path"]),
    }


def _spread(
    rows: Sequence[Mapping[str, Any]], prefix: str, taken: set[str], restore: Callable[[Any], Any]
) -> dict[str, Any]:
    """A column for every key, in the order of their first appearance."""
    names = dict.fromkeys(name for keys in dict.fromkeys(map(tuple, rows)) for name in keys)
    made = {}
    for name in names:
        column = name.encode("utf-8", "backslashreplace").decode()  # a result may be called anything
        while column in taken:
            column = f"{prefix}_{column}"
        taken.add(column)
        values = [row.get(name) for row in rows]
        kinds = set(map(type, values))
        if not kinds.isdisjoint((dict, list)):
            values = [restore(value) if isinstance(value, dict | list) else value for value in values]
        made[column] = _as_found(values)
    return made


def _as_found(values: Sequence[Any]) -> Any:
    """A column of the narrowest type that holds every value as it is; a missing one is missing, whatever the type."""
    import pandas as pd

    kinds = set(map(type, values))
    is_whole = type(None) not in kinds
    kinds.discard(type(None))
    try:
        if kinds == {bool}:
            return pd.array(values, dtype="bool" if is_whole else "boolean")
        if kinds == {int}:
            return pd.array(values, dtype="int64" if is_whole else "Int64")
        if kinds and kinds <= {int, float}:
            return pd.array([float("nan") if value is None else float(value) for value in values], dtype="float64")
    except OverflowError:  # an integer of more than 64 bits
        return pd.Series(values, dtype=object)
    if kinds == {str}:
        times = _find_times(values)
        return _as_text(values) if times is None else times
    return pd.Series(values, dtype=object)


def _find_times(texts: Sequence[str | None]) -> Any:
    """Texts as times, where all of them are dates or times in ISO form, and all with an offset or all without."""
    import pandas as pd

    first = next(text for text in texts if text is not None)
    form = _NAIVE if _NAIVE.fullmatch(first) else _AWARE
    if not all(text is None or form.fullmatch(text) for text in texts):
        return None
    try:
        return pd.to_datetime(_as_text(texts), format="ISO8601", utc=form is _AWARE)
    except (ValueError, OverflowError):  # 2026-02-30
        return None


def _as_text(texts: Sequence[str | None]) -> Any:
    import pandas as pd

    try:
        return pd.Series(texts, dtype=None if any(texts) else object)
    except UnicodeError:  # a file name that is not UTF-8: pandas' own type for text can't hold it
        return pd.Series(texts, dtype=object)


def _as_times(microseconds: Sequence[int | None]) -> pd.DatetimeIndex:
    import numpy as np
    import pandas as pd

    missing = np.iinfo(np.int64).min  # NaT
    numbers = np.array([missing if number is None else number for number in microseconds], dtype=np.int64)
    return pd.DatetimeIndex(numbers.view("datetime64[us]")).tz_localize("UTC")
