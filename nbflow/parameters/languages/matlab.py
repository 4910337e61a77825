"""MATLAB and Octave: neither reads escapes in the literals that ``MatlabTranslator`` writes them into."""

from __future__ import annotations

import datetime
import re
from itertools import groupby
from typing import Any

from papermill.translators import MatlabTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import Repairs, Unwritable, check_text, declared_source, plain
from nbflow.parameters.records import Parameter

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
"""MATLAB cuts longer names off without a word."""


class Matlab(Repairs, MatlabTranslator):  # type: ignore[misc]
    LANGUAGE = "MATLAB"
    NAN = "NaN"
    INFINITY = "Inf"
    RESERVED = reserved.MATLAB

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        source = declared_source(declared)
        literal = cls._vector(plain(value)) if source.startswith("[") else None
        if source.startswith("'") and isinstance(plain(value), str):
            literal = cls._char_array(plain(value))
        return f"{cls.assign(name, literal or cls.translate(value))};"

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        """A string; one with unprintable characters is put together from numbers, for literals know no escapes."""
        check_text(str_val, cls.LANGUAGE, nul=True)
        if str_val.isprintable():
            doubled = str_val.replace('"', '""')
            return f'"{doubled}"'
        return f"string({cls._char_array(str_val)})"

    @classmethod
    def translate_int(cls, val: int) -> str:
        if abs(val) > 2**53:
            raise Unwritable(f"is beyond 2^53, up to where {cls.LANGUAGE} holds integers exactly: pass it as a string")
        return str(super().translate_int(val))

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        if not val:
            return "containers.Map()"
        if "" in val:
            raise Unwritable(f"has an empty key, which maps in {cls.LANGUAGE} can't have: name it")
        keys, items = ", ".join(map(cls._char_array, val)), ", ".join(map(cls.translate, val.values()))
        # Without UniformValues, a map of numbers makes all of them doubles.
        return f"containers.Map({{{keys}}}, {{{items}}}, 'UniformValues', false)"

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        match val:
            case datetime.datetime(tzinfo=None):
                clock = f"{val.hour}, {val.minute}, {val.second}, {val.microsecond / 1000!r}"
                return f"datetime({val.year}, {val.month}, {val.day}, {clock})"
            case datetime.date() if type(val) is datetime.date:
                return f"datetime({val.year}, {val.month}, {val.day})"
        return super().translate_typed(val)

    @classmethod
    def _vector(cls, value: Any) -> str | None:
        """A numeric array, as the parameters cell declares it with ``[…]``; None when the values make none."""
        if not isinstance(value, list | tuple) or not {type(plain(item)) for item in value} <= {int, float}:
            return None
        return f"[{', '.join(map(cls.translate, value))}]"

    @classmethod
    def _char_array(cls, text: str) -> str:
        """``'text'``; ``['two' char(10) 'lines']``."""
        check_text(text, cls.LANGUAGE, nul=True)
        pieces = []
        for printable, run in groupby(text, str.isprintable):
            piece = "".join(run)
            if printable:
                doubled = piece.replace("'", "''")
                pieces.append(f"'{doubled}'")
            else:
                pieces.append(f"char([{' '.join(map(str, cls._codes(piece)))}])")
        return f"[{' '.join(pieces)}]" if not text.isprintable() else "".join(pieces) or "''"

    @classmethod
    def _codes(cls, run: str) -> list[int]:
        """MATLAB's characters are UTF-16 units."""
        return list(memoryview(run.encode("utf-16-le")).cast("H"))


class Octave(Matlab):
    """Octave reads escapes in double quotes, where MATLAB doesn't; single quotes mean the same in both."""

    LANGUAGE = "Octave"

    @classmethod
    def comment(cls, cmt_str: str) -> str:
        # In a kernel made with metakernel, a line that begins with "%" is a command.
        return f"# {cmt_str}".strip()

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        return cls._char_array(str_val)

    @classmethod
    def translate_typed(cls, val: Any) -> str:
        return super(Matlab, cls).translate_typed(val)

    @classmethod
    def _codes(cls, run: str) -> list[int]:
        """Octave's characters are bytes."""
        return list(run.encode())
