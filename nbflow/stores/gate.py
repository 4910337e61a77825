"""The gate of a store: every transaction of this process passes it, and a fork waits until none is inside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_FORK_PATIENCE = 5.0


class Gate:
    """Counts the threads inside, and can be shut until they have left. Not to be entered twice by one thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside: set[int] = set()
        self._shutters = 0  # two threads may fork at once: the gate opens after the last of them

    @property
    def is_mine(self) -> bool:
        """Whether this thread is inside."""
        return threading.get_ident() in self._inside

    @contextmanager
    def entered(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._shutters)
            self._inside.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._inside.discard(me)
                self._changed.notify_all()

    def shut(self) -> bool:
        """Keep further threads out; whether all had left within a few seconds."""
        with self._changed:
            self._shutters += 1
            return not self.is_mine and self._changed.wait_for(lambda: not self._inside, _FORK_PATIENCE)

    def open(self) -> None:
        with self._changed:
            self._shutters -= 1
            self._changed.notify_all()
