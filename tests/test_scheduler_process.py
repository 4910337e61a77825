"""``nbflow scheduler run`` as a process, with real kernels: stopped, killed, and taken up again."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbflow.lifecycle import FailureKind, RunRecord, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from nbflow.scheduling import Catchup, Every, Overlap, ScheduleRecord
from tests.cli_fixtures import CommandLine, read_until
from tests.conftest import NotebookFactory
from tests.project_fixtures import OpenProject

pytestmark = pytest.mark.kernel
PATIENCE = 120.0


def start(cli: CommandLine, **environment: str) -> subprocess.Popen[str]:
    process = cli.start("scheduler", "run", env={"NBFLOW_SLOTS": "4", **environment})
    read_until(process, "serving", stream="stderr")
    return process


def stop(process: subprocess.Popen[str]) -> str:
    """SIGTERM; what it said last."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return errors


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def every_second(project: Project, path: Path, count: int, **fields: Any) -> ScheduleRecord:
    """*count* times, a second apart, from two seconds on; all of them are caught up."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    bounds = {"starts": first, "ends": first + timedelta(seconds=count - 1)}
    settings = {"catchup": Catchup.ALL, "overlap": Overlap.ALLOW, **bounds, **fields}
    return project.schedules.create(project.load(path), Every(1), settings.pop("values", {}), **settings)


def wait_for(project: Project, schedule: ScheduleRecord, count: int) -> list[RunRecord]:
    """Its runs, once there are *count* and all have ended, in the order of their times."""
    waiting = Project(project.config)
    deadline = datetime.now(UTC) + timedelta(seconds=PATIENCE)
    with waiting:
        while datetime.now(UTC) < deadline:
            runs = waiting.list_runs(RunFilter(schedule_id=schedule.id, limit=None))
            for run in runs:
                waiting.wait(run.id, timeout=PATIENCE)
            if len(runs) >= count:
                ended = waiting.list_runs(RunFilter(schedule_id=schedule.id, limit=None))
                return sorted(ended, key=lambda run: (run.scheduled_time is None, run.scheduled_time))
            threading.Event().wait(0.05)
    raise AssertionError(f"only {len(runs)} of {count} runs came")


def list_left(home: Path) -> list[str]:
    """Processes that were started for runs in *home*."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_two_schedules_run_with_their_own_values(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory
) -> None:
    project = open_project()
    path = make_notebook(
        [
            "import nbflow",
            "nbflow.record('seen', [n, str(day), nbflow.current_run().scheduled_time.isoformat(), len(token)])",
        ],
        parameters="from datetime import date\nfrom nbflow import Secret\nn: int\nday: date = date(1999, 1, 1)\ntoken: Secret = ''",
    )
    values = [{"n": n, "day": "{{ scheduled_date - 1d }}", "token": "env:MY_TOKEN"} for n in (9, 99)]
    made = [every_second(project, path, 3, values=each, name=f"n{each['n']}") for each in values]
    process = start(cli, MY_TOKEN="hunter2")
    for schedule in made:
        runs = wait_for(project, schedule, 3)
        assert schedule.starts is not None
        due = [schedule.starts + timedelta(seconds=number) for number in range(3)]
        assert [run.scheduled_time for run in runs] == due
        day = (schedule.starts - timedelta(days=1)).date().isoformat()
        for run in runs:
            assert run.state is RunState.COMPLETED, run.failure
            assert run.values == {"n": schedule.parameters["n"], "day": day}
            time = run.scheduled_time.isoformat() if run.scheduled_time else None
            assert run.results["seen"] == [schedule.parameters["n"], day, time, 7]
            assert run.tied_to is None
    assert "stopped; runs that go on: 0" in stop(process)
    assert project.schedules.get(made[0].id).next_due is None
    shown = cli("schedule", "show", "n9")
    assert shown.out.count("completed") == 3
    assert "never again" in shown.out
    assert "hunter2" not in json.dumps(cli("runs", "ls", "--json").json)


