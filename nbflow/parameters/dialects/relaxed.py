"""JSON as people type it into Colab's comments: keys without quotes, single quotes, commas at the end, no end at all."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:"(?P<double>(?:[^"\\]|\\.)*+)"|'(?P<single>(?:[^'\\]|\\.)*+)'|(?P<mark>[\[\]{},:=])|(?P<word>[^\s\[\]{},:='"]+))"""
)
_NUMBER = re.compile(r"[-+]?(?:\d+(?P<real>\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_MAX_DEPTH = 20


def read_relaxed(text: str) -> tuple[Any, int]:
    """The list or dictionary that *text* begins with, and where it ends. Raises ValueError."""
    reader = _Reader(text)
    return reader.value(0), reader.position


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def take(self) -> tuple[str, str]:
        """``(kind, text)`` of the next token; the end closes whatever is open."""
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            if self.text[self.position :].strip():
                raise ValueError("not a value")
            return "mark", ""
        self.position = match.end()
        kind = str(match.lastgroup)
        text = match[kind]
        if kind in ("double", "single"):
            return "string", re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text)
        return kind, text

    def peek(self) -> tuple[str, str]:
        position = self.position
        token = self.take()
        self.position = position
        return token

    def value(self, depth: int) -> Any:
        kind, text = self.take()
        if kind == "string":
            return text
        if kind == "word":
            return self._word(text)
        if text not in ("[", "{") or depth > _MAX_DEPTH:
            raise ValueError("not a value")
        return self._items(depth) if text == "[" else self._pairs(depth)

    def _word(self, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        number = _NUMBER.fullmatch(text)
        if number is not None:
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        return text

    def _items(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while self.peek()[1] not in ("]", "") or self.peek()[0] == "string":
            items.append(self.value(depth + 1))
            self._skip_comma()
        self.take()
        return items

    def _pairs(self, depth: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        while self.peek()[1] not in ("}", "") or self.peek()[0] == "string":
            kind, key = self.take()
            if kind == "mark" or self.take() not in (("mark", ":"), ("mark", "=")):
                raise ValueError("a key without a value")
            pairs[key] = self.value(depth + 1)
            self._skip_comma()
        self.take()
        return pairs

    def _skip_comma(self) -> None:
        if self.peek() == ("mark", ","):
            self.take()
