"""R: what ``RTranslator`` writes wrongly is text beyond ASCII, NaN, numbers that R's own reader rounds, and odd keys."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from papermill.translators import RTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import (
    INT32,
    Repairs,
    Unwritable,
    check_text,
    declared_source,
    escape,
    plain,
    unicode_escape,
)
from nbflow.parameters.records import Parameter

_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_PLAIN_KEY = re.compile(r"[ -~]{1,200}")
_EMPTY_VECTORS = (
    (re.compile(r"""c\(\s*(?:\w+\s*=\s*)?["']"""), "character(0)"),
    (re.compile(r"c\(\s*(?:\w+\s*=\s*)?(?:TRUE|FALSE|T|F)\b"), "logical(0)"),
    (re.compile(r"c\(\s*(?:\w+\s*=\s*)?-?\d+L"), "integer(0)"),
)
_UNICODE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[uU]")
_MAX_ESCAPED = 4_000
"""Characters in a string with Unicode escapes: R refuses 10,000, of which one beyond U+FFFF may count for two."""

_MAX_PARENTHESES = 50
"""R's parser keeps a stack of that many open brackets ("contextstack overflow")."""


class R(Repairs, RTranslator):  # type: ignore[misc]
    LANGUAGE = "R"
    NAN = "NaN"
    INFINITY = "Inf"
    RESERVED = reserved.R

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        bound = cls.binding(name)
        return bound.replace(".", "_").isidentifier() and not re.match(r"_|\.\d|\.\.\d+$", bound)

    @classmethod
    def binding(cls, name: str) -> str:
        """Without leading underscores, which R names can't have; papermill drops them too."""
        return name.lstrip("_")

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        source = declared_source(declared)
        vector = cls._vector(plain(value), source) if source.startswith("c(") else None
        literal = vector or cls.translate(value)
        if _nesting(literal) > _MAX_PARENTHESES:
            raise Unwritable(f"is nested deeper than R can read ({_MAX_PARENTHESES} levels): pass the path of a file")
        return cls.assign(name, literal)

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        check_text(str_val, "R", nul=False)
        # Escapes rather than the characters: R reads its source in the locale, which may be "C".
        literal = f'"{escape(str_val, _NAMED, unicode_escape, ascii_only=True)}"'
        if len(str_val) <= _MAX_ESCAPED or not _UNICODE_ESCAPE.search(literal):
            return literal
        pieces = [str_val[start : start + _MAX_ESCAPED] for start in range(0, len(str_val), _MAX_ESCAPED)]
        return f"paste0({', '.join(map(cls.translate_escaped_str, pieces))})"

    @classmethod
    def translate_int(cls, val: int) -> str:
        if abs(val) < INT32:
            return f"{val}L"
        if abs(val) <= 2**53:
            return str(val)
        raise Unwritable("is beyond 2^53, up to where R holds integers exactly: pass it as a string")

    @classmethod
    def translate_float(cls, val: float) -> str:
        return super().translate_float(val) if not math.isfinite(val) or _reads_back(val) else val.hex()

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        return cls._named("list", val, map(cls.translate, val.values()))

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        match val:
            case datetime.datetime(tzinfo=None):
                return f'as.POSIXct("{_moment(val)}")'
            case datetime.datetime():
                return f'as.POSIXct("{_moment(val.astimezone(datetime.UTC))}", tz = "UTC")'
            case datetime.date():
                return f'as.Date("{val.isoformat()}")'
            case datetime.timedelta() if datetime.timedelta(seconds=val.total_seconds()) == val:
                return f'as.difftime({cls.translate_float(val.total_seconds())}, units = "secs")'
        return super().translate_typed(val)

    @classmethod
    def _named(cls, function: str, keys: Iterable[str], literals: Iterable[str]) -> str:
        """``list("a" = 1)``; where a key is no name that R's parser takes, the names are given apart."""
        names, items = [cls.translate_str(key) for key in keys], list(literals)
        if all(_PLAIN_KEY.fullmatch(key) for key in keys):
            pairs = ", ".join(f"{name} = {item}" for name, item in zip(names, items, strict=True))
            return f"{function}({pairs})"
        return f"structure({function}({', '.join(items)}), names = c({', '.join(names)}))"

    @classmethod
    def _vector(cls, value: Any, declared: str) -> str | None:
        """An atomic vector, as the parameters cell declares it with ``c(…)``; None when the values make none."""
        if not isinstance(value, list | tuple | dict):
            return None
        items = [plain(item) for item in (value.values() if isinstance(value, dict) else value)]
        if not items:
            return next((empty for start, empty in _EMPTY_VECTORS if start.match(declared)), "numeric(0)")
        kinds = {type(item) for item in items}
        if kinds == {int, float}:
            literals = [repr(item) if type(item) is int else cls.translate(item) for item in items]
        elif len(kinds) == 1 and kinds <= {bool, int, float, str}:
            literals = [cls.translate(item) for item in items]
        else:
            return None
        return cls._named("c", value, literals) if isinstance(value, dict) else f"c({', '.join(literals)})"


def _moment(value: datetime.datetime) -> str:
    return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds" if value.microsecond else "seconds")


def _reads_back(value: float) -> bool:
    """Whether R reads the shortest decimal text of *value* back exactly; its hexadecimal text it always does.

    R multiplies or divides the digits by a power of ten in the machine's long double, of 53 to 113 bits. That is right
    when both are exact in 53 bits and the text is not too near to the middle between two floats.
    """
    text = repr(value)
    _, digits, exponent = decimal.Decimal(text).as_tuple()
    if not isinstance(exponent, int) or abs(exponent) > 22 or int("".join(map(str, digits))) >= 2**53:
        return False
    gap = abs(value) - math.nextafter(abs(value), 0.0)
    return value == 0 or abs(Fraction(text) - Fraction(value)) * 100 < 49 * Fraction(gap)


def _nesting(literal: str) -> int:
    depth = deepest = 0
    for char in _STRING.sub("", literal):
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest
