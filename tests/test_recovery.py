"""Whatever is killed, stopped or starved: every run ends once, with the truth, and nothing is left running."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.kernels.linux import process_start_time
from nbflow.lifecycle import AttemptState, FailureKind, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from tests.benchmarks.usage import find_tree
from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until

pytestmark = pytest.mark.kernel
OpenProject = Callable[..., Project]

OWNER = """
import os, sys
from pathlib import Path
from nbflow.api.flow import Flow
from nbflow.config import load_config
from nbflow.project import Project

project = Project(load_config(os.environ, Path.cwd()))
flow = Flow(project.load(sys.argv[1]), project).options(raise_on_failure=False)
runs = [flow.submit(x=x) for x in range(int(sys.argv[2]))]
print(*[run.id for run in runs], flush=True)
for run in runs:
    run.wait(raise_on_failure=False)
print("done", flush=True)
"""
"""A process that submits a notebook so many times and waits for the ends."""

LEDGER = """
import os, time
from pathlib import Path
with open({ledger!r}, "a") as file:
    file.write(os.environ["NBFLOW_RUN_ID"] + "\\n")
print("begun", x, flush=True)
deadline = time.monotonic() + 30
while not Path({go!r}).exists() and time.monotonic() < deadline:
    print("." * 100, flush=True)
    time.sleep(0.02)
"""
"""A cell that tells on disk that it was executed, and goes on until it is let go."""


class Place:
    """A home, and a notebook that writes a ledger."""

    def __init__(self, folder: Path, make_notebook: NotebookFactory) -> None:
        self.home = folder / "home"
        self.go = folder / "go"
        self._ledger = folder / "ledger"
        cell = LEDGER.format(ledger=str(self._ledger), go=str(self.go))
        self.notebook = make_notebook([cell, "print('on')"], parameters="x = 0")

    @property
    def ledger(self) -> list[str]:
        """The run of each execution that began."""
        return self._ledger.read_text().split() if self._ledger.exists() else []

    def environment(self, **settings: object) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("NBFLOW_")}
        return {
            **kept,
            "NBFLOW_HOME": str(self.home),
            **{f"NBFLOW_{key.upper()}": str(value) for key, value in settings.items()},
        }

    @contextmanager
    def owner(self, count: int, **settings: object) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
        """A process that owns runs, and their ids."""
        limit = settings.pop("file_size", None)

        def limit_files() -> None:
            assert isinstance(limit, int)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(self.notebook), str(count)],
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment(**settings),
            preexec_fn=limit_files if limit else None,
        )
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()
        finally:
            with suppress(OSError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()

    def kill(self, *pids: int) -> None:
        """SIGKILL to these; within two seconds nothing is left that was below them or has to do with this home."""
        below = {pid: process_start_time(pid) for root in pids for pid in find_tree(root)}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

        def is_over() -> bool:
            alive = [pid for pid, started in below.items() if started and process_start_time(pid) == started]
            return not alive and not self.find_processes()

        wait_until(is_over, 2.0, "the end of all processes")

    def find_processes(self) -> list[str]:
        """Processes that have to do with the runs of this home."""
        found = []
        mark = str(self.home).encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                with suppress(OSError):
                    command = (folder / "cmdline").read_bytes()
                    if mark in command + (folder / "environ").read_bytes() and process_start_time(int(folder.name)):
                        found.append(f"{folder.name} {command!r}")
        return found


@pytest.fixture
def place(tmp_path: Path, make_notebook: NotebookFactory) -> Place:
    return Place(tmp_path, make_notebook)


def check_truth(project: Project, runs: int) -> list[Any]:
    """Every run has ended, once; what is on disk is whole. The records."""
    records = project.list_runs(RunFilter(limit=None, oldest_first=True))
    assert len(records) == runs
    for run in records:
        assert run.state.is_terminal, run
        assert run.ended is not None
        for attempt in project.store.list_attempts(run.id):
            assert attempt.state not in (AttemptState.CLAIMED, AttemptState.STARTED)
            assert attempt.ended is not None
    assert not project.store.list_open_attempts()
    for path in project.config.home.rglob("*.ipynb"):
        json.loads(path.read_bytes(), parse_constant=pytest.fail)
    for path in project.config.home.rglob("events.jsonl"):
        lines = path.read_bytes().split(b"\n")
        assert all(json.loads(line) for line in lines[:-1])
    return records


def let_end(process: subprocess.Popen[str], seconds: float) -> None:
    """A moment of this process's life."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


