"""The contract of every store: schedules, and one run for one fire time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import Outcome, RunOptions, RunRecord, RunState, hold_for
from nbflow.ports import RunFilter, Store
from nbflow.scheduling import Catchup, Every, Overlap, ScheduleRecord
from tests.processes import run_together
from tests.schedule_fixtures import at, make_schedule
from tests.store_fixtures import NOW, SUCCEEDED, StoreOpener, add_run, claim_all, later, make_run, undo_schema

TICK = timedelta(minutes=1)


def add(store: Store, **fields: Any) -> ScheduleRecord:
    schedule = make_schedule(**{"next_due": NOW, **fields})
    store.add_schedule(schedule)
    return schedule


def run_for(schedule: ScheduleRecord, **fields: Any) -> RunRecord:
    return make_run(**{"schedule_id": schedule.id, "scheduled_time": NOW, **fields})


def fire(store: Store, schedule: ScheduleRecord, *runs: RunRecord, **fields: Any) -> list[str] | None:
    """Fire, the next time a minute on; ids of the recorded runs."""
    following = {"next_due": (schedule.next_due or NOW) + TICK, **fields}
    fired = store.fire(schedule, runs, **following)
    return None if fired is None else [run.id for run in fired]


# -- kept


def test_a_schedule_comes_back_as_it_was(store: Store) -> None:
    whole = ScheduleRecord(
        id="a1b2c3d4",
        name="nächtlich \x00 \ud800",
        flow="p/f",
        flow_version=3,
        when=Every(0.1 + 0.2, anchor=NOW),
        timezone="Europe/Berlin",
        starts=NOW,
        ends=later(0.000001),
        parameters={"x": float("inf"), "day": "{{ scheduled_date }}", "s": "\ud800"},
        run_name="n-{x}",
        tags=("a", "b"),
        options=RunOptions(retries=3, output="/x.ipynb"),
        catchup=Catchup.ALL,
        catchup_limit=7,
        overlap=Overlap.QUEUE,
        misfire_grace=1.5,
        paused=True,
        next_due=later(60),
        last_success=later(-60),
        created=NOW,
        revision=4,
        note="note",
    )
    store.add_schedule(whole)
    assert store.get_schedule("a1b2c3d4") == whole
    plain = make_schedule("@daily", id="b1b2c3d4")
    store.add_schedule(plain)
    assert store.get_schedule("b1b2") == plain
    assert store.list_schedules() == [plain, whole]


def test_found_by_id_beginning_or_name(store: Store) -> None:
    first, second = add(store, id="aaaa1111", name="one"), add(store, id="aaaa2222", name="two")
    other = add(store, id="bbbb1111", name="one", flow="p/other")
    assert store.get_schedule("aaaa1") == store.get_schedule("aaaa1111") == first
    assert store.get_schedule("two") == second
    for given, told in [("aaaa", "aaaa1111 (one of p/f), aaaa2222"), ("one", "bbbb1111 (one of p/other)")]:
        with pytest.raises(NotFoundError, match="several fit") as caught:
            store.get_schedule(given)
        assert told in str(caught.value)
    for given in ("", "aaa", "none", "%", "aaaa1111x"):
        with pytest.raises(NotFoundError, match="nbflow schedule ls"):
            store.get_schedule(given)
    add(store, id="cccc1111", name="aaaa1111", flow="p/third")
    assert store.get_schedule("aaaa1111") == first
    assert store.get_schedule("bbbb") == other


def test_a_name_is_unique_within_its_flow(store: Store) -> None:
    add(store, id="aaaa", name="one")
    add(store, id="bbbb", name="one", flow="/a.ipynb")
    with pytest.raises(ConflictError, match="one of this name") as caught:
        add(store, id="cccc", name="one")
    assert len(str(caught.value).splitlines()) <= 3
    two = add(store, id="dddd", name="two")
    with pytest.raises(ConflictError, match="one of this name"):
        store.update_schedule(two.id, lambda known: replace(known, name="one"))
    assert store.get_schedule("dddd") == two
    assert store.update_schedule(two.id, lambda known: replace(known, name="two")).name == "two"


def test_listed_by_flow_and_by_what_is_due(store: Store) -> None:
    add(store, id="due1", name="a", next_due=later(-1))
    add(store, id="due2", name="b", next_due=NOW, flow="/x.ipynb")
    add(store, id="wait", name="c", next_due=later(0.000001))
    add(store, id="stop", name="d", paused=True, next_due=later(-9))
    add(store, id="over", name="e", next_due=None)
    assert [one.id for one in store.list_schedules(due_by=NOW)] == ["due2", "due1"]
    assert [one.id for one in store.list_schedules(flows=["/x.ipynb", "p/none"])] == ["due2"]
    assert store.list_schedules(flows=[]) == []
    assert store.find_next_due() == later(-1)


def test_nothing_is_due_in_an_empty_store(store: Store) -> None:
    assert store.find_next_due() is None
    assert store.list_schedules(due_by=NOW) == []
    assert store.release_held() == []
    assert store.find_last_success("none") is None


def test_an_edit_is_a_new_revision(store: Store) -> None:
    schedule = add(store)
    changed = store.update_schedule(schedule.id, lambda known: replace(known, paused=True, id="other"))
    assert changed == replace(schedule, paused=True, revision=1) == store.get_schedule(schedule.id)
    with pytest.raises(NotFoundError):
        store.update_schedule("none", lambda known: known)
    with pytest.raises(ZeroDivisionError):
        store.update_schedule(schedule.id, lambda known: replace(known, name=str(1 / 0)))
    assert store.get_schedule(schedule.id) == changed


# -- fired


def test_firing_records_the_run_and_sets_the_next_time(store: Store) -> None:
    schedule = add(store)
    run = run_for(schedule, tags=("t",))
    assert fire(store, schedule, run) == [run.id]
    assert store.get_run(run.id).scheduled_time == NOW
    assert store.list_runs(RunFilter(schedule_id=schedule.id, tags=("t",)))[0].id == run.id
    assert store.list_runs(RunFilter(schedule_id="other")) == []
    assert store.get_schedule(schedule.id) == replace(schedule, next_due=later(60))
    assert claim_all(store)[0][0].id == run.id


def test_only_the_first_of_several_schedulers_fires(store: Store) -> None:
    schedule = add(store)
    assert fire(store, schedule, run_for(schedule)) is not None
    assert fire(store, schedule, run_for(schedule, scheduled_time=later(1))) is None
    assert len(store.list_runs(RunFilter())) == 1


@pytest.mark.parametrize(
    "change", [{"paused": True}, {"timezone": "Europe/Berlin"}, {"next_due": None}, {"next_due": later(1)}]
)
def test_what_was_decided_before_an_edit_is_not_carried_out(store: Store, change: dict[str, Any]) -> None:
    schedule = add(store)
    store.update_schedule(schedule.id, lambda known: replace(known, **change))
    assert fire(store, schedule, run_for(schedule)) is None
    store.remove_schedule(schedule.id, now=NOW)
    assert fire(store, schedule, run_for(schedule)) is None
    assert store.list_runs(RunFilter()) == []


def test_a_fire_time_that_ran_does_not_run_again(store: Store) -> None:
    schedule = add(store, overlap=Overlap.ALLOW)
    fire(store, schedule, run_for(schedule))
    back = store.update_schedule(schedule.id, lambda known: replace(known, next_due=NOW))
    new = run_for(schedule, scheduled_time=later(60))
    assert fire(store, back, run_for(schedule), new, next_due=later(120)) == [new.id]
    with pytest.raises(ConflictError, match="one run for one fire time"):
        store.add_runs([run_for(schedule)])
    store.add_runs([run_for(schedule, scheduled_time=None), run_for(schedule, scheduled_time=None)])


def test_a_schedule_that_is_over_is_not_fired(store: Store) -> None:
    schedule = add(store)
    assert fire(store, schedule, next_due=None) == []
    over = store.get_schedule(schedule.id)
    assert over.next_due is None
    assert fire(store, over, next_due=NOW) == []
    assert store.get_schedule(schedule.id).next_due == NOW


def test_a_run_that_is_refused_leaves_everything_as_it_was(store: Store) -> None:
    schedule = add(store)
    taken = add_run(store)
    with pytest.raises(ConflictError):
        fire(store, schedule, run_for(schedule), run_for(schedule, id=taken.id, scheduled_time=later(1)))
    assert store.get_schedule(schedule.id) == schedule
    assert len(store.list_runs(RunFilter())) == 1


# -- overlapping


def test_an_overlapping_fire_time_is_skipped_and_says_so(store: Store) -> None:
    schedule = add(store)
    first = run_for(schedule)
    fire(store, schedule, first)
    schedule = store.get_schedule(schedule.id)
    assert fire(store, schedule, run_for(schedule, scheduled_time=later(60))) == []
    assert f"run {first.id} had not ended" in store.get_schedule(schedule.id).note
    ((_, attempt),) = claim_all(store)
    schedule = store.get_schedule(schedule.id)
    assert fire(store, schedule, run_for(schedule, scheduled_time=later(120)), note="missed") == []
    assert store.get_schedule(schedule.id).note.startswith("missed; ")
    store.finish_attempt(attempt, SUCCEEDED, now=NOW)
    schedule = store.get_schedule(schedule.id)
    assert len(fire(store, schedule, run_for(schedule, scheduled_time=later(180))) or []) == 1


def test_another_schedules_runs_are_no_hindrance(store: Store) -> None:
    one, two = add(store, id="aaaa", name="a"), add(store, id="bbbb", name="b")
    assert len(fire(store, one, run_for(one)) or []) == 1
    assert len(fire(store, two, run_for(two)) or []) == 1


def test_held_runs_go_one_behind_another(store: Store) -> None:
    schedule = add(store, overlap=Overlap.QUEUE)
    runs = [run_for(schedule, scheduled_time=later(number), name=str(number)) for number in range(3)]
    fire(store, schedule, *runs)
    assert [run.tied_to for run in store.list_runs(RunFilter(oldest_first=True))] == [
        None,
        hold_for(schedule.id),
        hold_for(schedule.id),
    ]
    for number in range(3):
        assert store.release_held() == ([runs[number].id] if number else [])
        assert store.release_held() == []
        ((claimed, attempt),) = claim_all(store)
        assert claimed.name == str(number)
        assert store.release_held() == []
        store.finish_attempt(attempt, SUCCEEDED, now=NOW)
    assert claim_all(store) == []


def test_a_held_run_may_be_cancelled_and_a_retry_holds_the_others(store: Store) -> None:
    schedule = add(store, overlap=Overlap.QUEUE)
    first, second, third = runs = [
        run_for(schedule, scheduled_time=later(number), options=RunOptions(retries=1)) for number in range(3)
    ]
    fire(store, schedule, *runs)
    store.request_cancel([second.id], reason="user", now=NOW)
    ((claimed, attempt),) = claim_all(store)
    assert claimed.id == first.id
    failed = Outcome(state=attempt.state.FAILED)
    assert store.finish_attempt(attempt, failed, now=NOW).state is RunState.SCHEDULED  # type: ignore[union-attr]
    assert store.release_held() == []
    ((_, attempt),) = claim_all(store, now=later(1))
    store.finish_attempt(attempt, failed, now=NOW)
    assert store.release_held() == [third.id]


def test_removing_a_schedule_ends_what_was_held_for_it(store: Store) -> None:
    schedule = add(store, overlap=Overlap.QUEUE)
    first, held = run_for(schedule), run_for(schedule, scheduled_time=later(60))
    fire(store, schedule, first, held)
    store.remove_schedule(schedule.id, now=later(5))
    assert store.list_schedules() == []
    ended = store.get_run(held.id)
    assert (ended.state, ended.ended) == (RunState.CANCELLED, later(5))
    assert "schedule was removed" in ended.message
    assert store.get_run(first.id).state is RunState.PENDING
    with pytest.raises(NotFoundError):
        store.remove_schedule(schedule.id, now=NOW)


# -- the last success


def test_the_last_success_outlives_its_run(store: Store) -> None:
    schedule = add(store, overlap=Overlap.ALLOW)
    fire(store, schedule, *(run_for(schedule, scheduled_time=later(number)) for number in range(3)))
    assert store.find_last_success(schedule.id) is None
    claimed = claim_all(store)
    for (_, attempt), outcome in zip(claimed, [SUCCEEDED, SUCCEEDED, None], strict=True):
        outcome = outcome or Outcome(state=attempt.state.FAILED)
        store.finish_attempt(attempt, outcome, now=NOW)
    assert store.find_last_success(schedule.id) == later(1)
    assert len(store.prune(before=later(1))) == 3
    assert store.find_last_success(schedule.id) == later(1)
    assert store.prune(before=later(1)) == []
    assert store.find_last_success(schedule.id) == later(1)


# -- together


def test_many_schedulers_fire_each_time_once(opener: StoreOpener) -> None:
    schedule = make_schedule(next_due=NOW, overlap=Overlap.ALLOW)
    opener().add_schedule(schedule)

    def work(_: int) -> int:
        own, fired = opener(), 0
        while (known := own.get_schedule(schedule.id)).next_due < later(60 * 60):  # type: ignore[operator]
            run = run_for(known, scheduled_time=known.next_due)
            fired += len(fire(own, known, run) or [])
        return fired

    assert sum(run_together(8, work)) == 60
    runs = opener().list_runs(RunFilter(limit=None, oldest_first=True))
    assert [run.scheduled_time for run in runs] == [later(60 * number) for number in range(60)]


def test_held_runs_are_let_go_once_by_many(opener: StoreOpener) -> None:
    schedule = make_schedule(next_due=NOW, overlap=Overlap.QUEUE)
    store = opener()
    store.add_schedule(schedule)
    fire(store, schedule, *(run_for(schedule, scheduled_time=later(number)) for number in range(30)))

    def work(index: int) -> list[str]:
        own, done = opener(), list[str]()
        while own.count_runs(RunFilter(states=(RunState.PENDING, RunState.RUNNING))):
            own.release_held()
            claimed = claim_all(own, dispatcher_id=f"d{index}")
            assert own.count_runs(RunFilter(states=(RunState.RUNNING,))).get(RunState.RUNNING, 0) <= 1
            for run, attempt in claimed:
                own.finish_attempt(attempt, SUCCEEDED, now=NOW)
                done.append(run.id)
        return done

    done = [run_id for one in run_together(4, work) for run_id in one]
    assert len(done) == len(set(done)) == 30


def test_a_store_without_schedules_gets_them(opener: StoreOpener) -> None:
    store = opener()
    run = add_run(store, schedule_id="gone", scheduled_time=NOW)
    with store._database.write() as connection:
        for statement in undo_schema("0001"):
            connection.execute(text(statement))
    migrated = opener()
    assert migrated.get_run(run.id) == run
    add(migrated)
    assert [one.id for one in migrated.list_schedules(due_by=at("2100-01-01 00:00"))] == ["a1b2c3d4"]
