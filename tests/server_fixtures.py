"""A real ``nbflow server`` in a process of its own, and somebody who talks to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

from tests.project_fixtures import wait_until

TOKEN = "a-token-of-the-tests"
START = 90.0
END_STATES = {"completed", "failed", "cancelled", "crashed", "timed_out", "skipped"}


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class ServerProcess:
    """Started and ended at will, always on the same home, folder and port."""

    folder: Path
    home: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        return f"{self.url}/nbflow/api"

    @property
    def log(self) -> Path:
        return self.home.parent / "server.log"

    def start(self, *, wait: bool = True) -> ServerProcess:
        self.port = self.port or find_port()
        own = self.home.parent
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("NBFLOW_", "JUPYTER"))}
        variables |= {f"JUPYTER_{name}_DIR": str(own / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        variables |= {"NBFLOW_HOME": str(self.home), "NBFLOW_SLOTS": "2", **self.environment}
        command = [sys.executable, "-m", "nbflow", "server", "--port", str(self.port), "--no-browser", "--"]
        command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0", *self.options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=variables, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if wait:
            wait_until(self.is_up, START)
        return self

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.get("health").status == 200
        except OSError:
            return False

    def wait_for_worker(self) -> ServerProcess:
        wait_until(lambda: self.get("health").json["worker"]["alive"], START)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    # -- talking --------------------------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        token: str | None = TOKEN,
    ) -> Answer:
        """*path* is taken from the API; with a leading slash from the server. *body*: bytes, or something for JSON."""
        url = f"{self.url}{path}" if path.startswith("/") else f"{self.api}/{path}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
        if data is not None and "Content-type" not in request.headers:
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"token {token}")
        try:
            with _DIRECT.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path: str, /, **query: Any) -> Answer:
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(query, doseq=True)}" if query else path)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, {} if body is None else body, headers=named)

    def wait_for_end(self, run_id: str, seconds: float = 120) -> Any:
        """The run in its terminal state."""
        wait_until(lambda: self.get(f"runs/{run_id}").json["state"] in END_STATES, seconds)
        return self.get(f"runs/{run_id}").json

    def read_stream(self, run_id: str, *, last_id: str | None = None) -> list[tuple[str | None, str, Any]]:
        """All server-sent events to the end of the run: id, kind and data."""
        request = urllib.request.Request(f"{self.api}/runs/{run_id}/events")
        request.add_header("Authorization", f"token {TOKEN}")
        if last_id is not None:
            request.add_header("Last-Event-ID", last_id)
        with _DIRECT.open(request, timeout=120) as answer:
            return list(parse_stream(line.decode() for line in answer))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def parse_stream(lines: Iterator[str]) -> Iterator[tuple[str | None, str, Any]]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.rstrip("\n").partition(": ")
        if name and value:
            fields[name] = value
        elif not line.strip() and "event" in fields:
            yield fields.get("id"), fields["event"], json.loads(fields["data"])
            fields = {}


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server without a worker: what is asked for is recorded, and nothing is executed."""
    yield from _serve(tmp_path_factory.mktemp("api"), "--NbflowServer.works=False")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that executes."""
    yield from _serve(tmp_path_factory.mktemp("served"))


def _serve(place: Path, *options: str) -> Iterator[ServerProcess]:
    server = make_server(place, *options)
    server.start()
    yield server
    server.stop()


def make_server(place: Path, *options: str, **environment: str) -> ServerProcess:
    """One that is not started yet, with a folder of its own in *place*."""
    folder = place / "folder"
    folder.mkdir()
    return ServerProcess(folder=folder, home=place / "home", options=options, environment=environment)
