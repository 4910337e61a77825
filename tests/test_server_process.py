"""The server as a process: it executes beside itself, and may be stopped, killed and started again at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbflow.lifecycle import RunState
from nbflow.project import Project
from nbflow.server.line import Line
from tests.conftest import NotebookFactory, notebook_content
from tests.postgres import PostgresServer
from tests.project_fixtures import OpenProject, wait_until
from tests.server_fixtures import END_STATES, TOKEN, ServerProcess, find_port, make_server

pytestmark = pytest.mark.kernel

LINES = """import time
for i in range(count):
    print(f"line {i}", flush=True)
    if i % every == 0:
        time.sleep(pause)
"""


def write(server: ServerProcess, name: str, code: str, parameters: str = "") -> None:
    content = notebook_content([code], parameters=parameters or None)
    (server.folder / name).write_text(json.dumps(content))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, not started yet."""
    server = make_server(tmp_path)
    yield server
    server.stop()


def count_lines(events: list[tuple[str | None, str, Any]]) -> list[str]:
    return [line for _, kind, data in events if kind == "log" for line in data["data"]["lines"]]


def test_events_come_as_they_happen_and_go_on_behind_the_last_id(served: ServerProcess) -> None:
    write(served, "lines.ipynb", LINES, "count = 60\nevery = 10\npause = 0.05")
    run_id = served.post("runs", {"path": "lines.ipynb"}).json["id"]
    events = served.read_stream(run_id)
    expected = [f"line {i}" for i in range(60)]
    assert count_lines(events) == expected
    kinds = [kind for _, kind, _ in events]
    assert (kinds[-1], events[-1][2]["state"]) == ("end", "completed")
    assert [kind for token, kind, _ in events if token is None] == ["state"] * kinds.count("state") + ["end"]
    tokens = [token for token, _, _ in events if token is not None]
    for token in tokens:
        rest = served.read_stream(run_id, last_id=token)
        assert [one for one, _, _ in rest if one is not None] == tokens[tokens.index(token) + 1 :]
    assert served.get(f"runs/{run_id}/logs").text.splitlines() == expected
    page: dict[str, Any] = {"next": None}
    found: list[str] = []
    while not page.get("ended"):
        query = {"after": page["next"]} if page["next"] else {}
        page = served.get(f"runs/{run_id}/logs", format="json", limit=3, **query).json
        found += [line["text"] for line in page["lines"]]
    assert found == expected


def test_a_running_notebook_is_cancelled(served: ServerProcess) -> None:
    write(served, "long.ipynb", "print('on', flush=True)\nimport time; time.sleep(300)")
    run_id = served.post("runs", {"path": "long.ipynb"}).json["id"]
    wait_until(lambda: "on" in served.get(f"runs/{run_id}/logs").text, 60)
    assert served.post(f"runs/{run_id}/cancel", {"hurry": True}).status == 202
    assert served.wait_for_end(run_id, 30)["state"] == "cancelled"


def test_a_report_is_made_once(served: ServerProcess) -> None:
    write(served, "shown.ipynb", "print(6 * 7)")
    run = served.wait_for_end(served.post("runs", {"path": "shown.ipynb"}).json["id"])
    assert "42" in served.get(f"runs/{run['id']}/report").text
    (page,) = served.home.glob(f"runs/*/{run['id']}/a1/report.html")
    made = page.stat().st_mtime_ns
    assert served.get(f"runs/{run['id']}/report").status == 200
    assert page.stat().st_mtime_ns == made


def test_schedules_and_backfills_are_worked_on(served: ServerProcess) -> None:
    write(served, "small.ipynb", "import nbflow; nbflow.record('double', 2 * n)", "n = 1")
    schedule = served.post("schedules", {"path": "small.ipynb", "every": 1, "parameters": {"n": 4}}).json
    backfill = served.post("backfills", {"path": "small.ipynb", "axes": {"n": [1, 2, 3]}}).json
    wait_until(lambda: served.get(f"backfills/{backfill['id']}").json["state"] == "completed", 90)
    wait_until(lambda: served.get("runs", schedule_id=schedule["id"], state="completed").json["runs"], 60)
    assert served.ask("DELETE", f"schedules/{schedule['id']}").status == 204
    rows = served.get(f"backfills/{backfill['id']}/runs").json["runs"]
    assert [row["results"]["double"] for row in rows] == [2, 4, 6]


def test_a_worker_that_dies_is_replaced_and_harms_no_run(own: ServerProcess) -> None:
    write(own, "lines.ipynb", LINES, "count = 40\nevery = 1\npause = 0.1")
    own.start().wait_for_worker()
    run_id = own.post("runs", {"path": "lines.ipynb"}).json["id"]
    wait_until(lambda: "line 3" in own.get(f"runs/{run_id}/logs").text, 60)
    before = own.get("health").json["worker"]["pid"]
    os.kill(before, signal.SIGKILL)
    run = own.wait_for_end(run_id)
    assert (run["state"], run["attempts"]) == ("completed", 1)
    own.wait_for_worker()
    assert own.get("health").json["worker"]["pid"] != before


