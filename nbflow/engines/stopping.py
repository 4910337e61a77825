"""When an execution is to end before its notebook does: a signal, or the end of the process it belongs to."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(Exception):
    """Somebody wants the execution to end."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StopWatch:
    """Watches from its making on; for use in an event loop."""

    def __init__(self, tied_descriptor: int | None) -> None:
        """*tied_descriptor*: when reading it gives end-of-file, the process that this one belongs to is gone."""
        self._loop = asyncio.get_running_loop()
        self._tie = tied_descriptor
        self._before: dict[int, Any] = {}
        self.wanted: asyncio.Future[str] = self._loop.create_future()
        """The reason, once there is one."""
        for number in _SIGNALS:
            # Outside the main thread (papermill in a running loop) signals are not ours. Not by the loop's own
            # add_signal_handler: it looks at all signals each time, which takes as long as a cell.
            with suppress(ValueError):
                self._before[number] = signal.signal(number, self._receive)
        if self._tie is not None:
            self._loop.add_reader(self._tie, self._read_tie, self._tie)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: the execution is over
            self._loop.call_soon_threadsafe(self._stop, signal.Signals(number).name)

    def _stop(self, reason: str) -> None:
        if not self.wanted.done():
            self.wanted.set_result(reason)

    def _read_tie(self, descriptor: int) -> None:
        if not os.read(descriptor, 4096):
            self._loop.remove_reader(descriptor)
            self._stop("owner gone")

    async def or_stop(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What *work* comes to; it is cancelled, and Stop raised, when a stop is first."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
            raise Stop(self.wanted.result())
        return task.result()

    def end(self) -> None:
        """Give the signals back to those who had them."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._tie is not None:
            self._loop.remove_reader(self._tie)
