"""Python source whose value is exactly the given one, wherever it is evaluated.

Types are reached by ``__import__``, so it does not matter what the notebook imported or called its variables, and
no name is left behind.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import uuid
from typing import Any

from nbflow.parameters.forms import NoForm

WIDTH = 100
_HEX_FROM = 1900
"""Bits. Beyond, decimal digits may exceed the limit that a kernel sets for them; hexadecimal ones have none."""


def literal(value: Any) -> str:
    """An expression for *value*, in one line."""
    return _write(value, 0, wrap=False)


def wrapped_literal(value: Any, indent: int = 0) -> str:
    """An expression for *value*; containers that don't fit on a line take one for each item."""
    return _write(value, indent, wrap=True)


def _write(value: Any, indent: int, *, wrap: bool) -> str:
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        items = list(value) if kind in (list, tuple) else sorted(value, key=_order)
        return _write_items(kind, [_write(item, indent + 4, wrap=wrap) for item in items], indent, wrap=wrap)
    if kind is dict:
        pairs = [f"{_scalar(key)}: {_write(item, indent + 4, wrap=wrap)}" for key, item in value.items()]
        return _enclose("{", pairs, "}", indent, wrap=wrap)
    return _scalar(value)


def _write_items(kind: type, items: list[str], indent: int, *, wrap: bool) -> str:
    if kind is list:
        return _enclose("[", items, "]", indent, wrap=wrap)
    if kind is tuple:
        return f"({items[0]},)" if len(items) == 1 else _enclose("(", items, ")", indent, wrap=wrap)
    # "{}" is a dict, and a notebook may have called a parameter "set".
    text = _enclose("{", items, "}", indent, wrap=wrap) if items else "{*()}"
    return text if kind is set else f'__import__("builtins").frozenset({text})'


def _enclose(left: str, items: list[str], right: str, indent: int, *, wrap: bool) -> str:
    flat = f"{left}{', '.join(items)}{right}"
    if not wrap or not items or ("\n" not in flat and indent + len(flat) <= WIDTH):
        return flat
    pad = " " * (indent + 4)
    return f"{left}\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + right


def _scalar(value: Any) -> str:
    match value:
        case None | bool():
            return repr(value)
        case enum.Enum():
            return f"{type(value).__name__}[{quote(value.name)}]"
        case str():
            return quote(value)
        case int():
            return repr(value) if value.bit_length() <= _HEX_FROM else hex(value)
        case float():
            return _float(value)
        case tuple() | frozenset():
            return literal(value)
        case pathlib.PurePath():
            return f'__import__("pathlib").Path({quote(str(value))})'
        case decimal.Decimal():
            return f'__import__("decimal").Decimal("{value}")'
        case uuid.UUID():
            return f'__import__("uuid").UUID("{value}")'
    return _moment(value)


def _moment(value: Any) -> str:
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and type(value).__name__ == "Timestamp":
        return f'__import__("pandas").Timestamp("{value.isoformat()}")'
    if module == "pandas" and type(value).__name__ == "Timedelta":
        return f'__import__("pandas").Timedelta({int(value.value)}, "ns")'
    match value:
        case datetime.datetime():
            parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
            return _call("datetime", _trim(parts, keep=5), value.tzinfo)
        case datetime.date():
            return _call("date", [value.year, value.month, value.day], None)
        case datetime.time():
            parts = [value.hour, value.minute, value.second, value.microsecond]
            return _call("time", _trim(parts, keep=2), value.tzinfo)
        case datetime.timedelta():
            return _timedelta(value)
    raise NoForm(f"{type(value).__name__} has no literal")


def _call(name: str, parts: list[int], zone: datetime.tzinfo | None) -> str:
    arguments = [str(part) for part in parts]
    if zone is not None:
        offset = zone.utcoffset(None)
        if offset is None:
            raise NoForm("a time zone without a fixed offset has no literal")
        arguments.append(f"tzinfo={_zone(offset)}")
    return f'__import__("datetime").{name}({", ".join(arguments)})'


def _zone(offset: datetime.timedelta) -> str:
    if not offset:
        return '__import__("datetime").timezone.utc'
    return f'__import__("datetime").timezone({_timedelta(offset)})'


def _timedelta(value: datetime.timedelta) -> str:
    parts = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    given = ", ".join(f"{name}={amount}" for name, amount in parts.items() if amount)
    return f'__import__("datetime").timedelta({given})'


def _float(value: float) -> str:
    if math.isnan(value):
        return '__import__("math").nan'
    if math.isinf(value):
        return f'{"-" if value < 0 else ""}__import__("math").inf'
    return repr(value)


def quote(text: str) -> str:
    """A string literal, in double quotes where that needs no more escapes; everything invisible is escaped."""
    quoted = repr(str(text))
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in text and "'" not in text else quoted


def _trim(parts: list[int], *, keep: int) -> list[int]:
    while len(parts) > keep and parts[-1] == 0:
        parts = parts[:-1]
    return parts


def _order(item: Any) -> Any:
    if type(item) in (int, float) and item == item:
        return (0, item, "")
    return (1, 0, literal(item))
