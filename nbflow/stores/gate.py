"""The gate of a store: every transaction of this process passes it, and a fork waits until none is inside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FORK_PATIENCE = 5.0
_PAUSE = 0.001


class Gate:
    """Knows the threads inside, and can be shut until they have left. Not to be entered twice by one thread.

    Without a lock on purpose: a Ctrl-C between taking and holding one would leave it taken for ever. Each step is one
    operation on a set, and a thread enters before it looks whether a fork waits: one of the two sees the other.
    """

    def __init__(self) -> None:
        self._inside: set[int] = set()
        self._forking: set[int] = set()

    @property
    def is_mine(self) -> bool:
        """Whether this thread is inside."""
        return threading.get_ident() in self._inside

    @contextmanager
    def entered(self) -> Iterator[None]:
        me = threading.get_ident()
        try:
            self._inside.add(me)
            while self._forking:
                self._inside.discard(me)
                time.sleep(_PAUSE)
                self._inside.add(me)
            yield
        finally:
            self._inside.discard(me)

    def shut(self) -> bool:
        """Keep further threads out; whether all had left within a few seconds."""
        me = threading.get_ident()
        self._forking.add(me)
        deadline = time.monotonic() + _FORK_PATIENCE
        while self._inside - {me} and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return not self._inside

    def open(self) -> None:
        self._forking.discard(threading.get_ident())
