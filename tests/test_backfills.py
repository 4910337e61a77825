"""Backfills from one end to the other: made, worked on, held back, interrupted, repaired and taken up again."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nbflow.api.backfills import Backfill
from nbflow.api.flow import Flow
from nbflow.backfilling import BackfillRecord, BackfillState, Decision, derive_state
from nbflow.config import load_config
from nbflow.errors import ConflictError, NotFoundError, ParameterError, RowError, UsageError, WaitTimeout
from nbflow.lifecycle import DispatcherRecord, Outcome, RunRecord, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from tests.backfill_fixtures import ScriptedEngine, complete, fail, make_backfill, make_row
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until
from tests.store_fixtures import NOW

Script = Callable[[RunRecord], Outcome | None]
OpenFlow = Callable[..., tuple[Flow, ScriptedEngine]]

PARAMETERS = 'n: int\nregion: str = "EU"\ntoken: Secret = None'


@pytest.fixture
def path(make_notebook: NotebookFactory) -> Path:
    return make_notebook(["print(n)"], parameters=PARAMETERS)


@pytest.fixture
def open_flow(home: Path, path: Path) -> Iterator[OpenFlow]:
    """``open_flow(script)``: the flow in a project of its own, as another process has it, and its engine."""
    projects: list[Project] = []

    def make(script: Script = complete, *, slots: int = 4) -> tuple[Flow, ScriptedEngine]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NBFLOW_")}
        engine = ScriptedEngine(script, slots=slots)
        config = replace(load_config(environment, home.parent), home=home)
        project = Project(config, engine=engine)
        projects.append(project)
        return Flow(project.load(path), project), engine

    yield make
    for project in projects:
        project.close()


def bad(*numbers: int) -> Script:
    """A script: these rows fail."""
    return lambda run: fail(f"row {run.parameters['n']}") if run.parameters["n"] in numbers else complete(run)


def repair(path: Path) -> None:
    """Another content of the notebook, with the same parameters."""
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["source"] = f"# {len(notebook['cells'][-1]['source'])}\nprint(n)"
    path.write_text(json.dumps(notebook))


def launched(engine: ScriptedEngine) -> list[int]:
    return [launch.run.parameters["n"] for launch in engine.launched]


# -- made


def test_every_row_is_a_run_and_a_failure_harms_no_other(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(2, 5))
    backfill = flow.backfill(n=range(1, 7), region=["EU"])
    assert backfill.state is BackfillState.COMPLETED_WITH_FAILURES
    assert backfill.counts == {RunState.COMPLETED: 4, RunState.FAILED: 2}
    assert sorted(launched(engine)) == [1, 2, 3, 4, 5, 6]
    frame = backfill.to_frame()
    assert list(frame["n"]) == [1, 2, 3, 4, 5, 6]
    assert list(frame["state"]) == ["completed", "failed", "completed", "completed", "failed", "completed"]
    assert "ValueError: row 2" in frame["error"][1]
    assert frame["square"][5] == 36
    assert [run.parameters["n"] for run in backfill.runs(state="failed")] == [2, 5]
    assert "2 failed" in repr(backfill)
    run = backfill.runs()[0].record
    assert (run.backfill_row, run.priority.name, run.root_id) == (1, "BACKFILL", run.id)


def test_options_reach_every_run(open_flow: OpenFlow, tmp_path: Path) -> None:
    flow, _ = open_flow()
    chosen = flow.options(name="row {n:03d}", output=tmp_path / "{region}-{n}.ipynb", timeout=60, tags="nightly")
    backfill = chosen.backfill(
        {"region": ["EU", "US"]}, n=[1], name="january", tags=["x"], max_active_runs=1, priority=3
    )
    records = [run.record for run in backfill.runs()]
    assert [record.name for record in records] == ["row 001", "row 001"]
    assert [record.options.output for record in records] == [f"{tmp_path}/EU-1.ipynb", f"{tmp_path}/US-1.ipynb"]
    assert {record.options.timeout for record in records} == {60}
    assert {record.tags for record in records} == {("nightly", "x")}
    assert (backfill.name, backfill.axes, backfill.record.priority) == ("january", ("region", "n"), 3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n": [1], "max_active_runs": 0}, "max_active_runs = 0"),
        ({"n": [1], "max_failures": True}, "max_failures"),
        ({"n": [1], "reprocess_behavior": "all"}, "none, failed, completed"),
        ({"n": []}, "without values"),
        ({"n": [1], "name": "a\nb"}, "backfill name"),
        ({"n": [1], "rows": 5}, "a DataFrame"),
        ({"n": [1, 2], "region": "EU", "tags": ["a,b"]}, "comma"),
        ({"region": ["EU"]}, "n: required"),
    ],
)
def test_what_can_not_be_meant_records_nothing(open_flow: OpenFlow, given: dict[str, Any], told: str) -> None:
    flow, engine = open_flow()
    with pytest.raises((UsageError, ParameterError), match=told):
        flow.backfill(**given)
    assert engine.launched == []
    assert flow.project.store.list_backfills() == flow.project.store.list_backfills(ready=False) == []
    assert flow.project.list_runs(RunFilter()) == []


def test_a_dry_run_tells_what_would_become_of_each_row(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(2))
    flow.backfill(n=[1, 2])
    before = len(engine.launched)
    plan = flow.plan_backfill(n=range(1, 101), exclude=[{"n": [50, 51]}])
    assert (plan.total, plan.excluded, plan.runs) == (98, 2, 96)
    assert plan.counts == {Decision.RUN: 96, Decision.COMPLETED_BEFORE: 1, Decision.FAILED_BEFORE: 1}
    assert [(row.number, row.decision.value) for row in plan.first][:3] == [
        (1, "completed_before"),
        (2, "failed_before"),
        (3, "run"),
    ]
    assert [row.number for row in plan.last] == [96, 97, 98, 99, 100]
    assert flow.plan_backfill(n=[1, 2], reprocess_behavior="failed").counts[Decision.RERUN] == 1
    assert flow.plan_backfill(n=[2, 1]).same_as is not None
    assert len(engine.launched) == before


def test_a_secret_is_read_where_a_row_begins_and_kept_nowhere(
    open_flow: OpenFlow, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    flow, engine = open_flow()
    monkeypatch.setenv("A_TOKEN", "s3cr3t-value")
    backfill = flow.backfill(n=[1, 2], token="env:A_TOKEN")
    assert [launch.secrets for launch in engine.launched] == [{"token": "s3cr3t-value"}] * 2
    assert backfill.record.parameters["token"] == "env:A_TOKEN"
    assert all(run.record.identity == "" for run in backfill.runs())
    assert not any(b"s3cr3t-value" in file.read_bytes() for file in home.rglob("*") if file.is_file())
    with pytest.raises(ParameterError, match="env:NAME or file:PATH"):
        flow.backfill(n=[1, 2], token="s3cr3t-value")
    with pytest.raises(ParameterError, match="NO_SUCH_TOKEN is not set"):
        flow.backfill(n=[1, 2], token="env:NO_SUCH_TOKEN")


# -- the same again


def test_the_same_rows_again_do_nothing_and_say_so(open_flow: OpenFlow) -> None:
    flow, engine = open_flow()
    first = flow.backfill(n=[1, 2, 3])
    for again in (flow.backfill(n=[1, 2, 3]), flow.backfill(rows=[{"n": 3}, {"n": 1}, {"n": 2}])):
        assert again.id == first.id
        assert "completed all 3 rows" in again.message
    assert len(engine.launched) == 3
    assert len(flow.project.backfills.find()) == 1


def test_repaired_and_resumed_only_the_failed_rows_run_with_the_new_content(open_flow: OpenFlow, path: Path) -> None:
    flow, engine = open_flow(bad(2, 5))
    backfill = flow.backfill(n=range(1, 7))
    old = backfill.record.notebook_hash
    assert "2 did not complete" in flow.backfill(n=range(1, 7)).message
    repair(path)
    engine.release()
    before = len(engine.launched)
    resumed = backfill.resume()
    assert sorted(launched(engine)[before:]) == [2, 5]
    assert resumed.id == backfill.id
    assert resumed.state is BackfillState.COMPLETED
    assert "2 of 6 rows run" in resumed.message
    assert "it has changed" in resumed.message
    records = [run.record for run in resumed.runs()]
    assert [record.notebook_hash == old for record in records] == [True, False, True, True, False, True]
    assert [record.attempts for record in records] == [1, 2, 1, 1, 2, 1]
    assert [launch.notebook == path.read_bytes() for launch in engine.launched[before:]] == [True, True]
    again = backfill.resume()
    assert "nothing to do" in again.message
    assert len(engine.launched) == before + 2


def test_the_call_itself_resumes_with_failed(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(2))
    first = flow.backfill(n=[1, 2, 3])
    engine.release()
    second = flow.backfill(n=[1, 2, 3], reprocess_behavior="failed")
    third = flow.backfill(n=[1, 2, 3], reprocess_behavior="failed")
    assert first.id == second.id == third.id
    assert launched(engine)[3:] == [2]
    assert "completed all" in third.message
    assert set(third.counts) == {RunState.COMPLETED}


def test_completed_rows_are_run_again_as_a_backfill_of_their_own(open_flow: OpenFlow) -> None:
    flow, engine = open_flow()
    first = flow.backfill(n=[1, 2], region="US")
    second = flow.backfill(n=[1, 2], region="US", reprocess_behavior="completed")
    third = first.resume("completed")
    assert len({first.id, second.id, third.id}) == 3
    assert Counter(launched(engine)) == {1: 3, 2: 3}
    assert [run.parameters["region"] for run in third.runs()] == ["US", "US"]
    assert first.counts == {RunState.COMPLETED: 2}


def test_rows_that_ran_elsewhere_are_left_alone(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(2, 3))
    flow.run(n=1)
    flow.backfill(n=[2, 3])
    wider = flow.backfill(n=[1, 2, 3, 4])
    assert launched(engine) == [1, 2, 3, 4]
    assert [run.parameters["n"] for run in wider.runs()] == [4]
    assert wider.record.left_alone == 3
    assert "1 completed before" in wider.message
    assert "2 failed before" in wider.message
    engine.release()
    failed = flow.backfill(n=[1, 2, 3, 4], reprocess_behavior="failed")
    assert sorted(launched(engine)[4:]) == [2, 3]
    assert failed.counts == {RunState.COMPLETED: 2}
    nothing = flow.backfill(n=[1, 2, 3])
    assert nothing.state is BackfillState.COMPLETED
    assert nothing.runs() == []
    assert "nothing to do" in nothing.message
    assert len(engine.launched) == 6


def test_completed_runs_with_the_same_content_are_reused(open_flow: OpenFlow, path: Path) -> None:
    flow, engine = open_flow(bad(3))
    one = flow.run(n=1, region="EU")
    backfill = flow.backfill(n=[1, 2, 3], skip_completed=True)
    skipped = backfill.runs()[0].record
    assert (skipped.state, skipped.reused_run_id) == (RunState.SKIPPED, one.id)
    assert skipped.results == {"square": 1}
    assert launched(engine) == [1, 2, 3]
    repair(path)
    flow = Flow(flow.project.load(path), flow.project)
    changed = flow.backfill(n=[1, 2], skip_completed=True)
    assert changed.counts == {RunState.COMPLETED: 2}
    assert launched(engine)[3:] == [1, 2]
    assert flow.backfill(n=[2, 1], skip_completed=True).counts == {RunState.SKIPPED: 2}
    assert flow.options(skip_completed=True).run(n=1).state is RunState.SKIPPED  # one identity, whichever door


# -- held back, stopped, ended


def test_too_many_failures_stop_it_and_a_resume_goes_on(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(*range(1, 100)), slots=1)
    backfill = flow.backfill(n=range(1, 20), max_failures=3)
    assert backfill.state is BackfillState.STOPPED
    assert backfill.counts == {RunState.FAILED: 3, RunState.PENDING: 16}
    assert "is stopped, 19 are left" in flow.backfill(n=range(1, 20)).message
    engine.release()
    assert backfill.resume().counts == {RunState.COMPLETED: 19}


def test_a_resume_may_leave_alone_what_failed(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(bad(2, 3))
    backfill = flow.submit_backfill(n=range(1, 7), max_active_runs=1, max_failures=2)
    backfill.wait(20)
    assert backfill.counts == {RunState.COMPLETED: 1, RunState.FAILED: 2, RunState.PENDING: 3}
    before = len(engine.launched)
    with pytest.raises(ConflictError, match="stops at 2 failures, and 2 rows that failed are left alone"):
        backfill.resume("none")
    flow.project.backfills.resume(backfill.id, reprocess_behavior="none", max_failures=10)
    backfill.wait(20)
    assert sorted(launched(engine)[before:]) == [4, 5, 6]
    assert backfill.state is BackfillState.COMPLETED_WITH_FAILURES
    assert backfill.counts == {RunState.COMPLETED: 4, RunState.FAILED: 2}


def test_paused_and_unpaused_from_another_process(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(lambda run: None)
    backfill = flow.submit_backfill(n=range(10), max_active_runs=2)
    wait_until(lambda: len(engine.launched) == 2, 10)
    elsewhere, _ = open_flow()
    other = Backfill(elsewhere.project.backfills.get(backfill.id), elsewhere.project)
    other.pause()
    assert backfill.state is BackfillState.PAUSED
    for attempt in list(engine._open):
        engine.kill(attempt, grace=0)
    wait_until(lambda: backfill.counts.get(RunState.RUNNING, 0) == 0, 10)
    assert len(engine.launched) == 2
    with pytest.raises(WaitTimeout):
        backfill.wait(0.3)
    with pytest.raises(ConflictError, match="works on it"):
        other.resume()
    engine.release()
    other.unpause()
    backfill.wait(20)
    assert len(engine.launched) == 10


def test_cancelled_from_another_process_at_once(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(lambda run: None)
    backfill = flow.submit_backfill(n=range(2000), max_active_runs=2)
    wait_until(lambda: len(engine.launched) == 2, 20)
    elsewhere, _ = open_flow()
    elsewhere.project.backfills.cancel(backfill.id)
    assert backfill.counts[RunState.CANCELLED] >= 1998
    backfill.wait(20)
    assert backfill.state is BackfillState.CANCELLED
    assert backfill.counts == {RunState.CANCELLED: 2000}
    assert len(engine.launched) == 2


def test_a_process_that_ends_leaves_the_rest_to_a_resume(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(lambda run: None if run.parameters["n"] > 3 else complete(run), slots=2)
    backfill = flow.submit_backfill(n=range(1, 11))
    wait_until(lambda: len(engine.launched) == 5, 20)
    flow.project.close()
    again, fresh = open_flow()
    left = Backfill(again.project.backfills.get(backfill.id), again.project)
    assert left.state is BackfillState.INTERRUPTED
    assert left.counts == {RunState.COMPLETED: 3, RunState.CRASHED: 2, RunState.PENDING: 5}
    with pytest.raises(ConflictError, match="cancel"):
        again.backfill(n=range(1, 11), reprocess_behavior="completed")
    assert left.resume().counts == {RunState.COMPLETED: 10}
    assert sorted(launched(fresh)) == [4, 5, 6, 7, 8, 9, 10]


def test_an_interrupt_leaves_what_waits_and_says_how_to_go_on(
    open_flow: OpenFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, engine = open_flow(lambda run: None, slots=2)
    backfills = flow.project.backfills

    def interrupt(*_: object, **__: object) -> None:
        wait_until(lambda: len(engine.launched) == 2, 10)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(backfills), "_pause", interrupt)
        backfill = flow.submit_backfill(n=range(5))
        with pytest.raises(KeyboardInterrupt):
            backfills.backfiller.wait(backfill.id, lambda: backfills._pause(backfill.id))
    snapshot = backfills.interrupt(backfill.id, reason="SIGINT")
    assert snapshot.state is BackfillState.INTERRUPTED
    assert snapshot.counts == {RunState.CANCELLED: 2, RunState.PENDING: 3}
    engine.release()
    again = flow.backfill(n=range(5))  # none: what a signal ended did not fail
    assert again.id == backfill.id
    assert again.counts == {RunState.COMPLETED: 5}


def test_a_resume_is_refused_while_a_process_works_on_it(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(lambda run: None)
    backfill = flow.submit_backfill(n=[1, 2])
    wait_until(lambda: len(engine.launched) == 2, 10)
    elsewhere, _ = open_flow()
    with pytest.raises(ConflictError, match="works on it"):
        elsewhere.project.backfills.resume(backfill.id)
    joined = elsewhere.submit_backfill(n=[1, 2])
    assert joined.id == backfill.id
    assert "is running" in joined.message
    engine.release()
    backfill.wait(20)


def test_a_notebook_that_refuses_the_rows_now_is_told_before_any_runs(open_flow: OpenFlow, path: Path) -> None:
    flow, engine = open_flow(bad(2))
    backfill = flow.backfill(n=[1, 2, 3])
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"] = "from typing import Literal\nn: Literal[1, 3]"
    path.write_text(json.dumps(notebook))
    with pytest.raises(RowError, match="row 2: n:"):
        backfill.resume()
    assert backfill.state is BackfillState.COMPLETED_WITH_FAILURES
    assert len(engine.launched) == 3
    path.unlink()
    assert backfill.state is BackfillState.COMPLETED_WITH_FAILURES


def test_a_registered_flow_resumes_with_its_newest_version(open_flow: OpenFlow, path: Path) -> None:
    flow, engine = open_flow(bad(2))
    project = flow.project
    project.register(path, project="p", name="f")
    backfill = Flow(project.load("p/f"), project).backfill(n=[1, 2])
    assert [run.record.flow_version for run in backfill.runs()] == [1, 1]
    repair(path)
    project.register(path, project="p", name="f")
    engine.release()
    backfill.resume()
    assert [run.record.flow_version for run in backfill.runs()] == [1, 2]
    pinned = Flow(project.load("p/f@1"), project).backfill(n=[7])
    assert pinned.record.flow_version == 1


def test_what_a_dead_process_had_prepared_is_forgotten(open_flow: OpenFlow) -> None:
    flow, _ = open_flow()
    store = flow.project.store
    dead = DispatcherRecord(id="dead", host=os.uname().nodename, pid=1, process_started=-1, started=NOW, heartbeat=NOW)
    store.add_dispatcher(dead)
    store.add_backfill(make_backfill("b1b1", owner="dead"))
    store.add_runs([make_row("b1b1", 1)])
    assert flow.project.backfills.find() == []
    flow.backfill(n=[1])
    assert store.list_backfills(ready=False) == []
    with pytest.raises(NotFoundError):
        store.get_run("b1b100000001")


def test_a_recording_that_fails_leaves_nothing(open_flow: OpenFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, _ = open_flow()
    store = flow.project.store

    def refuse(backfill_id: str) -> BackfillRecord:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "open_backfill", refuse)
    with pytest.raises(KeyboardInterrupt):
        flow.backfill(n=[1, 2])
    assert store.list_backfills(ready=False) == store.list_backfills() == []
    assert flow.project.list_runs(RunFilter()) == []


def test_a_limit_of_the_flow_holds_for_its_backfills(open_flow: OpenFlow) -> None:
    flow, engine = open_flow(lambda run: None)
    flow.max_runs = 1
    assert flow.max_runs == 1
    backfill = flow.submit_backfill(n=[1, 2, 3])
    wait_until(lambda: len(engine.launched) == 1, 10)
    flow.max_runs = None
    wait_until(lambda: len(engine.launched) == 3, 10)
    engine.release()
    backfill.wait(20)


def test_a_server_takes_up_what_is_left_to_it(open_flow: OpenFlow) -> None:
    from nbflow.dispatcher import Dispatcher

    flow, engine = open_flow()
    project = flow.project
    server = Dispatcher(project.store, ScriptedEngine(bad(3)), folder_of=project.get_attempt_folder, serves_all=True)
    server.start()
    try:
        backfill = flow.options(detach=True).submit_backfill(n=[1, 2, 3])
        assert backfill.record.owner is None
        backfill.wait(20)
    finally:
        server.close()
    assert backfill.counts == {RunState.COMPLETED: 2, RunState.FAILED: 1}
    assert engine.launched == []


# -- its state


@pytest.mark.parametrize(
    ("fields", "counts", "is_served", "state"),
    [
        ({"ready": False}, {}, True, "preparing"),
        ({}, {}, False, "completed"),
        ({}, {"pending": 1}, True, "running"),
        ({}, {"pending": 1, "completed": 3}, False, "interrupted"),
        ({}, {"running": 1, "pending": 1}, False, "running"),
        ({}, {"scheduled": 1}, True, "running"),
        ({"paused": True}, {"pending": 1, "running": 1}, True, "paused"),
        ({"paused": True}, {"completed": 1}, True, "completed"),
        ({"max_failures": 2}, {"failed": 1, "crashed": 1, "pending": 1}, True, "stopped"),
        ({"max_failures": 2}, {"failed": 2, "pending": 1, "running": 1}, True, "running"),
        ({"max_failures": 2}, {"failed": 2, "completed": 1}, True, "completed_with_failures"),
        ({"ended_by": "user"}, {"cancelling": 1, "cancelled": 1}, True, "cancelling"),
        ({"ended_by": "user"}, {"completed": 1, "cancelled": 1}, True, "cancelled"),
        ({"ended_by": "user"}, {"completed": 2}, True, "completed"),
        ({"ended_by": "SIGINT"}, {"pending": 1}, True, "interrupted"),
        ({"ended_by": "SIGTERM"}, {"cancelled": 1, "completed": 1}, True, "interrupted"),
        ({}, {"cancelled": 1, "completed": 1}, True, "completed_with_failures"),
        ({}, {"completed": 1, "skipped": 1}, False, "completed"),
        ({}, {"timed_out": 1}, False, "completed_with_failures"),
    ],
)
def test_the_state_is_derived_from_the_runs(
    fields: dict[str, Any], counts: dict[str, int], is_served: bool, state: str
) -> None:
    backfill = make_backfill(**{"ready": True, **fields})
    counted = {RunState(name): count for name, count in counts.items()}
    assert derive_state(backfill, counted, is_served=is_served) == state
