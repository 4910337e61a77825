"""One ``nbflow server`` below a base URL, with notebooks in its folder, for the tests of its pages."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser_fixtures import OpenPage
from tests.jupyter_fixtures import find_free_port, make_environment
from tests.project_fixtures import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]

REPORT = """from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from nbflow import Range
day: date  # the day to report on
region: Literal["EU", "US"] = "EU"  # sales region
n: Annotated[int, Range(1, 100)] = 10  # rows to show
since: datetime = datetime.now() - timedelta(days=1)  # start of the window
mail_to: list[str] = ["sales@example.org"]"""

TYPES = """from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Optional
from nbflow import Secret
token: Secret
day: date = date(2026, 1, 31)
at: time = time(7, 30)
when: datetime = datetime.fromisoformat("2026-01-01T00:00:00+02:00")
wait: timedelta = timedelta(hours=2)
price: Decimal = Decimal("1.50")
big: int = 12345678901234567890
draft: bool = False
who: Optional[str] = None
top: int | None = 5
names: list[str] = ["a", "b"]
opts: dict[str, float] = {"EU": 0.5}"""

NOTEBOOKS: dict[str, tuple[str | None, list[str]]] = {
    "report": (
        REPORT,
        [
            "# load\nimport sys\nprint(f'loading {day} {region}')\nprint('a warning', file=sys.stderr)",
            "# check\nif str(day).endswith('13'): raise ValueError(f'no data for {day}')",
            "# summary\nimport nbflow\nnbflow.record('rows', n * 7)",
        ],
    ),
    "types": (TYPES, ["print(day)"]),
    "slow": (None, ["import time\nprint('begun', flush=True)\ntime.sleep(600)"]),
    "loud": ("lines: int = 10000", ["for k in range(lines): print('line', k, 'x' * (k % 60))"]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServer:
    """A server that is running, with folders of its own."""

    url: str
    """Of the pages, with a slash at its end."""
    token: str
    folder: Path
    home: Path

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the API."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        wanted = urllib.request.Request(f"{self.url}api/{path}", method=method, headers=headers, data=data)
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def answers(self) -> bool:
        try:
            return self.request("GET", "flows") is not None
        except (urllib.error.URLError, OSError):
            return False


def write_notebooks(folder: Path) -> None:
    from tests.conftest import notebook_content  # which imports this module

    for name, (parameters, cells) in NOTEBOOKS.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook_content(cells, parameters=parameters)))


@contextmanager
def serving(command: list[str], root: Path, url: str, token: str) -> Iterator[WebServer]:
    """A server started by *command*, until it is ended again."""
    server = WebServer(url=url, token=token, folder=root / "notebooks", home=root / "home")
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=make_environment(root), stdout=log, stderr=log, cwd=server.folder)
        try:
            wait_until(lambda: process.poll() is not None or server.answers(), 120)
            assert process.poll() is None, (root / "server.log").read_text()
            yield server
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """``nbflow server`` below ``/some/where/``; flows ``demo/types``, ``demo/slow`` and ``demo/loud`` are registered."""
    root = tmp_path_factory.mktemp("web")
    (root / "notebooks").mkdir()
    write_notebooks(root / "notebooks")
    port, token = find_free_port(), "web-tests"
    base = "/some/where/"
    command = [sys.executable, "-m", "nbflow", "server", "--no-browser", f"--port={port}", f"--base-url={base}"]
    settings = [f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0"]
    with serving([*command, "--", *settings], root, f"http://127.0.0.1:{port}{base}nbflow/", token) as server:
        for name in ("types", "slow", "loud"):
            server.request("POST", "flows", {"project": "demo", "path": f"{name}.ipynb"})
        yield server


@pytest.fixture
def visit(web_server: WebServer, open_page: OpenPage) -> Visit:
    """``visit("runs", width=400)``: that page of the server, by somebody who has logged in."""

    def go(path: str = "", *, width: int = 1280, **options: Any) -> Page:
        page = open_page(viewport={"width": width, "height": 900}, **options)
        page.goto(f"{web_server.url}kv?token={web_server.token}")
        page.goto(f"{web_server.url}{path}")
        return page

    return go
