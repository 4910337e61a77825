"""Asking for the end of runs and of everything below them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from nbflow.errors import NotFoundError
from nbflow.runs import WAITING, RunRecord, RunState
from nbflow.stores.records import runs_of
from nbflow.stores.section import Section, chunks, queue_up
from nbflow.stores.tables import run


class Cancelling(Section):
    def request_cancel(self, run_ids: Sequence[str], *, reason: str, now: datetime) -> list[RunRecord]:
        with self._database.write() as connection:
            queue_up(connection)
            tree = _lock_tree(connection, run_ids)
            if unknown := set(run_ids) - tree:
                raise NotFoundError(f"run {min(unknown)!r}: no such run; nbflow runs ls lists them")
            asked = tree & set(run_ids)
            _end(connection, sorted(asked), reason, now)
            _end(connection, sorted(tree - asked), "parent", now)
            rows = [
                row
                for some in chunks(sorted(tree))
                for row in connection.execute(select(run).where(run.c.id.in_(some)))
            ]
        return sorted(runs_of(rows), key=lambda one: one.sequence)


def _lock_tree(connection: Connection, run_ids: Sequence[str]) -> set[str]:
    """Ids of these runs and all their descendants, which nobody else changes until the transaction ends.

    Children are looked for only after their parents are locked: ``add_runs`` reads a parent's state under that lock too.
    """
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
    for some in chunks(ids):
        these = run.c.id.in_(some)
        ended = {
            "state": RunState.CANCELLED.value,
            "ended": now,
            "cancel_reason": reason,
            "message": f"cancelled ({reason})",
        }
        connection.execute(update(run).where(these, waits).values(not_before=None, **ended))
        running = run.c.state == RunState.RUNNING.value
        connection.execute(
            update(run).where(these, running).values(state=RunState.CANCELLING.value, cancel_reason=reason)
        )