@pytest.mark.parametrize("seed", range(5))
def test_an_owner_killed_at_any_moment_leaves_nothing_behind(
    place: Place, open_project: OpenProject, seed: int
) -> None:
    place.go.touch()  # runs begin and end all the time
    with place.owner(6, slots=2) as (process, ids):
        let_end(process, random.Random(seed).uniform(0.0, 1.2))
        if process.poll() is None:
            place.kill(process.pid)
    records = check_truth(open_project(), 6)
    assert {run.id for run in records} == set(ids)
    for run in records:
        assert run.state in (RunState.COMPLETED, RunState.CRASHED)
        assert place.ledger.count(run.id) <= 1
        if run.state is RunState.COMPLETED:
            assert place.ledger.count(run.id) == 1
        else:
            assert run.failure is not None
            assert run.failure.kind is FailureKind.LOST


def test_the_runs_of_a_killed_command_line_are_told_by_the_next_one(place: Place, cli: CommandLine) -> None:
    process = cli.start("run", place.notebook, "-p", "x=1")
    wait_until(lambda: place.ledger, 30, "the first cell")
    place.kill(process.pid)
    [run] = cli("runs", "ls", "--json").json
    assert run["state"] == "crashed"
    assert run["ended"]
    assert place.ledger == [run["id"]]


@pytest.mark.parametrize("order", ["runner", "owner then runner", "runner then owner", "guardian then owner"])
def test_a_killed_runner_is_a_crash_whoever_else_dies(place: Place, open_project: OpenProject, order: str) -> None:
    with place.owner(1, slots=1) as (process, [run_id]):
        wait_until(lambda: place.ledger, 30, "the first cell")
        runner = find_runner(place, run_id)
        victims = {"owner": process.pid, "runner": runner, "guardian": find_parent(runner)}
        if order == "runner":
            os.kill(runner, signal.SIGKILL)
            assert process.communicate(timeout=20)[0] == "done\n"
        else:
            place.kill(*(victims[name] for name in order.split(" then ")))
    [run] = check_truth(open_project(), 1)
    assert run.state is RunState.CRASHED
    assert run.attempts == 1
    assert place.ledger == [run_id]


def find_runner(place: Place, run_id: str) -> int:
    for text in place.find_processes():
        if "nbflow.engines.attempt" in text and run_id in text:
            return int(text.split()[0])
    raise AssertionError(f"no runner among {place.find_processes()}")


def find_parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("ends", ["while it is stopped", "after it goes on"])
def test_an_owner_that_was_stopped_for_longer_than_its_lease_and_its_heir_tell_one_truth(
    place: Place, open_project: OpenProject, ends: str
) -> None:
    with place.owner(1, slots=1, lease=1) as (process, [run_id]):
        wait_until(lambda: place.ledger, 30, "the first cell")
        process.send_signal(signal.SIGSTOP)
        heir = open_project(lease=1)
        dispatcher = heir.start_dispatcher()

        def is_adopted() -> bool:
            return [attempt.owner for attempt in heir.store.list_open_attempts()] == [dispatcher.id]

        wait_until(is_adopted, 20, "the adoption")
        if ends == "while it is stopped":
            place.go.touch()
            assert heir.wait(run_id, timeout=30).state is RunState.COMPLETED
            process.send_signal(signal.SIGCONT)
        else:
            process.send_signal(signal.SIGCONT)
            place.go.touch()
        assert process.communicate(timeout=30)[0] == "done\n"
        run = heir.wait(run_id, timeout=30)
        assert run.state is RunState.COMPLETED
        assert run.attempts == 1
        assert place.ledger == [run_id]
        check_truth(heir, 1)


