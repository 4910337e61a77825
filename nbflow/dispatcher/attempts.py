"""What becomes of attempts: their end is brought into the store; those of dead dispatchers are adopted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from nbflow.dispatcher.process import is_alive
from nbflow.lifecycle import LANE, WAITING, AttemptRecord, AttemptState, DispatcherRecord, Outcome, RunRecord
from nbflow.ports import Engine, Store

FolderOf = Callable[[str, int], Path]
"""The folder of a run's attempt, by its number."""


def mark_started(attempt: AttemptRecord, pid: int | None) -> AttemptRecord:
    """The record of an attempt of which is known that it has begun."""
    return replace(attempt, state=AttemptState.STARTED, pid=pid)


def finish(store: Store, attempt: AttemptRecord, outcome: Outcome, *, now: datetime) -> RunRecord | None:
    """Bring the end of an attempt into the store. A run that would be tried again by a process that is gone ends too."""
    run = store.finish_attempt(attempt, outcome, now=now)
    if run is None or run.state not in WAITING or run.tied_to is None or run.tied_to.startswith(LANE):
        return run
    if all(dispatcher.id != run.tied_to for dispatcher in store.list_dispatchers()):
        store.remove_dispatcher(run.tied_to, now=now)
        return store.get_run(run.id)
    return run


def _is_detached(attempt: AttemptRecord, run: RunRecord, owner: DispatcherRecord | None) -> bool:
    """Whether the attempt goes on without its owner: one at a backfill's row does where a server began it."""
    if run.tied_to is None or not run.tied_to.startswith(LANE):
        return run.tied_to is None
    return owner is None or owner.serves_all


def recover(
    store: Store,
    engine: Engine,
    *,
    folder_of: FolderOf,
    owner: DispatcherRecord,
    lease: timedelta,
    now: datetime,
    is_passing: bool = False,
) -> list[tuple[AttemptRecord, RunRecord]]:
    """Adopt the attempts whose owner is dead; they are *owner*'s now, and *engine* will tell their fate.

    Those of runs tied to nobody go on without an owner: they are taken up by one that serves all, or by one that only
    looks whether they have ended (*is_passing*). One that stays also adopts from an owner that lives and let its lease
    expire (stopped, or swapped out). An expired lease alone ends nothing: the attempt is asked first.
    """
    known = {dispatcher.id: dispatcher for dispatcher in store.list_dispatchers()}
    others = [record for record in known.values() if record.id != owner.id]
    dead = {record.id for record in others if not is_alive(record, lease=lease.total_seconds(), now=now)}
    adopted = []
    for attempt in store.list_open_attempts():
        is_silent = not is_passing and attempt.lease < now
        if attempt.owner == owner.id or (attempt.owner in known and attempt.owner not in dead and not is_silent):
            continue
        run = store.get_run(attempt.run_id)
        if _is_detached(attempt, run, known.get(attempt.owner)) and not (owner.serves_all or is_passing):
            continue
        ours = store.adopt(attempt, owner=owner.id, lease=now + lease, now=now)
        if ours is not None:
            # Whether an attempt of another host has begun can't be seen in the folders of this one.
            is_here = attempt.owner in known and known[attempt.owner].host == owner.host
            engine.adopt(ours if is_here else mark_started(ours, ours.pid), folder_of(ours.run_id, ours.number))
            adopted.append((ours, run))
    needed = {attempt.owner for attempt in store.list_open_attempts()}
    for dispatcher_id in dead - needed:
        store.remove_dispatcher(dispatcher_id, now=now)
    return adopted
