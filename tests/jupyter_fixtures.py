"""One Jupyter server for JupyterLab, Notebook 7 and Voila, and notebooks opened there in a browser."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.browser_fixtures import OpenPage
from tests.project_fixtures import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

Front = Literal["lab", "notebook", "voila"]
OpenNotebook = Callable[..., "Page"]

PLACES: dict[Front, str] = {"lab": "lab/tree/{}?reset", "notebook": "notebooks/{}", "voila": "voila/render/{}"}

BASE_URL = "/user/me%40example.org"
"""As JupyterHub gives one to each user."""

LAB = Path(__file__).parents[1] / "nbflow" / "server" / "lab"

# Errors that Notebook 7 raises by itself when it is not the first page of a server.
ALLOWED_ERRORS = ("(reading 'schema')", "Command 'filebrowser:")

# The front ends' own start-up is over: the notebook is shown, its kernel answers, its widgets are connected.
READY = """async () => {
    const app = window.jupyterapp
    if (!app) return false
    await app.restored
    const panel = app.shell.currentWidget
    const session = panel?.sessionContext ?? panel?.content?.sessionContext
    if (!session) return false
    await panel.context?.ready
    await session.ready
    const kernel = session.session?.kernel
    if (!kernel || kernel.connectionStatus !== 'connected') return false
    await kernel.info
    return true
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JupyterServer:
    """A server that is running, with folders of its own."""

    url: str
    token: str
    notebooks: Path
    home: Path  # where nbflow keeps runs

    def put(self, name: str, parameters: str | None, cells: Sequence[str]) -> None:
        """Write a notebook into the server's folder."""
        from tests.conftest import notebook_content  # which imports this module

        content = notebook_content(cells, parameters=parameters)
        (self.notebooks / name).write_text(json.dumps(content), encoding="utf-8")

    def request(self, method: str, path: str) -> Any:
        wanted = urllib.request.Request(
            f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(wanted, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def list_kernels(self) -> list[dict[str, Any]]:
        return list(self.request("GET", "api/kernels"))

    def end_sessions(self) -> None:
        for session in self.request("GET", "api/sessions"):
            self.request("DELETE", f"api/sessions/{session['id']}")
        for kernel in self.list_kernels():
            self.request("DELETE", f"api/kernels/{kernel['id']}")

    def answers(self) -> bool:
        try:
            return self.request("GET", "api/status") is not None
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="session")
def jupyter_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """JupyterLab, Notebook 7 and Voila in one process, with settings and folders of their own."""
    root = tmp_path_factory.mktemp("jupyter")
    port, token = find_free_port(), "browser-tests"
    server = JupyterServer(
        url=f"http://127.0.0.1:{port}{BASE_URL}", token=token, notebooks=root / "notebooks", home=root / "home"
    )
    server.notebooks.mkdir()
    write_settings(root / "settings")
    install_extensions(root)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *(
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={server.notebooks}",
            f"--ServerApp.base_url={BASE_URL}/",
            "--ServerApp.port_retries=0",
        ),
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
        *(f"--LabApp.app_settings_dir={root / 'settings'}", f"--LabApp.user_settings_dir={root / 'user'}"),
        *(
            f"--LabApp.workspaces_dir={root / 'workspaces'}",
            "--LabApp.news_url=",
            "--ServerApp.terminals_enabled=False",
        ),
    ]
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=make_environment(root), stdout=log, stderr=log, cwd=server.notebooks)
        try:
            wait_until(lambda: process.poll() is not None or server.answers(), 120)
            assert process.poll() is None, (root / "server.log").read_text()
            yield server
            server.end_sessions()
        finally:
            process.terminate()
            process.wait(30)


def find_free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def make_environment(root: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NBFLOW_", "JUPYTER"))}
    return {
        **kept,
        "HOME": str(root),
        "IPYTHONDIR": str(root / "ipython"),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "NBFLOW_HOME": str(root / "home"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
    }


def write_settings(folder: Path) -> None:
    """No question about news, which would stand in the way of a click."""
    folder.mkdir(parents=True)
    settings = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
    (folder / "overrides.json").write_text(json.dumps(settings))


def install_extensions(root: Path) -> None:
    """As ``pip install`` would: ours is switched on, in the server and in JupyterLab. No run is executed by it."""
    settings = {"ServerApp": {"jpserver_extensions": {"nbflow.server": True}}, "NbflowServer": {"works": False}}
    (root / "config").mkdir(exist_ok=True)
    (root / "config" / "jupyter_server_config.json").write_text(json.dumps(settings))
    folder = root / "data" / "labextensions"
    folder.mkdir(parents=True)
    (folder / "nbflow-lab").symlink_to(LAB)


@pytest.fixture
def open_notebook(jupyter_server: JupyterServer, open_page: OpenPage) -> OpenNotebook:
    """``open_notebook("lab", ["import nbflow", ...])``: a page with that notebook, all its cells run.

    *name* is the file's, which is there already where *cells* is None; ``run=False`` only opens it. Options beside it are those of ``open_page``.
    """

    def make(
        front: Front, cells: Sequence[str] | None, *, name: str = "panel.ipynb", run: bool = True, **options: Any
    ) -> Page:
        if cells is not None:
            jupyter_server.put(name, None, cells)
        page = open_page(allowed_errors=ALLOWED_ERRORS, **options)
        place = PLACES[front].format(name)
        page.goto(f"{jupyter_server.url}/{place}{'&' if '?' in place else '?'}token={jupyter_server.token}")
        if front != "voila":
            wait_for_kernel(page)
            if run:
                page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        return page

    jupyter_server.end_sessions()
    return make


def wait_for_kernel(page: Page) -> None:
    """Until the notebook that is shown has a kernel that answers; a click before that is lost."""
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate(
        f"""async () => {{
            const ready = {READY}
            while (!(await ready())) await new Promise((resume) => setTimeout(resume, 50))
        }}"""
    )
