"""Claiming: which waiting runs a dispatcher may begin, and opening an attempt for each, in one transaction."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, insert, or_, select, update

from nbflow.lifecycle import AttemptRecord, AttemptState, RunRecord, RunState
from nbflow.stores.lanes import find_open_lanes, take_from_lane
from nbflow.stores.records import attempt_row, runs_of
from nbflow.stores.section import Section, queue_up
from nbflow.stores.tables import IS_ACTIVE, IS_OPEN, IS_PENDING, IS_SCHEDULED, attempt, flow_limit, run

_SLOT_QUEUE = 0x6E626673
"""The queue of claims that count slots: two at once would both take the last one."""

# Made once: they are asked several times a second, and to make one takes longer than to execute it.
_PENDING = select(run.c.sequence).where(IS_PENDING, run.c.tied_to == bindparam("owner")).limit(1)
_DUE = select(run.c.sequence).where(IS_SCHEDULED, run.c.not_before <= bindparam("now"))
_ANY_DUE = _DUE.limit(1)
_WAKE = (
    update(run).where(run.c.sequence.in_(_DUE.with_for_update(skip_locked=True))).values(state=RunState.PENDING.value)
)
_OWN_TREES = (
    select(run.c.root_id)
    .join(attempt, attempt.c.run_id == run.c.id)
    .where(IS_OPEN, attempt.c.owner == bindparam("dispatcher"))
)
_BUSY = (
    select(run.c.id, attempt.c.owner)
    .select_from(attempt)
    .join(run, attempt.c.run_id == run.c.id)
    .where(IS_OPEN, ~attempt.c.waiting, or_(run.c.root_id.in_(_OWN_TREES), run.c.root_id == bindparam("root")))
)
_LIMITS = select(flow_limit).order_by(flow_limit.c.flow).with_for_update()
_ELIGIBLE = (
    select(run)
    .where(IS_PENDING, run.c.tied_to == bindparam("owner"))
    .order_by(run.c.priority.desc(), run.c.sequence)
    .limit(bindparam("size"))
    .with_for_update(skip_locked=True)
)
_BEGIN = (
    update(run)
    .where(run.c.sequence == bindparam("at"))
    .values(state=RunState.RUNNING.value, failure=None, message="", attempts=bindparam("n"), started=bindparam("since"))
)
_OPEN = insert(attempt)


class Claiming(Section):
    def claim(
        self,
        *,
        dispatcher_id: str,
        limit: int,
        lease: datetime,
        now: datetime,
        serves_all: bool = False,
        slots: int | None = None,
        root_id: str | None = None,
    ) -> list[tuple[RunRecord, AttemptRecord]]:
        owners = [dispatcher_id, ""] if serves_all else [dispatcher_id]
        if limit < 1:
            return []
        # Asked by every dispatcher several times a second, and mostly answered by no: that must not take the write lock.
        with self._database.read() as connection:
            if not _is_anything_waiting(connection, owners, now):
                return []
            if slots is not None and _find_room(connection, dispatcher_id, root_id, slots) < 1:
                return []
        with self._database.write() as connection:
            if slots is not None:
                queue_up(connection, _SLOT_QUEUE)
                limit = min(limit, _find_room(connection, dispatcher_id, root_id, slots))
            _wake(connection, now)
            allowance = _Allowance(connection)
            found = _candidates(connection, owners, limit, allowance)
            if len(found) < limit:
                found += _take_from_lanes(connection, owners, limit - len(found), allowance)
            claimed = [_begin(known, dispatcher_id, lease, now) for known in found]
            if claimed:
                _record(connection, claimed)
            return claimed


def _is_anything_waiting(connection: Connection, owners: list[str], now: datetime) -> bool:
    for owner in owners:
        if connection.scalar(_PENDING, {"owner": owner}) is not None:
            return True
    if connection.scalar(_ANY_DUE, {"now": now}) is not None:
        return True
    return bool(find_open_lanes(connection, owners))


def _find_room(connection: Connection, dispatcher_id: str, root_id: str | None, slots: int) -> int:
    """How many of the slots are free in the trees that this dispatcher works in.

    A parent that does not wait, but looks at its children now and then, holds the slot that they need: where none of
    them runs, the first one may have it beside its parent.
    """
    busy = _find_busy(connection, dispatcher_id, root_id)
    room = slots - len(busy)
    if room < 1 and root_id is not None and dispatcher_id not in busy.values():
        above = _find_above(connection, dispatcher_id)
        return min(1, slots - len(busy.keys() - above))
    return room


def _find_busy(connection: Connection, dispatcher_id: str, root_id: str | None) -> dict[str, str]:
    """Runs that hold a slot, and the owners of their attempts: open, and not waiting for children."""
    given = {"dispatcher": dispatcher_id, "root": root_id or ""}
    return {row.id: row.owner for row in connection.execute(_BUSY, given)}


def _find_above(connection: Connection, dispatcher_id: str) -> set[str]:
    """The parent of the run that waits for this dispatcher, and everything above it."""
    waiting = select(run.c.parent_id).where(IS_PENDING, run.c.tied_to == dispatcher_id)
    parent = connection.scalar(waiting.order_by(run.c.sequence).limit(1))
    above: set[str] = set()
    while parent and parent not in above:
        above.add(parent)
        parent = connection.scalar(select(run.c.parent_id).where(run.c.id == parent))
    return above


class _Allowance:
    """How many more runs the limits of flows admit. A run counts for its flow's name and for its notebook's path."""

    def __init__(self, connection: Connection) -> None:
        # Locked, so that two dispatchers on Postgres don't both take the last place.
        limits = connection.execute(_LIMITS).all()
        self._left = Counter({row.flow: row.max_runs for row in limits})
        if limits:
            waits = exists().where(attempt.c.run_id == run.c.id, IS_OPEN, attempt.c.waiting)
            for row in connection.execute(select(run.c.flow, run.c.source_path).where(IS_ACTIVE, ~waits)):
                self.count(row.flow, row.source_path)

    @property
    def exhausted(self) -> list[str]:
        return [key for key, left in self._left.items() if left <= 0]

    def take(self, one: RunRecord) -> bool:
        """Whether one more run of its flow may begin; if so it is counted."""
        if any(self._left.get(key, 1) <= 0 for key in (one.flow, one.source_path)):
            return False
        self.count(one.flow, one.source_path)
        return True

    def count(self, flow: str | None, source_path: str) -> None:
        self._left.subtract(key for key in (flow, source_path) if key in self._left)


def _wake(connection: Connection, now: datetime) -> None:
    """Runs that waited for their time become pending, and with it part of the queue's index."""
    connection.execute(_WAKE, {"now": now})


