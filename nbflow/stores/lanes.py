"""Lanes: the queue of each backfill, apart from the one queue of all other runs.

A lane is the runs tied to ``backfill:<id>``. What waits in one costs nobody else anything: a claim finds the lanes that
are not empty by one probe of the queue's index each, and of a lane only as many runs as may begin.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from nbflow.backfilling import BackfillRecord
from nbflow.lifecycle import LANE, Priority, RunRecord, lane_of
from nbflow.stores.records import backfill_of, runs_of
from nbflow.stores.section import chunks
from nbflow.stores.tables import IS_ACTIVE, IS_FAILURE, IS_PENDING, backfill, run

_END = LANE[:-1] + chr(ord(LANE[-1]) + 1)
"""Sorts behind every lane."""


def find_open_lanes(connection: Connection, owners: Sequence[str], *, lock: bool = False) -> list[BackfillRecord]:
    """The backfills of these owners of which a run waits and may begin, as far as that is their own affair.

    By priority, then by age. With *lock*, those that another claim looks at right now are left to it.
    """
    found: list[BackfillRecord] = []
    mine = backfill.c.owner.in_(owners), backfill.c.ready, ~backfill.c.paused, backfill.c.ended_by.is_(None)
    for ids in chunks(_list_waiting(connection)):
        statement = select(backfill).where(backfill.c.id.in_(ids), *mine).order_by(backfill.c.id)
        if lock:
            statement = statement.with_for_update(skip_locked=True)
        found += map(backfill_of, connection.execute(statement))
    return sorted(
        (one for one in found if count_room(connection, one)), key=lambda one: (-one.priority, one.created, one.id)
    )


def count_room(connection: Connection, one: BackfillRecord) -> int:
    """How many more runs of it may begin now."""
    if one.max_failures is not None:
        failed = select(run.c.sequence).where(run.c.backfill_id == one.id, IS_FAILURE).limit(one.max_failures)
        if len(connection.execute(failed).all()) >= one.max_failures:
            return 0
    active = select(func.count()).where(run.c.backfill_id == one.id, IS_ACTIVE)
    return max(one.max_active_runs - (connection.scalar(active) or 0), 0)


def take_from_lane(connection: Connection, one: BackfillRecord, size: int) -> list[RunRecord]:
    """The first *size* waiting runs in the order of the backfill, locked."""
    order = run.c.sequence.desc() if one.run_backwards else run.c.sequence
    waiting = run.c.tied_to == lane_of(one.id), run.c.priority == int(Priority.BACKFILL)
    taken = select(run).where(IS_PENDING, *waiting).order_by(order).limit(size)
    return runs_of(connection.execute(taken.with_for_update(skip_locked=True)).all())


def _list_waiting(connection: Connection) -> list[str]:
    """The ids of the backfills of which a run is pending."""
    found: list[str] = []
    last = LANE
    while True:
        following = select(run.c.tied_to).where(IS_PENDING, run.c.tied_to > last, run.c.tied_to < _END)
        tied_to = connection.scalar(following.order_by(run.c.tied_to).limit(1))
        if tied_to is None:
            return found
        last = tied_to
        found.append(tied_to.removeprefix(LANE))
