"""Dispatchers: the processes that hand runs to engines, and what becomes of their runs when they are gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from nbflow.errors import StoreError
from nbflow.lifecycle import DispatcherRecord, Failure, FailureKind, RunState
from nbflow.parameters.values import dumps_exact
from nbflow.stores.records import dispatcher_of, dispatcher_row
from nbflow.stores.section import Section, queue_up
from nbflow.stores.tables import IS_PENDING, IS_SCHEDULED, run
from nbflow.stores.tables import dispatcher as table

_ALIVE = timedelta(minutes=1)
"""A dispatcher that was heard of within this time is taken for living."""
_ENDED_FIRST = "the process that submitted this run ended before the run could start"


class Dispatchers(Section):
    def add_dispatcher(self, dispatcher: DispatcherRecord) -> None:
        with self._database.write() as connection:
            if self._database.file is not None:
                heard = select(table.c.host).where(
                    table.c.host != dispatcher.host, table.c.heartbeat > dispatcher.heartbeat - _ALIVE
                )
                if other := connection.scalar(heard.limit(1)):
                    raise StoreError(
                        f"store {self._database.where}: it is in use on the host {other}, and SQLite serves one host\n"
                        "use a Postgres store for several: postgresql://…"
                    )
            connection.execute(delete(table).where(table.c.id == dispatcher.id))
            connection.execute(insert(table).values(dispatcher_row(dispatcher)))

    def list_dispatchers(self) -> list[DispatcherRecord]:
        with self._database.read() as connection:
            return [
                dispatcher_of(row) for row in connection.execute(select(table).order_by(table.c.started, table.c.id))
            ]

    def remove_dispatcher(self, dispatcher_id: str, *, now: datetime) -> None:
        lost = dumps_exact(Failure(kind=FailureKind.LOST, message=_ENDED_FIRST).to_json())
        crashed = {
            "state": RunState.CRASHED.value,
            "ended": now,
            "not_before": None,
            "failure": lost,
            "message": _ENDED_FIRST,
        }
        with self._database.write() as connection:
            queue_up(connection)
            connection.execute(delete(table).where(table.c.id == dispatcher_id))
            for waits in (IS_PENDING, IS_SCHEDULED):
                connection.execute(update(run).where(waits, run.c.tied_to == dispatcher_id).values(crashed))
