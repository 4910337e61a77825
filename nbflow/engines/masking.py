"""Masking: the values of ``Secret`` parameters in what a run prints, shows and records."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "********"


class Mask:
    """Replaces every secret, in the spellings that repr, JSON, HTML and URLs give it, by ``********``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings: set[str] = set()
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
        # Longer spellings first: a shorter one inside them must not leave their ends behind.
        self._spellings = sorted(filter(None, spellings), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._spellings))) if self._spellings else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str, *, final: bool = True) -> str:
        """*text* with every secret masked; where it may go on (not *final*), an end that may become one is left out."""
        if self._pattern is None:
            return text
        masked = self._pattern.sub(MASK, text)
        return masked if final else masked[: len(masked) - self._pending(masked)]

    def _pending(self, text: str) -> int:
        longest = 0
        for spelling in self._spellings:
            for size in range(min(len(spelling) - 1, len(text)), longest, -1):
                if text.endswith(spelling[:size]):
                    longest = size
                    break
        return longest

    def json(self, value: Any) -> Any:
        """A JSON value with the secrets in its strings and keys masked."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.json(key): self.json(item) for key, item in value.items()}
        return value


def _quote(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        return text
