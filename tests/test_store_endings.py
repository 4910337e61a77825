"""The contract of every store: runs are cancelled with all below them, stay ended, and are pruned."""

from __future__ import annotations

import pytest

from nbflow.errors import NotFoundError
from nbflow.lifecycle import TERMINAL, DispatcherRecord, FailureKind, Outcome, RunRecord, RunState
from nbflow.lifecycle import AttemptState as A
from nbflow.ports import Progress, RunFilter, Store
from tests.store_fixtures import LEASE, NOW, SUCCEEDED, add_run, claim_all, later, make_run, start_run


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_soon(store: Store) -> None:
    pending, scheduled = add_run(store), add_run(store, state=RunState.SCHEDULED, not_before=later(60))
    running, attempt = start_run(store)
    ended = store.request_cancel([running.id, pending.id, scheduled.id], reason="user", now=later(1))
    assert [run.id for run in ended] == [pending.id, scheduled.id, running.id]  # by sequence
    for run in ended[:2]:
        assert run == store.get_run(run.id)
        assert (run.state, run.ended, run.cancel_reason, run.message) == (
            RunState.CANCELLED,
            later(1),
            "user",
            "cancelled (user)",
        )
    assert (ended[2].state, ended[2].ended, ended[2].cancel_reason) == (RunState.CANCELLING, None, "user")
    assert claim_all(store, now=later(99)) == []
    closed = store.finish_attempt(attempt, Outcome(state=A.LOST), now=later(2))
    assert closed is not None
    assert closed.state is RunState.CANCELLED


def test_the_first_reason_stays(store: Store) -> None:
    run, _ = start_run(store)
    store.request_cancel([run.id], reason="SIGINT", now=NOW)
    (again,) = store.request_cancel([run.id], reason="user", now=NOW)
    assert (again.state, again.cancel_reason) == (RunState.CANCELLING, "SIGINT")


def test_a_cancel_reaches_all_descendants(store: Store) -> None:
    top, _ = start_run(store)
    child, _ = start_run(store, parent_id=top.id, root_id=top.id)
    waiting = add_run(store, parent_id=child.id, root_id=top.id)
    done = add_run(store, parent_id=child.id, root_id=top.id, state=RunState.COMPLETED, ended=NOW)
    below_done = add_run(store, parent_id=done.id, root_id=top.id)
    stranger = add_run(store)
    ended = store.request_cancel([top.id], reason="user", now=later(1))
    assert {run.id: (run.state, run.cancel_reason) for run in ended} == {
        top.id: (RunState.CANCELLING, "user"),
        child.id: (RunState.CANCELLING, "parent"),
        waiting.id: (RunState.CANCELLED, "parent"),
        done.id: (RunState.COMPLETED, None),
        below_done.id: (RunState.CANCELLED, "parent"),
    }
    assert store.get_run(stranger.id) == stranger


def test_many_runs_are_cancelled_in_one_call(store: Store) -> None:
    runs = [make_run() for _ in range(1200)]
    store.add_runs(runs)
    ended = store.request_cancel([run.id for run in runs], reason="user", now=NOW)
    assert [run.id for run in ended] == [run.id for run in runs]
    assert store.count_runs(RunFilter()) == {RunState.CANCELLED: 1200}


def test_an_unknown_run_cancels_nothing(store: Store) -> None:
    run = add_run(store)
    with pytest.raises(NotFoundError, match="missing"):
        store.request_cancel([run.id, "missing"], reason="user", now=NOW)
    assert store.get_run(run.id) == run
    assert store.request_cancel([], reason="user", now=NOW) == []


@pytest.mark.parametrize("how", ["cancelling", "cancelled", "crashed", "timed_out"])
def test_a_child_submitted_while_its_parent_is_being_ended_does_not_start(store: Store, how: str) -> None:
    parent = add_run(store, state=RunState(how))
    child, other = make_run(parent_id=parent.id), make_run()
    grandchild = make_run(parent_id=child.id)
    store.add_runs([child, grandchild, other])
    for run in (store.get_run(child.id), store.get_run(grandchild.id)):
        assert (run.state, run.cancel_reason, run.ended) == (RunState.CANCELLED, "parent", run.created)
    assert store.get_run(other.id).state is RunState.PENDING