def test_a_stop_ends_the_worker_but_no_run_and_a_start_takes_up_everything(own: ServerProcess) -> None:
    write(own, "lines.ipynb", LINES, "count = 60\nevery = 1\npause = 0.1")
    own.start().wait_for_worker()
    runs = [own.post("runs", {"path": "lines.ipynb"}).json["id"] for _ in range(3)]
    # Until both that have a slot have begun: one that was only claimed is begun anew, which is a second attempt.
    wait_until(
        lambda: sum(bool(own.get(f"runs/{run_id}/logs", format="json").json["lines"]) for run_id in runs) == 2, 60
    )
    worker = psutil.Process(own.get("health").json["worker"]["pid"])
    own.stop()
    assert not worker.is_running()
    own.start()
    ended = [own.wait_for_end(run_id) for run_id in runs]
    assert [(run["state"], run["attempts"]) for run in ended] == [("completed", 1)] * 3
    for run_id in runs:
        assert count_lines(own.read_stream(run_id)) == [f"line {i}" for i in range(60)]


def test_a_run_whose_secret_died_with_the_worker_ends_and_says_so(own: ServerProcess) -> None:
    write(own, "long.ipynb", "import time; time.sleep(300)")
    write(own, "secret.ipynb", "print(len(token))", "from nbflow import Secret\ntoken: Secret = None")
    own.start().wait_for_worker()
    blockers = [own.post("runs", {"path": "long.ipynb"}).json["id"] for _ in range(2)]
    wait_until(lambda: len(own.get("runs", state="running").json["runs"]) == 2, 60)
    run_id = own.post("runs", {"path": "secret.ipynb", "parameters": {"token": "s"}}).json["id"]
    assert own.get(f"runs/{run_id}").json["state"] == "pending"
    os.kill(own.get("health").json["worker"]["pid"], signal.SIGKILL)
    assert own.wait_for_end(run_id, 60)["state"] == "crashed"
    for blocker in blockers:
        own.post(f"runs/{blocker}/cancel", {"hurry": True})
        assert own.wait_for_end(blocker, 60)["state"] == "cancelled"


def test_two_servers_on_one_home_have_one_worker(own: ServerProcess) -> None:
    write(own, "small.ipynb", "print(1)")
    own.start().wait_for_worker()
    other = ServerProcess(folder=own.folder, home=own.home, port=find_port())
    other.start()
    try:
        pid = own.get("health").json["worker"]["pid"]
        assert other.get("health").json["worker"]["pid"] == pid
        own.kill()
        wait_until(lambda: (other.get("health").json["worker"]["pid"] or pid) != pid, 60)
        run_id = other.post("runs", {"path": "small.ipynb"}).json["id"]
        assert other.wait_for_end(run_id)["state"] == "completed"
    finally:
        other.stop()


PARENT = """import nbflow
runs = [nbflow.flow("sales/part").submit(n=n) for n in (1, 2)]
nbflow.record("parts", [run.wait().results["n"] for run in runs])
"""


