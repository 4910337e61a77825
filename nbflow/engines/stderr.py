"""Standard error of a runner that knows secrets: masked before it reaches the file.

The kernel inherits it, and ipykernel writes there, as they come, the bytes of every program that a cell starts.
"""

from __future__ import annotations

import codecs
import os
import sys
import threading
from contextlib import suppress
from types import TracebackType

from nbflow.engines.masking import Mask, MaskedStream

BLOCK = 65536
LAST_MOMENT = 0.5
"""Seconds for what is still in the pipe; a program that the kernel left behind may hold it open for ever."""


class MaskedErrors:
    """While it is entered, descriptors 1 and 2 of this process, and of those it starts, are a pipe that masks."""

    def __init__(self, mask: Mask) -> None:
        self._masked = MaskedStream(mask)
        self._target = -1
        self._thread = threading.Thread(target=self._pump, name="masked-errors", daemon=True)

    def __enter__(self) -> MaskedErrors:
        self._target = os.dup(2)
        self._reading, writing = os.pipe()
        for descriptor in (1, 2):
            os.dup2(writing, descriptor)
        os.close(writing)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        for descriptor in (1, 2):
            os.dup2(self._target, descriptor)
        self._thread.join(LAST_MOMENT)

    def _pump(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        while block := os.read(self._reading, BLOCK):
            self._write(self._masked.feed(decoder.decode(block)))
        self._write(self._masked.finish())

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "surrogateescape"))
        with suppress(OSError):  # a full disk: the pipe is emptied all the same, or the kernel would wait
            while data:
                data = data[os.write(self._target, data) :]