@pytest.mark.parametrize("how", ["running", "completed", "failed"])
def test_a_child_of_any_other_parent_waits(store: Store, how: str) -> None:
    child = add_run(store, parent_id=add_run(store, state=RunState(how)).id)
    assert child.state is RunState.PENDING


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_ended_run_stays_as_it_is(store: Store, state: RunState) -> None:
    run, attempt = start_run(store)
    ways = {
        RunState.COMPLETED: A.SUCCEEDED,
        RunState.FAILED: A.FAILED,
        RunState.CANCELLED: A.CANCELLED,
        RunState.CRASHED: A.LOST,
        RunState.TIMED_OUT: A.TIMED_OUT,
    }
    if state in ways:
        if state is RunState.CANCELLED:
            store.request_cancel([run.id], reason="user", now=NOW)
        store.finish_attempt(attempt, Outcome(state=ways[state]), now=later(1))
    else:
        run = add_run(store, state=state, tied_to="starter")
    before = store.get_run(run.id)
    assert before.state is state
    store.add_dispatcher(
        DispatcherRecord(id="starter", host="h", pid=1, process_started=1.0, started=NOW, heartbeat=NOW)
    )
    progress = Progress(log_lines=99, last_line="late", values={"x": 1}, results={"r": 1}, name="late")
    assert store.renew("starter", {attempt.id: progress}, lease=later(99), now=later(2)) == (
        set() if state in ways else {attempt.id}
    )
    store.request_cancel([run.id], reason="user", now=later(2))
    store.set_waiting(f"{run.id}.1", True)
    assert claim_all(store, dispatcher_id="starter", now=later(3)) == []
    if state in ways:
        assert not store.start_attempt(attempt, pid=2, now=later(3))
        assert store.finish_attempt(attempt, SUCCEEDED, now=later(3)) is None
        assert store.adopt(attempt, owner="d9", lease=LEASE, now=later(3)) is None
    store.remove_dispatcher("starter", now=later(4))
    assert store.get_run(run.id) == before


def test_a_removed_dispatcher_ends_the_runs_that_only_it_would_have_begun(store: Store) -> None:
    record = DispatcherRecord(
        id="d1", host="h", pid=7, process_started=1.25, started=NOW, heartbeat=NOW, serves_all=True
    )
    store.add_dispatcher(record)
    assert store.list_dispatchers() == [record]
    running = add_run(store, tied_to="d1")
    claim_all(store, dispatcher_id="d1", serves_all=False)
    waiting = add_run(store, tied_to="d1")
    later_try = add_run(store, tied_to="d1", state=RunState.SCHEDULED, not_before=later(60))
    untied, other = add_run(store), add_run(store, tied_to="d2")
    store.remove_dispatcher("d1", now=later(5))
    assert store.list_dispatchers() == []
    for run in (store.get_run(waiting.id), store.get_run(later_try.id)):
        assert (run.state, run.ended) == (RunState.CRASHED, later(5))
        assert run.failure is not None
        assert run.failure.kind is FailureKind.LOST
        assert "process that submitted" in run.message
    states = [store.get_run(run.id).state for run in (running, untied, other)]
    assert states == [RunState.RUNNING, RunState.PENDING, RunState.PENDING]
    store.remove_dispatcher("d1", now=later(6))


def _ended(store: Store, **fields: object) -> RunRecord:
    return add_run(store, **{"state": RunState.COMPLETED, "ended": NOW, **fields})


def test_prune_deletes_what_ended_before_and_what_only_that_mentioned(store: Store) -> None:
    for name in ("old", "both", "registered", "pinned"):
        store.put_notebook(name, name.encode())
    flow = {"project": "p", "name": "n", "schema": {}, "source_path": "/x.ipynb", "now": NOW}
    store.register_flow(notebook_hash="registered", **flow)  # type: ignore[arg-type]
    old = [_ended(store, notebook_hash=name, tags=("t",)) for name in ("old", "both", "registered")]
    kept = [
        _ended(store, ended=later(10), notebook_hash="both", tags=("t",)),
        add_run(store),
        start_run(store)[0],
    ]
    assert store.prune(before=NOW) == []
    assert sorted(store.prune(before=later(1))) == sorted(run.id for run in old)
    assert {run.id for run in store.list_runs(RunFilter())} == {run.id for run in kept}
    assert [run.id for run in store.list_runs(RunFilter(tags=("t",)))] == [kept[0].id]
    for name in ("both", "registered", "pinned"):
        assert store.get_notebook(name) == name.encode()
    with pytest.raises(NotFoundError):
        store.get_notebook("old")
    store.remove_flow("p", "n")
    store.prune(before=later(1))
    with pytest.raises(NotFoundError):
        store.get_notebook("registered")


def test_prune_deletes_attempts_too_and_numbers_are_not_given_twice(store: Store) -> None:
    run, attempt = start_run(store)
    store.finish_attempt(attempt, SUCCEEDED, now=later(1))
    newest = store.get_run(run.id)
    assert store.prune(before=later(2)) == [run.id]
    assert store.list_attempts(run.id) == []
    assert add_run(store).sequence > newest.sequence


def test_prune_of_many(store: Store) -> None:
    store.add_runs([make_run(state=RunState.COMPLETED, ended=NOW) for _ in range(2500)])
    assert len(store.prune(before=later(1))) == 2500
    assert store.list_runs(RunFilter()) == []