@pytest.mark.postgres
def test_a_database_that_goes_away_and_comes_back_costs_no_run(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.new_database()
    name = urllib.parse.urlsplit(url).path[1:]
    server = make_server(tmp_path, NBFLOW_DATABASE=url)
    write(server, "part.ipynb", "import nbflow; nbflow.record('n', n)", "n = 0")
    write(server, "parent.ipynb", PARENT)
    write(server, "lines.ipynb", LINES, "count = 60\nevery = 1\npause = 0.1")
    server.start().wait_for_worker()
    try:
        assert server.post("flows", {"project": "sales", "path": "part.ipynb"}).status == 201
        parent = server.post("runs", {"path": "parent.ipynb"}).json["id"]
        assert server.wait_for_end(parent)["results"]["parts"] == [1, 2]
        assert len(server.get(f"runs/{parent}/tree").json["runs"]) == 3
        live = server.post("runs", {"path": "lines.ipynb"}).json["id"]
        wait_until(lambda: "line 3" in server.get(f"runs/{live}/logs").text, 60)
        waiting = [server.post("runs", {"path": "part.ipynb"}).json["id"] for _ in range(3)]
        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        for method, path in (("GET", "runs"), ("POST", "flows/sales/part/runs"), ("GET", f"runs/{live}/events")):
            away = server.ask(method, path, b"{}" if method == "POST" else None)
            assert (away.status, away.headers["Content-Type"]) == (503, "application/problem+json")
            assert away.headers["Retry-After"]
        assert server.get("health").json["status"] == "degraded"
        os.kill(server.get("health").json["worker"]["pid"], signal.SIGKILL)
        postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        ended = [server.wait_for_end(run_id) for run_id in (live, *waiting)]
        assert [(run["state"], run["attempts"]) for run in ended] == [("completed", 1)] * 4
        assert count_lines(server.read_stream(live)) == [f"line {i}" for i in range(60)]
    finally:
        server.stop()


MARKED = """import os, time
with open(os.path.join(folder, f"{n}"), "a") as file:
    file.write("x")
time.sleep(0.3)
"""


def test_kills_of_the_server_lose_no_run_and_run_none_twice(own: ServerProcess) -> None:
    """A longer one: NBFLOW_TEST_KILLS=15 NBFLOW_TEST_RUNS=60."""
    kills = int(os.environ.get("NBFLOW_TEST_KILLS", "4"))
    count = int(os.environ.get("NBFLOW_TEST_RUNS", "16"))
    marks = own.folder / "marks"
    marks.mkdir()
    write(own, "marked.ipynb", MARKED, "folder: str = ''\nn: int = 0")
    own.start()
    done = threading.Event()
    answered: dict[int, str] = {}

    def submit() -> None:
        for n in range(count):
            while n not in answered:
                body = {"path": "marked.ipynb", "parameters": {"folder": str(marks), "n": n}}
                try:
                    answer = own.post("runs", body, Idempotency_Key=f"run {n}")
                    if answer.status in (200, 201):
                        answered[n] = answer.json["id"]
                except OSError:
                    time.sleep(0.05)
        done.set()

    asking = threading.Thread(target=submit)
    asking.start()
    chance = random.Random(7)
    for _ in range(kills):
        time.sleep(chance.uniform(0.2, 2.5))
        own.kill()
        own.start()
    assert done.wait(120)
    asking.join()
    wait_until(lambda: own.get("runs/counts", state=sorted(END_STATES)).json["total"] == count, 240)
    others = own.get("runs", state=sorted(END_STATES - {"completed"})).json["runs"]
    assert [(run["state"], run["failure"], run["attempts"]) for run in others] == []
    assert own.get("runs/counts").json["counts"]["completed"] == count
    assert len(set(answered.values())) == count
    told = Counter(path.name for path in marks.iterdir())
    assert told == Counter(str(n) for n in range(count))
    assert {path.read_text() for path in marks.iterdir()} == {"x"}


def test_a_clean_stop_loses_no_run_that_was_about_to_begin(
    open_project: OpenProject, make_notebook: NotebookFactory
) -> None:
    project = open_project(grace=1, lease=60)
    submitting = Project(project.config, handover=Line(project.config.home))
    flow = project.load(make_notebook(["print(1)"]))
    with submitting:
        for pause in (0.0, 0.02, 0.05, 0.1, 0.2):
            run = submitting.submit(flow, {})
            leaving = project.serve()
            leaving.start()
            wait_until(lambda: project.store.list_open_attempts(), 30)
            time.sleep(pause)  # the moment is what is tried
            leaving.close()
            coming = project.serve()
            coming.start()
            try:
                assert project.wait(run.id, timeout=60).state is RunState.COMPLETED
            finally:
                coming.close()


def test_every_client_of_many_gets_every_line(served: ServerProcess) -> None:
    """A larger one: NBFLOW_TEST_CLIENTS=200 NBFLOW_TEST_FOLLOWED=20."""
    clients = int(os.environ.get("NBFLOW_TEST_CLIENTS", "40"))
    followed = int(os.environ.get("NBFLOW_TEST_FOLLOWED", "4"))
    write(served, "followed.ipynb", LINES, "count = 300\nevery = 30\npause = 0.2")
    runs = [served.post("runs", {"path": "followed.ipynb"}).json["id"] for _ in range(followed)]
    texts = asyncio.run(follow_all(served, [runs[i % followed] for i in range(clients)]))
    expected = [f"line {i}" for i in range(300)]
    assert [count for count in map(len, texts) if count != 300] == []
    assert all(lines == expected for lines in texts)


async def follow_all(server: ServerProcess, runs: list[str]) -> list[list[str]]:
    """The lines that each client saw; every third one is cut off now and then, and comes back."""
    return list(await asyncio.gather(*(follow(server, run_id, cut=at % 3 == 0) for at, run_id in enumerate(runs))))


async def follow(server: ServerProcess, run_id: str, *, cut: bool) -> list[str]:
    lines: list[str] = []
    last_id: str | None = None
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = f"GET /nbflow/api/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
        head += f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        writer.write(f"{head}\r\n".encode())
        fields: dict[str, str] = {}
        seen = 0
        async for raw in reader:
            name, _, value = raw.decode().strip().partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value
            elif not name and "event" in fields:
                if fields["event"] == "end":
                    writer.close()
                    return lines
                last_id = fields.get("id", last_id)
                lines += json.loads(fields["data"])["data"]["lines"] if fields["event"] == "log" else []
                fields = {}
                seen += 1
                if cut and seen == 7:
                    break
        writer.close()


def test_the_command_refuses_what_it_does_not_know() -> None:
    command = [sys.executable, "-m", "nbflow", "server"]
    done = subprocess.run([*command, "folder"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "folder" in done.stderr
