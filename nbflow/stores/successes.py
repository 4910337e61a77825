"""When runs of a schedule last succeeded, remembered beyond the life of the runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from nbflow.lifecycle import RunState
from nbflow.stores.tables import run, schedule


def find_success(connection: Connection, schedule_id: str) -> datetime | None:
    """The scheduled time of the newest completed run that is still there."""
    completed = run.c.schedule_id == schedule_id, run.c.state == RunState.COMPLETED.value
    newest = select(run.c.scheduled_time, run.c.created).where(*completed).order_by(run.c.sequence.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else row.scheduled_time or row.created


def remember_successes(connection: Connection) -> None:
    """Keep in each schedule what its runs are about to be pruned with."""
    for schedule_id in connection.scalars(select(schedule.c.id).order_by(schedule.c.id)).all():
        found = find_success(connection, schedule_id)
        if found is not None:
            connection.execute(update(schedule).where(schedule.c.id == schedule_id).values(last_success=found))
