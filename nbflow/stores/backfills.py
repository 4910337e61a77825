"""Backfills: recorded with all their runs or not at all, changed under a lock, ended and taken up again in batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from nbflow.backfilling import BackfillRecord
from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import RunRecord, RunState
from nbflow.ports import EarlierRun
from nbflow.stores.listing import LAST_CHARACTER
from nbflow.stores.notebooks import unpin
from nbflow.stores.records import backfill_of, backfill_row, run_rows, runs_of
from nbflow.stores.runs import delete_runs
from nbflow.stores.section import Section, chunks, queue_up
from nbflow.stores.tables import IS_ACTIVE, IS_WAITING, run
from nbflow.stores.tables import backfill as table

_BATCH = 1000
_SHORTEST_PREFIX = 4
_SHOWN = 5
_REQUEUED = (
    "state",
    "tied_to",
    "notebook_hash",
    "flow_version",
    "identity",
    "not_before",
    "started",
    "ended",
    "message",
)
_GOES_ON = or_(IS_WAITING, IS_ACTIVE)
_EMPTY: ColumnElement[str] = literal_column("''")  # written out, as in the condition of the partial index


class Backfills(Section):
    """The row of a backfill is locked while runs of its lane are claimed, and while it is changed."""

    def add_backfill(self, backfill: BackfillRecord) -> None:
        with self._database.write() as connection:
            connection.execute(insert(table), [backfill_row(backfill)])
            unpin(connection, [backfill.notebook_hash])

    def open_backfill(self, backfill_id: str) -> BackfillRecord:
        with self._database.write() as connection:
            queue_up(connection)
            known = _lock(connection, backfill_id)
            same = table.c.flow == known.flow, table.c.rows_hash == known.rows_hash, table.c.id != known.id
            goes_on = exists().where(run.c.backfill_id == table.c.id, _GOES_ON)
            other = connection.scalar(select(table.c.id).where(*same, table.c.ready, goes_on).limit(1))
            if other is not None:
                raise ConflictError(
                    f"backfill {other} has the same rows of {known.flow}, and is not finished\n"
                    f"look at it: nbflow backfill show {other}"
                )
            count = connection.scalar(select(func.count()).where(run.c.backfill_id == known.id)) or 0
            return _save(connection, replace(known, ready=True, rows=count))

    def get_backfill(self, backfill_id: str) -> BackfillRecord:
        near = or_(table.c.id == backfill_id, table.c.name == backfill_id)
        if len(backfill_id) >= _SHORTEST_PREFIX:
            near = or_(near, (table.c.id >= backfill_id) & (table.c.id < backfill_id + LAST_CHARACTER))
        listed = select(table).where(near).order_by(table.c.created.desc()).limit(_SHOWN + 1)
        with self._database.read() as connection:
            rows = connection.execute(listed).all()
        fits = (
            [row for row in rows if row.id == backfill_id] or [row for row in rows if row.name == backfill_id] or rows
        )
        if not fits:
            raise _unknown(backfill_id)
        if len(fits) > 1:
            told = ", ".join(f"{row.id} ({row.name})" for row in fits[:_SHOWN])
            raise NotFoundError(f"backfill {backfill_id!r}: several fit: {told}; give the id")
        return backfill_of(fits[0])

    def list_backfills(
        self, *, flow: str | None = None, rows_hash: str | None = None, ready: bool = True, limit: int | None = None
    ) -> list[BackfillRecord]:
        listed = select(table).where(table.c.ready == ready).order_by(table.c.created.desc(), table.c.id).limit(limit)
        if flow is not None:
            listed = listed.where(table.c.flow == flow)
        if rows_hash is not None:
            listed = listed.where(table.c.rows_hash == rows_hash)
        with self._database.read() as connection:
            return [backfill_of(row) for row in connection.execute(listed)]

    def count_rows(self, backfill_ids: Sequence[str]) -> dict[str, dict[RunState, int]]:
        counts: dict[str, dict[RunState, int]] = {backfill_id: {} for backfill_id in backfill_ids}
        with self._database.read() as connection:
            for some in chunks(backfill_ids):
                counted = select(run.c.backfill_id, run.c.state, func.count()).where(run.c.backfill_id.in_(some))
                for backfill_id, state, count in connection.execute(counted.group_by(run.c.backfill_id, run.c.state)):
                    counts[backfill_id][RunState(state)] = count
        return counts

    def goes_on(self, backfill_id: str) -> bool:
        with self._database.read() as connection:
            some = select(run.c.sequence).where(run.c.backfill_id == backfill_id, _GOES_ON)
            return connection.scalar(some.limit(1)) is not None

    def update_backfill(self, backfill_id: str, change: Callable[[BackfillRecord], BackfillRecord]) -> BackfillRecord:
        with self._database.write() as connection:
            known = _lock(connection, backfill_id)
            changed = change(known)
            return known if changed == known else _save(connection, replace(changed, id=known.id))

    def remove_backfill(self, backfill_id: str) -> None:
        some = select(run.c.sequence, run.c.id, run.c.tags).where(run.c.backfill_id == backfill_id).limit(_BATCH)
        while True:
            with self._database.write() as connection:
                queue_up(connection)
                rows = connection.execute(some.with_for_update()).all()
                delete_runs(connection, rows)
                if len(rows) < _BATCH:
                    connection.execute(delete(table).where(table.c.id == backfill_id))
                    return

    def requeue_rows(self, runs: Sequence[RunRecord]) -> int:
        wanted = update(run).where(run.c.id == bindparam("at"), ~IS_ACTIVE)
        wanted = wanted.where(*(run.c.state != state.value for state in (RunState.COMPLETED, RunState.SKIPPED)))
        wanted = wanted.values({name: bindparam(name) for name in _REQUEUED}).values(failure=None, cancel_reason=None)
        requeued = 0
        for some in chunks(runs, _BATCH):
            rows = [{"at": row["id"], **{name: row[name] for name in _REQUEUED}} for row in run_rows(some)]
            with self._database.write() as connection:
                queue_up(connection)
                unpin(connection, (one.notebook_hash for one in some))
                requeued += connection.execute(wanted, rows).rowcount
        return requeued

    def cancel_waiting(self, backfill_id: str, *, reason: str, now: datetime) -> Iterator[list[int]]:
        ended = {"state": RunState.CANCELLED.value, "ended": now, "not_before": None}
        ended |= {"cancel_reason": reason, "message": f"cancelled ({reason})"}
        some = select(run.c.sequence).where(run.c.backfill_id == backfill_id, IS_WAITING).limit(_BATCH)
        while True:
            with self._database.write() as connection:
                queue_up(connection)
                sequences = list(connection.scalars(some.with_for_update()))
                if not sequences:
                    return
                connection.execute(update(run).where(run.c.sequence.in_(sequences)).values(ended))
            yield sequences

    def find_earlier(self, call_keys: Collection[str]) -> dict[str, EarlierRun]:
        found: dict[str, EarlierRun] = {}
        columns = run.c.call_key, run.c.id, run.c.state, run.c.backfill_id
        hidden = select(table.c.id).where(~table.c.ready)
        visible = or_(run.c.backfill_id.is_(None), run.c.backfill_id.not_in(hidden))
        with self._database.read() as connection:
            for some in chunks(sorted(call_keys)):
                known = select(*columns).where(run.c.call_key.in_(some), run.c.call_key != _EMPTY, visible)
                for key, run_id, state, backfill_id in connection.execute(known.order_by(run.c.sequence)):
                    found[key] = EarlierRun(id=run_id, state=RunState(state), backfill_id=backfill_id)
        return found

    def find_completed(self, identities: Collection[str]) -> dict[str, RunRecord]:
        found: dict[str, RunRecord] = {}
        completed = run.c.state == RunState.COMPLETED.value, run.c.identity != _EMPTY
        with self._database.read() as connection:
            for some in chunks(sorted(identities)):
                known = select(run).where(run.c.identity.in_(some), *completed).order_by(run.c.sequence)
                found |= {one.identity: one for one in runs_of(connection.execute(known).all())}
        return found


def _lock(connection: Connection, backfill_id: str) -> BackfillRecord:
    row = connection.execute(select(table).where(table.c.id == backfill_id).with_for_update()).one_or_none()
    if row is None:
        raise _unknown(backfill_id)
    return backfill_of(row)


def _save(connection: Connection, changed: BackfillRecord) -> BackfillRecord:
    connection.execute(update(table).where(table.c.id == changed.id).values(backfill_row(changed)))
    return changed


def _unknown(backfill_id: str) -> NotFoundError:
    return NotFoundError(f"backfill {backfill_id!r}: no backfill has this id or name; nbflow backfill ls lists them")
