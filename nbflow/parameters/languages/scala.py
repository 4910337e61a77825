"""Scala: ``ScalaTranslator`` knows neither NaN nor big numbers, and mixed sequences turn integers into floats."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import re
import uuid
from typing import Any

from papermill.translators import ScalaTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import (
    INT64,
    Repairs,
    declared_source,
    declared_words,
    escape,
    plain,
    tag,
    utf16_escape,
)
from nbflow.parameters.records import Parameter

_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
"""All that end a line or a literal: Scala 2.12 reads a unicode escape before it looks for the end of a literal."""

_SEQUENCE = re.compile(r"(?:List|Array|Vector)\b")
_CONSTANT = 20_000
"""Characters in one literal: the class file format allows 65,535 bytes, at three bytes for a character."""


class Scala(Repairs, ScalaTranslator):  # type: ignore[misc]
    LANGUAGE = "Scala"
    NAN = "Double.NaN"
    INFINITY = "Double.PositiveInfinity"
    RESERVED = reserved.SCALA

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        statement = super().bind(name, value, declared)
        words = declared_words(declared)
        if words[-1:] in (["Long"], ["Double"]) and type(plain(value)) in (int, float):
            statement = statement.replace(f"val {name} =", f"val {name}: {words[-1]} =", 1)
        kind = _SEQUENCE.match(declared_source(declared))
        if kind is not None:
            statement = statement.replace(f"val {name} = Seq", f"val {name} = {kind[0]}", 1)
        return statement.replace("val ", "var ", 1) if words[:1] == ["var"] else statement

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        if len(str_val) <= _CONSTANT:
            return f'"{escape(str_val, _NAMED, utf16_escape)}"'
        pieces = [str_val[start : start + _CONSTANT] for start in range(0, len(str_val), _CONSTANT)]
        return f"Seq({', '.join(map(cls.translate_escaped_str, pieces))}).mkString"

    @classmethod
    def translate_int(cls, val: int) -> str:
        return str(super().translate_int(val)) if -INT64 <= val < INT64 else f'BigInt("{val}")'

    @classmethod
    def translate_list(cls, val: Any) -> str:
        """``Seq(1, 2)``; ``Seq[Any](1, 2.5)`` where Scala would make all items floats."""
        tags = {tag(item) for item in val}
        widened = "float" in tags and tags & {"int32", "int64"}
        return f"Seq{'[Any]' if widened else ''}({', '.join(map(cls.translate, val))})"

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        match val:
            case set() | frozenset():
                return cls.translate_list(sorted(val, key=repr)).replace("Seq", "Set", 1)
            case datetime.datetime(tzinfo=None):
                return f'java.time.LocalDateTime.parse("{val.isoformat()}")'
            case datetime.datetime() if val.utcoffset() is not None:
                return f'java.time.OffsetDateTime.parse("{val.isoformat()}")'
            case datetime.date():
                return f'java.time.LocalDate.parse("{val.isoformat()}")'
            case datetime.time(tzinfo=None):
                return f'java.time.LocalTime.parse("{val.isoformat()}")'
            case datetime.timedelta():
                seconds = val.days * 86400 + val.seconds
                return f"java.time.Duration.ofSeconds({seconds}L, {val.microseconds * 1000}L)"
            case decimal.Decimal() if val.is_finite():
                return f'BigDecimal("{val}")'
            case pathlib.PurePath():
                return f"java.nio.file.Paths.get({cls.translate_str(str(val))})"
            case uuid.UUID():
                return f'java.util.UUID.fromString("{val}")'
        return super().translate_typed(val)
