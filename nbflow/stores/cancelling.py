"""Asking for the end of runs and of everything below them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from nbflow.errors import NotFoundError
from nbflow.lifecycle import WAITING, RunRecord, RunState
from nbflow.stores.records import runs_of
from nbflow.stores.section import Section, chunks, queue_up
from nbflow.stores.tables import run


class Cancelling(Section):
    """A tree is cancelled in one transaction; many trees in several, so that no heartbeat waits for a whole backfill."""

    def request_cancel(self, run_ids: Sequence[str], *, reason: str, now: datetime) -> list[RunRecord]:
        asked = set(run_ids)
        with self._database.read() as connection:
            ordered = _order(connection, sorted(asked))
        if unknown := asked.difference(ordered):
            raise NotFoundError(f"run {min(unknown)!r}: no such run; nbflow runs ls lists them")
        ended: dict[str, RunRecord] = {}
        for some in chunks(ordered):
            with self._database.write() as connection:
                queue_up(connection)
                tree = _lock_tree(connection, some)
                _end(connection, sorted(tree & asked), reason, now)
                _end(connection, sorted(tree - asked), "parent", now)
                for part in chunks(sorted(tree)):
                    rows = connection.execute(select(run).where(run.c.id.in_(part))).all()
                    ended |= {one.id: one for one in runs_of(rows)}
        return sorted(ended.values(), key=lambda one: one.sequence)


def _order(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of *ids* that exist, in order of submission: neighbours in the table are changed together."""
    known: dict[str, int] = {}
    for some in chunks(ids):
        known |= {
            row.id: row.sequence
            for row in connection.execute(select(run.c.id, run.c.sequence).where(run.c.id.in_(some)))
        }
    return sorted(known, key=known.__getitem__)


def _lock_tree(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Ids of these runs and all their descendants, which nobody else changes until the transaction ends."""
    tree: set[str] = set()
    found = set(run_ids)
    while found:
        locked: set[str] = set()
        for some in chunks(sorted(found)):
            known = select(run.c.id).where(run.c.id.in_(some)).order_by(run.c.id).with_for_update()
            locked |= set(connection.scalars(known))
        tree |= locked
        children: set[str] = set()
        for some in chunks(sorted(locked)):
            children |= set(connection.scalars(select(run.c.id).where(run.c.parent_id.in_(some))))
        found = children - tree
    return tree


def _end(connection: Connection, ids: Sequence[str], reason: str, now: datetime) -> None:
    waits = run.c.state.in_([state.value for state in WAITING])
    runs = run.c.state == RunState.RUNNING.value
    asked = {"cancel_reason": reason}
    ended = {
        **asked,
        "state": RunState.CANCELLED.value,
        "ended": now,
        "not_before": None,
        "message": f"cancelled ({reason})",
    }
    for some in chunks(ids):
        these = run.c.id.in_(some)
        connection.execute(update(run).where(these, waits).values(ended))
        connection.execute(update(run).where(these, runs).values({**asked, "state": RunState.CANCELLING.value}))
