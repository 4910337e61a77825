"""From what a caller gives to axes: lists, ranges and texts such as ``2026-01-01..2026-01-31`` or ``EU,US``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nbflow.backfilling.spans import MAX_VALUES, date_range, number_range
from nbflow.errors import UsageError
from nbflow.parameters.records import Text
from nbflow.parameters.values import loads_exact

_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_NUMBERS = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\.\.({_NUMBER}))?")
_DATE = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:?\d\d)?)?"
_DATES = re.compile(rf"({_DATE})\.\.({_DATE})(?:\.\.(\S+))?")
_PAIR = re.compile(r",(?=[^\W\d]\w*=)")


def split_axes(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """``(constants, axes)``: a list, tuple, range, array or iterator is an axis, anything else a value of all rows.

    A list as a value is an axis of one: ``[["a", "b"]]``. Raises UsageError for an empty axis, and for a set.
    """
    constants: dict[str, Any] = {}
    axes: dict[str, list[Any]] = {}
    for name, value in values.items():
        if isinstance(value, set | frozenset):
            raise UsageError(f"{name}: a set has no order; write sorted(...), or [{{...}}] for a set as the value")
        found = _list_values(value)
        if found is None:
            constants[name] = value
        elif not found:
            raise UsageError(f"{name}: an axis without values; give at least one, or leave {name} out")
        else:
            axes[name] = found
    return constants, axes


def _list_values(value: Any) -> list[Any] | None:
    """The values of an axis; None for what is one value."""
    if isinstance(value, str | bytes | Mapping):
        return None
    if isinstance(value, list | tuple | range | Iterator):
        return list(value)
    # numpy's arrays, pandas' indexes and series, without importing either
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        return list(value)
    return None


def read_axis(name: str, text: str, step: str | None = None) -> Any:
    """What a text on a command line stands for: a list for an axis, else the text itself.

    ``[...]`` is a JSON list of values; ``FIRST..LAST`` or ``FIRST..LAST..STEP`` a range of dates, times or numbers; commas
    part values. Raises UsageError.
    """
    bare = text.strip()
    if bare.startswith("["):
        return _read_list(name, bare)
    pieces = bare.split(",") if "," in bare else [bare]
    if any(not piece.strip() for piece in pieces):
        if len(pieces) == 1:
            return Text(text)
        raise UsageError(f'{name}={text}: a value is empty; write a JSON list for it: {name}=["", …]')
    spans = [_read_span(piece.strip(), step) for piece in pieces]
    if len(pieces) == 1 and spans[0] is None:
        return Text(text)
    values: list[Any] = []
    for piece, span in zip(pieces, spans, strict=True):
        values += [Text(piece.strip())] if span is None else span
    if len(values) > MAX_VALUES:
        raise UsageError(f"{name}={text[:60]}: more than {MAX_VALUES:,} values; take a longer step")
    return values


def read_condition(text: str, steps: Mapping[str, str]) -> dict[str, Any]:
    """``region=US,day=2026-01-03`` as ``{"region": ["US"], "day": ["2026-01-03"]}``. Raises UsageError."""
    condition: dict[str, Any] = {}
    for pair in _PAIR.split(text):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--exclude {text!r}: expected NAME=VALUE,NAME=VALUE")
        condition[name.strip()] = read_axis(name.strip(), value, steps.get(name.strip(), steps.get("")))
    return condition


def read_steps(texts: Sequence[str]) -> dict[str, str]:
    """``["1D", "n=2"]`` as ``{"": "1D", "n": "2"}``: the step of all ranges, and those of single parameters."""
    steps: dict[str, str] = {}
    for text in texts:
        name, equals, step = text.partition("=")
        key, value = (name.strip(), step.strip()) if equals else ("", text.strip())
        if not value or key in steps:
            raise UsageError(f"--step {text!r}: expected one step for all ranges (1D), or NAME=STEP for one of them")
        steps[key] = value
    return steps


def _read_list(name: str, text: str) -> list[Any]:
    try:
        values = loads_exact(text)
    except ValueError as error:
        raise UsageError(
            f"{name}={text[:60]}: not a JSON list ({error}); quote it for the shell: '{name}=[\"a,b\"]'"
        ) from None
    if not values:
        raise UsageError(f"{name}=[]: an axis without values; give at least one")
    return list(values)


def _read_span(text: str, step: str | None) -> list[Any] | None:
    """The texts of a range; None for what is none."""
    if found := _NUMBERS.fullmatch(text):
        width = found[3] or (step if step and re.fullmatch(_NUMBER, step) else "1")
        return [Text(number) for number in number_range(found[1], found[2], width)]
    if found := _DATES.fullmatch(text):
        days = date_range(found[1], found[2], step=found[3] or step or "1D")
        return [Text(day.isoformat()) for day in days]
    return None
