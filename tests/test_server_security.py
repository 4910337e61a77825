"""Who is let in, and what nobody is told."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from nbflow.server.handlers import METHODS
from nbflow.server.operations import OPERATIONS
from nbflow.server.routes import API, list_routes
from tests.conftest import notebook_content
from tests.project_fixtures import wait_until
from tests.server_fixtures import TOKEN, ServerProcess
from tests.web_fixtures import WebServer

FILLED = {"project": "p", "name": "f", "run_id": "abcdef", "schedule_id": "abcdef", "backfill_id": "abcdef", "key": "k"}


def fill(pattern: str) -> str:
    """An address that the pattern of a route fits."""
    text = (
        pattern.replace("([^/]+)", "abcd").replace("(.+)", "abcd").replace("(?:/.*)?", "/abcd").replace("(.*)", "abcd")
    )
    return re.sub(r"\(\[.*?\)|\(\?:.*?\)\??|[?$\\]", "", text)


ADDRESSES = sorted({fill(route[0]) for route in list_routes()})


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_is_answered_without_the_token(api_server: ServerProcess, address: str) -> None:
    for method in METHODS:
        for token in (None, "wrong"):
            answer = api_server.ask(method, address, b"{}" if method in ("POST", "PUT", "PATCH") else None, token=token)
            if method == "OPTIONS":
                assert (answer.status, answer.body) in (
                    (204, b""),
                    (401, answer.body),
                    (302, answer.body),
                    (405, answer.body),
                )
            elif address.startswith("/nbflow/api"):
                assert answer.status == 401, f"{method} {address}: {answer.status}"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            else:  # a page sends to the login
                assert answer.status in (302, 401, 403, 405), f"{method} {address}: {answer.status}"
                assert answer.status != 302 or "/login?" in answer.headers["Location"]


def test_every_operation_that_is_described_has_a_handler_and_the_other_way_round() -> None:
    described = {(operation.path, operation.method.upper()) for operation in OPERATIONS}
    for pattern, handler in API:
        fits = {(path, method) for path, method in described if re.fullmatch(f"/{pattern}", path)}
        if pattern == "runs/([^/]+)":
            fits = {(path, method) for path, method in fits if path != "/runs/counts"}
        if pattern == "schedules/([^/]+)":
            fits = {(path, method) for path, method in fits if path != "/schedules/preview"}
        offered = set(handler.find_methods()) - {"HEAD", "OPTIONS"}
        assert {method for _, method in fits} == offered, pattern
        described -= fits
    assert described == set()


class Browser:
    """A session with a cookie, as after a login."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.jar = CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar)
        )
        self.opener.open(f"{server.url}/api/status?token={TOKEN}", timeout=30).read()
        self.opener.open(f"{server.url}/login", timeout=30).read()

    def post(self, path: str, **headers: str) -> int:
        request = urllib.request.Request(f"{self.server.api}/{path}", data=b"{}", method="POST")
        request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            return int(self.opener.open(request, timeout=30).status)
        except urllib.error.HTTPError as error:
            return int(error.code)

    @property
    def xsrf(self) -> str:
        return next(cookie.value or "" for cookie in self.jar if cookie.name == "_xsrf")


def test_a_session_needs_its_xsrf_token_and_its_own_origin(api_server: ServerProcess) -> None:
    browser = Browser(api_server)
    assert browser.post("runs/abcdef/cancel") == 403
    assert browser.post("runs/abcdef/cancel", X_XSRFToken="wrong") == 403
    assert browser.post("runs/abcdef/cancel", X_XSRFToken=browser.xsrf, Origin="http://evil.example") == 404
    assert browser.post("runs", X_XSRFToken=browser.xsrf, Origin="http://evil.example") == 404
    assert browser.post("runs", X_XSRFToken=browser.xsrf) == 422


def test_no_write_is_taken_from_a_session_alone(api_server: ServerProcess) -> None:
    """Every address and method that changes something, with the cookie of somebody who has logged in."""
    browser = Browser(api_server)
    session = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.jar)}
    foreign = {**session, "Origin": "http://evil.example", "X-XSRFToken": browser.xsrf}
    for address in ADDRESSES:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = api_server.ask(method, address, b"{}", token=None, headers=session)
            assert answer.status in (403, 405), f"{method} {address}: {answer.status}"
            answer = api_server.ask(method, address, b"{}", token=None, headers=foreign)
            assert answer.status in (403, 404, 405), f"{method} {address}: {answer.status}"
    # As a form of another page would send it: without a preflight, and with the token in no header.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        sent = {**session, "Content-Type": kind, "Origin": "null"}
        assert api_server.ask("POST", "runs", b'{"path": "x.ipynb"}', token=None, headers=sent).status in (403, 404)


