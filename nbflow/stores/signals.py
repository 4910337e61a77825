"""Ctrl-C and the like wait for the end of a transaction."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Their handlers may raise, and between any two steps: the database library then leaves locks that nobody holds.
_DEFERRED = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name))
_PATIENCE = 2.0
"""Seconds after which a further signal is not put off: the database does not answer."""


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Python handlers of SIGINT, SIGTERM and SIGHUP run after the block. They only ever run in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[tuple[float, int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}

    def put_off(number: int, frame: FrameType | None) -> None:
        if seen and time.monotonic() - seen[0][0] > _PATIENCE:
            handlers[number](number, frame)
        else:
            seen.append((time.monotonic(), number, frame))

    try:
        for number in _DEFERRED:
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, put_off)
        yield
    finally:
        for known, handler in handlers.items():
            signal.signal(known, handler)
        for _, caught, frame in seen:
            handlers[caught](caught, frame)