def test_a_run_outlives_its_scheduler_and_is_taken_up(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    project = open_project()
    go = tmp_path / "go"
    path = make_notebook(
        [f"import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.05)"]
    )
    other = make_notebook(["print('other')"], name="other.ipynb")
    schedule = every_second(project, path, 1)
    process = start(cli)
    run_id = read_until(process, "pending").split()[0]
    for event in project.watch(run_id):
        if event.data.get("lines") == ["begun"]:
            break
    assert "runs that go on: 1" in stop(process)
    # others come and go meanwhile: they neither end it nor wait for it
    assert cli("run", other).code == 0
    assert cli("runs", "show", run_id, "--json").json["state"] == "running"
    second = start(cli)
    go.touch()
    (run,) = wait_for(project, schedule, 1)
    assert (run.state, run.attempts, run.id) == (RunState.COMPLETED, 1, run_id)
    stop(second)


def test_a_run_that_outlived_its_scheduler_can_be_cancelled(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory
) -> None:
    project = open_project()
    path = make_notebook(
        ["import time\nprint('begun', flush=True)\ntry: time.sleep(60)\nfinally: print('bye', flush=True)"]
    )
    schedule = every_second(project, path, 1)
    process = start(cli)
    run_id = read_until(process, "pending").split()[0]
    for event in project.watch(run_id):
        if event.data.get("lines") == ["begun"]:
            break
    kill(process)
    assert cli("runs", "cancel", run_id).code == 0
    (run,) = wait_for(project, schedule, 1)
    assert (run.state, run.attempts) == (RunState.CANCELLED, 1)
    assert "bye" in cli("runs", "logs", run_id).out
    assert list_left(cli.home) == []


def test_five_kills_lose_nothing_and_run_nothing_twice(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    project, ledger, count = open_project(), tmp_path / "ledger", 12
    mark = "with open({!r}, 'a') as file: file.write({!r} + nbflow.current_run().id + '\\n')"
    path = make_notebook(
        [
            "import nbflow, time\n" + mark.format(str(ledger), "begin "),
            "time.sleep(0.5)",
            mark.format(str(ledger), "end "),
        ]
    )
    schedule = every_second(project, path, count)
    for _ in range(5):
        process = start(cli)
        read_until(process, schedule.name[:4])
        kill(process)
    last = start(cli)
    runs = wait_for(project, schedule, count)
    assert [(run.state, run.message) for run in runs] == [(RunState.COMPLETED, "")] * count
    assert schedule.starts is not None
    assert [run.scheduled_time for run in runs] == [schedule.starts + timedelta(seconds=n) for n in range(count)]
    marks = Counter(ledger.read_text().splitlines())
    assert marks == {f"{word} {run.id}": 1 for run in runs for word in ("begin", "end")}
    stop(last)
    assert project.store.list_open_attempts() == []
    assert list_left(cli.home) == []


def test_two_schedulers_share_the_work(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory
) -> None:
    project = open_project()
    schedule = every_second(project, make_notebook(["print(1)"]), 6)
    both = [start(cli), start(cli)]
    runs = wait_for(project, schedule, 6)
    assert Counter(run.scheduled_time for run in runs).most_common(1)[0][1] == 1
    assert {run.state for run in runs} == {RunState.COMPLETED}
    for process in both:
        stop(process)


def test_what_can_not_run_any_more_is_a_failed_run(
    cli: CommandLine, open_project: OpenProject, make_notebook: NotebookFactory
) -> None:
    project = open_project()
    path = make_notebook(["print(n)"], parameters="n = 1\nfrom nbflow import Secret\ntoken: Secret = ''")
    schedule = every_second(project, path, 1, values={"n": 3})
    secretive = every_second(project, path, 1, values={"token": "env:NOT_SET_HERE"})
    kept = cli("schedule", "show", secretive.id, "--json").json
    assert kept["parameters"] == {"token": "env:NOT_SET_HERE"}
    make_notebook(["print(n)"], parameters="n = 'text'\nfrom nbflow import Secret\ntoken: Secret = ''")
    process = start(cli)
    (run,) = wait_for(project, schedule, 1)
    assert run.failure is not None
    assert (run.state, run.failure.kind) == (RunState.FAILED, FailureKind.SETUP)
    assert "n: expected str" in run.message
    (run,) = wait_for(project, secretive, 1)
    assert run.failure is not None
    assert (run.state, run.failure.kind) == (RunState.FAILED, FailureKind.SETUP)
    assert "NOT_SET_HERE is not set" in run.message
    stop(process)
    assert "n: expected str" in cli("schedule", "ls").out
    answer = cli("check", path)
    assert answer.code == 1
    assert "can't run any more: n: expected str" in answer.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_idle_one_stops_at_once(cli: CommandLine, number: int) -> None:
    process = start(cli)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "stopped" in errors
