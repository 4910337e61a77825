"""The contract of every store: runs are recorded, found, changed and pruned."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import AttemptState as A
from nbflow.lifecycle import Failure, FailureKind, Outcome, Priority, RunOptions, RunRecord, RunState
from nbflow.ports import RunFilter, Store
from nbflow.stores import SqlStore
from tests.store_fixtures import NOW, add_run, claim_all, later, make_run, start_run


def ids(runs: list[RunRecord]) -> list[str]:
    return [run.id for run in runs]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ((("region", "EU"),), "ab"),
        ((("region", "eu"),), ""),
        ((("region", "E"),), ""),
        ((("n", "5"),), "ac"),
        ((("n", '"5"'),), "c"),
        ((("region", "EU"), ("n", "5")), "a"),
        ((("when", "null"),), "b"),
        ((("note", 'he said "n": 5, '),), "b"),
        ((("names", '["x", "y"]'),), "c"),
        ((("region", "%"),), ""),
        ((("regio_", "EU"),), ""),
    ],
)
def test_runs_are_found_by_the_values_that_they_had(
    store: Store, wanted: tuple[tuple[str, str], ...], found: str
) -> None:
    given = make_run(name="a", parameters={"region": "EU", "n": 5})
    own = make_run(name="b", parameters={"note": 'he said "n": 5, ', "when": None}, values={"region": "EU", "n": 50})
    text = make_run(name="c", parameters={"n": "5", "names": ["x", "y"], "ratio": math.nan})
    store.add_runs([given, own, text])
    wanted_runs = RunFilter(values=wanted, oldest_first=True)
    assert "".join(run.name for run in store.list_runs(wanted_runs)) == found
    assert sum(store.count_runs(wanted_runs).values()) == len(found)


def test_a_run_comes_back_as_it_was_recorded(store: Store) -> None:
    full = make_run(
        state=RunState.FAILED,
        name="sales EU",
        flow="community/sales",
        flow_version=3,
        parameters={"region": "EU", "rows": [1, 2.5, None, True], "deep": {"a": {"b": []}}},
        values={"region": "EU", "day": "2026-01-31"},
        options=RunOptions(kernel="python3", retries=2, timeout=1.5, report_mode=True),
        tags=("daily", "eu"),
        identity="abc",
        priority=Priority.BACKFILL,
        created=NOW + timedelta(microseconds=123457),
        not_before=later(1),
        started=later(2),
        ended=later(3),
        attempts=2,
        failure=Failure(kind=FailureKind.EXCEPTION, message="cell 3", ename="ValueError", cell_index=3),
        message="cell 3",
        results={"rows": 1234},
        output_path="/out/report.ipynb",
        log_lines=10,
        last_line="done",
        cancel_reason="user",
        parent_id="0123456789abcdef",
        root_id="0123456789abcdef",
        depth=1,
        tied_to="d1",
        scheduled_time=later(-60),
        schedule_id="s1",
        backfill_id="b1",
        backfill_row=7,
        reused_run_id="fedcba9876543210",
    )
    plain = make_run()
    store.add_runs([full, plain])
    first, second = store.get_run(full.id), store.get_run(plain.id)
    assert first == replace(full, sequence=first.sequence)
    assert second == replace(plain, sequence=second.sequence)
    assert 0 < first.sequence < second.sequence


NASTY_VALUES = {
    "infinities": [math.inf, -math.inf, -0.0, 1e22, 5e-324],
    "integers": [2**63, -(10**40), 10**5000],
    "text": ["\x00", "\ud800", "\x1a0041", "\u2028", '"""', "\\", "💥", "'; DROP TABLE run; --"],
    "key \x00 \udfff": {"": [], "nested": {"a": [{}]}},
}


def test_json_values_come_back_exactly(store: Store) -> None:
    run = add_run(store, parameters=NASTY_VALUES, values=NASTY_VALUES, results=NASTY_VALUES)
    assert run.parameters == run.values == run.results == NASTY_VALUES
    assert math.copysign(1, run.parameters["infinities"][2]) == -1
    assert math.isnan(add_run(store, parameters={"x": math.nan}).parameters["x"])


@pytest.mark.parametrize(
    "text", ["", "\x00", "a\x00b", "\ud800", "file-\udcff.ipynb", "\x1a0000", "\x1a", "ünï 💥", "%_\\'\""]
)
def test_any_text_comes_back_exactly(store: Store, text: str) -> None:
    run = make_run(
        name=text, source_path="/" + text, last_line=text, message=text, tags=(text,), output_path=text, flow=text
    )
    store.add_runs([run])
    found = store.get_run(run.id)
    assert found == replace(run, sequence=found.sequence)
    assert ids(store.list_runs(RunFilter(tags=(text,)))) == [run.id]
    assert ids(store.list_runs(RunFilter(name=text))) == [run.id]
    assert ids(store.list_runs(RunFilter(flow="/" + text))) == [run.id]


