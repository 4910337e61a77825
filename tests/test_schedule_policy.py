"""Late, missed and overlapping fire times, and clocks that jump. Time is an argument: nothing sleeps."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from nbflow.lifecycle import RunState, hold_for
from nbflow.scheduling import Catchup, Every, Overlap, ScheduleRecord
from nbflow.scheduling.policy import decide_due, find_earlier, place_runs, show_time
from tests.schedule_fixtures import at, make_schedule
from tests.store_fixtures import make_run


def due(schedule: ScheduleRecord, now: str) -> list[str]:
    return [time.strftime("%d %H:%M") for time in decide_due(schedule, at(now)).due]


def hourly(catchup: str = "latest", **fields: object) -> ScheduleRecord:
    """At every full hour; the next one is that of 12:00."""
    return make_schedule("0 * * * *", catchup=Catchup(catchup), **{"next_due": at("2026-03-01 12:00"), **fields})


# -- on time


@pytest.mark.parametrize("catchup", ["none", "latest", "all"])
@pytest.mark.parametrize("late", [0, 0.5, 59.9])
def test_a_time_that_is_due_runs_once(catchup: str, late: float) -> None:
    decision = decide_due(hourly(catchup), at("2026-03-01 12:00") + timedelta(seconds=late))
    assert decision.due == (at("2026-03-01 12:00"),)
    assert decision.next_due == at("2026-03-01 13:00")
    assert decision.note == ""


def test_nothing_is_due_before_its_time() -> None:
    decision = decide_due(hourly(), at("2026-03-01 11:59"))
    assert (decision.due, decision.next_due, decision.note) == ((), at("2026-03-01 12:00"), "")
    ended = decide_due(hourly(next_due=None), at("2026-03-01 11:59"))
    assert (ended.due, ended.next_due) == ((), None)


@pytest.mark.parametrize("catchup", ["none", "latest", "all"])
def test_all_that_are_only_a_little_late_run(catchup: str) -> None:
    schedule = make_schedule(Every(10), next_due=at("2026-03-01 12:00"), catchup=Catchup(catchup))
    decision = decide_due(schedule, at("2026-03-01 12:00:35"))
    assert [time.second for time in decision.due] == [0, 10, 20, 30]
    assert decision.next_due == at("2026-03-01 12:00:40")


def test_the_last_time_of_all_leaves_none_to_come() -> None:
    schedule = hourly(ends=at("2026-03-01 12:00"))
    decision = decide_due(schedule, at("2026-03-01 12:00:01"))
    assert decision.due == (at("2026-03-01 12:00"),)
    assert decision.next_due is None


# -- missed


@pytest.mark.parametrize(
    ("catchup", "now", "expected", "note"),
    [
        ("none", "2026-03-01 15:30", [], "12:00 UTC to 2026-03-01 15:00 UTC missed"),
        ("none", "2026-03-01 15:00:30", ["01 15:00"], "12:00 UTC to 2026-03-01 14:00 UTC missed"),
        ("latest", "2026-03-01 15:30", ["01 15:00"], "12:00 UTC to 2026-03-01 14:00 UTC missed"),
        ("all", "2026-03-01 15:30", ["01 12:00", "01 13:00", "01 14:00", "01 15:00"], ""),
        ("none", "2026-03-01 12:01:01", [], "2026-03-01 12:00 UTC missed"),
        ("latest", "2026-03-01 12:01:01", ["01 12:00"], ""),
    ],
)
def test_after_three_hours_of_sleep(catchup: str, now: str, expected: list[str], note: str) -> None:
    schedule = hourly(catchup)
    assert due(schedule, now) == expected
    assert decide_due(schedule, at(now)).note.endswith(note)
    assert bool(decide_due(schedule, at(now)).note) == bool(note)


def test_the_grace_says_what_is_late() -> None:
    assert due(hourly("none", misfire_grace=3600), "2026-03-01 12:59") == ["01 12:00"]
    assert due(hourly("none", misfire_grace=0), "2026-03-01 12:00:01") == []
    assert due(hourly("none", misfire_grace=0), "2026-03-01 12:00") == ["01 12:00"]


def test_catching_up_all_is_bounded_and_takes_the_newest() -> None:
    decision = decide_due(hourly("all", catchup_limit=3), at("2026-03-02 12:30"))
    assert [time.hour for time in decision.due] == [10, 11, 12]
    assert decision.note == "from 2026-03-01 12:00 UTC on all but the newest 3 missed"


@pytest.mark.parametrize("when", ["* * * * *", Every(1)], ids=["cron", "interval"])
def test_years_of_downtime_are_decided_at_once(when: str | Every) -> None:
    schedule = make_schedule(when, next_due=at("1996-03-01 12:00"), catchup=Catchup.ALL)
    begun = datetime.now()
    decision = decide_due(schedule, at("2026-03-01 12:00:30"))
    assert len(decision.due) == 100
    assert decision.due[-1] == at("2026-03-01 12:00" if isinstance(when, str) else "2026-03-01 12:00:30")
    assert datetime.now() - begun < timedelta(seconds=30)


def test_an_announced_time_runs_even_when_new_rules_of_a_timezone_moved_it() -> None:
    schedule = make_schedule("0 7 * * *", next_due=at("2026-03-01 07:30"))
    assert due(schedule, "2026-03-01 07:30:01") == ["01 07:30"]
    assert decide_due(schedule, at("2026-03-01 07:30:01")).next_due == at("2026-03-02 07:00")


# -- the clock


def test_a_clock_that_is_set_back_an_hour_fires_nothing_twice() -> None:
    schedule = hourly()
    fired: list[datetime] = []
    for now in ("11:30", "12:00", "12:01", "11:20", "11:59", "12:00", "12:30", "13:00", "12:10", "13:00", "14:00"):
        decision = decide_due(schedule, at(f"2026-03-01 {now}"))
        fired += decision.due
        schedule = make_schedule("0 * * * *", next_due=decision.next_due)
    assert [time.hour for time in fired] == [12, 13, 14]


def test_a_schedule_recovers_from_a_clock_that_was_years_ahead() -> None:
    schedule = make_schedule("0 * * * *", next_due=at("2036-01-01 00:00"))
    assert find_earlier(schedule, at("2026-03-01 11:30")) == at("2026-03-01 12:00")
    assert find_earlier(hourly(), at("2026-03-01 11:30")) is None
    assert find_earlier(hourly(), at("2026-03-01 10:30")) == at("2026-03-01 11:00")
    assert find_earlier(hourly(next_due=None), at("2026-03-01 10:30")) is None


def test_clocks_of_hosts_may_differ_a_little() -> None:
    schedule = make_schedule("* * * * *", next_due=at("2026-03-01 12:05"))
    assert find_earlier(schedule, at("2026-03-01 12:00")) is None
    assert find_earlier(schedule, at("2026-03-01 11:59")) == at("2026-03-01 11:59")


# -- overlap


def test_overlapping_runs() -> None:
    runs = [make_run(scheduled_time=at(f"2026-03-01 1{hour}:00")) for hour in range(3)]
    held = hold_for("a1b2c3d4")
    for overlap, busy, tied in [
        (Overlap.ALLOW, "busy", [None, None, None]),
        (Overlap.ALLOW, None, [None, None, None]),
        (Overlap.QUEUE, "busy", [held, held, held]),
        (Overlap.QUEUE, None, [None, held, held]),
        (Overlap.SKIP, None, [None, held, held]),
    ]:
        placed, note = place_runs(make_schedule(overlap=overlap), runs, busy)
        assert [run.tied_to for run in placed] == tied
        assert [run.id for run in placed] == [run.id for run in runs]
        assert note == ""
    placed, note = place_runs(make_schedule(overlap=Overlap.SKIP), runs, "busy")
    assert placed == []
    assert note == "2026-03-01 10:00 UTC to 2026-03-01 12:00 UTC skipped: run busy had not ended"


def test_a_run_that_could_not_even_be_prepared_is_recorded_whatever_runs() -> None:
    failed = make_run(state=RunState.FAILED, scheduled_time=at("2026-03-01 10:00"))
    fine = make_run(scheduled_time=at("2026-03-01 11:00"))
    placed, _ = place_runs(make_schedule(overlap=Overlap.SKIP), [failed, fine], "busy")
    assert placed == [failed]
    placed, _ = place_runs(make_schedule(overlap=Overlap.QUEUE), [failed, fine], None)
    assert [run.tied_to for run in placed] == [None, None]


def test_times_are_shown_by_the_schedules_own_clock() -> None:
    schedule = make_schedule(timezone="Europe/Berlin")
    assert show_time(schedule, at("2026-03-29 00:59")) == "2026-03-29 01:59 CET"
    assert show_time(schedule, at("2026-03-29 01:00:05")) == "2026-03-29 03:00:05 CEST"
