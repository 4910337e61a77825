"""The queue's cost does not grow with its length. Counted in steps of SQLite's virtual machine: no clock, no chance."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from nbflow.lifecycle import AttemptState as A
from nbflow.lifecycle import Outcome, Priority, RunState
from nbflow.ports import Progress
from nbflow.testing import MemoryStore
from tests.backfill_fixtures import make_backfill, make_row
from tests.store_fixtures import LEASE, NOW, SUCCEEDED, claim_all, later, make_run

LONG = 4000


@pytest.fixture
def memory() -> Iterator[MemoryStore]:
    store = MemoryStore()
    yield store
    store.close()


def count_steps(work: Callable[[], object]) -> int:
    """How many instructions SQLite executes for *work*."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    def begin(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(step, 1)

    event.listen(Engine, "begin", begin)
    try:
        work()
    finally:
        event.remove(Engine, "begin", begin)
    return steps


def fill(store: MemoryStore, count: int, **fields: object) -> None:
    store.add_runs(make_run(priority=Priority.BACKFILL, backfill_id="b", **fields) for _ in range(count))


def claim_one(store: MemoryStore, **given: object) -> None:
    ((_, attempt),) = claim_all(store, limit=1, slots=1, root_id="top", **given)
    store.start_attempt(attempt, pid=1, now=NOW)
    store.finish_attempt(attempt, SUCCEEDED, now=NOW)


def assert_does_not_grow(store: MemoryStore, work: Callable[[], object], grow: Callable[[], object]) -> None:
    short = max(count_steps(work) for _ in range(3))
    grow()
    assert 0 < count_steps(work) <= short * 1.3 + 50


def test_a_claim_costs_the_same_however_many_runs_wait(memory: MemoryStore) -> None:
    fill(memory, 20)
    assert_does_not_grow(memory, lambda: claim_one(memory), lambda: fill(memory, LONG))


def test_nor_however_many_have_ended(memory: MemoryStore) -> None:
    fill(memory, 20)
    ended = {"state": RunState.COMPLETED, "ended": NOW}
    assert_does_not_grow(memory, lambda: claim_one(memory), lambda: fill(memory, LONG, **ended))


def test_nor_however_many_wait_for_another_dispatcher(memory: MemoryStore) -> None:
    fill(memory, 20, tied_to="d1")
    assert_does_not_grow(
        memory,
        lambda: claim_one(memory, serves_all=False),
        lambda: (fill(memory, LONG), fill(memory, LONG, tied_to="d0"), fill(memory, LONG, tied_to="d2")),
    )


def test_looking_in_vain_costs_next_to_nothing(memory: MemoryStore) -> None:
    def look() -> None:
        assert claim_all(memory, dispatcher_id="idle", serves_all=False) == []

    assert_does_not_grow(
        memory,
        look,
        lambda: (fill(memory, LONG), fill(memory, LONG, state=RunState.SCHEDULED, not_before=later(60))),
    )
    assert count_steps(look) < 100


def fill_lane(store: MemoryStore, backfill_id: str, count: int, **fields: object) -> None:
    store.add_backfill(make_backfill(backfill_id, max_active_runs=2, **fields))
    store.add_runs(make_row(backfill_id, number) for number in range(count))
    store.open_backfill(backfill_id)


def test_a_claim_costs_the_same_however_many_rows_wait_in_a_lane(memory: MemoryStore) -> None:
    fill_lane(memory, "mine", 20, priority=1)
    assert_does_not_grow(
        memory,
        lambda: claim_one(memory, serves_all=False),
        lambda: (memory.remove_backfill("mine"), fill_lane(memory, "mine", LONG, priority=1)),
    )


@pytest.mark.parametrize("backwards", [False, True])
def test_and_however_many_rows_have_ended(memory: MemoryStore, backwards: bool) -> None:
    fill_lane(memory, "mine", 20, run_backwards=backwards, max_failures=5)
    ended = {"state": RunState.COMPLETED, "ended": NOW}
    assert_does_not_grow(
        memory,
        lambda: claim_one(memory, serves_all=False),
        lambda: memory.add_runs(make_row("mine", 1000 + number, **ended) for number in range(LONG)),
    )


@pytest.mark.parametrize("closed", [{"paused": True}, {"ended_by": "user"}, {"owner": "d2"}, {"max_active_runs": 0}])
def test_a_lane_that_is_closed_or_full_costs_others_next_to_nothing(
    memory: MemoryStore, closed: dict[str, Any]
) -> None:
    fill(memory, 20, tied_to="d1")
    fill_lane(memory, "closed", 5)
    memory.update_backfill("closed", lambda known: replace(known, **closed))
    assert_does_not_grow(
        memory,
        lambda: claim_one(memory, serves_all=False),
        lambda: memory.add_runs(make_row("closed", 1000 + number) for number in range(LONG)),
    )


def test_runs_whose_time_has_not_come_cost_nothing(memory: MemoryStore) -> None:
    fill(memory, 20)
    future = {"state": RunState.SCHEDULED, "not_before": later(60)}
    assert_does_not_grow(memory, lambda: claim_one(memory), lambda: fill(memory, LONG, **future))


def test_a_heartbeat_costs_the_same_however_many_runs_there_are(memory: MemoryStore) -> None:
    fill(memory, 20)
    attempts = {attempt.id for _, attempt in claim_all(memory, limit=3)}

    def renew() -> None:
        said = {attempt: Progress(log_lines=1, results={"x": 1}) for attempt in attempts}
        assert memory.renew("d1", said, lease=LEASE, now=NOW) == attempts

    assert_does_not_grow(memory, renew, lambda: fill(memory, LONG))


def test_a_removed_dispatcher_costs_what_it_left(memory: MemoryStore) -> None:
    def remove() -> None:
        fill(memory, 2, tied_to="gone")
        memory.remove_dispatcher("gone", now=NOW)

    assert_does_not_grow(memory, remove, lambda: fill(memory, LONG))


def test_a_retry_is_found_among_many(memory: MemoryStore) -> None:
    fill(memory, LONG)
    for _, attempt in claim_all(memory, limit=5):
        memory.finish_attempt(attempt, Outcome(state=A.NOT_STARTED), now=later(5))
    assert len(claim_all(memory, limit=LONG * 2, now=later(5))) == LONG


def test_recording_takes_no_more_memory_for_more_runs(memory: MemoryStore) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        fill(memory, count)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    fill(memory, 1000)
    assert peak(10_000) < peak(2000) * 1.5
