"""Attempts: every change is a compare-and-set on an open attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from nbflow.lifecycle import TERMINAL, AttemptRecord, AttemptState, Outcome, RunRecord, decide
from nbflow.parameters.values import dumps_exact
from nbflow.ports import Progress
from nbflow.stores.records import attempt_of
from nbflow.stores.runs import lock_run, save_run, set_name
from nbflow.stores.section import Section, chunks, queue_up
from nbflow.stores.tables import IS_ACTIVE, IS_OPEN, dispatcher, run
from nbflow.stores.tables import attempt as table

_TRIES = (
    select(table.c.number, table.c.state, table.c.told_name)
    .where(table.c.run_id == bindparam("of"))
    .order_by(table.c.number)
)
_SAME = table.c.id == bindparam("at"), table.c.nonce == bindparam("with_nonce")
_START = (
    update(table)
    .where(*_SAME, table.c.state == AttemptState.CLAIMED.value)
    .values(state=AttemptState.STARTED.value, pid=bindparam("new_pid"), started=bindparam("since"))
)
_FINISH = (
    update(table)
    .where(*_SAME, IS_OPEN)
    .values(state=bindparam("as"), ended=bindparam("when"), waiting=False, why=bindparam("because"))
)


class Attempts(Section):
    """An attempt is open while its run is ``running`` or ``cancelling``, and closes once, with the run's next state."""

    def start_attempt(self, attempt: AttemptRecord, *, pid: int | None, now: datetime) -> bool:
        given = {"at": attempt.id, "with_nonce": attempt.nonce, "new_pid": pid, "since": now}
        with self._database.write() as connection:
            return connection.execute(_START, given).rowcount == 1

    def finish_attempt(self, attempt: AttemptRecord, outcome: Outcome, *, now: datetime) -> RunRecord | None:
        why = outcome.failure.message if outcome.failure else ""
        ending = {"as": outcome.state.value, "when": outcome.ended or now, "because": why}
        with self._database.write() as connection:
            if connection.execute(_FINISH, {"at": attempt.id, "with_nonce": attempt.nonce, **ending}).rowcount != 1:
                return None
            known = lock_run(connection, attempt.run_id)
            if known.state in TERMINAL:
                return known
            rows = connection.execute(_TRIES, {"of": attempt.run_id}).all()
            past = [AttemptState(row.state) for row in rows if row.number < attempt.number]
            told = next(row.told_name for row in rows if row.number == attempt.number)
            if outcome.name == told:
                outcome = replace(
                    outcome, name=None
                )  # known since a heartbeat; somebody may have renamed the run since
            decided = decide(known, past, outcome, now)
            save_run(connection, decided)
            return decided

    def renew(
        self, dispatcher_id: str, attempts: Mapping[str, Progress], *, lease: datetime, now: datetime
    ) -> set[str]:
        owned: dict[str, Row[Any]] = {}
        columns = table.c.id, table.c.run_id, table.c.told_name
        with self._database.write() as connection:
            connection.execute(update(dispatcher).where(dispatcher.c.id == dispatcher_id).values(heartbeat=now))
            for some in chunks(sorted(attempts)):
                mine = table.c.id.in_(some), table.c.owner == dispatcher_id, IS_OPEN
                renewed = connection.execute(update(table).where(*mine).values(lease=lease).returning(*columns))
                owned.update((row.id, row) for row in renewed)
            _keep_progress(connection, [(row, attempts[row.id]) for row in owned.values()])
        return set(owned)

    def list_open_attempts(self, *, owner: str | None = None) -> list[AttemptRecord]:
        listed = select(table).where(IS_OPEN).order_by(table.c.claimed, table.c.id)
        if owner is not None:
            listed = listed.where(table.c.owner == owner)
        with self._database.read() as connection:
            return [attempt_of(row) for row in connection.execute(listed)]

    def list_attempts(self, run_id: str) -> list[AttemptRecord]:
        listed = select(table).where(table.c.run_id == run_id).order_by(table.c.number)
        with self._database.read() as connection:
            return [attempt_of(row) for row in connection.execute(listed)]

    def adopt(self, attempt: AttemptRecord, *, owner: str, lease: datetime, now: datetime) -> AttemptRecord | None:
        unchanged = table.c.id == attempt.id, table.c.nonce == attempt.nonce, table.c.owner == attempt.owner
        adopted = update(table).where(*unchanged, table.c.lease == attempt.lease, IS_OPEN)
        with self._database.write() as connection:
            connection.execute(update(dispatcher).where(dispatcher.c.id == owner).values(heartbeat=now))
            row = connection.execute(adopted.values(owner=owner, lease=lease).returning(*table.c)).one_or_none()
            return None if row is None else attempt_of(row)

    def set_waiting(self, attempt_id: str, waiting: bool) -> None:
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == attempt_id, IS_OPEN).values(waiting=waiting))


def _keep_progress(connection: Connection, told: Sequence[tuple[Row[Any], Progress]]) -> None:
    """The store's copy of what attempts told; a heartbeat without news writes no run."""
    news = [(row, progress) for row, progress in told if progress != Progress()]
    if not news:
        return
    queue_up(connection)
    lines = update(run).where(run.c.id == bindparam("at"), IS_ACTIVE)
    lines = lines.values(log_lines=bindparam("n"), last_line=bindparam("last"))
    connection.execute(lines, [{"at": row.run_id, "n": said.log_lines, "last": said.last_line} for row, said in news])
    for row, progress in news:
        here = run.c.id == row.run_id, IS_ACTIVE
        # Results can be large: only those that are not stored yet are written, or each heartbeat would write them all.
        for column, value in ((run.c.values_used, progress.values), (run.c.results, progress.results or None)):
            if value is not None:
                text = dumps_exact(dict(value))
                connection.execute(update(run).where(*here, column.is_distinct_from(text)).values({column: text}))
        if progress.name is not None and progress.name != row.told_name:
            set_name(connection, row.run_id, progress.name)
            connection.execute(update(table).where(table.c.id == row.id).values(told_name=progress.name))