def test_no_answer_is_given_to_a_foreign_host(api_server: ServerProcess) -> None:
    for address in ADDRESSES:
        for method in ("GET", "POST", "DELETE"):
            answer = api_server.ask(
                method, address, None if method == "GET" else b"{}", headers={"Host": "evil.example"}
            )
            assert answer.status in (403, 405), f"{method} {address}: {answer.status}"


def test_below_a_base_url_nothing_is_answered_without_the_token(web_server: WebServer) -> None:
    root = web_server.url.removesuffix("nbflow/").rstrip("/")
    for address in ADDRESSES:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for header in ({}, {"Authorization": "token wrong", "Cookie": "_xsrf=x"}):
                request = urllib.request.Request(f"{root}{address}", method=method, headers=header)
                request.data = b"{}" if method != "GET" else None
                try:
                    status = _STRAIGHT.open(request, timeout=60).status
                except urllib.error.HTTPError as error:
                    status = error.code
                allowed = (401,) if address.startswith("/nbflow/api") else (302, 401, 403, 405)
                assert status in allowed, f"{method} {address} {header}: {status}"
    # Without the base URL there is nothing at all.
    with pytest.raises(urllib.error.HTTPError, match="404"):
        _STRAIGHT.open(f"{root.removesuffix('/some/where')}/nbflow/api/runs", timeout=60)


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_STRAIGHT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Straight())


def test_a_session_is_kept_from_scripts_and_from_other_sites(api_server: ServerProcess) -> None:
    answer = api_server.ask("GET", f"/nbflow/kv?token={TOKEN}", token=None)
    assert (answer.status, answer.headers["Location"]) == (302, "/nbflow/kv")
    [session] = [line for line in answer.headers.get_all("Set-Cookie") or () if line.startswith("username-")]
    assert "httponly" in session.lower()
    assert "samesite=lax" in session.lower()


def test_a_foreign_host_is_refused(api_server: ServerProcess) -> None:
    answer = api_server.ask("GET", "runs", headers={"Host": "evil.example"})
    assert answer.status == 403
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_answer_can_not_be_framed_sniffed_or_remembered(api_server: ServerProcess) -> None:
    headers = api_server.get("runs").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


SECRET = "hush-hush-3141"


@pytest.mark.kernel
def test_a_secret_reaches_the_notebook_and_no_answer(served: ServerProcess) -> None:
    parameters = "from nbflow import Secret\ntoken: Secret = None\nn: int = 1\n"
    code = "import hashlib\nprint(hashlib.sha256(token.encode()).hexdigest()[:8], token)\nimport nbflow; nbflow.record('t', token)"
    content = notebook_content([code], parameters=parameters)
    (served.folder / "hush.ipynb").write_text(json.dumps(content))
    made = served.wait_for_worker().post(
        "runs", {"path": "hush.ipynb", "parameters": {"token": SECRET}}, Idempotency_Key="hush"
    )
    run = served.wait_for_end(made.json["id"])
    assert run["state"] == "completed", run
    answers = [made.body, json.dumps(run).encode(), json.dumps(served.read_stream(run["id"])).encode()]
    answers += [served.get(f"runs/{run['id']}/{part}").body for part in ("logs", "notebook", "report", "tree")]
    answers += [served.get(path).body for path in ("runs", "kv", "flows", "metrics", "openapi.json")]
    log = served.get(f"runs/{run['id']}/logs").text
    assert "********" in log
    import hashlib

    assert hashlib.sha256(SECRET.encode()).hexdigest()[:8] in log
    assert [answer for answer in answers if SECRET.encode() in answer] == []
    kept = [path for path in (served.home, served.log) for path in ([path] if path.is_file() else path.rglob("*"))]
    assert [path for path in kept if path.is_file() and SECRET.encode() in path.read_bytes()] == []
    repeated = served.post("runs", {"path": "hush.ipynb", "parameters": {"token": SECRET}}, Idempotency_Key="hush")
    assert repeated.json["id"] == run["id"]


def list_processes(value: bytes) -> list[str]:
    """Whose command line or environment holds *value*, of all that can be looked into."""
    found = []
    for process in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            try:
                if (
                    process.name.isdecimal()
                    and int(process.name) != os.getpid()
                    and value in (process / name).read_bytes()
                ):
                    found.append(f"{process.name} {name}")
            except OSError:
                pass
    return found


