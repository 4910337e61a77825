"""Turns what a kernel says into events: lines, displayed values, recorded results, renames."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nbflow.engines.lines import LineSplitter
from nbflow.engines.masking import MaskedStream
from nbflow.engines.scraps import find_scrap, find_shown, is_glued
from nbflow.engines.session import Session
from nbflow.events import EventKind

RESULT_MIME = "application/vnd.nbflow.result+json"
CONTROL_MIME = "application/vnd.nbflow.control+json"
SHOWN_CHARACTERS = 2_000
LAST_LINE_CHARACTERS = 200
NAME_CHARACTERS = 200
MAX_RESULT = 1024 * 1024 + 1024
"""In JSON: what ``nbflow.record`` takes, and a little more."""
PARTIAL_CHARACTERS = 1_000
BLOCK_CHARACTERS = 100_000
"""Of printed text that become one event at the most: whoever reads the log holds one in memory."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
_RICHEST = ("image/png", "image/svg+xml", "image/jpeg", "text/html", "text/markdown", "text/latex", "application/json")


def strip_ansi(text: str) -> str:
    """*text* without terminal control sequences."""
    return _ANSI.sub("", text)


class Narrator:
    """Adds to the session's listener what the cells print, show and record, secrets masked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._splitters: dict[str, LineSplitter] = {}
        self._masked: dict[str, MaskedStream] = {}
        self._cells: dict[str, int] = {}

    def print(self, stream: str, text: str, cell: int) -> None:
        """The cell printed *text*; whole lines become an event at once, the rest waits for :meth:`show_partial`."""
        splitter = self._splitters.setdefault(stream, LineSplitter())
        masked = self._masked.setdefault(stream, MaskedStream(self._session.mask))
        if self._cells.get(stream, cell) != cell:
            self._finish_line(stream)
        self._cells[stream] = cell
        for start in range(0, len(text), BLOCK_CHARACTERS):
            self._add_lines(stream, splitter.feed(masked.feed(text[start : start + BLOCK_CHARACTERS])), cell)

    def _finish_line(self, stream: str) -> None:
        splitter = self._splitters[stream]
        lines = [*splitter.feed(self._masked[stream].finish()), splitter.finish()]
        self._add_lines(stream, [line for line in lines if line is not None], self._cells[stream])

    def _add_lines(self, stream: str, lines: list[str], cell: int) -> None:
        if not lines:
            return
        self._session.log_lines += len(lines)
        for line in reversed(lines):
            if line.strip():
                self._session.last_line = strip_ansi(line)[:LAST_LINE_CHARACTERS]
                break
        self._session.listener.add(EventKind.LOG, {"stream": stream, "lines": lines, "cell": cell})

    def show_partial(self) -> None:
        """Tell the unfinished lines that changed: progress bars and prompts."""
        for stream, splitter in self._splitters.items():
            line = splitter.peek()
            if line is not None:
                # The whole of it again and again, and a day of dots would fill the disk.
                partial = line if len(line) <= PARTIAL_CHARACTERS else f"…{line[-PARTIAL_CHARACTERS:]}"
                data = {"stream": stream, "lines": [], "partial": partial, "cell": self._cells[stream]}
                self._session.listener.add(EventKind.LOG, data)

    def finish_lines(self) -> None:
        """The cell is over: what it left without a newline is a line too."""
        for stream in self._splitters:
            self._finish_line(stream)

    def note(self, text: str, cell: int | None = None) -> None:
        """A line of nbflow's own."""
        data = {"stream": "nbflow", "lines": self._session.mask.text(text).split("\n"), "cell": cell}
        self._session.listener.add(EventKind.LOG, data)

    def rename(self, name: str) -> None:
        """The run has another name from now on: one printable line."""
        text = self._session.mask.text(name)
        self._session.name = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:NAME_CHARACTERS]
        self._session.listener.add(EventKind.RENAMED, {"name": self._session.name})

    def show(self, content: Mapping[str, Any], cell: int) -> None:
        """The cell displayed a value: a result, a scrap, or something to look at."""
        data = content.get("data") or {}
        if RESULT_MIME in data:
            record = data[RESULT_MIME]
            self._add_result(str(record.get("name")), record.get("value"), cell)
            return
        scrap = find_scrap(data)
        if scrap is not None:
            self._add_result(*scrap, cell)
            return
        shown = find_shown(content)
        if shown is not None and not is_glued(self._session.results.get(shown[0])):
            self._add_result(*shown, cell)
        text = data.get("text/plain")
        if text is None:
            return
        whole = text if isinstance(text, str) else "".join(text)
        # Masking all of it to show its beginning could take long; an end that may be half a secret is not shown.
        begin = whole[: 2 * SHOWN_CHARACTERS]
        text = self._session.mask.text(begin, final=len(begin) == len(whole))[:SHOWN_CHARACTERS]
        mime = next((mime for mime in _RICHEST if mime in data), "text/plain")
        self._session.listener.add(EventKind.OUTPUT, {"text": text, "cell": cell, "mime": mime})

    def show_error(self, content: Mapping[str, Any], cell: int) -> None:
        """The cell raised."""
        text = strip_ansi("\n".join(content.get("traceback") or []))
        text = text or f"{content.get('ename')}: {content.get('evalue')}"
        text = self._session.mask.text(text)[-SHOWN_CHARACTERS * 5 :]
        self._session.listener.add(EventKind.OUTPUT, {"text": text, "cell": cell, "mime": "error"})

    def _add_result(self, name: str, value: Any, cell: int) -> None:
        size = len(json.dumps(value))
        if size > MAX_RESULT:
            self.note(
                f"result {name[:100]!r} has {size:,} bytes and stays in the notebook: at most {MAX_RESULT:,}", cell
            )
            return
        value = self._session.mask.json(value)
        self._session.results[name] = value
        self._session.listener.add(EventKind.RESULT, {"name": name, "value": value})

    def obey(self, content: Mapping[str, Any], cell: int) -> bool:
        """Whether the message was the notebook's word to nbflow (``current_run().rename`` and ``log``), now carried out."""
        control = (content.get("data") or {}).get(CONTROL_MIME)
        if not isinstance(control, Mapping):
            return False
        if control.get("action") == "rename":
            self.rename(str(control.get("name")))
        elif control.get("action") == "log":
            self.note(str(control.get("text")), cell)
        return True
