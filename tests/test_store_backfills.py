"""The store's part of backfills: lanes, windows, and rows that end or are queued again, on every kind of store."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from nbflow.backfilling import BackfillRecord, Reprocess
from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import AttemptState, Outcome, Priority, RunOptions, RunRecord, RunState, call_key, lane_of
from nbflow.ports import RunFilter, Store
from tests.backfill_fixtures import add_backfill, make_backfill, make_row
from tests.processes import run_together
from tests.store_fixtures import LEASE, NOW, SUCCEEDED, StoreOpener, add_run, claim_all, later, start_run, undo_schema

FAILED = Outcome(state=AttemptState.FAILED)


def claim_rows(store: Store, limit: int = 100, **given: Any) -> list[int]:
    """The numbers of the rows that a claim begins."""
    claimed = claim_all(store, limit, **{"serves_all": False, **given})
    return [run.backfill_row or 0 for run, _ in claimed]


def end_rows(store: Store, outcome: Outcome = SUCCEEDED) -> None:
    """Every open attempt ends so."""
    for attempt in store.list_open_attempts():
        assert store.finish_attempt(attempt, outcome, now=later(1)) is not None


def test_a_backfill_comes_back_as_it_was(store: Store) -> None:
    made = BackfillRecord(
        id="0123abcd",
        name="January, \N{SNOWMAN}",
        flow="sales/report",
        flow_version=3,
        notebook_hash="h",
        axes=("day", "region"),
        parameters={"n": 1, "token": "env:TOKEN", "nan": [1e22]},
        rows=0,
        left_alone=7,
        rows_hash="r",
        options=RunOptions(timeout=5, output="/out/{day}.ipynb"),
        run_name="sales-{day}",
        tags=("a", "b"),
        priority=-3,
        max_active_runs=2,
        max_failures=9,
        run_backwards=True,
        reprocess_behavior=Reprocess.FAILED,
        skip_completed=True,
        created=NOW,
        paused=True,
        ended_by="SIGINT",
        owner="d1",
        note="resumed",
    )
    default = make_backfill()
    assert all(getattr(made, field.name) != getattr(default, field.name) for field in fields(made) if field.name not in ("rows", "ready", "created", "owner"))  # fmt: skip
    store.add_backfill(made)
    assert store.get_backfill(made.id) == made
    assert store.open_backfill(made.id) == replace(made, ready=True)


def test_found_by_id_beginning_or_name(store: Store) -> None:
    add_backfill(store, "aaaa1111", name="january")
    add_backfill(store, "aaaa2222", name="february")
    assert store.get_backfill("aaaa1").id == "aaaa1111"
    assert store.get_backfill("february").id == "aaaa2222"
    with pytest.raises(NotFoundError, match="several fit: aaaa"):
        store.get_backfill("aaaa")
    for unknown in ("bbbb", "aaa", ""):
        with pytest.raises(NotFoundError, match="nbflow backfill ls"):
            store.get_backfill(unknown)


def test_nothing_shows_or_runs_before_all_rows_are_there(store: Store) -> None:
    store.add_backfill(make_backfill("b1"))
    store.add_runs([make_row("b1", 1), make_row("b1", 2)])
    assert store.list_backfills() == []
    assert [one.id for one in store.list_backfills(ready=False)] == ["b1"]
    assert store.list_runs(RunFilter()) == []
    assert store.count_runs(RunFilter()) == {}
    assert store.find_earlier([call_key("/notebooks/report.ipynb", {"n": 1})]) == {}
    assert claim_rows(store) == []
    assert store.open_backfill("b1").rows == 2
    assert len(store.list_runs(RunFilter())) == 2
    assert claim_rows(store) == [1, 2]


def test_a_preparation_that_was_given_up_leaves_nothing(store: Store) -> None:
    store.add_backfill(make_backfill("b1"))
    store.add_runs([make_row("b1", number, tags=("t",)) for number in range(1, 1502)])
    other = add_run(store, tags=("t",))
    store.remove_backfill("b1")
    assert store.list_backfills(ready=False) == []
    assert [run.id for run in store.list_runs(RunFilter(tags=("t",), limit=None))] == [other.id]
    with pytest.raises(NotFoundError):
        store.get_backfill("b1")


def test_the_same_rows_are_not_open_twice(store: Store) -> None:
    add_backfill(store, "b1", rows=1, rows_hash="same")
    store.add_backfill(make_backfill("b2", rows_hash="same"))
    store.add_backfill(make_backfill("b3", rows_hash="same", flow="p/other"))
    assert store.open_backfill("b3").ready
    with pytest.raises(ConflictError, match="backfill b1 has the same rows"):
        store.open_backfill("b2")
    assert claim_rows(store) == [1]
    end_rows(store, FAILED)
    assert store.open_backfill("b2").ready


def test_a_window_slides(store: Store) -> None:
    add_backfill(store, max_active_runs=2)
    assert claim_rows(store) == [1, 2]
    assert claim_rows(store) == []
    first = store.list_open_attempts()[0]
    store.finish_attempt(first, SUCCEEDED, now=NOW)
    assert claim_rows(store) == [3]


def test_rows_may_go_backwards(store: Store) -> None:
    add_backfill(store, run_backwards=True)
    assert claim_rows(store, 2) == [5, 4]
    assert claim_rows(store, 2) == [3, 2]


def test_only_the_owner_or_a_server_begins_rows(store: Store) -> None:
    add_backfill(store, "b1", owner="d1")
    assert claim_rows(store, dispatcher_id="d2") == []
    assert claim_rows(store, dispatcher_id="d2", serves_all=True) == []
    store.update_backfill("b1", lambda known: replace(known, owner=None))
    assert claim_rows(store, dispatcher_id="d1") == []
    assert claim_rows(store, 2, dispatcher_id="d2", serves_all=True) == [1, 2]


def test_all_others_go_first_and_then_the_backfill_of_higher_priority(store: Store) -> None:
    add_backfill(store, "low", rows=1)
    add_backfill(store, "high", rows=1, priority=5)
    scheduled = add_run(store, priority=Priority.SCHEDULED)
    clicked = add_run(store)
    order = [claim_all(store, 1)[0][0] for _ in range(4)]
    assert [run.backfill_id or run.id for run in order] == [clicked.id, scheduled.id, "high", "low"]


@pytest.mark.parametrize("change", [{"paused": True}, {"ended_by": "SIGINT"}])
def test_a_lane_that_is_closed_begins_nothing(store: Store, change: dict[str, Any]) -> None:
    add_backfill(store)
    add_backfill(store, "b2", rows=1)
    store.update_backfill("b1b1b1b1", lambda known: replace(known, **change))
    assert claim_rows(store) == [1]
    store.update_backfill("b1b1b1b1", lambda known: replace(known, paused=False, ended_by=None))
    assert claim_rows(store, 2) == [1, 2]


def test_too_many_failures_stop_it(store: Store) -> None:
    add_backfill(store, max_failures=2, max_active_runs=1)
    for number in (1, 2):
        assert claim_rows(store) == [number]
        end_rows(store, FAILED)
    assert claim_rows(store) == []
    store.update_backfill("b1b1b1b1", lambda known: replace(known, max_failures=3))
    assert claim_rows(store) == [3]


def test_a_flows_limit_holds_for_its_rows_too(store: Store) -> None:
    add_backfill(store, max_active_runs=4)
    store.set_flow_limit("/notebooks/report.ipynb", 2)
    assert store.list_flow_limits() == {"/notebooks/report.ipynb": 2}
    clicked = add_run(store)
    assert [run.id for run, _ in claim_all(store)][:1] == [clicked.id]
    assert len(store.list_open_attempts()) == 2
    store.set_flow_limit("/notebooks/report.ipynb", None)
    assert store.list_flow_limits() == {}
    assert len(claim_rows(store)) == 3


def test_a_row_that_is_tried_again_goes_back_into_its_lane(store: Store) -> None:
    store.add_backfill(make_backfill("b1", max_active_runs=1))
    store.add_runs([make_row("b1", number, options=RunOptions(retries=1, retry_delay=10)) for number in (1, 2)])
    store.open_backfill("b1")
    assert claim_rows(store) == [1]
    end_rows(store, FAILED)
    assert claim_rows(store) == [2]
    end_rows(store)
    assert claim_rows(store, now=later(5)) == []
    assert store.goes_on("b1")
    assert claim_rows(store, now=later(20)) == [1]


def test_rows_outlive_the_dispatcher_that_was_to_begin_them(store: Store) -> None:
    add_backfill(store)
    store.remove_dispatcher("d1", now=NOW)
    assert store.count_rows(["b1b1b1b1"]) == {"b1b1b1b1": {RunState.PENDING: 5}}


def test_rows_are_counted_by_state(store: Store) -> None:
    add_backfill(store, "b1", rows=3)
    add_backfill(store, "b2", rows=1)
    assert claim_rows(store, 1) == [1]
    assert store.count_rows(["b1", "b2", "b3"]) == {
        "b1": {RunState.PENDING: 2, RunState.RUNNING: 1},
        "b2": {RunState.PENDING: 1},
        "b3": {},
    }


def test_what_waits_is_cancelled_and_what_runs_is_not(store: Store) -> None:
    add_backfill(store, rows=2500, max_active_runs=1)
    assert claim_rows(store) == [1]
    sizes = [len(some) for some in store.cancel_waiting("b1b1b1b1", reason="user", now=later(1))]
    assert sizes == [1000, 1000, 499]
    assert store.count_rows(["b1b1b1b1"])["b1b1b1b1"] == {RunState.CANCELLED: 2499, RunState.RUNNING: 1}
    last = store.list_runs(RunFilter(limit=1))[0]
    assert (last.cancel_reason, last.ended, last.message) == ("user", later(1), "cancelled (user)")
    assert store.goes_on("b1b1b1b1")
    end_rows(store)
    assert not store.goes_on("b1b1b1b1")


def test_rows_are_queued_again_unless_they_completed_or_run(store: Store) -> None:
    add_backfill(store, rows=4, max_active_runs=9)
    assert claim_rows(store, 3) == [1, 2, 3]
    completed, failed, _ = store.list_open_attempts()
    store.finish_attempt(completed, SUCCEEDED, now=NOW)
    store.finish_attempt(failed, FAILED, now=NOW)
    rows = store.list_runs(RunFilter(oldest_first=True))
    again = [
        replace(run, state=RunState.PENDING, notebook_hash="new", identity=f"i{run.backfill_row}", flow_version=2)
        for run in rows
    ]
    assert store.requeue_rows([replace(run, started=None, ended=None, message="") for run in again]) == 2
    after = store.list_runs(RunFilter(oldest_first=True))
    assert [run.state for run in after] == ["completed", "pending", "running", "pending"]
    assert [run.notebook_hash for run in after] == ["hash", "new", "hash", "new"]
    second = after[1]
    assert (second.failure, second.cancel_reason, second.started, second.ended) == (None, None, None, None)
    assert (second.attempts, second.identity, second.flow_version, second.tied_to) == (1, "i2", 2, lane_of("b1b1b1b1"))
    assert claim_rows(store) == [2, 4]
    assert [one.number for one in store.list_attempts(second.id)] == [1, 2]


def test_the_newest_run_with_the_same_values_is_found(store: Store) -> None:
    path = "/notebooks/report.ipynb"
    _, attempt = start_run(store, parameters={"n": 1, "m": 2})
    store.finish_attempt(attempt, SUCCEEDED, now=NOW)
    older = call_key(path, {"m": 2, "n": 1})
    assert store.find_earlier([older, call_key(path, {"n": 1})])[older].state is RunState.COMPLETED
    newer = add_run(store, parameters={"m": 2, "n": 1}, backfill_id="b9")
    add_run(store, parameters={"n": 1, "m": 2}, flow="p/f")
    found = store.find_earlier([older])[older]
    assert (found.id, found.state, found.backfill_id) == (newer.id, RunState.PENDING, "b9")


def test_completed_runs_are_found_by_their_identities(store: Store) -> None:
    def complete(**given: Any) -> RunRecord:
        run, attempt = start_run(store, **given)
        store.finish_attempt(attempt, SUCCEEDED, now=NOW)
        return run

    complete(identity="a")
    newest = complete(identity="a")
    complete(identity="")
    add_run(store, identity="b")
    found = store.find_completed(["a", "b", ""])
    assert {identity: run.id for identity, run in found.items()} == {"a": newest.id}


def test_a_change_that_raises_changes_nothing(store: Store) -> None:
    add_backfill(store, "b1")

    def refuse(known: BackfillRecord) -> BackfillRecord:
        raise ConflictError("no")

    with pytest.raises(ConflictError):
        store.update_backfill("b1", refuse)
    with pytest.raises(NotFoundError):
        store.update_backfill("nobody", lambda known: known)
    assert store.get_backfill("b1").ready


def test_prune_forgets_a_backfill_with_its_last_run(store: Store) -> None:
    store.put_notebook("hash", b"notebook")
    add_backfill(store, "b1", rows=2)
    assert claim_rows(store, 1) == [1]
    end_rows(store)
    store.prune(before=later(100))
    assert [one.id for one in store.list_backfills()] == ["b1"]
    assert claim_rows(store) == [2]
    end_rows(store)
    assert len(store.prune(before=later(100))) == 1
    assert store.list_backfills() == []
    with pytest.raises(NotFoundError):
        store.get_notebook("hash")


def test_many_dispatchers_never_exceed_a_window_nor_begin_a_row_twice(opener: StoreOpener) -> None:
    add_backfill(opener(), rows=24, max_active_runs=3, owner=None)

    def work(index: int) -> list[str]:
        store, begun = opener(), []
        while store.goes_on("b1b1b1b1"):
            for run, attempt in claim_all(store, 2, dispatcher_id=f"d{index}"):
                active = store.count_rows(["b1b1b1b1"])["b1b1b1b1"].get(RunState.RUNNING, 0)
                assert active <= 3
                begun.append(run.id)
                store.finish_attempt(attempt, SUCCEEDED, now=NOW)
        return begun

    begun = Counter(run_id for some in run_together(6, work) for run_id in some)
    assert len(begun) == 24
    assert set(begun.values()) == {1}


def test_one_of_many_opens_the_same_rows(opener: StoreOpener) -> None:
    opener()

    def work(index: int) -> bool:
        store = opener()
        backfill_id = f"b{index}b{index}b{index}"
        store.add_backfill(make_backfill(backfill_id, rows_hash="same"))
        store.add_runs([make_row(backfill_id, number) for number in range(3)])
        try:
            return store.open_backfill(backfill_id).ready
        except ConflictError:
            return False

    assert sum(run_together(8, work)) == 1


def test_a_store_of_the_time_before_gets_backfills(opener: StoreOpener) -> None:
    store = opener()
    run = add_run(store, backfill_id="old", backfill_row=1)
    with store._database.write() as connection:
        for statement in undo_schema("0002"):
            connection.execute(text(statement))
    migrated = opener()
    assert migrated.get_run(run.id) == run
    assert migrated.find_earlier([call_key(run.source_path, run.parameters)]) == {}  # nobody knows what it was asked
    add_backfill(migrated)
    assert claim_rows(migrated, 2) == [1, 2]


def test_times_and_leases_are_as_ever(store: Store) -> None:
    add_backfill(store, rows=1)
    ((run, attempt),) = claim_all(store, serves_all=False)
    assert (run.state, run.started, attempt.lease, attempt.owner) == (RunState.RUNNING, NOW, LEASE, "d1")
    adopted = store.adopt(attempt, owner="d2", lease=LEASE + timedelta(seconds=9), now=NOW)
    assert adopted is not None
    assert adopted.owner == "d2"
