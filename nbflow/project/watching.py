"""Reading the events of a run, as they are or as they come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from nbflow.engines.journal import find_journal_end, get_attempt_folder, read_journal
from nbflow.errors import WaitTimeout
from nbflow.events import Event, EventKind, parse_token
from nbflow.lifecycle import RunRecord, RunState
from nbflow.ports import Store

PAUSE = 0.03
"""Seconds between two looks at the journal: a line is seen well within 150 ms of its being printed."""
STATE_PAUSE = 0.15


def read_events(home: Path, run: RunRecord, *, after: str | None = None) -> Iterator[Event]:
    """The events there are now behind token *after*, over all attempts in order."""
    first, offset = parse_token(after)
    for attempt in range(first, run.attempts + 1):
        folder = get_attempt_folder(home, run.id, attempt)
        yield from read_journal(folder, attempt=attempt, offset=offset if attempt == first else 0)


def find_end(home: Path, run: RunRecord) -> str | None:
    """The token behind the last whole event that there is now."""
    for attempt in range(run.attempts, 0, -1):
        size = find_journal_end(get_attempt_folder(home, run.id, attempt))
        if size or attempt == 1:
            return f"{attempt}.{size}"
    return None


def watch(
    home: Path,
    store: Store,
    run_id: str,
    *,
    after: str | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """The events as they come, with a STATE event for every state seen; ends behind that of the terminal state."""
    token, seen = after, None
    looked = 0.0
    run = store.get_run(run_id)
    while True:
        told = False
        for event in read_events(home, run, after=token):
            token, told = event.token, True
            yield event
        if run.state is not seen:
            seen = run.state
            yield to_state_event(run)
        if run.state.is_terminal:
            return
        if not told:
            pause(PAUSE)
        # The state is read before the journal is read once more: nothing the last attempt wrote is missed.
        clock = time.monotonic()
        if clock - looked > STATE_PAUSE or run.state is not RunState.RUNNING:
            looked = clock
            run = store.get_run(run_id)


def wait_for_end(
    look: Callable[[], RunRecord], rest: Callable[[str, float], None], *, timeout: float | None
) -> RunRecord:
    """The run in its terminal state; *rest* passes some time meanwhile, so many seconds at the most. Raises WaitTimeout."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while not (run := look()).state.is_terminal:
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"run {run.id} is still {run.state} after {timeout:g} s; it goes on", run_id=run.id)
        rest(run.id, left)
    return run


def to_state_event(run: RunRecord) -> Event:
    data = {"state": run.state.value, "message": run.message}
    return Event(number=0, kind=EventKind.STATE, time=datetime.now(UTC), data=data, attempt=max(run.attempts, 1))
