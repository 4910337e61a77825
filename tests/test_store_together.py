"""Many processes on one store: nothing is lost, done twice or refused; whoever is killed or forks harms nobody."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from nbflow.errors import StoreError
from nbflow.lifecycle import AttemptState, Outcome, RunOptions, RunRecord, RunState
from nbflow.ports import Progress, RunFilter
from nbflow.stores import SqlStore
from tests.processes import run_in_child, run_together
from tests.store_fixtures import LEASE, NOW, SUCCEEDED, StoreOpener, add_run, claim_all, later, make_run

PROCESSES = 16


def check_truth(store: SqlStore) -> None:
    """An open attempt means an active run and the other way round, and attempts are numbered without gaps."""
    open_runs = Counter(attempt.run_id for attempt in store.list_open_attempts())
    for run in store.list_runs(RunFilter(limit=None)):
        attempts = store.list_attempts(run.id)
        assert [attempt.number for attempt in attempts] == list(range(1, run.attempts + 1))
        assert open_runs[run.id] == (run.state in (RunState.RUNNING, RunState.CANCELLING))
        assert run.state.is_terminal == (run.ended is not None)


def test_all_open_a_new_store_at_once(opener: StoreOpener) -> None:
    def work(index: int) -> int:
        store = opener()
        store.kv_set(f"opened {index}", index, now=NOW)
        return len(store.kv_list("opened"))

    assert max(run_together(PROCESSES, work)) <= PROCESSES
    assert sorted(opener().kv_list("opened").values()) == list(range(PROCESSES))


def test_no_increment_is_lost(opener: StoreOpener) -> None:
    opener()

    def work(_: int) -> None:
        store = opener()
        for _ in range(40):
            store.kv_update("n", lambda value: value + 1, default=0, now=NOW)

    run_together(PROCESSES, work)
    assert opener().kv_get("n") == PROCESSES * 40


def test_no_run_is_claimed_twice(opener: StoreOpener) -> None:
    store = opener()
    store.add_runs([make_run() for _ in range(400)])

    def work(index: int) -> list[str]:
        mine: list[str] = []
        own = opener()
        while claimed := claim_all(own, limit=3, dispatcher_id=f"d{index}"):
            mine += [run.id for run, _ in claimed]
        return mine

    claimed = run_together(PROCESSES, work)
    # On Postgres a claim passes over rows that another one holds at that moment: some may be left for a next turn.
    left = [run.id for run, _ in claim_all(store, limit=400)]
    assert Counter(run_id for one in [*claimed, left] for run_id in one) == dict.fromkeys(
        (run.id for run in store.list_runs(RunFilter(limit=None))), 1
    )
    check_truth(store)


def test_a_flow_limit_is_never_exceeded(opener: StoreOpener) -> None:
    store = opener()
    store.set_flow_limit("p/f", 3)
    store.add_runs([make_run(flow="p/f") for _ in range(100)])

    def work(index: int) -> int:
        own, most = opener(), 0
        while own.count_runs(RunFilter(states=(RunState.PENDING,))):
            for _, attempt in claim_all(own, limit=2, dispatcher_id=f"d{index}"):
                most = max(most, own.count_runs(RunFilter(states=(RunState.RUNNING,))).get(RunState.RUNNING, 0))
                own.finish_attempt(attempt, SUCCEEDED, now=NOW)
        return most

    assert 1 <= max(run_together(8, work)) <= 3
    assert store.count_runs(RunFilter()) == {RunState.COMPLETED: 100}


def test_the_slots_of_a_tree_are_never_exceeded(opener: StoreOpener) -> None:
    store = opener()
    store.add_runs([make_run(id=f"run{number}", root_id="top", tied_to=f"d{number % 8}") for number in range(80)])

    def work(index: int) -> int:
        own, most = opener(), 0
        while own.count_runs(RunFilter(states=(RunState.PENDING,))):
            for _, attempt in claim_all(
                own, limit=2, dispatcher_id=f"d{index}", serves_all=False, slots=2, root_id="top"
            ):
                most = max(most, len(own.list_open_attempts()))
                own.finish_attempt(attempt, SUCCEEDED, now=NOW)
        return most

    assert 1 <= max(run_together(8, work)) <= 2
    assert store.count_runs(RunFilter()) == {RunState.COMPLETED: 80}


def test_one_of_many_wins_every_compare_and_set(opener: StoreOpener) -> None:
    store = opener()
    runs = [add_run(store) for _ in range(20)]
    attempts = [attempt for _, attempt in claim_all(store)]

    def work(index: int) -> tuple[int, int, int]:
        own = opener()
        adopted = sum(own.adopt(a, owner=f"d{index}", lease=later(60), now=NOW) is not None for a in attempts)
        started = sum(own.start_attempt(a, pid=index, now=NOW) for a in attempts)
        finished = sum(own.finish_attempt(a, SUCCEEDED, now=NOW) is not None for a in attempts)
        return adopted, started, finished

    adopted, started, finished = map(sum, zip(*run_together(PROCESSES, work), strict=True))
    assert adopted <= finished == len(runs)
    assert started <= len(runs)
    check_truth(store)


def test_everything_at_once(opener: StoreOpener) -> None:
    """Claims, heartbeats, cancels, renames, new children, ends, prunes: no error, and a true store afterwards."""
    store = opener()
    store.set_flow_limit("p/limited", 5)
    options = RunOptions(retries=1, retries_on_loss=1)

    def family(flow: str | None) -> list[RunRecord]:
        parent = make_run(flow=flow, options=options, tags=("t",))
        return [parent, *(make_run(parent_id=parent.id, root_id=parent.id, options=options) for _ in range(3))]

    def step(own: SqlStore, name: str, chance: random.Random, known: list[str]) -> None:
        claimed = claim_all(own, limit=4, dispatcher_id=name)
        own.renew(
            name, {a.id: Progress(log_lines=1, name=a.id, results={"r": 1}) for _, a in claimed}, lease=LEASE, now=NOW
        )
        for run, attempt in claimed:
            own.start_attempt(attempt, pid=1, now=NOW)
            own.rename_run(run.id, name)
            own.add_runs([make_run(parent_id=run.id, root_id=run.root_id, tied_to=chance.choice([None, "gone"]))])
        known += [run.id for run, _ in claimed]
        own.request_cancel(chance.sample(known, min(len(known), 3)), reason="user", now=NOW)
        states = [AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.LOST, AttemptState.NOT_STARTED]
        for _, attempt in claimed:
            own.finish_attempt(attempt, Outcome(state=chance.choice(states)), now=NOW)
        own.remove_dispatcher("gone", now=NOW)
        own.prune(before=later(-1))

    def work(index: int) -> None:
        own, chance, known = opener(), random.Random(index), list[str]()
        for round_ in range(6):
            own.add_runs([one for _ in range(3) for one in family("p/limited" if round_ % 2 else None)])
            step(own, f"d{index}", chance, known)

    run_together(PROCESSES, work)
    check_truth(store)
    assert store.list_open_attempts() == []


def test_a_cancel_misses_no_child_that_is_submitted_meanwhile(opener: StoreOpener) -> None:
    store = opener()
    parents = [add_run(store, tied_to="d1") for _ in range(40)]
    claim_all(store, limit=40, serves_all=False)
    step = multiprocessing.get_context("fork").Barrier(2)

    def work(index: int) -> None:
        own = opener()
        for parent in parents:
            step.wait(60)
            if index == 0:
                own.request_cancel([parent.id], reason="user", now=NOW)
                continue
            for _ in range(3):
                child = make_run(parent_id=parent.id)
                own.add_runs([child])
                own.add_runs([make_run(parent_id=child.id)])

    run_together(2, work)
    assert store.count_runs(RunFilter()) == {RunState.CANCELLING: 40, RunState.CANCELLED: 240}


def test_cancels_and_heartbeats_do_not_wait_for_each_other_in_a_circle(opener: StoreOpener) -> None:
    store = opener()
    store.add_runs([make_run(id=f"run{number}", parent_id=f"run{number + 1}") for number in range(8)])
    store.add_runs([make_run(id="run8")])
    said = {attempt.id: Progress(log_lines=1) for _, attempt in claim_all(store)}

    def work(index: int) -> None:
        own = opener()
        for _ in range(30):
            if index % 2:
                own.request_cancel(["run8"], reason="user", now=NOW)  # locks from the parents down
            else:
                own.renew("d1", said, lease=LEASE, now=NOW)

    run_together(4, work)
    runs = store.list_runs(RunFilter())
    assert {(run.state, run.log_lines) for run in runs} == {(RunState.CANCELLING, 1)}
    assert len(runs) == 9


def test_a_reader_does_not_wait_for_a_writer(opener: StoreOpener) -> None:
    store, other = opener(), opener()
    store.kv_set("n", 1, now=NOW)
    seen: list[Any] = []

    def change(value: int) -> int:
        seen.append((other.kv_get("n"), other.list_runs(RunFilter()), other.count_runs(RunFilter())))
        return value + 1

    store.kv_update("n", change, default=0, now=NOW)
    assert seen == [(1, [], {})]
    assert other.kv_get("n") == 2


# -- forks


def test_a_child_of_a_fork_writes_what_others_read(opener: StoreOpener) -> None:
    store = opener()
    store.kv_set("parent", 1, now=NOW)
    go_read, go_write = os.pipe()

    def child() -> None:
        store.kv_set("child 1", 1, now=NOW)
        os.write(ready_write, b"x")
        os.read(go_read, 1)
        store.kv_set("child 2", 2, now=NOW)

    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            child()
        finally:
            os._exit(0)
    os.read(ready_read, 1)
    store.kv_set("parent", 2, now=NOW)
    store.close()  # as the last one to leave, it would delete the log under a child that came with its parent's locks
    os.write(go_write, b"x")
    os.waitpid(pid, 0)
    for descriptor in (ready_read, ready_write, go_read, go_write):
        os.close(descriptor)
    assert opener().kv_list() == {"child 1": 1, "child 2": 2, "parent": 2}


def test_forks_amid_busy_threads_lose_nothing(opener: StoreOpener) -> None:
    store = opener()
    stop = threading.Event()
    written: Counter[str] = Counter()

    def busy(name: str) -> None:
        while not stop.is_set():
            store.kv_update(name, lambda value: value + 1, default=0, now=NOW)
            written[name] += 1

    threads = [threading.Thread(target=busy, args=(f"thread {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            assert run_in_child(lambda n=number: store.kv_set(f"child {n}", n, now=NOW)) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = opener().kv_list()
    assert {key: found[key] for key in written} == dict(written)
    assert len([key for key in found if key.startswith("child")]) == 20


def test_a_fork_within_a_transaction_does_not_use_the_store(tmp_path: Any) -> None:
    from nbflow.stores import open_store

    store = open_store(None, home=tmp_path)

    def child() -> None:
        with pytest.raises(StoreError, match="forked within a transaction"):
            store.kv_list()

    assert store.kv_update("n", lambda _: run_in_child(child), default=1, now=NOW) == 0
    assert store.kv_get("n") == 0
    store.close()


# -- kills


def test_ctrl_c_never_leaves_a_lock(opener: StoreOpener) -> None:
    opener()

    def child() -> None:
        store, main, armed = opener(), threading.main_thread().ident, threading.Event()
        assert main is not None
        stop, interrupted = threading.Event(), 0

        def interrupt() -> None:
            chance = random.Random(1)
            while not stop.is_set():
                if armed.wait(0.1):
                    stop.wait(chance.uniform(0, 0.003))
                    if armed.is_set():
                        armed.clear()
                        signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        for _ in range(300):
            try:
                armed.set()
                store.kv_update("n", lambda value: value + 1, default=0, now=NOW)
                store.kv_get("n")
            except KeyboardInterrupt:
                interrupted += 1
        try:
            armed.clear()
            stop.set()
            thread.join()
        except KeyboardInterrupt:
            thread.join()
        assert interrupted > 10
        assert run_in_child(lambda: opener().kv_set("freed", interrupted, now=NOW)) == 0
        store.kv_update("n", lambda value: value + 1, default=0, now=NOW)

    assert run_in_child(child) == 0
    assert opener().kv_get("freed") > 10


def test_killed_within_a_transaction(opener: StoreOpener) -> None:
    store = opener()
    store.kv_set("n", 1, now=NOW)

    def die(_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def doomed() -> Iterator[RunRecord]:
        yield from (make_run() for _ in range(2500))
        die(None)

    assert run_in_child(lambda: opener().kv_update("n", die, default=0, now=NOW)) == -signal.SIGKILL
    assert run_in_child(lambda: opener().add_runs(doomed())) == -signal.SIGKILL
    assert store.list_runs(RunFilter()) == []
    assert store.kv_update("n", lambda value: value + 1, default=0, now=NOW) == 2
    assert opener().kv_get("n") == 2


def test_killed_at_every_statement(opener: StoreOpener) -> None:
    store = opener()

    def life(own: SqlStore, run: RunRecord) -> None:
        own.put_notebook("hash", b"content")
        own.add_runs([run, make_run(parent_id=run.id)])
        ((_, attempt), *_) = claim_all(own, limit=1)
        own.start_attempt(attempt, pid=1, now=NOW)
        own.renew("d1", {attempt.id: Progress(log_lines=1, name="x", results={"a": 1})}, lease=LEASE, now=NOW)
        own.request_cancel([run.id], reason="user", now=NOW)
        own.finish_attempt(attempt, SUCCEEDED, now=NOW)
        own.prune(before=later(1))

    def die_at(number: int) -> None:
        own = opener()
        left = number

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        life(own, make_run(id=f"run{number:04d}"))

    for number in range(200):
        ended = run_in_child(partial(die_at, number))
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        check_truth(store)
        for attempt in store.list_open_attempts():  # what a later process does about it
            store.finish_attempt(attempt, Outcome(state=AttemptState.LOST), now=NOW)
        store.request_cancel([run.id for run in store.list_runs(RunFilter(limit=None))], reason="user", now=NOW)
        check_truth(store)
    assert ended == 0
    assert number > 20
