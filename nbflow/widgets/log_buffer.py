"""The lines of a run's log as a view needs them: the newest, numbered, with what is still being written."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nbflow.events import Event, EventKind

KEPT = 5_000
"""Lines; older ones are in the run's journal."""
LONGEST = 4_000
"""Characters of a line that are shown."""

_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Some lines of a log, in a row."""

    first: int
    """Number of the first, from 0."""
    lines: tuple[tuple[str, str], ...]
    """Stream and text of each."""
    partial: dict[str, str] = field(default_factory=dict)
    """By stream, a last line that may still change."""

    def to_message(self) -> dict[str, Any]:
        return {"type": "lines", "first": self.first, "lines": self.lines, "partial": self.partial}


class LogBuffer:
    """Gathers the lines of one run. Not safe for threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT)
        self._partial: dict[str, str] = {}
        self.count = 0
        """How many whole lines came in all."""

    def add(self, events: Iterable[Event]) -> bool:
        """Take the lines of these events; whether there were any."""
        told = False
        for event in events:
            if event.kind is EventKind.LOG:
                told = True
                self._partial.pop(event.data["stream"], None)
                self._extend(event.data["stream"], event.data["lines"])
                if "partial" in event.data:
                    self._partial[event.data["stream"]] = clean_line(event.data["partial"])
            elif event.kind is EventKind.OUTPUT and event.data.get("mime") == "text/plain":
                told = True
                self._extend("output", event.data["text"].splitlines())
        return told

    def _extend(self, stream: str, lines: Iterable[str]) -> None:
        for line in lines:
            self._lines.append((stream, clean_line(line)))
            self.count += 1

    def read(self, after: int = 0) -> Lines:
        """The lines from number *after* on, as far as they are kept."""
        first = max(after, self.count - len(self._lines))
        skipped = first - (self.count - len(self._lines))
        return Lines(first=first, lines=tuple(self._lines)[skipped:], partial=dict(self._partial))

    def clear(self) -> None:
        self._lines.clear()
        self._partial.clear()
        self.count = 0


def clean_line(line: str) -> str:
    """Without terminal colours and control characters, and not endless."""
    text = _CONTROL.sub("", _TERMINAL.sub("", line))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text) - LONGEST:,} more characters)"
