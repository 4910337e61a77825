"""Following a run from its beginning to its end, in pieces as a person can see them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from nbflow.events import Event
from nbflow.lifecycle import RunRecord
from nbflow.project import Project

PAUSE = 0.1
"""Seconds between two looks: what is told at once is drawn at once."""


def follow_run(
    project: Project,
    begin: Callable[[], RunRecord],
    tell: Callable[[RunRecord, Sequence[Event]], None],
    stopped: threading.Event,
) -> None:
    """Begin a run, or join one, and *tell* of it about ten times a second until it ended or *stopped* is set."""
    run = begin()
    token = None
    while not stopped.is_set():
        # The state is read before the journal: nothing that the last attempt wrote is missed.
        run = project.get_run(run.id)
        events = project.read_events(run.id, after=token)
        token = events[-1].token if events else token
        tell(run, events)
        if run.state.is_terminal:
            return
        stopped.wait(PAUSE)
