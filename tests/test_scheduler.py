"""The scheduler: one run for one fire time, whatever the clock does and however many schedulers are killed."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from nbflow.errors import StoreError
from nbflow.lifecycle import RunRecord, RunState
from nbflow.ports import RunFilter, Store
from nbflow.scheduler import Scheduler
from nbflow.scheduling import Catchup, Every, Overlap, ScheduleRecord
from nbflow.testing import MemoryStore
from tests.processes import run_in_child, run_in_children
from tests.schedule_fixtures import at, make_schedule
from tests.store_fixtures import NOW, SUCCEEDED, StoreOpener, claim_all, later, make_run

MINUTE = timedelta(minutes=1)


def prepare(schedule: ScheduleRecord, time: datetime, now: datetime) -> RunRecord:
    """A run with the schedule's values, and nothing else to it."""
    return make_run(
        schedule_id=schedule.id, scheduled_time=time, created=now, parameters=schedule.parameters, name=schedule.name
    )


def add(store: Store, when: str | Every = "* * * * *", **fields: Any) -> ScheduleRecord:
    schedule = make_schedule(when, **{"next_due": NOW, "overlap": Overlap.ALLOW, **fields})
    store.add_schedule(schedule)
    return schedule


def list_times(store: Store, **wanted: Any) -> list[datetime | None]:
    runs = store.list_runs(RunFilter(limit=None, oldest_first=True, **wanted))
    return [run.scheduled_time for run in runs]


@pytest.fixture
def memory() -> Any:
    store = MemoryStore()
    yield store
    store.close()


# -- ticks


def test_two_schedules_give_two_runs_a_minute_with_their_values(memory: MemoryStore) -> None:
    for n in (9, 99):
        add(memory, id=f"id{n}0", name=f"n{n}", parameters={"n": n})
    scheduler = Scheduler(memory, prepare)
    for second in range(0, 300, 7):
        scheduler.tick(later(second))
    runs = memory.list_runs(RunFilter(limit=None))
    assert Counter(run.scheduled_time for run in runs) == {later(60 * minute): 2 for minute in range(5)}
    assert Counter((run.scheduled_time, run.parameters["n"]) for run in runs) == {
        (later(60 * minute), n): 1 for minute in range(5) for n in (9, 99)
    }


def test_those_who_listen_hear_of_every_run_once(memory: MemoryStore) -> None:
    add(memory)
    heard: list[RunRecord] = []
    scheduler = Scheduler(memory, prepare, tell=heard.append)
    assert scheduler.tick(later(-1)) == []
    made = scheduler.tick(later(70))
    assert [run.id for run in heard] == [run.id for run in made]
    assert [run.scheduled_time for run in made] == [later(60)]  # 12:00 is more than a minute late
    assert scheduler.tick(later(70)) == []


def test_a_schedule_edited_between_decision_and_record_is_decided_anew(memory: MemoryStore) -> None:
    schedule = add(memory)

    def edit(known: ScheduleRecord, time: datetime, now: datetime) -> RunRecord:
        memory.update_schedule(known.id, lambda current: replace(current, parameters={"n": 2}))
        return prepare(known, time, now)

    assert Scheduler(memory, edit).tick(NOW) == []
    (run,) = Scheduler(memory, prepare).tick(NOW)
    assert run.parameters == {"n": 2}
    assert memory.get_schedule(schedule.id).next_due == later(60)


@pytest.mark.parametrize(
    ("catchup", "expected"), [("none", 0), ("latest", 1), ("all", 181)], ids=lambda value: str(value)
)
def test_three_hours_of_sleep(memory: MemoryStore, catchup: str, expected: int) -> None:
    add(memory, catchup=Catchup(catchup), catchup_limit=1000, misfire_grace=5)
    scheduler = Scheduler(memory, prepare)
    woken = later(3 * 3600 + 30)
    assert len(scheduler.tick(woken)) == expected
    assert len(scheduler.tick(woken)) == 0
    assert len(scheduler.tick(later(3 * 3600 + 60))) == 1
    times = list_times(memory)
    assert len(set(times)) == len(times)


def test_a_clock_that_runs_wild_fires_each_time_once(memory: MemoryStore) -> None:
    """Forwards, backwards, by minutes and by years: every minute of the true day is there once in the end."""
    add(memory, catchup=Catchup.ALL, catchup_limit=10_000)
    scheduler = Scheduler(memory, prepare)
    chance = random.Random(7)
    now = NOW
    for _ in range(400):
        now += timedelta(seconds=chance.choice([1, 20, 45, 90, -30, -200, -3600, 600]))
        scheduler.tick(now)
        memory.release_held()
    scheduler.tick(later(24 * 3600))
    times = list_times(memory)
    assert len(times) == len(set(times))
    expected = [later(60 * minute) for minute in range(24 * 60 + 1)]
    assert [time for time in sorted(filter(None, times)) if time >= NOW] == expected


def test_a_clock_that_was_years_ahead_is_survived(memory: MemoryStore) -> None:
    schedule = add(memory, "0 * * * *")
    scheduler = Scheduler(memory, prepare)
    scheduler.tick(at("2040-01-01 00:30"))
    assert memory.get_schedule(schedule.id).next_due == at("2040-01-01 01:00")
    for hour in range(13, 16):
        scheduler.tick(at(f"2026-03-01 {hour}:00"))
    assert [time.hour for time in list_times(memory)[1:] if time] == [13, 14, 15]