@pytest.mark.kernel
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc to look at processes by")
def test_a_secret_is_in_no_process_and_on_no_page(served: ServerProcess) -> None:
    """Looked for while the notebook runs, and behind every address that can be read when it has ended."""
    secret, plain = "hush-hush-2718", "not-so-secret-2718"
    go = served.folder / "go"
    code = (
        "import os, pathlib, subprocess, sys, time\n"
        f"print('waiting', token, flush=True); child = subprocess.Popen(['sleep', '60', ], env={{**os.environ, 'PLAIN': {plain!r}}})\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)\n"
        "child.kill()\nprint(token, file=sys.stderr)\nraise ValueError(token)"
    )
    parameters = "from nbflow import Secret\ntoken: Secret = None\n"
    (served.folder / "hushed.ipynb").write_text(json.dumps(notebook_content([code], parameters=parameters)))
    served.wait_for_worker().post("flows", {"project": "hush", "name": "hushed", "path": "hushed.ipynb"})
    made = served.post("flows/hush/hushed/runs", {"parameters": {"token": secret}, "options": {"report": "html"}}).json
    wait_until(lambda: "waiting" in served.get(f"runs/{made['id']}/logs").text, 120)
    assert list_processes(plain.encode()) != []  # so that nothing is found for another reason than that it is not there
    assert list_processes(secret.encode()) == []
    go.write_text("")
    run = served.wait_for_end(made["id"])
    assert run["state"] == "failed"
    assert run["failure"]["evalue"] == "********"
    again = served.post(f"runs/{run['id']}/rerun", {"parameters": {"token": secret}})
    served.wait_for_end(again.json["id"])
    assert read_everything(served, run["id"], secret) == []
    kept = [path for root in (served.home, served.folder) for path in root.rglob("*") if path.is_file()]
    assert [path for path in (*kept, served.log) if secret.encode() in path.read_bytes()] == []


def read_everything(server: ServerProcess, run_id: str, secret: str) -> list[str]:
    """The addresses, of all that can be read, whose answers hold *secret*."""
    fields = {**FILLED, "run_id": run_id, "project": "hush", "name": "hushed"}
    addresses = [f"/nbflow/api{one.path.format(**fields)}" for one in OPERATIONS if one.method == "get"]
    addresses += [f"/nbflow/api/runs/columns?{'&'.join(f'field={name}' for name in RUN_FIELDS)}"]
    addresses += [f"/nbflow/{page}" for page in ("", "runs", f"runs/{run_id}", "flows/hush/hushed", "app/hush/hushed")]
    addresses += [
        "/nbflow/notebook?path=hushed.ipynb",
        f"/nbflow/notebook?from={run_id}",
        f"/nbflow/runs/{run_id}/report",
    ]
    found = []
    for address in addresses:
        answer = server.ask("GET", address)
        assert answer.status < 500, address
        if secret in answer.text:
            found.append(address)
    return found


RUN_FIELDS = ("parameters", "values", "results", "failure", "message", "last_line", "name", "tags")


HOSTILE = """from IPython.display import HTML
HTML("<script>document.title='owned'; fetch('/nbflow/api/runs')</script><img src=x onerror=alert(1)>")"""


@pytest.mark.kernel
def test_what_a_notebook_made_is_served_in_a_sandbox(served: ServerProcess) -> None:
    (served.folder / "hostile.ipynb").write_text(json.dumps(notebook_content([HOSTILE])))
    run = served.wait_for_end(served.post("runs", {"path": "hostile.ipynb"}).json["id"])
    report = served.get(f"runs/{run['id']}/report")
    assert report.headers["Content-Type"].startswith("text/html")
    assert "onerror" in report.text
    notebook = served.get(f"runs/{run['id']}/notebook")
    assert notebook.headers["Content-Disposition"].startswith("attachment")
    for answer in (report, notebook):
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'")
        assert "allow-same-origin" not in policy
        assert not any(word in policy for word in ("connect-src", "'self';", "http"))


def test_a_user_whom_the_authorizer_forbids_is_refused(tmp_path: Any) -> None:
    from tests.server_fixtures import make_server

    (tmp_path / "deny.py").write_text(
        "from jupyter_server.auth import Authorizer\n"
        "class ReadOnly(Authorizer):\n"
        "    def is_authorized(self, handler, user, action, resource):\n"
        "        return action == 'read' or resource != 'nbflow'\n"
    )
    options = ("--NbflowServer.works=False", "--ServerApp.authorizer_class=deny.ReadOnly")
    server = make_server(tmp_path, *options, PYTHONPATH=str(tmp_path))
    server.start()
    try:
        assert server.get("runs").status == 200
        assert server.post("runs", {}).status == 403
        assert server.ask("PUT", "kv/x", 1).status == 403
    finally:
        server.stop()
