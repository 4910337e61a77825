"""Runs: recording, renaming, tying, retrying, pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    insert,
    select,
    text,
    update,
)

from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import TERMINAL, WAITING, RunRecord, RunState
from nbflow.parameters.values import loads_exact
from nbflow.stores.notebooks import delete_unmentioned, unpin
from nbflow.stores.records import run_of, run_rows
from nbflow.stores.section import Section, chunks, has_number, queue_up
from nbflow.stores.successes import remember_successes
from nbflow.stores.tables import attempt, backfill, run, run_tag

_BATCH = 1000
_PRUNED = 5000
_RETRIED = frozenset({RunState.FAILED, RunState.CRASHED, RunState.TIMED_OUT, RunState.CANCELLED})
# A child submitted at the very moment its parent is ended: nobody would look for it any more.
_ENDING = frozenset({RunState.CANCELLING, RunState.CANCELLED, RunState.CRASHED, RunState.TIMED_OUT})


class Runs(Section):
    """Changes of runs that no attempt is part of."""

    def add_runs(self, runs: Iterable[RunRecord]) -> None:
        batch: list[RunRecord] = []
        try:
            with self._database.write() as connection:
                for batch in _batches(runs):
                    insert_runs(connection, batch)
        except ConflictError as error:
            raise ConflictError(self._explain_conflict(batch, str(error))) from error

    def rename_run(self, run_id: str, name: str) -> None:
        with self._database.write() as connection:
            set_name(connection, run_id, name)

    def tie_run(self, run_id: str, dispatcher_id: str | None) -> None:
        waits = run.c.state.in_([state.value for state in WAITING])
        with self._database.write() as connection:
            tied = update(run).where(run.c.id == run_id, waits).values(tied_to=dispatcher_id or "")
            if not connection.execute(tied).rowcount:
                known = lock_run(connection, run_id)
                raise ConflictError(f"run {run_id}: it is {known.state}; only a run that waits can be tied")

    def retry_run(self, run_id: str, *, now: datetime) -> RunRecord:
        with self._database.write() as connection:
            known = lock_run(connection, run_id)
            if known.state not in _RETRIED:
                raise ConflictError(
                    f"run {run_id}: it is {known.state}; only a failed, crashed, timed-out or cancelled run is retried"
                )
            again = replace(
                known,
                state=RunState.PENDING,
                cancel_reason=None,
                failure=None,
                ended=None,
                not_before=None,
                message="",
                tied_to=None,
            )
            save_run(connection, again)
            return again

    def prune(self, *, before: datetime, tell: Callable[[list[str]], object] | None = None) -> list[str]:
        pruned: list[str] = []
        last = 0
        with self._database.write() as connection:
            remember_successes(connection)
        # Batch by batch in the table's own order, so that no other writer waits long and what stays is passed over once.
        while sequences := self._find_ended(before, after=last):
            with self._database.write() as connection:
                queue_up(connection)
                some = select(run.c.sequence, run.c.id, run.c.tags).where(has_number(sequences))
                rows = connection.execute(some.where(*_ended(before)).with_for_update()).all()
                delete_runs(connection, rows)
            last = sequences[-1]
            ids = [row.id for row in rows]
            pruned += ids
            if tell is not None:
                tell(ids)
        with self._database.write() as connection:
            _forget_empty_backfills(connection, before)
            delete_unmentioned(connection)
        return pruned

    def _find_ended(self, before: datetime, *, after: int) -> Sequence[int]:
        ended = select(run.c.sequence).where(run.c.sequence > after, *_ended(before))
        with self._database.read() as connection:
            return connection.scalars(ended.order_by(run.c.sequence).limit(_PRUNED)).all()

    def _explain_conflict(self, batch: Sequence[RunRecord], said: str) -> str:
        if "scheduled_time" in said or "run_fire_time" in said:
            return "one of these runs is recorded already: a schedule has one run for one fire time"
        with self._database.read() as connection:
            for some in chunks([one.id for one in batch]):
                taken = connection.scalar(select(run.c.id).where(run.c.id.in_(some)).limit(1))
                if taken is not None:
                    return f"run {taken}: the store holds a run of this id already; each run needs an id of its own"
        return "two of these runs have the same id; each run needs an id of its own"


def _ended(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return run.c.state.in_([state.value for state in TERMINAL]), run.c.ended < before


_LOCKED = select(run).where(run.c.id == bindparam("run_id")).with_for_update()
_SAVE = update(run).where(run.c.id == bindparam("at"))


def lock_run(connection: Connection, run_id: str) -> RunRecord:
    """The run, which nobody else changes until the transaction ends. Raises NotFoundError."""
    row = connection.execute(_LOCKED, {"run_id": run_id}).one_or_none()
    if row is None:
        raise NotFoundError(f"run {run_id!r}: no such run; nbflow runs ls lists them")
    return run_of(row)


def save_run(connection: Connection, changed: RunRecord) -> None:
    (row,) = run_rows([changed])
    connection.execute(_SAVE, {**row, "at": changed.id})


def set_name(connection: Connection, run_id: str, name: str) -> None:
    named = update(run).where(run.c.id == run_id).values(name=name, name_folded=name.casefold())
    if not connection.execute(named).rowcount:
        raise NotFoundError(f"run {run_id!r}: no such run; nbflow runs ls lists them")


def _batches(runs: Iterable[RunRecord]) -> Iterator[list[RunRecord]]:
    rest = iter(runs)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def insert_runs(connection: Connection, batch: Sequence[RunRecord]) -> None:
    """Record runs, numbered in their order."""
    batch = _end_with_parents(connection, batch)
    rows = run_rows(batch)
    tags: list[dict[str, Any]] = []
    for sequence, one, row in zip(_take_sequences(connection, len(batch)), batch, rows, strict=True):
        row["sequence"] = sequence
        if one.state is RunState.SCHEDULED and one.not_before is None:
            row["state"] = RunState.PENDING.value  # due at once
        tags += [{"tag": tag, "sequence": sequence} for tag in set(one.tags)]
    connection.execute(insert(run), rows)
    if tags:
        connection.execute(insert(run_tag), tags)
    unpin(connection, (one.notebook_hash for one in batch))


def _take_sequences(connection: Connection, count: int) -> Sequence[int]:
    """*count* numbers above all that were ever given, in order."""
    if connection.dialect.name == "postgresql":
        taken = connection.scalars(text("SELECT nextval('run_sequence_seq') FROM generate_series(1, :n)"), {"n": count})
        return sorted(taken)
    # SQLite lets one writer in at a time, and raises this counter by itself when a larger number is inserted.
    last = connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'run'")) or 0
    return range(last + 1, last + 1 + count)


def _end_with_parents(connection: Connection, batch: Sequence[RunRecord]) -> Sequence[RunRecord]:
    parents = sorted({one.parent_id for one in batch if one.parent_id and one.state in WAITING})
    ending: set[str] = set()
    if parents:
        queue_up(connection)  # behind a cancel that looks for the children of these parents right now
    for some in chunks(parents):
        known = select(run.c.id, run.c.state, run.c.cancel_reason).where(run.c.id.in_(some))
        for row in connection.execute(known):
            if row.cancel_reason is not None or row.state in _ENDING:
                ending.add(row.id)
    if not ending:
        return batch
    kept = []
    for one in batch:
        if one.parent_id in ending and one.state in WAITING:
            ending.add(one.id)
            one = replace(
                one, state=RunState.CANCELLED, ended=one.created, cancel_reason="parent", message="cancelled (parent)"
            )
        kept.append(one)
    return kept


def _forget_empty_backfills(connection: Connection, before: datetime) -> None:
    has_runs = exists().where(run.c.backfill_id == backfill.c.id)
    connection.execute(delete(backfill).where(backfill.c.ready, backfill.c.created < before, ~has_runs))


def delete_runs(connection: Connection, rows: Sequence[Row[Any, Any, Any]]) -> None:
    """Delete runs by their ``sequence``, ``id`` and ``tags``, with their attempts."""
    if not rows:
        return
    these = has_number([row.sequence for row in rows])
    tags = [{"t": tag, "s": row.sequence} for row in rows if row.tags != "[]" for tag in set(loads_exact(row.tags))]
    if tags:
        tagged = run_tag.c.tag == bindparam("t"), run_tag.c.sequence == bindparam("s")
        connection.execute(delete(run_tag).where(*tagged), tags)
    connection.execute(delete(attempt).where(attempt.c.run_id.in_(select(run.c.id).where(these))))
    connection.execute(delete(run).where(these))
