"""The fire times of a schedule. One set for each, whatever the moment from which it is asked for.

cronsim says which wall-clock times an expression names; what a change of the clocks makes of them is decided here, since
cronsim's own answer steps over times where the clocks move by half an hour (``0 */3 * * *`` on Lord Howe Island), and goes
back behind its start within an hour that comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from nbflow.errors import UsageError
from nbflow.scheduling.records import ALIASES, Cron, Every, ScheduleRecord

if TYPE_CHECKING:
    from cronsim import CronSim

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_FORM = "five fields: minute hour day-of-month month day-of-week, as in '30 7 * * 1-5'"


def next_times(schedule: ScheduleRecord, after: datetime, count: int) -> list[datetime]:
    """The first *count* fire times behind *after*, in UTC; fewer when there are no more."""
    return list(islice(list_times(schedule, after), count))


def list_times(schedule: ScheduleRecord, after: datetime) -> Iterator[datetime]:
    """All fire times behind *after*, in UTC and in order."""
    begin = after.astimezone(UTC)
    if schedule.starts is not None:
        begin = max(begin, schedule.starts - timedelta(microseconds=1))
    if isinstance(schedule.when, Every):
        times = _count_on(schedule.anchor, schedule.when.interval, begin)
    else:
        times = _list_cron_times(schedule.when, schedule.zone, begin)
    ends = schedule.ends
    return times if ends is None else takewhile(lambda time: time <= ends, times)


def check_cron(when: Cron, *, shown: str) -> None:
    """Raises UsageError for an expression that can't be read, or never comes true."""
    if len(when.fields.split()) == 6:
        raise UsageError(f"cron {shown!r}: six fields; nbflow takes {_FORM}\nfor less than a minute: every('30s')")
    try:
        first = next(iter(_make_sim(when, datetime(2000, 1, 1))), None)
    except (ValueError, TypeError, AssertionError) as error:
        if when.expression.startswith("@"):
            raise UsageError(f"cron {shown!r}: unknown; there are {', '.join(ALIASES)}") from None
        raise UsageError(f"cron {shown!r}: {str(error).lower() or 'unreadable'}; expected {_FORM}") from None
    if first is None:
        raise UsageError(f"cron {shown!r}: there is no such day")


def _make_sim(when: Cron, local: datetime) -> CronSim:
    from cronsim import CronSim, CronSimError

    try:
        return CronSim(when.fields, local)
    except CronSimError as error:
        raise ValueError(str(error)) from None


def _count_on(anchor: datetime, interval: timedelta, after: datetime) -> Iterator[datetime]:
    number = (after - anchor) // interval + 1
    while True:
        try:
            yield (anchor + number * interval).astimezone(UTC)
        except OverflowError:
            return
        number += 1


def _list_cron_times(when: Cron, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    minutes, hours = when.fields.split()[:2]
    sim = _make_sim(when, after.replace(tzinfo=None))
    if minutes.startswith("*") or hours.startswith("*") or len(sim.hours) == 24:
        return _follow_clock(when, zone, after)
    return _name_times(when, zone, after)


def _name_times(when: Cron, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Times of the day: each fires once a day, at the end of the gap where the clocks pass over it."""
    last = after
    for local in _make_sim(when, after.astimezone(zone).replace(tzinfo=None)):
        time = _find_instant(local, zone)
        if time > last:  # in an hour that comes twice, the first coming may be past
            last = time
            yield time


def _find_instant(local: datetime, zone: tzinfo) -> datetime:
    """The first moment at which the clock shows *local*; the end of the gap for one that it never shows."""
    time = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if time.astimezone(zone).replace(tzinfo=None) == local:
        return time
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)  # in a gap, the later offset gives the earlier moment
    return _find_change(zone, before, time)


def _follow_clock(when: Cron, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Times that repeat through the day: whenever the clock shows one, twice in an hour that comes twice."""
    begin = after.replace(microsecond=0) + _SECOND
    while True:
        offset = _offset(zone, begin)
        known, change = begin, None  # the offset is the same from *begin* up to *known*, or ends at *change*
        for local in _make_sim(when, (begin + offset - _SECOND).replace(tzinfo=None)):
            time = local.replace(tzinfo=UTC) - offset
            while known <= time and change is None:
                step = known + _DAY
                if _offset(zone, step) != offset:
                    change = _find_change(zone, known, step)
                known = step
            if change is not None and time >= change:
                break
            yield time
        if change is None:
            return
        begin = change


def _offset(zone: tzinfo, time: datetime) -> timedelta:
    return time.astimezone(zone).utcoffset() or timedelta()


def _find_change(zone: tzinfo, low: datetime, high: datetime) -> datetime:
    """The moment between *low* and *high*, to the second, from which the offset is no longer that of *low*."""
    offset = _offset(zone, low)
    while high - low > _SECOND:
        middle = low + _SECOND * ((high - low) // _SECOND // 2)
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high
