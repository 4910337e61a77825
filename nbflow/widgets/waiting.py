"""Work beside the kernel's own thread: one that watches until it is stopped, and one that waits until typing rests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context


class Watcher:
    """A thread for *work*, which looks at the event it is given; *fail* hears of what ended it early."""

    def __init__(self, work: Callable[[threading.Event], None], *, fail: Callable[[Exception], None]) -> None:
        self._work = work
        self._fail = fail
        self._stopped = threading.Event()
        # ipykernel 7.0 sends no message from a thread that doesn't know the context it was made in.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="nbflow-panel", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell no more."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing more is told."""
        self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._work(self._stopped)
        except Exception as error:  # at the end of a thread nobody else would say it
            if not self._stopped.is_set():
                self._fail(error)


class Delayed:
    """Does the newest thing that it was asked for, once nothing newer came for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(seconds, copy_context().run, (act,))
            self._timer.name = "nbflow-panel"
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Do nothing that has not begun."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