def test_one_that_can_not_be_decided_upon_does_not_stop_the_others(
    memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    broken = add(memory, id="aaaa", name="a", timezone="Atlantis/Capital")
    add(memory, id="bbbb", name="b")
    scheduler = Scheduler(memory, prepare)
    with caplog.at_level(logging.CRITICAL):
        assert [run.name for run in scheduler.tick(NOW)] == ["b"]
        assert [run.name for run in scheduler.tick(later(60))] == ["b"]
    assert "can't be told" in memory.get_schedule(broken.id).note


# -- overlapping


def test_queued_runs_execute_one_by_one_in_order(memory: MemoryStore) -> None:
    add(memory, overlap=Overlap.QUEUE)
    scheduler = Scheduler(memory, prepare)
    executed: list[datetime | None] = []
    for minute in range(6):
        scheduler.tick(later(60 * minute))
    for _ in range(6):
        ((run, attempt),) = claim_all(memory)
        executed.append(run.scheduled_time)
        scheduler.tick(later(300))
        assert claim_all(memory) == []
        memory.finish_attempt(attempt, SUCCEEDED, now=NOW)
        scheduler.tick(later(300))
    assert executed == [later(60 * minute) for minute in range(6)]


def test_skipped_times_make_no_run_and_leave_a_note(memory: MemoryStore) -> None:
    schedule = add(memory, overlap=Overlap.SKIP)
    scheduler = Scheduler(memory, prepare)
    scheduler.tick(NOW)
    ((run, attempt),) = claim_all(memory)
    assert scheduler.tick(later(60)) == []
    assert memory.get_schedule(schedule.id).note == f"2026-03-01 12:01 UTC skipped: run {run.id} had not ended"
    memory.finish_attempt(attempt, SUCCEEDED, now=NOW)
    assert len(scheduler.tick(later(120))) == 1


# -- the thread


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_the_thread_ticks_when_it_is_woken(memory: MemoryStore) -> None:
    clock, made = Clock(), threading.Semaphore(0)
    add(memory)
    scheduler = Scheduler(memory, prepare, clock=clock, tell=lambda run: made.release())
    scheduler.start()
    try:
        for minute in range(3):
            clock.now = later(60 * minute)
            scheduler.wake()
            assert made.acquire(timeout=30)
    finally:
        scheduler.close()
    assert list_times(memory) == [later(60 * minute) for minute in range(3)]


def test_the_thread_outlives_a_store_that_fails(memory: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    made, failures = threading.Event(), iter([StoreError("gone"), StoreError("gone"), ValueError("odd")])

    class Flaky:
        def __getattr__(self, name: str) -> Any:
            if name == "list_schedules" and (error := next(failures, None)):
                scheduler.wake()
                raise error
            return getattr(memory, name)

    add(memory)
    scheduler = Scheduler(Flaky(), prepare, clock=Clock(), tell=lambda run: made.set())  # type: ignore[arg-type]
    scheduler.start()
    assert made.wait(30)
    scheduler.close()
    assert len([record for record in caplog.records if "goes on trying" in record.message]) == 1


# -- many processes, killed at any statement


def work(opener: StoreOpener, times: list[datetime], *, seed: int, kill_at: int | None) -> None:
    """One scheduler's life: it ticks through *times*; killed at its statement number *kill_at*."""
    left = kill_at

    def count(*_: object) -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    own = opener()
    event.listen(Engine, "before_cursor_execute", count)
    scheduler = Scheduler(own, prepare)
    chance = random.Random(seed)
    for now in times:
        scheduler.tick(now + timedelta(seconds=chance.uniform(-3, 3)))


def test_three_schedulers_with_kills_make_one_run_for_each_fire_time(opener: StoreOpener) -> None:
    store = opener()
    for n in range(4):
        add(store, id=f"id{n}00", name=f"every-{n}", catchup=Catchup.ALL, catchup_limit=1000, parameters={"n": n})
    queued = add(store, id="queued", name="queued", catchup=Catchup.ALL, catchup_limit=1000, overlap=Overlap.QUEUE)
    chance, kills = random.Random(11), 0
    for round_ in range(10):
        times = [later(60 * minute) for minute in range(round_ * 6, round_ * 6 + 6)]
        points = [chance.randrange(60) if chance.random() < 0.8 else None for _ in range(3)]
        lives = [partial(work, opener, times, seed=round_ * 3 + n, kill_at=points[n]) for n in range(3)]
        endings = run_in_children(lives)
        assert set(endings) <= {0, -signal.SIGKILL}
        kills += endings.count(-signal.SIGKILL)
    assert kills >= 8
    Scheduler(store, prepare).tick(later(60 * 60))
    expected = [later(60 * minute) for minute in range(61)]
    for schedule in store.list_schedules():
        times = list_times(store, schedule_id=schedule.id)
        assert times == expected, schedule.name
        assert schedule.next_due == later(61 * 60)
    done = []
    while store.count_runs(RunFilter(schedule_id=queued.id, states=(RunState.PENDING,))):
        store.release_held()
        for run, attempt in claim_all(store):
            store.finish_attempt(attempt, SUCCEEDED, now=NOW)
            done += [run.scheduled_time] if run.schedule_id == queued.id else []
    assert done == expected


def test_a_scheduler_killed_at_every_single_statement_leaves_the_truth(opener: StoreOpener) -> None:
    store = opener()
    schedule = add(store, catchup=Catchup.ALL, overlap=Overlap.QUEUE)
    for number in range(60):
        times = [later(60 * number)]
        ended = run_in_child(partial(work, opener, times, seed=0, kill_at=number))
        known = store.get_schedule(schedule.id)
        recorded = list_times(store)
        assert len(recorded) == len(set(recorded))
        assert known.next_due is not None
        assert recorded == [later(60 * minute) for minute in range(len(recorded))]
        assert known.next_due == later(60 * len(recorded))
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert ended == 0
    assert number > 8
