"""Which fire times run: the policies for late, missed and overlapping ones, and for a clock that is set back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from nbflow.lifecycle import RunRecord, hold_for
from nbflow.scheduling.records import Catchup, Overlap, ScheduleRecord
from nbflow.scheduling.times import list_times, next_times

CLOCK_TOLERANCE = timedelta(minutes=5)
"""By so much may the clocks of several hosts differ."""
_FIRST_SPAN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about the fire times up to now."""

    due: tuple[datetime, ...] = ()
    """Those that run, oldest first."""
    next_due: datetime | None
    note: str = ""
    """Which ones do not run, and why."""


def decide_due(schedule: ScheduleRecord, now: datetime) -> Decision:
    """The fire times to run now, by the catch-up policy, and the first one to come.

    As long as none is later than ``misfire_grace``, all that are due run. Else there was an outage: ``all`` runs each,
    ``latest`` the newest, ``none`` the newest if that one is not late itself. At most ``catchup_limit`` run at once.
    """
    if schedule.next_due is None or schedule.next_due > now:
        return Decision(next_due=schedule.next_due)
    on_time = now - timedelta(seconds=schedule.misfire_grace)
    times, more = _list_due(schedule, schedule.next_due, now)
    if more or times[0] < on_time:
        if schedule.catchup is Catchup.LATEST or (schedule.catchup is Catchup.NONE and times[-1] >= on_time):
            kept = times[-1:]
        else:
            kept = times if schedule.catchup is Catchup.ALL else []
    else:
        kept = times
    left_out = len(times) - len(kept)
    if left_out:
        note = f"{_say_span(schedule, schedule.next_due, times[left_out - 1])} missed"
    else:
        note = f"from {show_time(schedule, schedule.next_due)} on all but the newest {len(kept)} missed" if more else ""
    following = next_times(schedule, now, 1)
    return Decision(due=tuple(kept), next_due=following[0] if following else None, note=note)


def _list_due(schedule: ScheduleRecord, first: datetime, now: datetime) -> tuple[list[datetime], bool]:
    """The newest fire times from *first* up to *now*, at most ``catchup_limit``; whether there are older ones.

    *first* is one of them in any case: it was announced, whatever a new timezone database says today.
    """
    span = _FIRST_SPAN
    while now - span > first:
        times = _list_until(schedule, now - span, now)
        if len(times) > schedule.catchup_limit:
            return times[-schedule.catchup_limit :], True
        span *= 8
    times = [first, *_list_until(schedule, first, now)]
    return times[-schedule.catchup_limit :], len(times) > schedule.catchup_limit


def _list_until(schedule: ScheduleRecord, after: datetime, now: datetime) -> list[datetime]:
    return list(takewhile(lambda time: time <= now, list_times(schedule, after)))


def _say_span(schedule: ScheduleRecord, first: datetime, last: datetime) -> str:
    return " to ".join(dict.fromkeys(show_time(schedule, time) for time in (first, last)))


def show_time(schedule: ScheduleRecord, time: datetime) -> str:
    """A moment by the schedule's own clock: ``2026-03-01 07:00 CET``."""
    local = time.astimezone(schedule.zone)
    seconds = ":%S" if local.second or local.microsecond else ""
    return local.strftime(f"%Y-%m-%d %H:%M{seconds} %Z")


def find_earlier(schedule: ScheduleRecord, now: datetime) -> datetime | None:
    """The first fire time that is not too late yet, where the announced one lies far behind it: the clock was set back.

    What ran while it was ahead has its run in the store, and does not run again.
    """
    if schedule.next_due is None:
        return None
    following = next_times(schedule, now - timedelta(seconds=schedule.misfire_grace), 1)
    return following[0] if following and schedule.next_due - following[0] > CLOCK_TOLERANCE else None


def place_runs(schedule: ScheduleRecord, runs: Sequence[RunRecord], busy_id: str | None) -> tuple[list[RunRecord], str]:
    """The runs to record, by the overlap policy, and why others are not. *busy_id*: a run that has not ended.

    Fire times that are caught up together never skip one another: they run one by one.
    """
    waiting = [run for run in runs if not run.state.is_terminal]
    if schedule.overlap is Overlap.ALLOW or not waiting:
        return list(runs), ""
    if busy_id is not None and schedule.overlap is Overlap.SKIP:
        times = [run.scheduled_time for run in waiting if run.scheduled_time is not None]
        note = f"{_say_span(schedule, times[0], times[-1])} skipped: run {busy_id} had not ended"
        return [run for run in runs if run.state.is_terminal], note
    free = None if busy_id is not None else waiting[0].id
    why = "waits until earlier runs of its schedule have ended"
    held = [
        run if run.state.is_terminal or run.id == free else replace(run, tied_to=hold_for(schedule.id), message=why)
        for run in runs
    ]
    return held, ""
