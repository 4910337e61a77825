"""C#, F# and PowerShell: what their translators lack, and the types of .NET that Python's dates and so on stand for."""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from abc import abstractmethod
from collections.abc import Iterable
from itertools import groupby
from typing import Any, ClassVar

from papermill.translators import CSharpTranslator, FSharpTranslator, PowershellTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import (
    INT64,
    Repairs,
    Unwritable,
    check_text,
    declared_source,
    declared_words,
    escape,
    is_uniform,
    plain,
    tag,
    utf16_escape,
)
from nbflow.parameters.records import Parameter

_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MICROSECOND = datetime.timedelta(microseconds=1)
_LIST = re.compile(r"new\s+List\s*<[\w.<>, ]*>")
_TICKS = 10
"""A tick of .NET is 100 ns."""


class DotNet(Repairs):
    """The types that JSON doesn't have."""

    LONG: ClassVar[str] = "L"

    @classmethod
    @abstractmethod
    def construct(cls, kind: str, *arguments: Any) -> str:
        """The literal of ``new System.kind(arguments)``."""

    @classmethod
    def call(cls, kind: str, method: str, argument: str) -> str:
        """The literal of ``System.kind.method(argument)``."""
        return f"System.{kind}.{method}({argument})"

    @classmethod
    def decimal(cls, digits: str) -> str:
        return f"{digits}m"

    @classmethod
    def big_integer(cls, val: int) -> str:
        return cls.call("Numerics.BigInteger", "Parse", cls.translate_str(str(val)))

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        match val:
            case datetime.datetime():
                return cls._moment(val)
            case datetime.date():
                return cls.construct("DateOnly", val.year, val.month, val.day)
            case datetime.time(tzinfo=None):
                span = datetime.timedelta(
                    hours=val.hour, minutes=val.minute, seconds=val.second, microseconds=val.microsecond
                )
                return cls.construct("TimeOnly", cls._ticks(span))
            case datetime.timedelta() if abs(val // _MICROSECOND) * _TICKS < INT64:
                return cls.call("TimeSpan", "FromTicks", cls._ticks(val))
            case decimal.Decimal() if _fits_decimal(val):
                return cls.decimal(f"{val:f}")
            case uuid.UUID():
                return cls.call("Guid", "Parse", cls.translate_str(str(val)))
        return super().translate_typed(val)

    @classmethod
    def _moment(cls, val: datetime.datetime) -> str:
        parts: list[Any] = [val.year, val.month, val.day, val.hour, val.minute, val.second]
        offset = val.utcoffset()
        if offset is not None:
            minutes, rest = divmod(offset, datetime.timedelta(minutes=1))
            if rest or abs(minutes) > 14 * 60:
                raise Unwritable("has an offset from UTC that .NET can't hold: convert it to UTC")
            parts.append(cls.call("TimeSpan", "FromMinutes", f"{minutes}.0"))
        whole = cls.construct("DateTime" if offset is None else "DateTimeOffset", *parts)
        ticks = val.microsecond * _TICKS
        return f"{whole}.AddTicks({ticks}{cls.LONG})" if ticks else whole

    @classmethod
    def _ticks(cls, span: datetime.timedelta) -> str:
        return f"{span // _MICROSECOND * _TICKS}{cls.LONG}"


class CSharp(DotNet, CSharpTranslator):  # type: ignore[misc]
    LANGUAGE = "C#"
    NAN = "double.NaN"
    INFINITY = "double.PositiveInfinity"
    RESERVED = reserved.CSHARP

    @classmethod
    def construct(cls, kind: str, *arguments: Any) -> str:
        return f"new System.{kind}({', '.join(map(str, arguments))})"

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        kind = "".join(declared_words(declared)[-1:])
        if plain(value) is None:
            # ``var`` needs a type, which null doesn't have.
            return f"{kind if kind == 'string' or kind.endswith('?') else 'object'} {name} = null;"
        statement = super().bind(name, value, declared)
        kept = _LIST.match(declared_source(declared))
        if kept is not None and isinstance(plain(value), list | tuple):
            statement = f"var {name} = {kept[0]} {statement[statement.index('{') :]}"
        return statement.replace("var ", f"{kind} ", 1) if kind in ("long", "double", "object") else statement

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        return f'"{escape(str_val, _NAMED, utf16_escape)}"'

    @classmethod
    def translate_none(cls, val: Any) -> str:
        return "null"

    @classmethod
    def translate_int(cls, val: int) -> str:
        return str(super().translate_int(val)) if -INT64 <= val < INT64 else cls.big_integer(val)

    @classmethod
    def translate_list(cls, val: Any) -> str:
        """``new [] { 1, 2 }``; an array of objects where the compiler finds no common type, or converts to one."""
        tags = {tag(item, one_map=True) for item in val}
        common = tags == {"int32", "int64"} or (is_uniform(tags) and tags != {"NoneType"})
        return f"new {'' if common else 'object'}[] {{ {', '.join(map(cls.translate, val))} }}"


class FSharp(DotNet, FSharpTranslator):  # type: ignore[misc]
    LANGUAGE = "F#"
    NAN = "System.Double.NaN"
    INFINITY = "System.Double.PositiveInfinity"
    RESERVED = reserved.FSHARP

    @classmethod
    def construct(cls, kind: str, *arguments: Any) -> str:
        return f"System.{kind}({', '.join(map(str, arguments))})"

    @classmethod
    def comment(cls, cmt_str: str) -> str:
        # papermill's "(* … *)" ends where the text has a "*)".
        return f"// {cmt_str}".strip()

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        literal = cls.translate(value)
        words = declared_words(declared)
        long = "int64" in words or declared_source(declared).endswith("L")
        if long and type(plain(value)) is int and literal.lstrip("-").isdigit():
            literal = f"{literal}L"
        if declared_source(declared).startswith("[|") and literal.startswith("["):
            literal = f"[|{literal[1:-1]}|]"
        return cls.assign(f"mutable {name}" if "mutable" in words else name, literal)

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        check_text(str_val, "F#", nul=True)
        return f'"{escape(str_val, _NAMED, utf16_escape)}"'

    @classmethod
    def translate_int(cls, val: int) -> str:
        return str(super().translate_int(val)) if -INT64 <= val < INT64 else cls.big_integer(val)

    @classmethod
    def translate_list(cls, val: Any) -> str:
        """``[ 1; 2 ]``; a list of boxed objects where the types differ."""
        if not val:
            return "List.empty<obj>"
        tags = {tag(item, one_map=True) for item in val}
        if is_uniform(tags) and tags != {"NoneType"}:
            return f"[ {'; '.join(map(cls.translate, val))} ]"
        boxed = ("(null : obj)" if plain(item) is None else f"box ({cls.translate(item)})" for item in val)
        return f"[ {'; '.join(boxed)} ]"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        if not val:
            return "Map.empty<string, System.IComparable>"
        pairs = (f"({cls.translate_str(key)}, {cls._comparable(item)})" for key, item in val.items())
        return f"([ {'; '.join(pairs)} ] |> Map.ofList)"

    @classmethod
    def _comparable(cls, val: Any) -> str:
        literal = "null" if plain(val) is None else cls.translate(val)
        return f"({literal} {':' if literal == 'null' else ':>'} System.IComparable)"


class PowerShell(DotNet, PowershellTranslator):  # type: ignore[misc]
    LANGUAGE = "PowerShell"
    NAN = "[double]::NaN"
    LONG = ""
    RESERVED = reserved.POWERSHELL
    _QUOTES = "'\u2018\u2019\u201a\u201b"
    """PowerShell takes typographic quotes for quotes."""

    @classmethod
    def name_fault(cls, name: str) -> str | None:
        return super().name_fault(name.lower())

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None

    @classmethod
    def binding(cls, name: str) -> str:
        return name.lower()

    @classmethod
    def construct(cls, kind: str, *arguments: Any) -> str:
        return f"[System.{kind}]::new({', '.join(map(str, arguments))})"

    @classmethod
    def call(cls, kind: str, method: str, argument: str) -> str:
        return f"[System.{kind}]::{method}({argument})"

    @classmethod
    def decimal(cls, digits: str) -> str:
        return f"([decimal]'{digits}')"

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        """Single quotes, in which nothing is expanded; unprintable characters are joined to it by number.

        No line breaks are left inside: .NET Interactive takes any line that begins with ``#!`` for a command.
        """
        if str_val.isprintable():
            return cls._quote(str_val)
        pieces: list[str] = []
        for printable, run in groupby(str_val, str.isprintable):
            text = "".join(run)
            pieces.extend([cls._quote(text)] if printable else (f"([char]{unit})" for unit in _units(text)))
        return f"(-join @({', '.join(pieces)}))"

    @classmethod
    def translate_float(cls, val: float) -> str:
        if val == float("inf"):
            return "[double]::PositiveInfinity"
        return "[double]::NegativeInfinity" if val == -float("inf") else super().translate_float(val)

    @classmethod
    def translate_int(cls, val: int) -> str:
        if abs(val) < INT64:
            return str(val)
        return f"([long]'{val}')" if val == -INT64 else f"([System.Numerics.BigInteger]'{val}')"

    @classmethod
    def translate_list(cls, val: Any) -> str:
        items = [cls.translate(item) for item in val]
        # ``@(@(1))`` is ``@(1)``: the comma keeps a list that is the only item of a list.
        alone = len(items) == 1 and isinstance(plain(val[0]), list | tuple)
        return f"@({',' if alone else ''}{', '.join(items)})"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        if len({key.casefold() for key in val}) < len(val):
            raise Unwritable("has keys that differ in case only, which PowerShell takes for one: rename them")
        pairs = (f"{cls.translate_str(key)} = {cls.translate(item)}" for key, item in val.items())
        return f"@{{{'; '.join(pairs)}}}"

    @classmethod
    def _quote(cls, text: str) -> str:
        return "'" + re.sub(f"([{cls._QUOTES}])", r"\1\1", text) + "'"


def _fits_decimal(val: decimal.Decimal) -> bool:
    """System.Decimal holds 28 digits, up to 28 of them behind the point, and no -0."""
    if not val.is_finite():
        return False
    sign, digits, exponent = val.as_tuple()
    assert isinstance(exponent, int)
    return -28 <= exponent <= 0 and len(digits) <= 28 and not (sign and not val)


def _units(text: str) -> Iterable[int]:
    return memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
