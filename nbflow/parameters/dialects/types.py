"""Type names of other languages, as the types of Python that hold the same values."""

from __future__ import annotations

import datetime
import decimal
import re
import typing
import uuid
from collections.abc import Mapping
from types import NoneType
from typing import Any

from nbflow.parameters.hints import container_of, join, union_members

_INTEGERS = (
    "int int8 int16 int32 int64 int128 uint uint8 uint16 uint32 uint64 uint128 integer signed unsigned long short byte "
    "sbyte ulong ushort bigint biginteger nint"
)
_FLOATS = "float float16 float32 float64 double single abstractfloat bigfloat"
_SCALARS: Mapping[str, Any] = {
    **dict.fromkeys(_INTEGERS.split(), int),
    **dict.fromkeys(_FLOATS.split(), float),
    **dict.fromkeys(("real", "number"), int | float),
    **dict.fromkeys(("string", "abstractstring", "str"), str),
    **dict.fromkeys(("bool", "boolean"), bool),
    **dict.fromkeys(("decimal", "bigdecimal"), decimal.Decimal),
    **dict.fromkeys(("dateonly", "localdate"), datetime.date),
    **dict.fromkeys(("datetime", "localdatetime"), datetime.datetime),
    "timespan": datetime.timedelta,
    **dict.fromkeys(("guid", "uuid"), uuid.UUID),
    **dict.fromkeys(("nothing", "null"), NoneType),
    **dict.fromkeys(("hashtable", "ordered"), dict),
    "array": list,
}
"""By name in lower case, without its namespace. Names that are not here are ``Any``."""

_LISTS = frozenset(
    [
        "list",
        "seq",
        "vector",
        "array",
        "indexedseq",
        "ienumerable",
        "ilist",
        "ireadonlylist",
        "icollection",
        "abstractvector",
    ]
)
_DICTS = frozenset(["map", "dict", "dictionary", "idictionary", "ireadonlydictionary", "abstractdict"])
_OPTIONS = frozenset(["option", "nullable"])
_GENERIC = re.compile(r"([\w.]+)\s*[\[<{](.*)[\]>}]")
_MAX_DEPTH = 10


class DoesNotFit(Exception):
    """The default is not of the declared type."""


def read_type(text: str, depth: int = 0) -> Any:
    """The type that *text* names: ``Vector{Int64}``, ``Map[String, Double]``, ``int?``, ``string list`` …"""
    text = text.strip()
    if depth > _MAX_DEPTH:
        return Any
    if text.endswith("?"):
        return _optional(read_type(text[:-1], depth + 1))
    if text.endswith("[]"):
        return _list_of(read_type(text[:-2], depth + 1))
    inner, _, suffix = text.rpartition(" ")
    if inner and suffix in ("list", "array", "seq"):
        return _list_of(read_type(inner, depth + 1))
    if inner and suffix == "option":
        return _optional(read_type(inner, depth + 1))
    generic = _GENERIC.fullmatch(text)
    if generic is not None:
        return _read_generic(_base(generic[1]), [read_type(part, depth + 1) for part in _parts(generic[2])])
    return _SCALARS.get(_base(text), Any)


def conform(value: Any, hint: Any) -> Any:
    """*value*, a default, as *hint* has it: integers as floats. Raises DoesNotFit."""
    if hint is Any or (value is None and NoneType in union_members(hint)):
        return value
    for member in union_members(hint):
        kind = container_of(member)
        if kind is not None and isinstance(value, kind):
            return _conform_items(value, typing.get_args(member))
        if member is float and type(value) is int:
            return float(value)
        if member is decimal.Decimal and type(value) is int:
            return decimal.Decimal(value)
        if kind is None and type(value) is member:
            return value
    raise DoesNotFit


def _conform_items(value: Any, arguments: tuple[Any, ...]) -> Any:
    if not arguments:
        return value
    if isinstance(value, dict):
        return {key: conform(item, arguments[-1]) for key, item in value.items()}
    return [conform(item, arguments[0]) for item in value]


def _base(name: str) -> str:
    return name.strip().rpartition(".")[2].lower()


def _parts(text: str) -> list[str]:
    """Split at the commas outside of brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[<{") - (char in "]>}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _read_generic(name: str, arguments: list[Any]) -> Any:
    if name in _LISTS:
        return _list_of(arguments[0])
    if name in _DICTS and len(arguments) == 2:
        return dict if arguments[1] is Any else dict[str, arguments[1]]  # type: ignore[valid-type]
    if name in _OPTIONS:
        return _optional(arguments[0])
    if name == "union":
        return join(arguments)
    return Any


def _optional(hint: Any) -> Any:
    return Any if hint is Any else hint | None


def _list_of(hint: Any) -> Any:
    return list if hint is Any else list[hint]