def test_a_lost_attempt_is_tried_again_when_asked_for_and_counted(place: Place, project: Project) -> None:
    run = Flow(project.load(place.notebook), project).options(retries_on_loss=1).submit(x=1)
    wait_until(lambda: place.ledger, 30, "the first cell")
    os.kill(find_runner(place, run.id), signal.SIGKILL)
    wait_until(lambda: len(place.ledger) == 2, 30, "the second attempt")
    place.go.touch()
    assert run.wait().state is RunState.COMPLETED
    assert run.record.attempts == 2
    assert [attempt.state for attempt in project.store.list_attempts(run.id)] == [
        AttemptState.LOST,
        AttemptState.SUCCEEDED,
    ]
    assert place.ledger == [run.id, run.id]
    check_truth(project, 1)


def test_a_killed_worker_of_a_detached_run_is_noticed(place: Place, cli: CommandLine) -> None:
    assert cli("run", place.notebook, "--detach").code == 0
    wait_until(lambda: place.ledger, 30, "the first cell")
    [worker] = [text for text in place.find_processes() if "nbflow.project.worker" in text]
    place.kill(int(worker.split()[0]))
    wait_until(lambda: cli("runs", "ls", "--json").json[0]["state"] not in ("running", "pending"), 20, "the end")
    [run] = cli("runs", "ls", "--json").json
    assert run["state"] == "crashed"
    assert place.ledger == [run["id"]]


PRINTS = "line = 'x' * 99\nfor i in range({lines}): print(line)"


def test_a_log_that_reaches_the_limit_of_files_fails_to_save_and_says_so(
    place: Place, make_notebook: NotebookFactory, open_project: OpenProject
) -> None:
    place.notebook = make_notebook([PRINTS.format(lines=30_000), "print('on')"], name="large.ipynb", parameters="x = 0")
    with place.owner(1, slots=1, file_size=2_000_000) as (process, _):
        assert process.communicate(timeout=60)[0] == "done\n"
    [run] = check_truth(open_project(), 1)
    assert run.state is RunState.FAILED
    assert run.failure.kind is FailureKind.SAVE
    assert "\n" not in run.failure.message
    assert "limit on" in run.failure.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("lines", [30_000, 16_000], ids=["log", "notebook"])
def test_a_full_disk_fails_the_run_and_the_next_one_finds_room(
    place: Place, make_notebook: NotebookFactory, project: Project, lines: int
) -> None:
    disk = project.config.home / "runs"
    disk.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        path = make_notebook([PRINTS.format(lines=lines), "print('on')"], name="large.ipynb")
        run = Flow(project.load(path), project).options(raise_on_failure=False, timeout=60).run()
        assert run.state is RunState.FAILED
        assert run.failure is not None
        assert run.failure.kind is FailureKind.SAVE
        assert "\n" not in run.failure.message
        assert "free some space" in run.failure.message
        check_truth(project, 1)
        for file in disk.rglob("a1/*"):
            if file.is_file():
                file.unlink()
        small = make_notebook(["print('on')"], name="small.ipynb")
        assert Flow(project.load(small), project).run().logs() == ["on"]
    finally:
        project.close()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_run_ends_once_however_often_its_end_is_told(place: Place, open_project: OpenProject) -> None:
    """Three projects look at the leftovers of a dead owner at the same time."""
    with place.owner(2, slots=2) as (process, ids):
        wait_until(lambda: len(place.ledger) == 2, 30, "the first cells")
        place.kill(process.pid)
    ended: dict[str, set[Any]] = {}
    for project in [open_project() for _ in range(3)]:
        for run in check_truth(project, 2):
            ended.setdefault(run.id, set()).add((run.state, run.ended))
    assert set(ended) == set(ids)
    assert all(len(truths) == 1 for truths in ended.values())


def test_an_interrupted_wait_goes_on_where_the_run_is(place: Place, open_project: OpenProject) -> None:
    """Another process sees a run to its end while its owner lives."""
    with place.owner(1, slots=1) as (process, [run_id]):
        wait_until(lambda: place.ledger, 30, "the first cell")
        other = open_project()
        run = Run(other.get_run(run_id), other)
        assert run.state is RunState.RUNNING
        place.go.touch()
        assert run.wait(timeout=30).state is RunState.COMPLETED
        assert process.communicate(timeout=30)[0] == "done\n"
