"""Schedules: kept, changed, and fired once for each fire time, however many schedulers there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import HELD, TERMINAL, RunRecord, RunState, hold_for
from nbflow.scheduling import ScheduleRecord
from nbflow.scheduling.policy import place_runs
from nbflow.stores.listing import LAST_CHARACTER
from nbflow.stores.records import schedule_of, schedule_row
from nbflow.stores.runs import insert_runs
from nbflow.stores.section import Section, chunks, insert_new, queue_up
from nbflow.stores.successes import find_success
from nbflow.stores.tables import IS_PENDING, run
from nbflow.stores.tables import schedule as table

_SHORTEST_PREFIX = 4
_SHOWN = 5
_GOES_ON = [state.value for state in RunState if state not in TERMINAL]


class Schedules(Section):
    """The row of a schedule is locked while it is fired, edited or removed, or lets a run go."""

    def add_schedule(self, schedule: ScheduleRecord) -> None:
        with self._database.write() as connection:
            if not insert_new(connection, table, schedule_row(schedule)):
                raise _taken(schedule)

    def get_schedule(self, schedule_id: str) -> ScheduleRecord:
        with self._database.read() as connection:
            return _find(connection, schedule_id)

    def list_schedules(
        self, *, flows: Sequence[str] | None = None, due_by: datetime | None = None
    ) -> list[ScheduleRecord]:
        listed = select(table).order_by(table.c.flow, table.c.name)
        if flows is not None:
            listed = listed.where(table.c.flow.in_(flows))
        if due_by is not None:
            listed = listed.where(table.c.next_due <= due_by, ~table.c.paused)
        with self._database.read() as connection:
            return [schedule_of(row) for row in connection.execute(listed)]

    def find_next_due(self) -> datetime | None:
        with self._database.read() as connection:
            found: datetime | None = connection.scalar(select(func.min(table.c.next_due)).where(~table.c.paused))
            return found

    def update_schedule(self, schedule_id: str, change: Callable[[ScheduleRecord], ScheduleRecord]) -> ScheduleRecord:
        with self._database.write() as connection:
            known = _lock(connection, schedule_id)
            changed = replace(change(known), id=known.id, revision=known.revision + 1)
            named = table.c.flow == changed.flow, table.c.name == changed.name, table.c.id != known.id
            if connection.scalar(select(table.c.id).where(*named)) is not None:
                raise _taken(changed)
            connection.execute(update(table).where(table.c.id == known.id).values(schedule_row(changed)))
            return changed

    def remove_schedule(self, schedule_id: str, *, now: datetime) -> None:
        removed = "its schedule was removed while it waited for an earlier run"
        cancelled = {"state": RunState.CANCELLED.value, "ended": now, "cancel_reason": "user", "message": removed}
        with self._database.write() as connection:
            queue_up(connection)
            connection.execute(delete(table).where(table.c.id == _lock(connection, schedule_id).id))
            held = update(run).where(IS_PENDING, run.c.tied_to == hold_for(schedule_id))
            connection.execute(held.values(cancelled))

    def fire(
        self, schedule: ScheduleRecord, runs: Sequence[RunRecord], *, next_due: datetime | None, note: str = ""
    ) -> list[RunRecord] | None:
        unchanged = table.c.id == schedule.id, table.c.revision == schedule.revision, ~table.c.paused
        moved = update(table).where(*unchanged, _is(next_due=schedule.next_due)).values(next_due=next_due)
        with self._database.write() as connection:
            if connection.execute(moved).rowcount != 1:
                return None
            fired = _leave_out_recorded(connection, schedule.id, runs)
            placed, why_not = place_runs(schedule, fired, _find_busy(connection, schedule.id))
            if placed:
                insert_runs(connection, placed)
            if said := "; ".join(filter(None, (note, why_not))):
                connection.execute(update(table).where(table.c.id == schedule.id).values(note=said))
            return placed

    def release_held(self) -> list[str]:
        held = IS_PENDING, run.c.tied_to >= HELD, run.c.tied_to < HELD + LAST_CHARACTER
        with self._database.read() as connection:
            waiting = connection.scalars(select(run.c.tied_to).where(*held).distinct()).all()
        released = []
        for tied_to in sorted(waiting):
            with self._database.write() as connection:
                if run_id := _release(connection, tied_to):
                    released.append(run_id)
        return released

    def find_last_success(self, schedule_id: str) -> datetime | None:
        with self._database.read() as connection:
            found = find_success(connection, schedule_id)
            return found or connection.scalar(select(table.c.last_success).where(table.c.id == schedule_id))


def _taken(schedule: ScheduleRecord) -> ConflictError:
    return ConflictError(
        f"schedule {schedule.name!r}: {schedule.flow} has one of this name already\n"
        f"choose another --name, or change it: nbflow schedule edit {schedule.name}"
    )


def _is(*, next_due: datetime | None) -> ColumnElement[bool]:
    return table.c.next_due.is_(None) if next_due is None else table.c.next_due == next_due


def _lock(connection: Connection, schedule_id: str) -> ScheduleRecord:
    row = connection.execute(select(table).where(table.c.id == schedule_id).with_for_update()).one_or_none()
    if row is None:
        raise _unknown(schedule_id)
    return schedule_of(row)


def _unknown(schedule_id: str) -> NotFoundError:
    return NotFoundError(f"schedule {schedule_id!r}: no schedule has this id or name; nbflow schedule ls lists them")


def _find(connection: Connection, given: str) -> ScheduleRecord:
    near = table.c.name == given
    if len(given) >= _SHORTEST_PREFIX:
        near = or_(near, (table.c.id >= given) & (table.c.id < given + LAST_CHARACTER))
    rows = connection.execute(select(table).where(near).order_by(table.c.flow, table.c.name).limit(_SHOWN + 1)).all()
    exact = [row for row in rows if row.id == given] or [row for row in rows if row.name == given] or rows
    if not exact:
        raise _unknown(given)
    if len(exact) > 1:
        fits = ", ".join(f"{row.id} ({row.name} of {row.flow})" for row in exact[:_SHOWN])
        raise NotFoundError(f"schedule {given!r}: several fit: {fits}; give the id")
    return schedule_of(exact[0])


def _leave_out_recorded(connection: Connection, schedule_id: str, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Without the fire times that have a run. Nobody adds one meanwhile: the schedule's row is locked."""
    recorded: set[datetime] = set()
    for some in chunks([one.scheduled_time for one in runs]):
        known = select(run.c.scheduled_time).where(run.c.schedule_id == schedule_id, run.c.scheduled_time.in_(some))
        recorded.update(connection.scalars(known))
    return [one for one in runs if one.scheduled_time not in recorded]


def _find_busy(connection: Connection, schedule_id: str, *, but_tied_to: str | None = None) -> str | None:
    """A run of the schedule that has not ended."""
    busy = select(run.c.id).where(run.c.schedule_id == schedule_id, run.c.state.in_(_GOES_ON))
    if but_tied_to is not None:
        busy = busy.where(run.c.tied_to != but_tied_to)
    return connection.scalar(busy.order_by(run.c.sequence).limit(1))


def _release(connection: Connection, tied_to: str) -> str | None:
    """The oldest run held for one schedule, let go; None when one before it has not ended."""
    schedule_id = tied_to.removeprefix(HELD)
    connection.execute(select(table.c.id).where(table.c.id == schedule_id).with_for_update())
    if _find_busy(connection, schedule_id, but_tied_to=tied_to) is not None:
        return None
    held = select(run.c.id).where(IS_PENDING, run.c.tied_to == tied_to).order_by(run.c.sequence).limit(1)
    run_id = connection.scalar(held)
    let_go = update(run).where(run.c.id == run_id, IS_PENDING).values(tied_to="")
    return run_id if run_id is not None and connection.execute(let_go).rowcount else None
