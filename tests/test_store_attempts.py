"""The contract of every store: runs are claimed in order and within limits, attempts change by compare-and-set only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from nbflow.errors import UsageError
from nbflow.lifecycle import AttemptState as A
from nbflow.lifecycle import DispatcherRecord, Failure, FailureKind, Outcome, Priority, RunOptions, RunState
from nbflow.ports import Progress, RunFilter, Store
from tests.store_fixtures import LEASE, NOW, SUCCEEDED, add_run, claim_all, later, make_run, start_run

FAILED = Outcome(state=A.FAILED, failure=Failure(kind=FailureKind.EXCEPTION, message="cell 3 raised"))
BACKFILL, SCHEDULED, INTERACTIVE = Priority.BACKFILL, Priority.SCHEDULED, Priority.INTERACTIVE


# -- claiming


def test_a_claim_opens_an_attempt(store: Store) -> None:
    run = add_run(store, options=RunOptions(engine="dask"), message="tried before")
    ((claimed, attempt),) = claim_all(store, now=later(1))
    assert claimed == store.get_run(run.id)
    assert claimed == replace(run, state=RunState.RUNNING, attempts=1, started=later(1), message="")
    assert (
        [attempt] == store.list_attempts(run.id) == store.list_open_attempts() == store.list_open_attempts(owner="d1")
    )
    assert store.list_open_attempts(owner="d2") == []
    assert (attempt.run_id, attempt.number, attempt.state, attempt.id) == (run.id, 1, A.CLAIMED, f"{run.id}.1")
    assert (attempt.engine, attempt.owner, attempt.lease, attempt.claimed) == ("dask", "d1", LEASE, later(1))
    assert len(attempt.nonce) >= 32
    assert claim_all(store) == []


def test_claims_follow_priority_then_order_of_submission(store: Store) -> None:
    made = [
        make_run(id=f"run{n}", priority=p)
        for n, p in enumerate([BACKFILL, SCHEDULED, INTERACTIVE, BACKFILL, INTERACTIVE])
    ]
    store.add_runs(made)
    order = []
    while claimed := claim_all(store, limit=2):
        order += [run.id for run, _ in claimed]
    assert order == ["run2", "run4", "run1", "run0", "run3"]


def test_tied_and_untied_runs_share_one_order(store: Store) -> None:
    first, second = add_run(store), add_run(store, tied_to="d1")
    third, urgent = add_run(store, priority=SCHEDULED), add_run(store, tied_to="d1", priority=INTERACTIVE)
    low = add_run(store, priority=BACKFILL)
    add_run(store, tied_to="d2")
    claimed = [run.id for run, _ in claim_all(store)]
    assert claimed == [first.id, second.id, urgent.id, third.id, low.id]


def test_a_dispatcher_claims_its_own_runs_alone_unless_it_serves_all(store: Store) -> None:
    mine, free, other = add_run(store, tied_to="d1"), add_run(store), add_run(store, tied_to="d2")
    assert [run.id for run, _ in claim_all(store, serves_all=False)] == [mine.id]
    assert [run.id for run, _ in claim_all(store, dispatcher_id="d3", serves_all=False)] == []
    assert [run.id for run, _ in claim_all(store, dispatcher_id="d3")] == [free.id]
    assert store.get_run(other.id).state is RunState.PENDING


def test_a_scheduled_run_waits_for_its_time(store: Store) -> None:
    soon = add_run(store, state=RunState.SCHEDULED, not_before=later(60), priority=BACKFILL)
    at_once = add_run(store, state=RunState.SCHEDULED)
    urgent = add_run(store, state=RunState.SCHEDULED, not_before=later(61), priority=INTERACTIVE)
    assert [run.id for run, _ in claim_all(store, now=later(59.9))] == [at_once.id]
    assert store.get_run(soon.id).state is RunState.SCHEDULED
    assert [run.id for run, _ in claim_all(store, now=later(60))] == [soon.id]
    assert [run.id for run, _ in claim_all(store, now=later(61))] == [urgent.id]


def test_no_more_than_the_limit_is_claimed(store: Store) -> None:
    store.add_runs([make_run() for _ in range(5)])
    assert len(claim_all(store, limit=3)) == 3
    assert claim_all(store, limit=0) == claim_all(store, limit=-1) == []
    assert len(claim_all(store, limit=3)) == 2


def test_a_flow_runs_no_more_often_at_once_than_its_limit(store: Store) -> None:
    limited = [add_run(store, flow="p/slow", priority=INTERACTIVE) for _ in range(5)]
    others = [add_run(store, flow="p/quick", priority=BACKFILL) for _ in range(3)]
    store.set_flow_limit("p/slow", 2)
    claimed = claim_all(store, limit=4)
    assert [run.id for run, _ in claimed] == [limited[0].id, limited[1].id, others[0].id, others[1].id]
    assert [run.id for run, _ in claim_all(store, limit=4)] == [others[2].id]
    store.request_cancel([limited[1].id], reason="user", now=NOW)  # cancelling still holds its place
    assert claim_all(store) == []
    store.finish_attempt(claimed[0][1], SUCCEEDED, now=later(1))
    assert [run.id for run, _ in claim_all(store)] == [limited[2].id]
    store.set_flow_limit("p/slow", 3)
    assert [run.id for run, _ in claim_all(store)] == [limited[3].id]
    store.set_flow_limit("p/slow", None)
    assert [run.id for run, _ in claim_all(store)] == [limited[4].id]


def test_a_limit_may_name_a_notebooks_path_and_both_limits_hold(store: Store) -> None:
    path = "/notebooks/report.ipynb"
    runs = [add_run(store, flow=flow, source_path=path) for flow in ("p/a", "p/a", "p/b", None, "p/b")]
    add_run(store, source_path="/else.ipynb", priority=BACKFILL)
    store.set_flow_limit(path, 2)
    store.set_flow_limit("p/a", 1)
    claimed = [run for run, _ in claim_all(store, limit=4)]
    assert [run.id for run in claimed[:2]] == [runs[0].id, runs[2].id]
    assert [run.source_path for run in claimed[2:]] == ["/else.ipynb"]


def test_a_flow_with_limit_zero_does_not_start(store: Store) -> None:
    add_run(store, flow="p/off")
    store.set_flow_limit("p/off", 0)
    assert claim_all(store) == []
    with pytest.raises(UsageError, match="p/off"):
        store.set_flow_limit("p/off", -1)


def test_a_parent_that_waits_for_its_children_holds_no_place(store: Store) -> None:
    store.set_flow_limit("p/tree", 1)
    parent, attempt = start_run(store, flow="p/tree")
    child = add_run(store, flow="p/tree", parent_id=parent.id)
    assert claim_all(store) == []
    store.set_waiting(attempt.id, True)
    assert store.list_open_attempts()[0].waiting
    ((claimed, second),) = claim_all(store)
    assert claimed.id == child.id
    store.finish_attempt(second, SUCCEEDED, now=later(1))
    store.set_waiting(attempt.id, False)
    add_run(store, flow="p/tree")
    assert claim_all(store) == []


def test_a_tree_has_so_many_slots_and_waiting_parents_hold_none(store: Store) -> None:
    top = add_run(store, tied_to="d1")
    ((_, parent),) = claim_all(store, slots=2, serves_all=False)
    children = [add_run(store, tied_to="d2", parent_id=top.id, root_id=top.id) for _ in range(3)]
    stranger, strange = start_run(store)

    def claim_below() -> list[str]:
        claimed = claim_all(store, dispatcher_id="d2", serves_all=False, slots=2, root_id=top.id)
        return [run.id for run, _ in claimed]

    assert claim_below() == [children[0].id]
    assert claim_below() == []
    store.set_waiting(parent.id, True)
    assert claim_below() == [children[1].id]
    store.finish_attempt(strange, SUCCEEDED, now=NOW)  # of another tree
    assert claim_below() == []
    assert stranger.root_id != top.id


# -- starting


def test_an_attempt_starts_once_and_with_its_nonce_only(store: Store) -> None:
    add_run(store)
    ((_, attempt),) = claim_all(store)
    assert not store.start_attempt(replace(attempt, nonce="other"), pid=1, now=later(1))
    assert store.start_attempt(attempt, pid=4321, now=later(1))
    (started,) = store.list_open_attempts()
    assert started == replace(attempt, state=A.STARTED, pid=4321, started=later(1))
    assert not store.start_attempt(attempt, pid=1, now=later(2))
    store.finish_attempt(attempt, SUCCEEDED, now=later(3))
    assert not store.start_attempt(attempt, pid=1, now=later(4))


# -- finishing


def test_a_finished_attempt_decides_its_run(store: Store) -> None:
    run, attempt = start_run(store)
    outcome = Outcome(
        state=A.SUCCEEDED,
        values={"x": 3},
        results={"rows": 12},
        name="renamed",
        output_path="/out.ipynb",
        log_lines=7,
        last_line="bye",
    )
    done = store.finish_attempt(attempt, outcome, now=later(9))
    assert done == store.get_run(run.id)
    assert done is not None
    assert (done.state, done.ended, done.duration) == (RunState.COMPLETED, later(9), 9)
    assert (done.values, done.results, done.name) == ({"x": 3}, {"rows": 12}, "renamed")
    assert (done.output_path, done.log_lines, done.last_line) == ("/out.ipynb", 7, "bye")
    assert [run.id for run in store.list_runs(RunFilter(name="RENAMED"))] == [run.id]
    (closed,) = store.list_attempts(run.id)
    assert (closed.state, closed.ended, closed.why) == (A.SUCCEEDED, later(9), "")
    assert store.list_open_attempts() == []


def test_a_late_word_changes_nothing(store: Store) -> None:
    run, attempt = start_run(store)
    assert store.finish_attempt(replace(attempt, nonce="other"), SUCCEEDED, now=later(1)) is None
    assert store.get_run(run.id).state is RunState.RUNNING
    lost = store.finish_attempt(attempt, Outcome(state=A.LOST), now=later(1))
    assert lost is not None
    assert store.finish_attempt(attempt, SUCCEEDED, now=later(2)) is None
    assert store.get_run(run.id) == lost
    assert store.list_attempts(run.id)[0].state is A.LOST


def test_a_failed_run_is_tried_again_after_its_delay(store: Store) -> None:
    run = add_run(store, options=RunOptions(retries=2, retry_delay=10, retry_backoff=3))
    for number, wait in ((1, 10), (2, 30)):
        ((claimed, attempt),) = claim_all(store, now=later(100 * number))
        assert (claimed.attempts, attempt.number, claimed.failure) == (number, number, None)
        decided = store.finish_attempt(attempt, FAILED, now=later(100 * number))
        assert decided is not None
        assert (decided.state, decided.not_before) == (RunState.SCHEDULED, later(100 * number + wait))
        assert claim_all(store, now=later(100 * number + wait - 1)) == []
    ((_, last),) = claim_all(store, now=later(300))
    decided = store.finish_attempt(last, FAILED, now=later(301))
    assert decided is not None
    assert (decided.state, decided.failure, decided.message) == (RunState.FAILED, FAILED.failure, "cell 3 raised")
    assert [attempt.why for attempt in store.list_attempts(run.id)] == ["cell 3 raised"] * 3


def test_an_attempt_that_never_started_is_queued_again_for_nothing(store: Store) -> None:
    run = add_run(store)
    ((_, attempt),) = claim_all(store)
    again = store.finish_attempt(attempt, Outcome(state=A.NOT_STARTED), now=NOW)
    assert again is not None
    assert again.state is RunState.SCHEDULED
    ((claimed, second),) = claim_all(store)
    assert (claimed.id, second.number) == (run.id, 2)
    assert second.nonce != attempt.nonce


# -- renewing


def test_a_heartbeat_renews_what_is_owned_and_open(store: Store) -> None:
    store.add_dispatcher(DispatcherRecord(id="starter", host="h", pid=1, process_started=1, started=NOW, heartbeat=NOW))
    _, mine = start_run(store)
    _, closed = start_run(store)
    _, other = start_run(store)
    store.finish_attempt(closed, SUCCEEDED, now=NOW)
    assert store.adopt(other, owner="d2", lease=LEASE, now=NOW)
    said = {attempt.id: Progress() for attempt in (mine, closed, other)} | {"unknown.1": Progress()}
    assert store.renew("starter", said, lease=later(60), now=later(45)) == {mine.id}
    leases = {attempt.id: attempt.lease for attempt in store.list_open_attempts()}
    assert leases == {mine.id: later(60), other.id: LEASE}
    assert store.list_dispatchers()[0].heartbeat == later(45)
    assert store.renew("starter", {}, lease=later(60), now=later(46)) == set()
    assert store.list_dispatchers()[0].heartbeat == later(46)


def test_a_heartbeat_brings_progress(store: Store) -> None:
    run, attempt = start_run(store, results={"kept": 1})
    told = Progress(log_lines=5, last_line="half", values={"x": float("inf")})
    store.renew("starter", {attempt.id: told}, lease=LEASE, now=NOW)
    seen = store.get_run(run.id)
    assert (seen.log_lines, seen.last_line, seen.values, seen.results) == (5, "half", {"x": float("inf")}, {"kept": 1})
    store.renew("starter", {attempt.id: Progress()}, lease=LEASE, now=NOW)
    assert store.get_run(run.id) == seen
    store.renew("starter", {attempt.id: Progress(log_lines=6, last_line="on", results={"a": 1})}, lease=LEASE, now=NOW)
    assert store.get_run(run.id) == replace(seen, log_lines=6, last_line="on", results={"a": 1})


def test_the_newest_name_wins_whoever_gave_it(store: Store) -> None:
    run, attempt = start_run(store)
    told = {attempt.id: Progress(log_lines=1, name="from inside")}
    store.renew("starter", told, lease=LEASE, now=NOW)
    assert store.get_run(run.id).name == "from inside"
    store.rename_run(run.id, "from outside")
    store.renew("starter", told, lease=LEASE, now=NOW)  # nothing new from inside
    assert store.get_run(run.id).name == "from outside"
    store.finish_attempt(attempt, replace(SUCCEEDED, name="from inside"), now=NOW)
    assert store.get_run(run.id).name == "from outside"


def test_thousands_of_attempts_are_renewed_at_once(store: Store) -> None:
    store.add_runs([make_run() for _ in range(1200)])
    claimed = claim_all(store, limit=2000)
    said = {attempt.id: Progress(log_lines=number) for number, (_, attempt) in enumerate(claimed)}
    assert store.renew("d1", said, lease=later(99), now=NOW) == set(said)
    assert {attempt.lease for attempt in store.list_open_attempts()} == {later(99)}
    assert store.get_run(claimed[-1][0].id).log_lines == 1199


# -- adopting


def test_only_the_first_adopts(store: Store) -> None:
    run, seen = start_run(store)
    adopted = store.adopt(seen, owner="d2", lease=later(60), now=later(30))
    assert adopted == replace(seen, owner="d2", lease=later(60))
    assert store.list_open_attempts() == [adopted]
    assert store.adopt(seen, owner="d3", lease=later(60), now=later(30)) is None
    assert store.renew("starter", {seen.id: Progress()}, lease=later(99), now=later(31)) == set()
    done = store.finish_attempt(adopted, SUCCEEDED, now=later(32))
    assert done is not None
    assert done.id == run.id


def test_an_owner_that_renewed_meanwhile_keeps_its_attempt(store: Store) -> None:
    _, seen = start_run(store)
    store.renew("starter", {seen.id: Progress()}, lease=LEASE + timedelta(microseconds=1), now=NOW)
    assert store.adopt(seen, owner="d2", lease=later(60), now=later(30)) is None
    assert store.list_open_attempts()[0].owner == "starter"