def test_times_are_utc_whatever_zone_they_came_in(store: Store) -> None:
    tokyo = datetime(2026, 3, 1, 21, 0, 0, 1, tzinfo=timezone(timedelta(hours=9)))
    run = add_run(store, created=tokyo, started=datetime(1960, 1, 1, tzinfo=UTC))
    assert run.created == tokyo
    assert run.created.tzinfo is UTC
    assert run.started == datetime(1960, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="timezone"):
        store.add_runs([make_run(created=datetime(2026, 3, 1))])


def test_a_run_is_found_by_an_unambiguous_beginning_of_its_id(store: Store) -> None:
    one, other = add_run(store, id="abcd000000000001"), add_run(store, id="abcd100000000002")
    assert store.get_run("abcd0").id == one.id
    assert store.get_run(other.id).id == other.id
    with pytest.raises(NotFoundError, match=f"{one.id}.*{other.id}"):
        store.get_run("abcd")
    with pytest.raises(NotFoundError, match="4 characters"):
        store.get_run("abc")
    for missing in ("abce", "ffff", "%%%%", "____", "\x00\x00\x00\x00", "\ud800" * 4, one.id + "0"):
        with pytest.raises(NotFoundError, match="no run"):
            store.get_run(missing)


def test_an_id_that_is_also_the_beginning_of_another_names_its_own_run(store: Store) -> None:
    add_run(store, id="abcdef")
    assert store.get_run(add_run(store, id="abcd").id).id == "abcd"


def test_adding_runs_is_all_or_none(store: Store) -> None:
    taken = add_run(store)
    with pytest.raises(ConflictError, match=taken.id):
        store.add_runs([make_run(id="new0"), make_run(id=taken.id)])
    with pytest.raises(ConflictError, match="same id"):
        store.add_runs([make_run(id="twin"), make_run(id="twin")])
    assert ids(store.list_runs(RunFilter())) == [taken.id]
    store.add_runs([])


def test_runs_of_a_generator_keep_its_order_over_many_batches(store: SqlStore) -> None:
    store.add_runs(make_run(id=f"{number:05d}", tags=("t",)) for number in range(2500))
    listed = store.list_runs(RunFilter(limit=None, oldest_first=True))
    assert ids(listed) == [f"{number:05d}" for number in range(2500)]
    assert len({run.sequence for run in listed}) == 2500


def test_one_fire_time_of_a_schedule_is_one_run(store: Store) -> None:
    add_run(store, schedule_id="s1", scheduled_time=NOW)
    add_run(store, schedule_id="s2", scheduled_time=NOW)
    add_run(store, schedule_id="s1", scheduled_time=later(60))
    with pytest.raises(ConflictError, match="fire time"):
        add_run(store, schedule_id="s1", scheduled_time=NOW)


def test_listing_is_newest_first_and_goes_on_behind_a_cursor(store: Store) -> None:
    runs = [add_run(store) for _ in range(5)]
    newest = store.list_runs(RunFilter(limit=2))
    assert ids(newest) == [runs[4].id, runs[3].id]
    assert ids(store.list_runs(RunFilter(after_sequence=newest[-1].sequence))) == ids(runs[2::-1])
    oldest = store.list_runs(RunFilter(limit=2, oldest_first=True))
    assert ids(oldest) == [runs[0].id, runs[1].id]
    assert ids(store.list_runs(RunFilter(after_sequence=oldest[-1].sequence, oldest_first=True))) == ids(runs[2:])
    assert store.list_runs(RunFilter(limit=0)) == []


def test_every_condition_of_a_filter_must_hold(store: Store) -> None:
    a = add_run(
        store, state=RunState.COMPLETED, flow="p/a", tags=("x", "y"), backfill_id="b", identity="i", created=later(-9)
    )
    b = add_run(store, state=RunState.FAILED, flow="p/a", tags=("x",), source_path="/other.ipynb")
    c = add_run(store, parent_id=a.id, root_id=a.id, depth=1, created=later(9))
    d = add_run(store, parent_id=c.id, root_id=a.id, depth=2, tags=("y", "x", "z"), identity="i")

    def found(**conditions: object) -> list[str]:
        wanted = RunFilter(**conditions, oldest_first=True)  # type: ignore[arg-type]
        listed = store.list_runs(wanted)
        assert sum(store.count_runs(wanted).values()) == len(listed)
        return ids(listed)

    assert found() == ids([a, b, c, d])
    assert found(states=(RunState.COMPLETED, RunState.FAILED)) == ids([a, b])
    assert found(flow="p/a") == ids([a, b])
    assert found(flow="/other.ipynb") == ids([b])
    assert found(tags=("x",)) == ids([a, b, d])
    assert found(tags=("x", "y")) == ids([a, d])
    assert found(tags=("x", "y", "z")) == ids([d])
    assert found(tags=("x",), flow="p/a", states=(RunState.FAILED,)) == ids([b])
    assert found(parent_id=a.id) == ids([c])
    assert found(root_id=a.id) == ids([a, c, d])
    assert found(backfill_id="b") == ids([a])
    assert found(identity="i") == ids([a, d])
    assert found(identity="i", states=(RunState.COMPLETED,)) == ids([a])
    assert found(created_after=NOW) == ids([c])
    assert found(created_before=NOW) == ids([a])
    assert found(tags=("none",)) == found(flow="p/none") == []


