"""A server that is the app of one flow: what whoever was given its address can do with the token in it, and what not."""

from __future__ import annotations

import importlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbflow.server.handlers import METHODS
from nbflow.server.routes import list_routes
from tests.conftest import notebook_content
from tests.project_fixtures import wait_until
from tests.server_fixtures import START, TOKEN, ServerProcess, make_server
from tests.test_server_security import fill

if TYPE_CHECKING:
    from tests.browser_fixtures import OpenPage

PARAMETERS = "from nbflow import Secret\nn: int = 5\ntoken: Secret = None"
OFFERED = {
    ("GET", "/"),
    ("GET", "/nbflow/app/sales/report"),
    ("GET", "/favicon.ico"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/logout"),
    ("POST", "/logout"),
    ("GET", "/nbflow/api/flows/sales/report"),
    ("POST", "/nbflow/api/flows/sales/report/validate"),
    ("POST", "/nbflow/api/flows/sales/report/runs"),
}
KNOWN_OF_RUNS = {("GET", ""), ("POST", "/cancel")} | {("GET", f"/{part}") for part in ("events", "logs")}


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server with everything, on the home and the folder that the apps share."""
    server = make_server(tmp_path_factory.mktemp("apps"), "--NbflowServer.works=False").start()
    for name in ("report", "other", "free", "next to.free"):
        (server.folder / f"{name}.ipynb").write_text(json.dumps(notebook_content(["print(n)"], parameters=PARAMETERS)))
    for name in ("report", "other"):
        assert server.post("flows", {"project": "sales", "path": f"{name}.ipynb"}).status == 201
    yield server
    server.stop()


def open_app(owner: ServerProcess, only: str, *options: str) -> ServerProcess:
    page = f"/nbflow/app/{urllib.parse.quote(only)}"
    settings = (f"--NbflowServer.only={only}", f"--NbflowServer.default_url={page}", *options)
    server = ServerProcess(folder=owner.folder, home=owner.home, options=settings).start(wait=False)

    def answers() -> bool:
        try:
            return server.ask("GET", page).status == 200
        except OSError:
            return False

    wait_until(answers, START)
    return server


@pytest.fixture(scope="module")
def app(owner: ServerProcess) -> Iterator[ServerProcess]:
    server = open_app(owner, "sales/report", "--NbflowServer.works=False")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def path_app(owner: ServerProcess) -> Iterator[ServerProcess]:
    """Of a notebook that is not registered."""
    server = open_app(owner, "free.ipynb", "--NbflowServer.works=False")
    yield server
    server.stop()


def list_addresses() -> list[str]:
    """One of each route that Jupyter Server and nbflow have, and some that extensions would."""
    from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS

    modules = {name for names in JUPYTER_SERVICE_HANDLERS.values() for name in names or ()}
    patterns = [route[0] for route in list_routes()]
    for name in sorted(modules | {"jupyter_server.base.handlers", "jupyter_server.auth.login"}):
        patterns += [route[0] for route in getattr(importlib.import_module(name), "default_handlers", ())]
    groups = {"(?P<": "(", "(?:(?:/[^/]+)+|/?)": "/report.ipynb"}
    for group, text in groups.items():
        patterns = [pattern.replace(group, text) for pattern in patterns]
    plain = {fill(pattern) for pattern in patterns}
    known = {"/api", "/api/contents", "/api/contents/report.ipynb", "/api/kernels", "/api/kernels/abcd/channels"}
    known |= {"/api/sessions", "/api/terminals", "/api/kernelspecs", "/api/config/notebook", "/api/status", "/api/me"}
    known |= {"/api/shutdown", "/api/events", "/api/events/subscribe", "/files/report.ipynb", "/view/report.ipynb"}
    known |= {"/edit/report.ipynb", "/tree", "/lab", "/terminals/1", "/metrics", "/nbconvert/html/report.ipynb"}
    known |= {"/api/spec.yaml", "/custom/custom.css", "/kernelspecs/python3/logo.svg", "/api/nbconvert"}
    known |= {"/nbflow/app/sales/other", "/nbflow/app/free.ipynb", "/nbflow/api/flows/sales/other/runs"}
    known |= {"/nbflow/api/flows/sales/report/notebook", "/nbflow/api/flows/sales/report/versions"}
    return sorted(address for address in plain | known if address.startswith("/") and "(" not in address)


def test_nothing_but_the_form_and_its_calls_is_there(app: ServerProcess, owner: ServerProcess) -> None:
    before = sorted(path.name for path in owner.folder.iterdir())
    addresses = list_addresses()
    assert len(addresses) >= 80
    wrong = []
    for address in addresses:
        for method in METHODS:
            if (method.replace("HEAD", "GET"), address) in OFFERED:
                continue
            answer = app.ask(method, address, b"{}" if method in ("POST", "PUT", "PATCH") else None)
            if method == "OPTIONS" and answer.status == 204 and not answer.body:
                continue
            if answer.status not in (401, 403, 404, 405):
                wrong.append((method, address, answer.status))
    assert wrong == []
    assert sorted(path.name for path in owner.folder.iterdir()) == before
    assert app.process is not None
    assert app.process.poll() is None


@pytest.mark.parametrize(
    "address",
    [
        "/static/../api/contents",
        "/static/..%2f..%2fapi/contents",
        "/nbflow/app/../../api/contents",
        "/nbflow/app/%2e%2e/%2e%2e/api/contents",
        "//api/contents",
        "/api//contents",
        "/API/contents",
        "/%61pi/contents",
        "/nbflow/api/%66lows",
        "/nbflow/api/flows/sales/%6fther",
        "/nbflow/api/flows/sales/report/../other",
        "/nbflow//api/flows",
        "/nbflow/api//flows",
        "/nbflow/api/flows?/nbflow/app/sales/report",
        "/nbflow/api/flows;/nbflow/app/sales/report",
        "http://127.0.0.1/nbflow/api/flows",
    ],
)
def test_the_gate_is_not_talked_round(app: ServerProcess, address: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    connection.putrequest("GET", address)  # as it is: urllib would tidy it up
    connection.putheader("Authorization", f"token {TOKEN}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (400, 403, 404), (address, answer.status, body[:200])
    assert b"sales/other" not in body


def test_a_kernel_channel_is_not_opened(app: ServerProcess) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    for address in ("/api/kernels/abcd/channels", "/terminals/websocket/1", "/api/events/subscribe"):
        answer = app.ask("GET", address, headers={**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        assert answer.status == 404, address


def test_the_form_runs_watches_and_cancels(app: ServerProcess) -> None:
    assert app.ask("GET", "/").status == 302
    flow = app.get("flows/sales/report").json
    assert [parameter["name"] for parameter in flow["parameters"]] == ["n", "token"]
    assert app.post("flows/sales/report/validate", {"parameters": {"n": 2}}).json["parameters"]["n"] == 2
    body = {"parameters": {"n": 7}, "name": "mine", "tags": ["x"], "options": {"retries": 1, "report": "html"}}
    made = app.post("flows/sales/report/runs", body)
    assert made.status == 201, made.text
    address = f"runs/{made.json['id']}"
    for method, part in sorted(KNOWN_OF_RUNS):
        headers = {"Accept": "application/json"}
        assert app.ask(method, f"{address}{part}", headers=headers).status in (200, 202), part
    assert app.get(address).json["state"] == "cancelled"


def test_other_runs_are_not_its_own(app: ServerProcess, owner: ServerProcess) -> None:
    own = app.post("flows/sales/report/runs", {}).json["id"]
    other = owner.post("flows/sales/other/runs", {}).json["id"]
    free = owner.post("runs", {"path": "report.ipynb"}).json["id"]
    for run_id in (other, free, own[:8], own[:15], "0" * 16):
        for part in ("", "/logs", "/events", "/notebook", "/report"):
            assert app.get(f"runs/{run_id}{part}").status == 404, (run_id, part)
        assert app.post(f"runs/{run_id}/cancel").status == 404
    assert owner.get(f"runs/{other}").json["state"] == "pending"
    for method, part in (("POST", "/retry"), ("POST", "/rerun"), ("PATCH", ""), ("GET", "/tree"), ("GET", "/source")):
        assert app.ask(method, f"runs/{own}{part}", {"name": "x"} if method != "GET" else None).status == 404
    for run_id in (other, own):
        owner.post(f"runs/{run_id}/cancel")


@pytest.mark.parametrize(
    "body",
    [
        {"options": {"output": "report.ipynb"}},
        {"options": {"cwd": "folder"}},
        {"options": {"kernel": "python3"}},
        {"parent_id": "abcdef"},
    ],
    ids=str,
)
def test_a_run_is_made_as_the_form_makes_it(app: ServerProcess, path_app: ServerProcess, body: dict[str, Any]) -> None:
    for answer in (app.post("flows/sales/report/runs", body), path_app.post("runs", {"path": "free.ipynb", **body})):
        assert answer.status == 403
        assert list(answer.json["errors"]) in (["parent_id"], [f"options.{key}" for key in body.get("options", {})])


def test_an_earlier_version_is_not_offered(app: ServerProcess, owner: ServerProcess) -> None:
    assert owner.get("flows/sales/report", version=1).status == 200
    assert app.get("flows/sales/report", version=1).status == 404
    for part in ("runs", "validate"):
        assert app.post(f"flows/sales/report/{part}?version=1").status == 404


def test_a_secret_reads_nothing_of_the_server(app: ServerProcess, owner: ServerProcess) -> None:
    body = {"parameters": {"token": "env:NO_SUCH_VARIABLE"}}
    assert owner.post("flows/sales/report/validate", body).status == 422
    assert app.post("flows/sales/report/validate", body).status == 200  # a secret that happens to read so


def test_a_notebook_by_its_path_is_an_app_too(path_app: ServerProcess, owner: ServerProcess) -> None:
    assert path_app.get("notebooks", path="free.ipynb").json["path"] == str(owner.folder / "free.ipynb")
    made = path_app.post("runs", {"path": "free.ipynb", "parameters": {"n": 3}})
    assert made.status == 201, made.text
    assert path_app.post(f"runs/{made.json['id']}/cancel").json["state"] == "cancelled"
    for path in (
        "other.ipynb",
        "./free.ipynb",
        "x/../free.ipynb",
        str(owner.folder / "free.ipynb"),
        "next to.free.ipynb",
    ):
        assert path_app.get("notebooks", path=path).status == 404, path
        assert path_app.post("runs", {"path": path}).status == 403, path
    content = notebook_content(["import os"])
    for body in ({"flow": "sales/report"}, {"notebook": content}, {"notebook": content, "label": "free"}, {}):
        assert path_app.post("runs", body).status in (403, 422), body
    assert path_app.get("runs").status == 404
    for run in (owner.post("runs", {"path": "other.ipynb"}), owner.post("flows/sales/report/runs", {})):
        assert path_app.get(f"runs/{run.json['id']}").status == 404
        owner.post(f"runs/{run.json['id']}/cancel")


def test_without_the_token_there_is_nothing(app: ServerProcess) -> None:
    for method, address in sorted(OFFERED):
        if "/api/" in address:
            assert app.ask(method, address, b"{}" if method == "POST" else None, token=None).status == 401
    assert "/login?" in app.ask("GET", "/nbflow/app/sales/report", token=None).headers["Location"]
    assert "/login?" in app.ask("GET", "/nbflow/flows", token=None).headers["Location"]


def test_a_session_of_the_app_opens_no_other_server_of_the_same_user(app: ServerProcess, owner: ServerProcess) -> None:
    """All servers of a user have one key for sessions, and Jupyter names a session by the host that the client tells."""
    foreign = f"127.0.0.1:{owner.port}"
    answer = app.ask("GET", f"/nbflow/app/sales/report?token={TOKEN}", headers={"Host": foreign}, token=None)
    cookies: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie") or ():
        cookies.load(line)
    session = "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())
    assert f"username-127-0-0-1-{owner.port}=" in session
    assert owner.ask("GET", "flows", headers={"Cookie": session}, token=None).status == 401


def test_the_login_of_the_app_sets_no_password(app: ServerProcess) -> None:
    form = urllib.parse.urlencode({"password": TOKEN, "new_password": "mine-now"}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert app.ask("POST", "/login", form, headers=kind).status in (200, 302)
    assert not list((app.home.parent / "config").glob("jupyter_server_config.json"))
    assert app.ask("GET", "/nbflow/app/sales/report").status == 200


def test_below_a_base_url_the_app_is_as_closed(owner: ServerProcess) -> None:
    page = "/user/me/nbflow/app/sales/report"
    settings = ("--NbflowServer.only=sales/report", "--NbflowServer.works=False", "--ServerApp.base_url=/user/me/")
    server = ServerProcess(folder=owner.folder, home=owner.home, options=settings).start(wait=False)
    try:
        wait_until(lambda: _answers(lambda: server.ask("GET", page).status == 200), START)
        assert server.ask("GET", "/user/me/nbflow/api/flows/sales/report").status == 200
        for address in (
            "/user/me/api/contents",
            "/user/me/nbflow/api/flows",
            "/user/me/nbflow/api/kv",
            "/api/contents",
        ):
            assert server.ask("GET", address).status == 404, address
        assert 'href="/user/me/nbflow/app/sales/report"' in server.ask("GET", "/user/me/nbflow/runs").text
    finally:
        server.stop()


def _answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError:
        return False


@pytest.mark.kernel
@pytest.mark.browser
def test_the_app_is_used_in_a_browser(owner: ServerProcess, open_page: OpenPage, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    server = open_app(owner, "next to.free.ipynb")
    try:
        page = open_page()
        page.goto(f"{server.url}/?token={TOKEN}")
        page.wait_for_selector("body[data-ready]")
        assert page.url == f"{server.url}/nbflow/app/next%20to.free.ipynb"
        page.get_by_label("n", exact=True).fill("8")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.locator("#state")).to_have_text("completed", timeout=120_000)
        expect(page.locator("#log")).to_contain_text("8")
        page.goto(f"{server.url}/nbflow/runs")
        expect(page.get_by_role("link", name="Open the app")).to_be_visible()
        expect(page.get_by_role("navigation")).to_have_count(0)
    finally:
        server.stop()