def _candidates(connection: Connection, owners: list[str], limit: int, allowance: _Allowance) -> list[RunRecord]:
    """The first *limit* runs in the queue's order whose flows have a place left, locked."""
    chosen: list[RunRecord] = []
    while len(chosen) < limit:
        asked = limit - len(chosen)
        page = _page(connection, owners, asked, allowance.exhausted, [one.sequence for one in chosen])
        chosen += filter(allowance.take, page)
        if len(page) < asked:
            break
        # A full page of which some were refused: their flows are exhausted now, and the next page is without them.
    return chosen


def _take_from_lanes(connection: Connection, owners: list[str], limit: int, allowance: _Allowance) -> list[RunRecord]:
    """Runs of backfills, behind all others: from each as many as its window and its flow's limit admit."""
    chosen: list[RunRecord] = []
    for lane, room in find_open_lanes(connection, owners, lock=True):
        size = min(limit - len(chosen), room)
        for one in take_from_lane(connection, lane, size) if size > 0 else ():
            if not allowance.take(one):
                break  # all runs of a lane are of one flow
            chosen.append(one)
    return chosen


def _page(
    connection: Connection, owners: list[str], size: int, exhausted: list[str], chosen: list[int]
) -> list[RunRecord]:
    eligible = _ELIGIBLE
    if exhausted:
        named = or_(run.c.flow.is_(None), run.c.flow.not_in(exhausted))
        eligible = eligible.where(named, run.c.source_path.not_in(exhausted))
    if chosen:
        eligible = eligible.where(run.c.sequence.not_in(chosen))
    found: list[RunRecord] = []
    for owner in owners:  # one after the other: an index serves the order within one owner only
        found += runs_of(connection.execute(eligible, {"owner": owner, "size": size}).all())
    return sorted(found, key=lambda one: (-one.priority, one.sequence))[:size]


def _begin(known: RunRecord, owner: str, lease: datetime, now: datetime) -> tuple[RunRecord, AttemptRecord]:
    number = known.attempts + 1
    begun = replace(
        known, state=RunState.RUNNING, attempts=number, started=known.started or now, failure=None, message=""
    )
    attempt = AttemptRecord(
        run_id=known.id,
        number=number,
        state=AttemptState.CLAIMED,
        engine=known.options.engine,
        owner=owner,
        nonce=secrets.token_hex(16),
        lease=lease,
        claimed=now,
    )
    return begun, attempt


def _record(connection: Connection, claimed: list[tuple[RunRecord, AttemptRecord]]) -> None:
    begun = [{"at": one.sequence, "n": one.attempts, "since": one.started} for one, _ in claimed]
    connection.execute(_BEGIN, begun)
    connection.execute(_OPEN, [attempt_row(opened) for _, opened in claimed])
