"""The log in the panel: by anywidget where the browser has it, else as the newest lines of HTML."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as W

from nbflow.events import Event
from nbflow.widgets.either import Either, find_live
from nbflow.widgets.log_buffer import LogBuffer

PLAIN_LINES = 200
PLAIN_PAUSE = 0.25
TAIL_LINES = 500


class LogArea:
    """Shows the lines of one run. *whole* gives the name and text of the whole log, asked for by a click."""

    def __init__(self, whole: Callable[[], tuple[str, str]]) -> None:
        self._whole = whole
        self._lock = threading.RLock()
        self._buffer = LogBuffer()
        self._sent = 0
        self._drawn = 0.0
        self._plain = W.HTML()
        self._plain.add_class("nbflow-log-plain")
        live = find_live()
        self._view = None if live is None else live.LogView(self._hear, self._read_tail)
        self._either = Either(self._plain, self._view)
        self.widget = self._either.widget
        self._draw()

    @property
    def count(self) -> int:
        return self._buffer.count

    def add(self, events: Sequence[Event], *, last: bool = False) -> None:
        """Show the lines of these events; *last*: none will follow."""
        with self._lock:
            if self._buffer.add(events):
                if self._view is not None:
                    batch = self._buffer.read(self._sent)
                    self._view.send(batch.to_message())
                    self._sent = self._buffer.count
                self._draw(hurry=last)
            elif last:
                self._draw(hurry=True)
            if last and self._view is not None:
                self._view.tail += 1

    def clear(self) -> None:
        with self._lock:
            self._buffer.clear()
            self._sent = 0
            if self._view is not None:
                self._view.send({"type": "clear"})
            self._draw(hurry=True)

    def _read_tail(self) -> dict[str, Any]:
        buffer = getattr(self, "_buffer", None)
        if buffer is None:
            return {}
        with self._lock:
            lines = buffer.read(max(buffer.count - TAIL_LINES, 0))
        return {"first": lines.first, "lines": lines.lines, "partial": lines.partial}

    def _hear(self, message: dict[str, Any]) -> None:
        if self._view is None:
            return
        match message:
            case {"type": "ready" | "more" as what, "after": int(after)}:
                self._either.switch()
                with self._lock:
                    self._view.send({**self._buffer.read(after).to_message(), "anew": what == "ready"})
            case {"type": "whole"}:
                name, text = self._whole()
                self._view.send({"type": "whole", "name": name}, [text.encode("utf-8", "replace")])

    def _draw(self, *, hurry: bool = False) -> None:
        """The fallback, at most four times a second: each time all of it is sent."""
        if self._either.is_better:
            if self._plain.value:
                self._plain.value = ""
            return
        now = time.monotonic()
        if not hurry and now - self._drawn < PLAIN_PAUSE:
            return
        self._drawn = now
        lines = self._buffer.read(max(self._buffer.count - PLAIN_LINES, 0))
        texts = [text for _, text in lines.lines] + [text for text in lines.partial.values() if text]
        skipped = f"<div class='nbflow-log-head'>{self._buffer.count:,} lines, the last {len(texts)} shown</div>"
        body = escape("\n".join(texts))
        self._plain.value = (
            f"{skipped if lines.first else ''}<div class='nbflow-log-pane' role='log' aria-label='Log' tabindex='0'>"
            f"<pre>{body}</pre></div>"
        )
