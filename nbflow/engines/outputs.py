"""Printed text of a cell: joined as Jupyter shows it, at linear cost, and capped in the notebook."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict

from nbflow.engines.masking import Mask, MaskedStream

TAIL_CHARACTERS = 65_536


class PrintedText:
    """One stream output that grows. The text is kept in pieces and joined only for a save."""

    def __init__(self, stream: str, *, limit: int, mask: Mask, log_path: Path | None) -> None:
        # nbformat's own maker would validate it against the schema.
        self.output = NotebookNode(output_type="stream", name=stream, text="")
        self.stream = stream
        self._limit = limit
        self._masked = MaskedStream(mask)
        self._log_path = log_path
        self._head: list[str] = []
        self._size = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._changed = False

    def add(self, text: str) -> None:
        self._append(self._masked.feed(text))

    def _append(self, text: str) -> None:
        if not text:
            return
        self._changed = True
        room = self._limit - self._size
        if room > 0:
            self._head.append(text[:room])
            self._size += min(room, len(text))
            text = text[room:]
        if len(text) > TAIL_CHARACTERS:
            self._left_out += len(text) - TAIL_CHARACTERS
            text = text[-TAIL_CHARACTERS:]
        if text:
            self._tail.append(text)
            self._tail_size += len(text)
        while self._tail and self._tail_size - len(self._tail[0]) >= TAIL_CHARACTERS:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self._left_out += dropped

    def settle(self, *, final: bool) -> None:
        """Put the text so far into the output. *final*: nothing will be added any more."""
        if final:
            self._append(self._masked.finish())
        if not self._changed:
            return
        self._changed = False
        if len(self._head) > 1:
            self._head = ["".join(self._head)]
        text = "".join(self._head)
        if self._left_out:
            where = f"; all of it: {self._log_path}" if self._log_path else ""
            text += f"\n[nbflow: {self._left_out:,} characters left out here{where}]\n"
        text += "".join(self._tail)
        self.output["text"] = text


def mask_output(output: Any, mask: Mask) -> None:
    """Mask the secrets in a displayed value or an error, in place."""
    for key, value in list(output.items()):
        if key != "output_type":
            output[key] = from_dict(mask.json(value))
