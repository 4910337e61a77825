"""Events: what happened in a run, numbered, one JSON object a line.

An attempt appends its events to ``events.jsonl`` in its own folder; that file is the log.
A watcher reads on from a *token*, ``"<attempt>.<byte offset>"``, which every event carries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What an event tells; ``data`` holds the keys named here."""

    STARTED = "started"
    """The attempt runs: ``pid``, ``cells`` (how many code cells will be executed), ``kernel``."""
    CELL_STARTED = "cell_started"
    """``index`` (in the executed notebook), ``number`` (of ``cells``, from 1), ``title``."""
    CELL_FINISHED = "cell_finished"
    """``index``, ``number``, ``status`` (``completed``, ``failed`` or ``skipped``), ``duration`` in seconds."""
    LOG = "log"
    """``stream`` (``stdout``, ``stderr`` or ``nbflow``), ``lines`` (a list, without newlines), ``cell`` (index).
    ``partial`` is there when the stream's last line is unfinished and may still change (a progress bar, a prompt): the
    next event of the stream replaces it, by its first line or by its own ``partial``."""
    OUTPUT = "output"
    """A displayed value in short: ``text``, ``cell``, ``mime`` (the richest type)."""
    RESULT = "result"
    """``nbflow.record`` or a scrapbook scrap: ``name``, ``value``."""
    VALUES = "values"
    """The values really used, read back after the parameters cell: ``values``."""
    RENAMED = "renamed"
    """``name``."""
    STATE = "state"
    """The run's state changed, as the store has it: ``state``, ``message``. Made by the watcher, in no file."""
    ENDED = "ended"
    """The attempt's own end record, always its last line: ``state`` (an AttemptState), ``failure``, ``duration``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. ``number`` counts from 1 within its attempt."""

    number: int
    kind: EventKind
    time: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    offset: int = 0
    """Byte offset just after this event in its attempt's file: reading on from here misses and repeats nothing."""

    @property
    def token(self) -> str:
        return f"{self.attempt}.{self.offset}"


def encode_event(event: Event) -> bytes:
    """One line of ``events.jsonl``, newline included; ASCII, so that any string survives."""
    record = {"n": event.number, "t": event.time.timestamp(), "k": event.kind.value, **event.data}
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"


def decode_event(line: bytes, *, attempt: int, offset: int) -> Event | None:
    """The event of one whole line, or None where a crash left something else."""
    try:
        record = json.loads(line)
        return Event(
            number=record.pop("n"),
            time=datetime.fromtimestamp(record.pop("t"), UTC),
            kind=EventKind(record.pop("k")),
            data=record,
            attempt=attempt,
            offset=offset,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def parse_token(token: str | None) -> tuple[int, int]:
    """``(attempt, offset)`` of a resume token; the beginning for None. Raises ValueError for anything else."""
    if token is None:
        return (1, 0)
    attempt, _, offset = token.partition(".")
    return (int(attempt), int(offset or 0))


OUTPUT_STREAM = "output"
"""Displayed values, among the streams of a run."""


class LogLines:
    """Turns log events into finished lines, and keeps the unfinished last one of each stream."""

    def __init__(self) -> None:
        self.partial: dict[str, str] = {}

    def take(self, event: Event) -> Iterator[tuple[str, str]]:
        """``(stream, line)`` for every line that *event* finishes. The end of a cell finishes what is left."""
        if event.kind is EventKind.LOG:
            stream = str(event.data.get("stream", "stdout"))
            self.partial.pop(stream, None)
            for line in event.data.get("lines", ()):
                yield stream, line
            if event.data.get("partial"):
                self.partial[stream] = event.data["partial"]
        elif event.kind is EventKind.OUTPUT:
            lines = str(event.data.get("text", "")).splitlines()
            # An error's traceback is in the notebook and in the summary; here its last line says that it happened.
            for line in lines[-1:] if event.data.get("mime") == "error" else lines:
                yield OUTPUT_STREAM, line
        elif event.kind in (EventKind.CELL_FINISHED, EventKind.ENDED):
            left, self.partial = self.partial, {}
            yield from left.items()