def test_tagged_runs_go_on_behind_a_cursor(store: Store) -> None:
    runs = [add_run(store, tags=("t",) if number % 2 else ()) for number in range(6)]
    (newest,) = store.list_runs(RunFilter(tags=("t",), limit=1))
    assert newest.id == runs[5].id
    assert ids(store.list_runs(RunFilter(tags=("t",), after_sequence=newest.sequence))) == [runs[3].id, runs[1].id]


@pytest.mark.parametrize(
    ("name", "part", "fits"),
    [
        ("Sales-EU", "sales", True),
        ("ÄRGER", "ärg", True),
        ("straße", "STRASSE", True),
        ("100%", "0%", True),
        ("100", "0%", False),
        ("a_b", "A_B", True),
        ("axb", "a_b", False),
        ("c:\\x", "\\X", True),
        ("a/b", "/", True),
    ],
)
def test_a_part_of_the_name_is_enough_in_any_case(store: Store, name: str, part: str, fits: bool) -> None:
    run = add_run(store, name=name)
    assert ids(store.list_runs(RunFilter(name=part))) == ([run.id] if fits else [])


def test_runs_are_counted_by_state(store: Store) -> None:
    for state in (RunState.FAILED, RunState.FAILED, RunState.COMPLETED):
        add_run(store, state=state, backfill_id="b")
    add_run(store)
    assert store.count_runs(RunFilter(backfill_id="b", limit=1, after_sequence=2)) == {
        RunState.FAILED: 2,
        RunState.COMPLETED: 1,
    }
    assert store.count_runs(RunFilter()) == {RunState.FAILED: 2, RunState.COMPLETED: 1, RunState.PENDING: 1}


def test_a_renamed_run_is_found_by_its_new_name(store: Store) -> None:
    run = add_run(store, name="old")
    store.rename_run(run.id, "New ☃")
    assert store.get_run(run.id).name == "New ☃"
    assert ids(store.list_runs(RunFilter(name="new"))) == [run.id]
    assert store.list_runs(RunFilter(name="old")) == []
    with pytest.raises(NotFoundError):
        store.rename_run("missing", "x")


def test_only_a_waiting_run_is_tied(store: Store) -> None:
    run = add_run(store, tied_to="d1")
    store.tie_run(run.id, "d2")
    assert claim_all(store, dispatcher_id="d1") == []
    store.tie_run(run.id, None)
    assert store.get_run(run.id).tied_to is None
    assert len(claim_all(store, dispatcher_id="d3")) == 1
    with pytest.raises(ConflictError, match="running"):
        store.tie_run(run.id, "d1")
    with pytest.raises(NotFoundError):
        store.tie_run("missing", "d1")


def test_a_retried_run_waits_for_one_more_attempt(store: Store) -> None:
    run, attempt = start_run(store)
    failure = Failure(kind=FailureKind.EXCEPTION, message="no")
    failed = store.finish_attempt(attempt, Outcome(state=A.FAILED, failure=failure), now=later(5))
    assert failed is not None
    assert failed.state is RunState.FAILED
    again = store.retry_run(run.id, now=later(6))
    assert again == store.get_run(run.id)
    assert (again.state, again.failure, again.ended, again.tied_to, again.message) == (
        RunState.PENDING,
        None,
        None,
        None,
        "",
    )
    ((_, second),) = claim_all(store, now=later(7))
    assert second.number == 2
    done = store.finish_attempt(second, Outcome(state=A.FAILED, failure=failure), now=later(8))
    assert done is not None
    assert done.state is RunState.FAILED
    assert done.started == NOW


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CRASHED, RunState.TIMED_OUT, RunState.CANCELLED])
def test_runs_that_ended_badly_can_be_retried(store: Store, state: RunState) -> None:
    run = add_run(store, state=state, cancel_reason="user", ended=NOW)
    again = store.retry_run(run.id, now=later(1))
    assert (again.state, again.cancel_reason, again.ended) == (RunState.PENDING, None, None)


@pytest.mark.parametrize(
    "state",
    [RunState.COMPLETED, RunState.SKIPPED, RunState.PENDING, RunState.SCHEDULED, RunState.RUNNING, RunState.CANCELLING],
)
def test_other_runs_can_not(store: Store, state: RunState) -> None:
    run = add_run(store, state=state, not_before=later(60))
    with pytest.raises(ConflictError, match=state):
        store.retry_run(run.id, now=NOW)
    assert store.get_run(run.id) == run
    with pytest.raises(NotFoundError):
        store.retry_run("missing", now=NOW)
