"""Masking: the values of ``Secret`` parameters in what a run prints, shows and records."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any
from urllib.parse import quote

MASK = "********"
SHORTENED_FROM = 8
"""Characters of a secret that are masked when an ellipsis follows: so many of a long one does a pandas frame show."""
_ELLIPSES = ("...", "\u2026")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COLOUR_BEGUN = re.compile(r"\x1b(?:\[[0-9;]*)?\Z")


class Mask:
    """Replaces every secret, in the spellings that repr, JSON, HTML and URLs give it, by ``********``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._spellings: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """From now on these are masked too."""
        spellings = set(self._spellings)
        for secret in secrets:
            lines = [secret, *(line for line in secret.splitlines() if len(line) > 3)]
            for text in lines:
                spellings |= {
                    text,
                    repr(text)[1:-1],
                    json.dumps(text)[1:-1],
                    json.dumps(text, ensure_ascii=False)[1:-1],
                    html.escape(text),
                    html.escape(text, quote=False),
                    _quote(text),
                }
        self._spellings = sorted(filter(None, spellings))
        self._characters = [frozenset(spelling) for spelling in self._spellings]
        begins = {re.escape(spelling[:SHORTENED_FROM]) for spelling in self._spellings}
        self._begin = re.compile("|".join(sorted(begins))) if begins else None

    def __bool__(self) -> bool:
        return self._begin is not None

    def text(self, text: str, *, final: bool = True) -> str:
        """*text* with every secret masked; where it may go on (not *final*), an end that may become one is left out."""
        if self._begin is None:
            return text
        if not final:
            return self.split(text)[0]
        plain, places = _strip_colours(text)
        return _replace(text, list(self._find(plain)), places)

    def split(self, text: str) -> tuple[str, str]:
        """*text* masked but for an end that may be the beginning of a secret; that end, as it is."""
        if self._begin is None or not text:
            return text, ""
        unfinished = _COLOUR_BEGUN.search(text)
        plain, places = _strip_colours(text[: unfinished.start()] if unfinished else text)
        spans = list(self._find(plain))
        if spans and spans[-1][1] == len(plain) and self._count_begun(plain[spans[-1][0] :]) == _size(spans[-1]):
            end = spans.pop()[0]  # it may become a longer one
        else:
            end = len(plain) - self._count_pending(plain[spans[-1][1] if spans else 0 :])
        if end == len(plain):
            return _replace(text, spans, places), ""
        cut = end if places is None else places[end]
        return _replace(text[:cut], spans, places), text[cut:]

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a secret begins and ends."""
        assert self._begin is not None
        position = 0
        while found := self._begin.search(text, position):
            start = found.start()
            size = max(self._measure(text, start, spelling) for spelling in self._spellings)
            position = start + max(size, 1)
            if size:
                yield start, position

    def _measure(self, text: str, start: int, spelling: str) -> int:
        """How many characters of *text* from *start* on are the secret, or its beginning and an ellipsis."""
        if text.startswith(spelling, start):
            return len(spelling)
        pairs = zip(spelling, text[start : start + len(spelling)], strict=False)
        size = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        shortened = size >= SHORTENED_FROM and text.startswith(_ELLIPSES, start + size)
        return size if shortened else 0

    def _count_pending(self, text: str) -> int:
        """How many characters at the end of *text* may be the beginning of a secret, or that and of an ellipsis."""
        dots = len(text) - len(text.rstrip("."))
        longest = self._count_begun(text)
        if 0 < dots < 3 and (before := self._count_begun(text[:-dots])) >= SHORTENED_FROM:
            longest = max(longest, before + dots)
        return longest

    def _count_begun(self, text: str) -> int:
        longest = 0
        for spelling, characters in zip(self._spellings, self._characters, strict=True):
            if text[-1:] in characters:
                for size in range(min(len(spelling) - 1, len(text)), longest, -1):
                    if text.endswith(spelling[:size]):
                        longest = size
                        break
        return longest

    def json(self, value: Any) -> Any:
        """A JSON value with the secrets in its strings and keys masked."""
        if self._begin is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.json(key): self.json(item) for key, item in value.items()}
        return value


class MaskedStream:
    """Text that comes in pieces, masked: the end of a piece that may be the beginning of a secret waits for the next."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._pending = ""

    def feed(self, text: str) -> str:
        """What of the text so far can be shown."""
        shown, self._pending = self._mask.split(self._pending + text)
        return shown

    def finish(self) -> str:
        """What was held back: no more text comes."""
        text, self._pending = self._pending, ""
        return self._mask.text(text)


def _replace(text: str, spans: Sequence[tuple[int, int]], places: list[int] | None) -> str:
    """*text* with the mask in place of the spans, which count without colours."""
    pieces = []
    position = 0
    for start, stop in spans:
        first, last = (start, stop) if places is None else (places[start], places[stop - 1] + 1)
        pieces += [text[position:first], MASK]
        position = last
    return "".join([*pieces, text[position:]])


def _size(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _strip_colours(text: str) -> tuple[str, list[int] | None]:
    """*text* without terminal colours, and where each of its characters was; None: in the same place."""
    if "\x1b" not in text:
        return text, None
    places: list[int] = []
    position = 0
    for found in _COLOUR.finditer(text):
        places += range(position, found.start())
        position = found.end()
    places += range(position, len(text))
    return "".join(map(text.__getitem__, places)), places


def _quote(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        return text
