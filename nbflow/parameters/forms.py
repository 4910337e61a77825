"""The JSON form of a Python value: what is stored, shown and sent for a date, a path, a set.

This file also runs inside of kernels, sent there as text to read values back. So it imports the standard library
only, nothing of nbflow, and keeps to the Python that old kernels speak (3.8).
"""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any

MAX_DEPTH = 64
"""Containers inside of containers; deeper values are refused rather than met by a parser's own limit."""


class NoForm(Exception):
    """The value has no JSON form."""


def json_form(value: Any, depth: int = 0) -> Any:
    """*value* in JSON's own types; NoForm for anything that would not come back as what it was."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if depth >= MAX_DEPTH:
        raise NoForm(f"nested deeper than {MAX_DEPTH}")
    if kind in (list, tuple):
        return [json_form(item, depth + 1) for item in value]
    if kind in (set, frozenset):
        return sorted((json_form(item, depth + 1) for item in value), key=_order)
    if kind is dict:
        form = {key_form(key): json_form(item, depth + 1) for key, item in value.items()}
        if len(form) != len(value):
            raise NoForm("two keys are written alike in JSON")
        return form
    return scalar_form(value)


def scalar_form(value: Any) -> Any:
    """The JSON form of what is neither a container nor one of JSON's own types."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas":
        return _pandas_form(value)
    if module == "numpy":
        return _numpy_form(value)
    if isinstance(value, enum.Enum):
        return enum_form(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return duration_text(_microseconds(value) * 1000)
    if isinstance(value, (decimal.Decimal, pathlib.PurePath, uuid.UUID)):
        return str(value)
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    raise NoForm(f"{type(value).__name__} is not a JSON value")


def key_form(key: Any) -> str:
    """A dictionary's key as JSON has them: text. What isn't text is written as its value would be."""
    if type(key) is str:
        return key
    form = json_form(key)
    if isinstance(form, (list, dict)):
        raise NoForm(f"a {type(key).__name__} can't be a key in JSON")
    return form if isinstance(form, str) else json.dumps(form)


def enum_form(member: enum.Enum) -> Any:
    """By value where all values of its kind are JSON scalars, else by name."""
    plain = all(type(other.value) in (str, int, float, bool) for other in type(member))
    return member.value if plain else member.name


def duration_text(nanoseconds: int) -> str:
    """ISO 8601, exact to the nanosecond: ``P1DT2H``, ``-PT0.5S``."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    days, seconds = divmod(seconds, 86400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    tail = f".{fraction:09d}".rstrip("0").rstrip(".")
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or tail:
        clock += f"{seconds}{tail}S"
    date = f"{days}D" if days else ""
    if not date and not clock:
        return "PT0S"
    return sign + "P" + date + ("T" + clock if clock else "")


def _microseconds(value: datetime.timedelta) -> int:
    return (value.days * 86400 + value.seconds) * 10**6 + value.microseconds


def _pandas_form(value: Any) -> Any:
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind == "Timestamp":
        return value.isoformat()
    if kind == "Timedelta":
        return duration_text(_microseconds(value) * 1000 + value.nanoseconds)
    raise NoForm(f"a pandas {kind} is not a JSON value")


def _numpy_form(value: Any) -> Any:
    kind = type(value).__name__
    if kind == "datetime64":
        return None if str(value) == "NaT" else str(value)
    item = value.item() if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 else value
    if type(item) in (bool, int, float, str):
        return item
    raise NoForm(f"a numpy {kind} is not a JSON value")


def _order(form: Any) -> Any:
    """Sets have no order of their own; their JSON form has one, or equal values would not be equal text."""
    if type(form) in (int, float) and form == form:
        return (0, form, "")
    return (1, 0, json.dumps(form, sort_keys=True))
