"""A server elsewhere, asked by the command line and from Python: what is seen is what is seen here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import nbflow
from nbflow.api.session import get_project
from nbflow.config import load_config
from nbflow.errors import ConfigError, ParameterError, RowError, StoreError
from nbflow.project import Project
from nbflow.project.remote import RemoteProject
from tests.cli_fixtures import Answer, CommandLine, read_until
from tests.conftest import notebook_content
from tests.project_fixtures import wait_until
from tests.server_fixtures import TOKEN, ServerProcess, make_server

PARAMETERS = """from datetime import date
from typing import Literal
from nbflow import Secret
x: int = 3
day: date = date(2026, 1, 1)
region: Literal["EU", "US"] = "EU"
token: Secret = ""
fail: bool = False
gate: str = ""
"""
CELLS = (
    "for n in range(x):\n    print('line', n, flush=True)",
    "import nbflow\nnbflow.record('double', 2 * x)",
    "import os, time\nwhile gate and not os.path.exists(gate):\n    time.sleep(0.05)\nprint('on')",
    "if fail:\n    raise ValueError('no')",
)
PARENT = """import os, nbflow
os.environ |= {"NBFLOW_API_URL": url, "NBFLOW_API_TOKEN": str(token)}
runs = [nbflow.flow("community/report").submit(x=n) for n in (1, 2)]
nbflow.record("children", [run.wait().results["double"] for run in runs])
"""
CHANGING = re.compile(
    r"[0-9a-f]{16}|(?<=report-)[0-9a-f]{4,6}|(?<=run )[0-9a-f]{8}|\b[0-9a-f]{8}\b|[\d.]+ s\b|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|/\S+"
)


AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\n\r\n"
    b'{"title": "Service Unavailable", "status": 503, "detail": "store: it is away", "error": "StoreError"}'
)


class CuttingProxy:
    """Between a client and a server; cuts what goes through it when it is told to."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.swallow_next: bytes | None = None
        """The answer to the next request that begins so never comes."""
        self.swallowed = 0
        self.store_is_away = 0
        """So many further requests are answered as by a server whose store can't be reached."""
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            self._open += [client, server]
            request = client.recv(65536)
            if self.store_is_away:
                self.store_is_away -= 1
                client.sendall(AWAY)
                client.shutdown(socket.SHUT_WR)
                return
            server.sendall(request)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()  # its body may come later
            if self.swallow_next and request.startswith(self.swallow_next):
                self.swallow_next = None
                while not server.recv(65536):  # the server has done it
                    pass
                self.swallowed += 1
                client.shutdown(socket.SHUT_RDWR)  # closing is not enough while the other thread reads from it
                return
            _pump(server, client)

    def cut(self) -> None:
        """Every connection there is."""
        known, self._open = self._open, []
        for one in known:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With one slot: a parent that held it while it waits would wait for ever."""
    server = make_server(tmp_path_factory.mktemp("elsewhere"), NBFLOW_SLOTS="1")
    content = json.dumps(notebook_content(CELLS, parameters=PARAMETERS)).encode()
    server.start().wait_for_worker()
    assert server.ask("PUT", "flows/community/report", content).status == 201
    yield server
    server.stop()


@pytest.fixture
def report(cli: CommandLine) -> Path:
    path = cli.cwd / "report.ipynb"
    path.write_text(json.dumps(notebook_content(CELLS, parameters=PARAMETERS)))
    return path


@pytest.fixture
def remote(server: ServerProcess, cli: CommandLine, tmp_path: Path) -> Callable[..., Answer]:
    return lambda *args, **more: cli(*args, env=point_to(server.url, tmp_path), **more)


@pytest.fixture
def elsewhere(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerProcess:
    """The Python calls of this process go to the server."""
    for name, text in point_to(server.api, tmp_path).items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("NBFLOW_HOME", str(tmp_path / "home"))
    return server


def point_to(url: str, cache: Path) -> dict[str, str]:
    return {"NBFLOW_API_URL": url, "NBFLOW_API_TOKEN": TOKEN, "XDG_CACHE_HOME": str(cache / "cache")}


def settle(answer: Answer) -> tuple[int, str, str]:
    """What two runs of the same command have in common: ids, times and paths differ."""
    return answer.code, CHANGING.sub("…", answer.out), CHANGING.sub("…", answer.err)


# -- the same as here -------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_a_run_is_watched_as_if_it_were_here(cli: CommandLine, remote: Callable[..., Answer], report: Path) -> None:
    assert cli("register", report, "--project", "community").code == 0
    for args in (["-p", "x=2"], ["-p", "fail=true", "--no-logs"]):
        here, there = cli("run", "community/report", *args), remote("run", "community/report", *args)
        assert settle(there) == settle(here)
    assert (here.code, "ValueError: no" in here.err) == (1, True)


def test_what_is_refused_is_told_as_if_it_were_here(
    cli: CommandLine, remote: Callable[..., Answer], report: Path
) -> None:
    assert cli("register", report, "--project", "community").code == 0
    for args in (
        ["run", "community/report", "-p", "x=a", "-p", "regoin=EU"],
        ["run", "community/reprot"],
        ["run", "community/report", "-k", "no-such-kernel"],
        ["backfill", "create", "community/report", "-p", "x=1..3", "-p", "region=EU,UX"],
        ["schedule", "create", "community/report", "--cron", "0 7 * * *", "-p", "day=x"],
        ["runs", "show", "abcdef"],
        ["kv", "get", "no such key"],
        ["inspect", "community/report"],
    ):
        here, there = cli(*args), remote(*args)
        assert (there.code, there.out) == (here.code, here.out), args
        assert settle(there) == settle(here), args


@pytest.mark.kernel
def test_a_backfill_is_run_and_shown_as_if_it_were_here(
    cli: CommandLine, remote: Callable[..., Answer], report: Path
) -> None:
    assert cli("register", report, "--project", "community").code == 0
    args = ["backfill", "create", "community/report", "-p", "x=1,2", "-p", "day=2026-01-05", "-p", "gate="]
    plan = [*args, "--dry-run"]
    assert settle(remote(*plan)) == settle(cli(*plan))
    here, there = cli(*args, "--max-active-runs", "1"), remote(*args, "--max-active-runs", "1")
    assert settle(there) == settle(here)
    again = remote(*args)
    assert (again.code, "completed all 2 rows" in again.err) == (0, True)
    frame = remote("backfill", "frame", json.loads(remote("backfill", "ls", "--json").out)[0]["id"])
    assert [line.rpartition(",")[2] for line in frame.out.splitlines()] == ["double", "2", "4"]


def test_a_schedule_is_kept_on_the_server(remote: Callable[..., Answer], server: ServerProcess) -> None:
    made = remote(
        *("schedule", "create", "community/report", "--cron", "0 7 * * *", "--timezone", "Europe/Berlin"),
        *("-p", "day={{ scheduled_date }}", "-p", "token=env:SOMEWHERE", "--name", "daily", "--json"),
    ).json
    assert made["parameters"] == {"day": "{{ scheduled_date }}", "token": "env:SOMEWHERE"}
    edited = remote("schedule", "edit", "daily", "-p", "x=9", "--cron", "0 8 * * *", "--unset", "day", "--json").json
    assert (edited["cron"], edited["parameters"]) == ("0 8 * * *", {"token": "env:SOMEWHERE", "x": 9})
    assert server.get(f"schedules/{made['id']}").json["next_times"] == edited["next_times"]
    assert "daily paused" in remote("schedule", "pause", "daily").out
    assert remote("schedule", "show", "daily", "--json").json["problem"] is None
    assert remote("schedule", "rm", "daily").code == 0
    assert remote("schedule", "ls").err == "no schedules\n"


@pytest.mark.kernel
def test_a_notebook_here_is_sent_along_and_comes_back(
    remote: Callable[..., Answer], server: ServerProcess, report: Path
) -> None:
    secret = "the-secret-of-the-test"
    done = remote("run", "report.ipynb", "-p", "x=1", "-p", "token=-", "-o", "{region}.ipynb", stdin=secret + "\n")
    assert done.code == 0, done.err
    executed = (report.parent / "EU.ipynb").read_text()
    assert "line 0" in executed
    assert secret not in executed
    run = remote("runs", "--flow", "report.ipynb", "--json").json[0]
    assert run["parameters"] == {"x": 1, "token": "********"}
    copy = Path(remote("runs", "open", run["id"]).out.strip())
    assert copy.read_text() == executed
    again = remote("runs", "rerun", run["id"], "-p", "x=2", "-p", "token=other", "--json")
    assert again.json["results"] == {"double": 4}
    assert remote("runs", "logs", again.json["id"]).out == "line 0\nline 1\non\n"


def test_what_only_the_servers_machine_can_do_is_refused(remote: Callable[..., Answer], report: Path) -> None:
    for args in (["prune", "--older-than", "1d"], ["scheduler", "run"], ["backfill", "create", report, "-p", "x=1,2"]):
        refused = remote(*args)
        assert refused.code == 2
        assert len(refused.error_lines) == 2


# -- who may ask ------------------------------------------------------------------------------------------------------


def test_a_wrong_token_or_address_is_told_in_two_lines(cli: CommandLine, server: ServerProcess, tmp_path: Path) -> None:
    good = point_to(server.url, tmp_path)
    for change, words in (
        ({"NBFLOW_API_TOKEN": "wrong"}, "refuses the token in NBFLOW_API_TOKEN"),
        ({"NBFLOW_API_TOKEN": ""}, "asks for a token"),
        ({"NBFLOW_API_URL": f"{server.url}/?token={TOKEN}"}, "without a token or password"),
        ({"NBFLOW_API_URL": "http://example.org"}, "without https"),
    ):
        refused = cli("runs", env={**good, **change})
        assert refused.code == 2
        assert words in refused.err
        assert TOKEN not in refused.err
    unset = {**good, "NBFLOW_API_URL": ""}
    assert cli("--server", f"{server.url}/nbflow/", "flows", env=unset).out.count("\ncommunity/report ") == 1
    (cli.cwd / "nbflow.toml").write_text(f'server = "{server.api}"')
    assert "community/report" in cli("flows", env=unset).out


class Stranger(BaseHTTPRequestHandler):
    """Whatever else may be at an address; below /newer a server that says things in another way."""

    def do_GET(self) -> None:
        body = (
            b'{"flows": [{"flow": "a/b"}], "columns": {}}'
            if self.path.startswith("/newer")
            else b"<html>welcome</html>"
        )
        self.send_response(200)
        if self.path.startswith("/newer"):
            self.send_header("Nbflow-Version", "99")
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing is told."""


