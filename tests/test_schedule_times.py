"""Fire times: cron by the clock on the wall, intervals in absolute time, through every change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.errors import UsageError
from nbflow.scheduling import Every, cron, every, next_times
from nbflow.scheduling.records import check_timezone, format_interval, parse_interval
from nbflow.scheduling.times import list_times
from tests.schedule_fixtures import at, make_schedule

MINUTE = timedelta(minutes=1)

# Zone, and the UTC minutes at which its clocks are put forward and back in 2026: by an hour, on Lord Howe by half an hour.
CHANGES = {
    "America/New_York": ("2026-03-08 07:00", "2026-11-01 06:00"),
    "Europe/Berlin": ("2026-03-29 01:00", "2026-10-25 01:00"),
    "Australia/Lord_Howe": ("2026-10-03 15:30", "2026-04-04 15:00"),
    "Atlantic/Azores": ("2026-03-29 01:00", "2026-10-25 01:00"),
    "America/St_Johns": ("2026-03-08 05:30", "2026-11-01 04:30"),
    "UTC": ("2026-03-08 07:00", "2026-11-01 06:00"),
}
# A daily time within the hour that is left out, and within the one that comes twice.
DAILY = {
    "America/New_York": ("30 2 * * *", "30 1 * * *"),
    "Europe/Berlin": ("30 2 * * *", "30 2 * * *"),
    "Australia/Lord_Howe": ("15 2 * * *", "45 1 * * *"),
    "Atlantic/Azores": ("30 0 * * *", "30 0 * * *"),
    "America/St_Johns": ("30 2 * * *", "30 1 * * *"),
    "UTC": ("30 2 * * *", "30 1 * * *"),
}
# What these daily times are in UTC: the day before, the day of the change, the day after. By hand.
DAILY_IN_UTC = {
    ("America/New_York", 0): ("2026-03-07 07:30", "2026-03-08 07:00", "2026-03-09 06:30"),
    ("America/New_York", 1): ("2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"),
    ("Europe/Berlin", 0): ("2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"),
    ("Europe/Berlin", 1): ("2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"),
    ("Australia/Lord_Howe", 0): ("2026-10-02 15:45", "2026-10-03 15:30", "2026-10-04 15:15"),
    ("Australia/Lord_Howe", 1): ("2026-04-03 14:45", "2026-04-04 14:45", "2026-04-05 15:15"),
    ("Atlantic/Azores", 0): ("2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"),
    ("Atlantic/Azores", 1): ("2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"),
    ("America/St_Johns", 0): ("2026-03-07 06:00", "2026-03-08 05:30", "2026-03-09 05:00"),
    ("America/St_Johns", 1): ("2026-10-31 04:00", "2026-11-01 04:00", "2026-11-02 05:00"),
    ("UTC", 0): ("2026-03-07 02:30", "2026-03-08 02:30", "2026-03-09 02:30"),
    ("UTC", 1): ("2026-10-31 01:30", "2026-11-01 01:30", "2026-11-02 01:30"),
}
CASES = [
    (zone, change, rhythm, kind)
    for zone in CHANGES
    for change in (0, 1)
    for rhythm in ("daily", "hourly", "half-hourly")
    for kind in ("cron", "interval")
]


def scan(zone: str, begin: datetime, end: datetime, minutes: frozenset[int]) -> list[datetime]:
    """Every minute of absolute time behind *begin* and up to *end* at which the clock of *zone* shows one of *minutes*."""
    found, time = [], begin + MINUTE
    while time <= end:
        if time.astimezone(ZoneInfo(zone)).minute in minutes:
            found.append(time)
        time += MINUTE
    return found


def test_there_are_72_cases() -> None:
    assert len(CASES) == 72


@pytest.mark.parametrize(("zone", "change", "rhythm", "kind"), CASES, ids=lambda value: str(value))
def test_right_through_a_change_of_the_clocks(zone: str, change: int, rhythm: str, kind: str) -> None:
    moment = at(CHANGES[zone][change])
    if kind == "interval":
        step = {"daily": timedelta(days=1), "hourly": timedelta(hours=1), "half-hourly": timedelta(minutes=30)}[rhythm]
        anchor = at(DAILY_IN_UTC[zone, change][0])
        schedule = make_schedule(every(step, anchor=anchor), zone)
        assert next_times(schedule, anchor, 100) == [anchor + number * step for number in range(1, 101)]
        return
    if rhythm == "daily":
        expected = [at(text) for text in DAILY_IN_UTC[zone, change]]
        schedule = make_schedule(DAILY[zone][change], zone)
        assert next_times(schedule, expected[0] - timedelta(hours=1), 3) == expected
        return
    begin, end = moment - timedelta(hours=30), moment + timedelta(hours=30)
    expression, minutes = ("0 * * * *", {0}) if rhythm == "hourly" else ("*/30 * * * *", {0, 30})
    expected = scan(zone, begin, end, frozenset(minutes))
    schedule = make_schedule(expression, zone)
    assert next_times(schedule, begin, len(expected)) == expected
    if zone in (
        "America/New_York",
        "Europe/Berlin",
        "Atlantic/Azores",
        "UTC",
    ):  # no hour is missed, and none comes twice
        step = timedelta(hours=1) if rhythm == "hourly" else timedelta(minutes=30)
        assert {later - earlier for earlier, later in pairwise(expected)} == {step}


@pytest.mark.parametrize(("zone", "change"), list(DAILY_IN_UTC), ids=str)
def test_the_clocks_do_change_then(zone: str, change: int) -> None:
    moment, name = at(CHANGES[zone][change]), ZoneInfo(zone)
    before, after = (time.astimezone(name).utcoffset() for time in (moment - MINUTE, moment))
    assert before is not None
    assert after is not None
    shift = timedelta(minutes=30) if zone == "Australia/Lord_Howe" else timedelta(hours=1)
    assert after - before == (timedelta() if zone == "UTC" else shift if change == 0 else -shift)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # cronsim by itself goes from 00:00 to 06:00 here
        ("0 */3 * * *", "2026-10-03 10:00", ["2026-10-03 10:30", "2026-10-03 13:30", "2026-10-03 16:00", "2026-10-03 19:00"]),
        ("0 */3 * * *", "2026-04-04 10:00", ["2026-04-04 13:00", "2026-04-04 16:30", "2026-04-04 19:30"]),
        # 02:00 is left out, 01:30 comes twice
        ("0 * * * *", "2026-10-03 14:00", ["2026-10-03 14:30", "2026-10-03 16:00"]),
        ("*/30 1 * * *", "2026-04-04 13:30", ["2026-04-04 14:00", "2026-04-04 14:30", "2026-04-04 15:00", "2026-04-05 14:30"]),
    ],
)  # fmt: skip
def test_half_an_hours_change_on_lord_howe(expression: str, after: str, expected: list[str]) -> None:
    schedule = make_schedule(expression, "Australia/Lord_Howe")
    assert next_times(schedule, at(after), len(expected)) == [at(text) for text in expected]


def test_several_times_within_a_gap_fire_once_when_it_ends() -> None:
    schedule = make_schedule("15,45 1,2,3 * * *", "America/New_York")
    shown = [
        time.astimezone(schedule.zone).strftime("%d %H:%M") for time in next_times(schedule, at("2026-03-08 05:30"), 6)
    ]
    assert shown == ["08 01:15", "08 01:45", "08 03:00", "08 03:15", "08 03:45", "09 01:15"]


def test_asked_within_an_hour_that_comes_twice_it_never_looks_back() -> None:
    schedule = make_schedule("30 1 * * *", "America/New_York")
    assert next_times(schedule, at("2026-11-01 06:00"), 1) == [at("2026-11-02 06:30")]


def test_every_hour_written_as_a_range_is_every_hour() -> None:
    begin = at("2026-11-01 03:30")
    ranged, starred = (make_schedule(text, "America/New_York") for text in ("0 0-23 * * *", "0 * * * *"))
    assert next_times(ranged, begin, 30) == next_times(starred, begin, 30)


def test_midnight_that_does_not_exist() -> None:
    schedule = make_schedule("0 0 * * *", "America/Sao_Paulo")
    assert next_times(schedule, at("2018-11-03 12:00"), 2) == [at("2018-11-04 03:00"), at("2018-11-05 02:00")]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("0 9 * * 1", "2026-03-02 09:00"),  # a Monday
        ("0 9 * * MON-FRI", "2026-03-02 09:00"),
        ("0 0 13 * 5", "2026-03-06 00:00"),  # either day, as cron has it
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("59 23 L * *", "2026-03-31 23:59"),
        ("0 12 * * 5#1", "2026-03-06 12:00"),
        ("@daily", "2026-03-02 00:00"),
        ("@Weekly", "2026-03-08 00:00"),
        ("@monthly", "2026-04-01 00:00"),
        ("@hourly", "2026-03-01 13:00"),
        ("  5   4  *  * *  ", "2026-03-02 04:05"),
    ],
)
def test_expressions(expression: str, first: str) -> None:
    assert next_times(make_schedule(cron(expression)), at("2026-03-01 12:00"), 1) == [at(first)]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("61 * * * *", "bad minute"),
        ("* * * *", "wrong number of fields"),
        ("", "wrong number of fields"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 0 0 1 1 *", "six fields"),
        ("@noon", "@daily"),
        ("every day", "wrong number"),
        ("* * * * * * *", "wrong number"),
        ("0 0 * * 8", "day-of-week"),
        ("*/0 * * * *", "bad minute"),
        (None, "wrong number"),
        (5, "wrong number"),
    ],
)  # fmt: skip
def test_an_impossible_expression_is_refused_in_three_lines(expression: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        cron(expression)
    assert len(str(caught.value).splitlines()) <= 3


@given(st.text("0123456789*/-,#LWMONFRI ", max_size=24))
@settings(max_examples=1500, deadline=None)
def test_any_text_is_an_expression_or_a_usage_error(text: str) -> None:
    try:
        made = cron(text)
    except UsageError:
        return
    assert next_times(make_schedule(made), at("2026-03-01 12:00"), 1)


def test_bounds() -> None:
    schedule = make_schedule("0 7 * * *", "Europe/Berlin", starts=at("2026-03-02 06:00"), ends=at("2026-03-03 06:00"))
    assert next_times(schedule, at("2026-01-01 00:00"), 9) == [at("2026-03-02 06:00"), at("2026-03-03 06:00")]
    counted = make_schedule(Every(3600), starts=at("2026-03-02 06:10"))
    assert next_times(counted, at("2026-01-01 00:00"), 2) == [at("2026-03-02 06:10"), at("2026-03-02 07:10")]


def test_an_interval_is_counted_from_the_schedules_creation() -> None:
    schedule = make_schedule(Every(90), created=at("2026-03-01 12:00:07.5"))
    assert next_times(schedule, schedule.created, 2) == [at("2026-03-01 12:01:37"), at("2026-03-01 12:03:07")]
    before = make_schedule(every("1h", anchor=at("2030-01-01 00:20")))
    assert next_times(before, at("2026-03-01 12:20"), 1) == [at("2026-03-01 13:20")]


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [("10min", 600), ("1h 30min", 5400), ("1h30m", 5400), (90, 90), ("90", 90), ("2 days", 172800), (1.5, 1.5), ("1w", 604800)],
)  # fmt: skip
def test_intervals(given_: str | float, seconds: float) -> None:
    assert every(given_) == Every(seconds) == every(timedelta(seconds=seconds)) == every(seconds=seconds)
    assert parse_interval(format_interval(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "given_", ["", "soon", "10 parsecs", "0", -5, "1h x", "nan", "inf", 0.5, "99999d", "1e400", None]
)
def test_an_impossible_interval_is_refused(given_: str | float) -> None:
    with pytest.raises(UsageError, match="interval"):
        every(given_)
    with pytest.raises(UsageError, match="timezone"):
        every("1h", anchor=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("name", "told"),
    [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("../../etc/passwd", "unknown"), ("", "unknown"), ("Europe", "unknown")],
)  # fmt: skip
def test_an_unknown_timezone_names_the_nearest(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_timezone(name)


def test_a_timezone_may_be_an_object() -> None:
    assert [check_timezone(zone) for zone in (ZoneInfo("Asia/Tokyo"), UTC, "UTC")] == ["Asia/Tokyo", "UTC", "UTC"]


# -- against a slow and simple reading of the same rules

FIELDS = st.tuples(
    st.sampled_from(["*", "0", "30", "*/15", "5,35", "10-20", "0-59"]),
    st.sampled_from(["*", "0", "1", "2", "3", "*/2", "*/3", "1-3", "0-23", "23", "1,2"]),
    st.sampled_from(["*", "*", "1", "8", "29", "L", "*/2"]),
    st.just("*"),
    st.sampled_from(["*", "*", "0", "MON-FRI"]),
)


def scan_cron(expression: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """The same by looking at every minute: at what the clock shows, and at what it passed over since the last one."""
    from cronsim import CronSim

    def names(local: datetime) -> bool:
        return next(CronSim(expression, local - MINUTE)) == local

    minutes, hours = expression.split()[:2]
    repeats = minutes.startswith("*") or hours.startswith("*") or hours == "0-23"
    found, seen = [], set()
    time = begin - timedelta(hours=3)
    shown = time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    while time < end:
        time += MINUTE
        before, shown = shown, time.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if repeats:
            fires = names(shown)
        else:
            passed = [before + MINUTE * number for number in range(1, int((shown - before) / MINUTE) + 1)] or [shown]
            fires = any(names(local) and local not in seen for local in passed)
            seen.update(passed)
        if fires and time > begin:
            found.append(time)
    return found


@given(
    FIELDS.map(" ".join),
    st.sampled_from([(zone, moment) for zone, moments in CHANGES.items() for moment in moments]),
    st.integers(-300, 120),
)
@settings(max_examples=150, deadline=None)
def test_cron_agrees_with_looking_at_every_minute(expression: str, change: tuple[str, str], offset: int) -> None:
    zone, moment = change
    begin = at(moment) + offset * MINUTE
    end = begin + timedelta(hours=14)
    expected = scan_cron(expression, zone, begin, end)
    times = list_times(make_schedule(expression, zone), begin)
    assert list(islice(times, len(expected))) == expected
    following = next(times, None)
    assert following is None or following > end


@given(FIELDS.map(" ".join), st.sampled_from(sorted(CHANGES)), st.integers(0, 525_600), st.integers(1, 20_000))
@settings(max_examples=150, deadline=None)
def test_the_times_are_the_same_from_wherever_one_asks(expression: str, zone: str, begin: int, later: int) -> None:
    schedule = make_schedule(expression, zone)
    first = datetime(2026, 1, 1, tzinfo=UTC) + begin * MINUTE
    second = first + later * timedelta(seconds=37)
    times = next_times(schedule, first, 40)
    assert times == sorted(set(times))
    behind = [time for time in times if time > second]
    assert next_times(schedule, second, len(behind)) == behind
