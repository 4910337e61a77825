"""Lanes: the queue of each backfill, apart from the one queue of all other runs.

A lane is the runs tied to ``backfill:<id>``. What waits in one costs nobody else anything: a claim finds the lanes that
are not empty by one probe of the queue's index each, and of a lane only as many runs as may begin.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from nbflow.backfilling import BackfillRecord
from nbflow.lifecycle import LANE, Priority, RunRecord, lane_of
from nbflow.stores.records import backfill_of, runs_of
from nbflow.stores.section import chunks
from nbflow.stores.tables import IS_ACTIVE, IS_FAILURE, IS_PENDING, backfill, run

_END = LANE[:-1] + chr(ord(LANE[-1]) + 1)
"""Sorts behind every lane."""

# Made once: they are asked several times a second, and to make one takes longer than to execute it.
_NEXT = (
    select(run.c.tied_to)
    .where(IS_PENDING, run.c.tied_to > bindparam("last"), run.c.tied_to < _END)
    .order_by(run.c.tied_to)
    .limit(1)
)
_OPEN = (
    select(backfill)
    .where(
        backfill.c.id.in_(bindparam("ids", expanding=True)),
        backfill.c.owner.in_(bindparam("owners", expanding=True)),
        backfill.c.ready,
        ~backfill.c.paused,
        backfill.c.ended_by.is_(None),
    )
    .order_by(backfill.c.id)
)
_OPEN_LOCKED = _OPEN.with_for_update(skip_locked=True)
_FAILED = select(run.c.sequence).where(run.c.backfill_id == bindparam("id"), IS_FAILURE).limit(bindparam("most"))
_ACTIVE = select(func.count()).where(run.c.backfill_id == bindparam("id"), IS_ACTIVE)
_WAITING = select(run).where(IS_PENDING, run.c.tied_to == bindparam("lane"), run.c.priority == int(Priority.BACKFILL))
_FORWARDS, _BACKWARDS = (
    _WAITING.order_by(order).limit(bindparam("size")).with_for_update(skip_locked=True)
    for order in (run.c.sequence, run.c.sequence.desc())
)


def find_open_lanes(
    connection: Connection, owners: Sequence[str], *, lock: bool = False
) -> list[tuple[BackfillRecord, int]]:
    """The backfills of these owners of which runs wait and may begin now, and how many.

    By priority, then by age. With *lock*, those that another claim looks at right now are left to it.
    """
    found: list[tuple[BackfillRecord, int]] = []
    for ids in chunks(_list_waiting(connection)):
        given = {"ids": list(ids), "owners": list(owners)}
        for row in connection.execute(_OPEN_LOCKED if lock else _OPEN, given).all():
            one = backfill_of(row)
            room = _count_room(connection, one)
            if room:
                found.append((one, room))
    return sorted(found, key=lambda lane: (-lane[0].priority, lane[0].created, lane[0].id))


def take_from_lane(connection: Connection, one: BackfillRecord, size: int) -> list[RunRecord]:
    """The first *size* waiting runs in the order of the backfill, locked."""
    taken = _BACKWARDS if one.run_backwards else _FORWARDS
    return runs_of(connection.execute(taken, {"lane": lane_of(one.id), "size": size}).all())


def _count_room(connection: Connection, one: BackfillRecord) -> int:
    if one.max_failures is not None:
        failed = connection.execute(_FAILED, {"id": one.id, "most": one.max_failures}).all()
        if len(failed) >= one.max_failures:
            return 0
    return max(one.max_active_runs - (connection.scalar(_ACTIVE, {"id": one.id}) or 0), 0)


def _list_waiting(connection: Connection) -> list[str]:
    """The ids of the backfills of which a run is pending."""
    found: list[str] = []
    last: str | None = LANE
    while last is not None:
        last = connection.scalar(_NEXT, {"last": last})
        if last is not None:
            found.append(last.removeprefix(LANE))
    return found
