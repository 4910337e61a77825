"""Which control a parameter gets: a literal table from its type, and what its choices and default change about it."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import typing
import uuid
from collections.abc import Mapping
from enum import Enum
from types import NoneType
from typing import Any

from nbflow.parameters import LiteralDefault, Parameter, hints
from nbflow.parameters.dialects.texts import DateText
from nbflow.parameters.markers import PandasTimedelta, PandasTimestamp, Range


class Kind(Enum):
    """A kind of control."""

    CHECK = "a checkbox"
    CHOICE = "a drop-down list"
    CHOICES = "a list of which several can be chosen"
    SUGGESTIONS = "text with suggestions"
    NUMBER = "a number, with a slider where both its limits are known"
    DATE = "a calendar"
    DATETIME = "a calendar with a clock and a time zone"
    TIME = "a clock"
    TEXT = "a line of text"
    LONG_TEXT = "several lines of text"
    LINES = "several lines, one item each"
    JSON = "JSON"
    PATH = "a path, completed with what exists"
    SECRET = "hidden text"


KINDS: Mapping[Any, Kind] = {
    bool: Kind.CHECK,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.TEXT,
    datetime.date: Kind.DATE,
    datetime.datetime: Kind.DATETIME,
    datetime.time: Kind.TIME,
    datetime.timedelta: Kind.TEXT,
    decimal.Decimal: Kind.NUMBER,
    pathlib.Path: Kind.PATH,
    uuid.UUID: Kind.TEXT,
    PandasTimestamp: Kind.DATETIME,
    PandasTimedelta: Kind.TEXT,
    dict: Kind.JSON,
    list: Kind.LINES,
    tuple: Kind.LINES,
    set: Kind.LINES,
    frozenset: Kind.LINES,
}
"""The control of each type; one that is not here gets a line of text, read as on a command line."""

SHAPES: Mapping[Any, str] = {
    datetime.date: "2026-01-31",
    datetime.datetime: "2026-01-31T12:00:00",
    datetime.time: "12:00:00",
    datetime.timedelta: "P1DT12H, or 1 day, 12:00:00",
    PandasTimestamp: "2026-01-31T12:00:00",
    PandasTimedelta: "P1DT12H, or 1 day, 12:00:00",
    dict: '{"key": value}',
}
"""How the values of a type are written, where that does not go without saying."""

_LONG = 60


def bare_type(parameter: Parameter) -> Any:
    """The declared type without its conditions and its None; of a container, the container."""
    bare, _ = hints.split_annotated(hints.without_none(parameter.python_type))
    return hints.container_of(bare) or bare


def item_types(parameter: Parameter) -> tuple[Any, ...]:
    """The types of a container's items: one for all, or of a tuple of fixed size one for each."""
    bare, _ = hints.split_annotated(hints.without_none(parameter.python_type))
    return tuple(part for part in typing.get_args(bare) if part is not Ellipsis) or (Any,)


def is_optional(parameter: Parameter) -> bool:
    """Whether None is one of its values."""
    bare, _ = hints.split_annotated(parameter.python_type)
    return hints.is_union(bare) and NoneType in typing.get_args(bare)


def find_kind(parameter: Parameter) -> Kind:
    """The control that fits the parameter."""
    if parameter.secret:
        return Kind.SECRET
    if parameter.choices or parameter.widget.get("choices"):
        return _choice_kind(parameter)
    bare = bare_type(parameter)
    if bare is bool and not _is_known(parameter):
        return Kind.CHOICE  # a checkbox has no third state for "nothing chosen yet"
    kind = KINDS.get(bare, Kind.TEXT)
    if kind is Kind.TEXT and bare is str:
        return _text_kind(parameter)
    if kind is Kind.LINES and any(_holds_containers(item) for item in item_types(parameter)):
        return Kind.JSON
    return kind


def choices_of(parameter: Parameter) -> tuple[Any, ...]:
    """The values to choose from, in JSON form."""
    if not parameter.choices and bare_type(parameter) is bool:
        return (True, False)
    return parameter.choices or tuple(parameter.widget.get("choices") or ())


def limits_of(parameter: Parameter) -> tuple[Any, Any, Any]:
    """``(least, greatest, step)`` where they are finite numbers; None for what is not told."""
    ends: dict[str, Any] = {"minimum": None, "maximum": None, "step": None}
    for condition in hints.conditions_of(parameter.python_type):
        if isinstance(condition, Range):
            ends |= {"minimum": condition.lo, "maximum": condition.hi, "step": condition.step}
        elif hasattr(condition, "ge"):
            ends["minimum"] = condition.ge if condition.ge is not None else ends["minimum"]
            ends["maximum"] = condition.le if condition.le is not None else ends["maximum"]
    ends |= {word: limit for word, limit in parameter.widget.items() if word in ends}
    least, greatest, step = (end if _is_number(end) else None for end in ends.values())
    return least, greatest, step


def _choice_kind(parameter: Parameter) -> Kind:
    if parameter.widget.get("allow_input"):
        return Kind.SUGGESTIONS
    if bare_type(parameter) not in (list, set, frozenset):
        return Kind.CHOICE
    default = parameter.default.value if isinstance(parameter.default, LiteralDefault) else None
    # A list of marked lines has neither an order of its own nor an item twice.
    ordered = [choice for choice in parameter.choices if isinstance(default, list) and choice in default]
    return Kind.LINES if isinstance(default, list) and ordered != default else Kind.CHOICES


def _text_kind(parameter: Parameter) -> Kind:
    if any(isinstance(condition, DateText) for condition in hints.conditions_of(parameter.python_type)):
        return Kind.DATE
    default = parameter.default.value if isinstance(parameter.default, LiteralDefault) else None
    return Kind.LONG_TEXT if isinstance(default, str) and ("\n" in default or len(default) > _LONG) else Kind.TEXT


def _is_known(parameter: Parameter) -> bool:
    return isinstance(parameter.default, LiteralDefault)


def _holds_containers(item: Any) -> bool:
    bare, _ = hints.split_annotated(hints.without_none(item))
    return any(hints.container_of(hints.split_annotated(part)[0]) is not None for part in hints.union_members(bare))


def _is_number(limit: Any) -> bool:
    return type(limit) in (int, float, decimal.Decimal) and limit - limit == 0
