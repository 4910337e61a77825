"""bash: ``BashTranslator`` loses empty items, breaks on lists of lists, and has no dictionaries."""

from __future__ import annotations

import re
from typing import Any

from papermill.translators import BashTranslator

from nbflow.parameters.languages import reserved
from nbflow.parameters.languages.repairs import Repairs, Unwritable, check_text, escape, plain
from nbflow.parameters.records import Parameter

_NAMED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "!": "\\041"}


class Bash(Repairs, BashTranslator):  # type: ignore[misc]
    LANGUAGE = "bash"
    NAN = "nan"
    INFINITY = "inf"
    RESERVED = reserved.BASH

    @classmethod
    def is_identifier(cls, name: str) -> bool:
        return re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is not None

    @classmethod
    def bind(cls, name: str, value: Any, declared: Parameter | None) -> str:
        statement = super().bind(name, value, declared)
        return f"declare -A {statement}" if isinstance(plain(value), dict) else statement

    @classmethod
    def translate_escaped_str(cls, str_val: Any) -> str:
        """A word that bash takes as it is.

        Control characters are written by number: the kernel's terminal would act on them before bash reads them.
        """
        check_text(str_val, "bash", nul=False)
        if str_val.isprintable():
            return str(super().translate_escaped_str(str_val))
        return f"$'{escape(str_val, _NAMED, _octal)}'"

    @classmethod
    def translate_list(cls, val: Any) -> str:
        return f"({' '.join(cls._word(item) for item in val)})"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        if "" in val:
            raise Unwritable("has an empty key, which bash's arrays can't have: name it")
        pairs = (f"[{_quoted(cls.translate_str(key))}]={cls._word(item)}" for key, item in val.items())
        return f"({' '.join(pairs)})"

    @classmethod
    def _word(cls, val: Any) -> str:
        """The word for an item; an empty one where the translator writes nothing."""
        item = plain(val)
        if isinstance(item, list | tuple | dict):
            raise Unwritable("holds lists in lists, which bash's arrays can't: pass JSON as a string, for jq to read")
        return cls.translate(item) or "''"


def _quoted(word: str) -> str:
    """A word in quotes: a subscript without them could be read as an expression."""
    return word if word[:1] in "'$" else f"'{word}'"


def _octal(code: int) -> str:
    r"""The character's UTF-8 bytes as ``\ooo``, three digits each, so that a digit after it stays a digit."""
    return "".join(f"\\{byte:03o}" for byte in chr(code).encode())
