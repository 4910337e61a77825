"""Saving a notebook again and again while it runs, apart from the loop that runs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbflow.errors import OutputError
from nbflow.notebooks.encoding import encode_cell, encode_file, encode_output
from nbflow.notebooks.files import show_path
from nbflow.notebooks.saving import write_atomically

REST = 3.0
"""After a save, this many times its duration pass before the next: never more than a quarter of the time goes there."""
REST_AFTER_FAILURE = 1.0

Fields = tuple[tuple[str, Any], ...]


@dataclass(slots=True)
class _CellText:
    """The JSON of a cell. The cell is held, so that its ``id()`` stays its own."""

    cell: Mapping[str, Any]
    outputs: list[tuple[Fields, bytes]] = field(default_factory=list)
    pieces: Sequence[bytes] = ()


class NotebookWriter:
    """Keeps the file of a running notebook up to date, from a thread of its own.

    The loop that runs the notebook changes *node* and then calls ``mark_dirty`` and ``request``, which cost next to
    nothing; at most *interval* plus the duration of a save later the change is on disk. A save encodes only what is new:
    cells that were marked, and outputs that were added or replaced. The loop may append, replace and remove outputs,
    set the fields of an output (``output["text"] = longer``) and insert cells at any time, also during a save; what it may
    not do is to change a value deep inside an output in place.

    A failure to save is kept in ``error`` and the save is tried again; it is None when the last save succeeded.
    """

    def __init__(
        self, node: Mapping[str, Any], path: str | Path, *, private: bool = False, interval: float = 0.5
    ) -> None:
        self.path = Path(path)
        self.error: OutputError | None = None
        self.saves = 0
        self._node = node
        self._private = private
        self._interval = interval
        self._texts: dict[int, _CellText] = {}
        self._dirty: set[int] = set()
        self._requested: float | None = None
        self._rest_until = 0.0
        self._closed = False
        self._saving = threading.Lock()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def mark_dirty(self, index: int) -> None:
        """The cell's source, metadata or execution count changed. (Changes of its outputs are seen without this.)"""
        cell = self._node["cells"][index]
        with self._wake:
            self._dirty.add(id(cell))

    def request(self) -> None:
        """Save soon. Any number of requests before the save are one."""
        if self._requested is not None:  # The save to come reads the node after it cleared this.
            return
        with self._wake:
            self._requested = time.monotonic()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._serve, name="notebook-writer", daemon=True)
                self._thread.start()
            self._wake.notify()

    def flush(self) -> bool:
        """Save now, in this thread; whether it succeeded, else see ``error``. Not to be called from a signal handler."""
        with self._wake:
            self._dirty.update(id(cell) for cell in self._node["cells"])
        return self._save()

    def close(self) -> bool:
        """Save for the last time and end the thread; whether the file is whole and up to date, else see ``error``."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        return self.flush()

    def _serve(self) -> None:
        while self._wait_until_due():
            self._save()

    def _wait_until_due(self) -> bool:
        """True when a save is due; False when the writer was closed."""
        with self._wake:
            while not self._closed:
                if self._requested is None:
                    self._wake.wait()
                    continue
                left = max(self._requested + self._interval, self._rest_until) - time.monotonic()
                if left <= 0:
                    return True
                self._wake.wait(left)
        return False

    def _save(self) -> bool:
        with self._saving:
            began = time.monotonic()
            with self._wake:
                dirty, self._dirty = self._dirty, set()
                self._requested = None
            self.error = self._try_to_save(dirty)
            now = time.monotonic()
            self._rest_until = now + REST * (now - began)
            if self.error is None:
                self.saves += 1
                return True
            with self._wake:
                self._dirty |= dirty
                self._requested = now
                self._rest_until = max(self._rest_until, now + REST_AFTER_FAILURE)
            return False

    def _try_to_save(self, dirty: set[int]) -> OutputError | None:
        try:
            write_atomically(self.path, self._encode(dirty), private=self._private)
        except OutputError as error:
            return error
        except Exception as error:  # The thread must live on, and the run must learn of it.
            return OutputError(f"cannot save {show_path(self.path)}: {error!r}", path=str(self.path))
        return None

    def _encode(self, dirty: set[int]) -> Iterator[bytes]:
        # Copies of lists and dicts made in one call of C code are consistent while the loop goes on changing them.
        cells = list(self._node["cells"])
        self._texts = {id(cell): self._texts.get(id(cell)) or _CellText(cell) for cell in cells}
        for text in self._texts.values():
            _refresh(text, is_dirty=id(text.cell) in dirty)
        return encode_file(self._node, [self._texts[id(cell)].pieces for cell in cells])


def _refresh(text: _CellText, *, is_dirty: bool) -> None:
    outputs: list[tuple[Fields, bytes]] = []
    is_new = is_dirty or not text.pieces
    for position, output in enumerate(list(text.cell.get("outputs", ()))):
        fields: Fields = tuple(output.items())
        known = text.outputs[position] if position < len(text.outputs) else None
        if known is None or not _is_same(known[0], fields):
            known = (fields, encode_output(dict(fields)))
            is_new = True
        outputs.append(known)
    if is_new or len(outputs) != len(text.outputs):
        text.pieces = encode_cell(text.cell, [encoded for _, encoded in outputs])
    text.outputs = outputs


def _is_same(old: Fields, new: Fields) -> bool:
    """Whether the very same objects are there: cheap, and right as long as values are replaced and not changed."""
    return len(old) == len(new) and all(a[0] == b[0] and a[1] is b[1] for a, b in zip(old, new, strict=True))