def test_who_is_no_server_of_this_version_is_told_so(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{other.server_port}"
        for path, words in (("", "it is no nbflow server"), ("/newer", "of another version than nbflow")):
            with Project.make(load_config({"NBFLOW_API_URL": address + path}, tmp_path)) as project:
                with pytest.raises(ConfigError, match=words):
                    project.store.list_flows()
                with pytest.raises(ConfigError, match=words):
                    project.list_flow_limits()
        with Project.make(load_config({"NBFLOW_API_URL": address}, tmp_path)) as project, pytest.raises(ConfigError):
            project.kv.set("a", 1)
        other.shutdown()


@pytest.mark.parametrize("path", ["", "/", "/nbflow", "/nbflow/", "/nbflow/api"])
def test_an_address_is_that_of_the_server_or_of_its_api(path: str, tmp_path: Path) -> None:
    config = load_config({"NBFLOW_API_URL": f"https://hub.org/user/me{path}"}, tmp_path)
    assert config.server == "https://hub.org/user/me/nbflow/api"
    assert isinstance(Project.make(config), RemoteProject)
    with pytest.raises(ConfigError, match="expected an address"):
        load_config({"NBFLOW_API_URL": f"hub.org{path}"}, tmp_path)


def test_a_server_that_is_not_there_is_told_soon(cli: CommandLine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    missing = cli("runs", env=point_to(f"http://127.0.0.1:{port}", tmp_path))
    assert missing.code == 6
    assert "can't be reached: connection refused" in missing.err


# -- Python -----------------------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_the_python_calls_work_as_if_they_were_here(elsewhere: ServerProcess) -> None:
    flow = nbflow.flow("community/report")
    with pytest.raises(ParameterError, match="did you mean 'region'"):
        flow.run(regoin="EU")
    run = flow.options(name="python-{x}", tags="remote").run(x=1, token="s3cret")
    assert (run.name, run.results["double"], run.logs()[0]) == ("python-1", 2, "line 0")
    assert "line 0" in json.dumps(run.notebook)
    assert [each.id for each in nbflow.runs(tag="remote")] == [run.id]
    assert nbflow.runs(tag="remote").to_frame()["double"].tolist() == [2]
    assert run.hooks == []
    flow.max_runs = 3
    assert (flow.max_runs, elsewhere.get("limits").json["limits"]) == (3, {"community/report": 3})
    flow.max_runs = None
    run.rename("another")
    assert elsewhere.get(f"runs/{run.id}").json["name"] == "another"
    with pytest.raises(nbflow.RunFailed, match="ValueError"):
        flow.run(fail=True)
    backfill = flow.backfill(x=[1, 2], region="US")
    assert (backfill.state, backfill.to_frame()["double"].tolist()) == ("completed", [2, 4])
    with pytest.raises(RowError, match="row 2: x") as refused:
        flow.backfill(x=[1, "b"], region="EU")
    assert refused.value.count == 1
    plan = flow.plan_backfill(x=[1, 2, 3], region="US", exclude=lambda row: row["x"] == 2)
    assert (plan.total, plan.axes) == (2, ("x",))
    assert "python-1" not in repr(get_project().config)
    assert TOKEN not in repr(get_project().config) + repr(getattr(get_project(), "connection", None))


def test_pairs_are_kept_on_the_server(elsewhere: ServerProcess) -> None:
    nbflow.kv["a/b c"] = [1]
    assert nbflow.kv.update("a/b c", lambda known: [*known, 2]) == [1, 2]
    assert nbflow.kv.update("fresh", lambda known: known + 1, default=0) == 1
    assert nbflow.kv.list("a/") == {"a/b c": [1, 2]}
    nbflow.kv["nan"] = {"a": [float("nan"), float("-inf")]}
    assert str(nbflow.kv["nan"]) == "{'a': [nan, -inf]}"
    assert elsewhere.get("kv/nan").json["value"] == {"a": ["NaN", "-Infinity"]}
    del nbflow.kv["a/b c"]
    assert "a/b c" not in nbflow.kv


@pytest.mark.kernel
def test_what_json_has_no_number_for_arrives_as_it_is_here(elsewhere: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "exact.ipynb"
    declared = "a = None\nlist_: list[float] = [float('nan')]"
    path.write_text(
        json.dumps(notebook_content(["import nbflow; nbflow.record('seen', repr(a))"], parameters=declared))
    )
    run = nbflow.flow(path).run(a={"n": float("nan"), "i": float("inf"), "text": "NaN"})
    assert run.results["seen"] == "{'n': nan, 'i': inf, 'text': 'NaN'}"
    assert repr(run.parameters) == "{'a': {'n': nan, 'i': inf, 'text': 'NaN'}, 'list_': [nan]}"
    (found,) = nbflow.runs(name=run.name).to_frame()["list_"]
    assert repr(found) == "[nan]"


@pytest.mark.kernel
def test_a_parent_on_the_server_makes_its_children_through_it(elsewhere: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "parent.ipynb"
    declared = "from nbflow import Secret\nurl: str = ''\ntoken: Secret = ''"
    path.write_text(json.dumps(notebook_content([PARENT], parameters=declared)))
    run = nbflow.flow(path).run(url=elsewhere.url, token=TOKEN)
    assert run.results["children"] == [2, 4]
    assert [child.flow for child in run.children] == ["community/report"] * 2
    assert all(child.parent is not None and child.parent.id == run.id for child in run.children)


@pytest.mark.kernel
def test_the_panel_runs_and_shows_a_flow_of_the_server(elsewhere: ServerProcess, tmp_path: Path) -> None:
    panel = nbflow.panel("community/report", x=1)
    panel.submit()
    run = panel.wait(60)
    assert run is not None
    assert run.results == {"double": 2}
    assert str(tmp_path / "cache") in panel._view.notebook.value
    assert "line 0" in panel._read_log(run.id)
    panel.close()


# -- a connection that is lost ----------------------------------------------------------------------------------------


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(server.port)
    yield proxy
    proxy.close()


@pytest.mark.kernel
def test_a_run_asked_for_twice_is_one(proxy: CuttingProxy, elsewhere: ServerProcess, monkeypatch: Any) -> None:
    monkeypatch.setenv("NBFLOW_API_URL", f"http://127.0.0.1:{proxy.port}")
    flow = nbflow.flow("community/report").options(tags=(tag := f"twice-{proxy.port}"))
    proxy.swallow_next = b"POST /nbflow/api/runs"
    run = flow.submit(x=0)
    assert proxy.swallowed == 1
    assert [each.id for each in nbflow.runs(tag=tag)] == [run.id]
    proxy.swallow_next = b"POST /nbflow/api/schedules"
    with pytest.raises(StoreError, match="may have been done"):
        flow.schedule(every="1d", name=tag)
    (made,) = [each for each in nbflow.schedules("community/report") if each.name == tag]
    made.remove()
    run.wait()


@pytest.mark.kernel
def test_a_store_that_is_away_for_a_while_is_waited_for(
    proxy: CuttingProxy, elsewhere: ServerProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NBFLOW_API_URL", f"http://127.0.0.1:{proxy.port}")
    (gate := tmp_path / "gate").touch()
    flow = nbflow.flow("community/report")
    proxy.store_is_away = 2
    run = flow.submit(x=1, gate=str(gate))
    assert proxy.store_is_away == 0
    proxy.store_is_away = 2
    assert run.wait().logs()[-1] == "on"
    assert proxy.store_is_away == 0
    proxy.store_is_away = 2
    with pytest.raises(StoreError, match="it is away"):  # once only: what it came to would not be known
        flow.schedule(every="1d")
    proxy.store_is_away = 0
    run.wait()


@pytest.mark.kernel
def test_a_watch_goes_on_over_a_cut_and_a_killed_server(
    proxy: CuttingProxy, server: ServerProcess, cli: CommandLine, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    env = point_to(f"http://127.0.0.1:{proxy.port}", tmp_path)
    watching = cli.start("run", "community/report", "-p", "x=3", "-p", f"gate={gate}", env=env)
    seen = read_until(watching, "line 2")
    proxy.cut()
    server.kill()
    told = read_until(watching, "connection to", stream="stderr")
    server.start()
    gate.touch()
    out, err = watching.communicate(timeout=90)
    assert watching.returncode == 0, err
    assert (seen + out).splitlines()[:4] == ["line 0", "line 1", "line 2", "on"]
    assert (told + err).count("lost") == 1
    assert "trying again for 60 s" in told


@pytest.mark.kernel
def test_ctrl_c_cancels_the_run_on_the_server(server: ServerProcess, cli: CommandLine, tmp_path: Path) -> None:
    server.wait_for_worker()
    watching = cli.start("run", "community/report", "-p", "gate=/nowhere", env=point_to(server.url, tmp_path))
    read_until(watching, "line 2")
    watching.send_signal(2)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130, err
    run_id = re.findall(r"\(run ([0-9a-f]{16})\)", err)[0]
    wait_until(lambda: server.get(f"runs/{run_id}").json["state"] == "cancelled", 30)
    assert server.get(f"runs/{run_id}").json["cancel_reason"] == "SIGINT"


@pytest.mark.kernel
def test_ctrl_c_leaves_a_backfill_on_the_server_for_a_resume(
    server: ServerProcess, cli: CommandLine, remote: Callable[..., Answer], tmp_path: Path
) -> None:
    server.wait_for_worker()
    gate, rows = tmp_path / "gate", ("-p", "x=1,2,3", "--max-active-runs", "1")
    watching = cli.start(
        *("backfill", "create", "community/report", *rows, "-p", f"gate={gate}"), env=point_to(server.url, tmp_path)
    )
    begun = read_until(watching, "backfill", stream="stderr")
    (backfill_id,) = re.findall(r"backfill ([0-9a-f]{8})", begun)
    (first, *_) = server.get(f"backfills/{backfill_id}/runs").json["runs"]
    wait_until(lambda: "line 0" in server.get(f"runs/{first['id']}/logs").text, 60)
    watching.send_signal(2)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130, err
    assert f"run what is missing (3 rows): nbflow backfill resume {backfill_id}" in err
    assert server.get(f"backfills/{backfill_id}").json["state"] == "interrupted"
    gate.touch()
    resumed = remote("backfill", "resume", backfill_id)
    assert (resumed.code, "3 completed of 3" in resumed.out) == (0, True), resumed.err


def test_a_server_asks_no_other_server(server: ServerProcess) -> None:
    assert "NBFLOW_API_URL" not in os.environ
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBFLOW_API_URL", server.url)
        assert not isinstance(Project.open_local(), RemoteProject)
        assert isinstance(Project.open(), RemoteProject)
