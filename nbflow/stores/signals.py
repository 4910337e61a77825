"""Ctrl-C and the like wait for the end of a transaction."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Their handlers may raise, and between any two steps: the database library then leaves locks that nobody holds.
_DEFERRED = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM", "SIGINT") if hasattr(signal, name))


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Python handlers of SIGINT, SIGTERM and SIGHUP run after the block. They only ever run in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    try:
        for number in _DEFERRED:
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda number, frame: seen.append((number, frame)))
        yield
    finally:
        for known, handler in handlers.items():
            signal.signal(known, handler)
        for caught, frame in seen:
            handlers[caught](caught, frame)
