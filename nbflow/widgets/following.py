"""Following a run in a thread of its own, which ends with the run or with the panel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from nbflow.events import Event
from nbflow.lifecycle import RunRecord
from nbflow.project import Project

PAUSE = 0.1
"""Seconds between two looks: what is told at once is drawn at once."""


class Follower:
    """Begins a run, or joins one, and tells of it until its end."""

    def __init__(
        self,
        project: Project,
        begin: Callable[[], RunRecord],
        *,
        tell: Callable[[RunRecord, Sequence[Event]], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """*tell* hears of the run about ten times a second, whether or not something happened; *fail* of what ended it early."""
        self._project = project
        self._begin = begin
        self._tell = tell
        self._fail = fail
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="nbflow-panel", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell no more. The run goes on."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing more is told."""
        self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _follow(self) -> None:
        try:
            run = self._begin()
            token = None
            while not self._stopped.is_set():
                # The state is read before the journal: nothing that the last attempt wrote is missed.
                run = self._project.get_run(run.id)
                events = self._project.read_events(run.id, after=token)
                token = events[-1].token if events else token
                self._tell(run, events)
                if run.state.is_terminal:
                    return
                self._stopped.wait(PAUSE)
        except Exception as error:  # at the end of a thread nobody else would say it
            if not self._stopped.is_set():
                self._fail(error)
