"""Requests that mean harm or nothing: whatever is sent, wherever, the answer is never a fault of the server's, and
nothing outside of its folder is read or written.

Bodies, queries and addresses are made from the table of operations: what is added there is tried here too.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from nbflow.server.operations import OPERATIONS, Operation
from tests.conftest import notebook_content
from tests.server_fixtures import TOKEN, ServerProcess, make_server

CANARY = "canary-2718"
WRITING = [operation for operation in OPERATIONS if operation.method in ("post", "put", "patch")]
BODIES = [operation for operation in WRITING if operation.body is not None]

RAW_VALUES = (
    *("null", "true", "-1", "0.5", "1e400", "-1E+400", "9" * 5000, "12345678901234567890123", "NaN", "-Infinity"),
    *('""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u202e\\u0007"', '"\\uffff"'),
    *(
        "[]",
        "{}",
        "[[]]",
        "[null]",
        '[{"":null}]',
        '{"":""}',
        '{"__class__":1}',
        "[" * 60 + "]" * 60,
        "[" * 2000 + "]" * 2000,
    ),
    *('"../../outside.ipynb"', '"/etc/passwd"', '"..\\\\..\\\\x.ipynb"', '"%2e%2e/x.ipynb"', '"file:///etc/passwd"'),
    *(
        '"{0.__class__}"',
        '"{n!r:>999999999}"',
        '"{n.__init__.__globals__}"',
        '"{{ scheduled_date.__class__ }}"',
        '"{{"',
    ),
    json.dumps("x" * 100_000),
    *(
        '"2026-13-45T99:99:99Z"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-14:00"',
        '"1..2"',
        '"* * * * *"',
        '"1s"',
    ),
    *(
        '"2026-01-01..9999-12-31"',
        '"1..99999999999999"',
        '"0..1e308"',
        '{"first":0,"last":1e18}',
        '{"first":"a","last":1}',
    ),
    *('{"first":"2026-01-01","last":"2026-01-02","step":"0D"}', '{"first":1,"last":2,"step":"-1"}', '"\\u0661"'),
)
STRIDE = int(os.environ.get("NBFLOW_TEST_STRIDE", "4"))
"""Each field gets every so many-th value, another share than its neighbour; 1: all of them."""
RAW_BODIES: tuple[bytes, ...] = (
    *(b"", b" ", b"\n\t", b"{", b"}", b"[", b"nul", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"\xc3\x28", b"\x00"),
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    gzip.compress(b"{}"),
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"parameters": {}, "parameters": [], "name": 1, "name": "x", "flow": "a/b", "flow": "sales/report"}',
    b'{"parameters": {"n": 1e999}}',
    b'{"": {}}',
    b"flow=sales/report&parameters=",
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="../../evil"\r\n\r\nx\r\n--x--',
)
CONTENT_TYPES = (
    *(
        "text/plain",
        "text/html",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
    ),
    *(
        "application/x-www-form-urlencoded",
        "application/json;",
        ";",
        "\u00e4".encode().decode("latin-1"),
        "x" * 5000,
        "*/*",
    ),
)
ODD_NAMES = (
    *("..", ".", "%2e%2e", "%2e%2e%2f%2e%2e%2foutside", "..%2foutside.ipynb", "%2fetc%2fpasswd", "..%5c..%5cx", "%00"),
    *(
        "a%00b",
        "%ff%fe",
        "%0a",
        "%0d%0aX-Evil:%201",
        ".hidden",
        "CON",
        "a%20b",
        "%C3%BC",
        "%F0%9F%98%80",
        "x" * 300,
        "-",
        "~",
    ),
    *(
        "%25",
        "%",
        "%zz",
        "*",
        "%27%20OR%201=1--",
        "%3Cscript%3E",
        "0" * 32,
        "{run_id}",
        "%ED%A0%80",
        "a%2fb",
        "x" * 6000,
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    place = tmp_path_factory.mktemp("attacked")
    server = make_server(place, "--NbflowServer.works=False")
    content = notebook_content([f"# {CANARY}\nprint(n)"], parameters="n: int = 5")
    for name in ("outside", "folder-evil/x", "folder/.hidden/x", "folder/.x"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / f"{name}.ipynb").write_text(json.dumps(content))
    os.symlink(place / "outside.ipynb", place / "folder/link.ipynb")
    os.symlink(place / "folder-evil", place / "folder/linked")
    os.symlink("loop.ipynb", place / "folder/loop.ipynb")
    plain = json.dumps(notebook_content(["print(n)"], parameters="n: int = 5"))
    (place / "folder/report.ipynb").write_text(plain)
    server.start()
    assert server.post("flows", {"project": "sales", "path": "report.ipynb"}).status == 201
    yield server
    server.stop()


class Caller:
    """One connection for many requests, which are sent as they are. Keeps what was wrong."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.wrong: list[str] = []
        self.statuses: list[int] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        named = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, f"/nbflow/api{path}", body=body, headers=named)
            answer = self._connection.getresponse()
            text, status, kind = answer.read(), answer.status, answer.headers.get("Content-Type")
        except (http.client.HTTPException, OSError) as error:  # cut short: allowed for what is no HTTP at all
            self._connection.close()
            text, status, kind = repr(error).encode(), 0, None
        told = f"{method} {path[:90]} {(body or b'')[:120]!r} {headers}: {status} {text[:160]!r}"
        # What is no HTTP is refused before it comes to us, in no words.
        unexplained = status >= 400 and kind != "application/problem+json" and (status, text) != (400, b"")
        if (status >= 500 and status != 503) or status == 0 or CANARY.encode() in text or unexplained:
            self.wrong.append(told)
        self.statuses.append(status)
        return status

    def close(self) -> None:
        self._connection.close()


@contextmanager
def calling(server: ServerProcess) -> Iterator[Caller]:
    caller = Caller(server)
    before = snapshot(server)
    yield caller
    caller.close()
    assert caller.wrong == []
    assert caller.statuses
    assert snapshot(server) == before
    assert "Traceback" not in server.log.read_text()


def snapshot(server: ServerProcess) -> dict[str, bytes]:
    """All there is outside of the server's home and its log, and inside of its folder."""
    place = server.folder.parent
    own = (server.home, place / "config", place / "data", place / "runtime")
    kept = {}
    for path in sorted(place.rglob("*")):
        if path != server.log and not any(path.is_relative_to(one) for one in own) and path.is_file():
            kept[str(path.relative_to(place))] = path.read_bytes()
    uploads = server.home / "uploads"
    assert all(path.suffix == ".ipynb" for path in uploads.rglob("*") if path.is_file())
    return kept


def list_fields(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each field, those of fields that are objects too."""
    for name, one in model.model_fields.items():
        yield (*before, name)
        inner = [one.annotation, *getattr(one.annotation, "__args__", ())]
        for kind in inner:
            if isinstance(kind, type) and issubclass(kind, BaseModel) and len(before) < 2:
                yield from list_fields(kind, (*before, name))


def make_body(operation: Operation, place: tuple[str, ...], raw: str) -> bytes:
    """A body that would do, but for what is *raw* at *place*."""
    body: dict[str, Any] = {}
    assert operation.body is not None
    fields = operation.body.model_fields
    if "flow" in fields:
        body["flow"] = "sales/report"
    if "cron" in fields:
        body["cron"] = "0 7 * * *"
    if "axes" in fields:
        body["axes"] = {"n": [1, 2]}
        body["dry_run"] = True
    if place[0] in ("path", "notebook"):
        body.pop("flow", None)
    if "project" in fields:
        body |= {"project": "p", "name": "n"} if place[0] == "notebook" else {"project": "p", "path": "report.ipynb"}
    if place[0] == "every":
        body.pop("cron")
    at = body
    for name in place[:-1]:
        at[name] = notebook_content(["1"]) if name == "notebook" else {}
        at = at[name]
    at[place[-1]] = "\x01here"
    return json.dumps(body).replace('"\\u0001here"', raw).encode("utf-8", "surrogatepass")


def fill(path: str) -> str:
    return path.format(project="sales", name="report", run_id="abcd", schedule_id="abcd", backfill_id="abcd", key="k")


@pytest.mark.parametrize("operation", BODIES, ids=lambda one: f"{one.method}{one.path}")
def test_no_value_at_any_field_breaks_an_operation(server: ServerProcess, operation: Operation) -> None:
    assert operation.body is not None
    places = list(list_fields(operation.body))
    places += [("parameters", "n"), ("parameters", "none")] if "parameters" in operation.body.model_fields else []
    places += [("axes", "n"), ("rows", "n"), ("table", "n")] if "axes" in operation.body.model_fields else []
    with calling(server) as caller:
        for index, place in enumerate(places):
            for raw in RAW_VALUES[index % STRIDE :: STRIDE]:
                caller.send(operation.method.upper(), fill(operation.path), make_body(operation, place, raw))
    assert sum(status in (400, 404, 409, 422) for status in caller.statuses) > len(caller.statuses) / 4


@pytest.mark.parametrize("operation", WRITING, ids=lambda one: f"{one.method}{one.path}")
def test_no_body_breaks_an_operation(server: ServerProcess, operation: Operation) -> None:
    method, path = operation.method.upper(), fill(operation.path)
    with calling(server) as caller:
        for body in RAW_BODIES:
            caller.send(method, path, body)
        for kind in CONTENT_TYPES:
            caller.send(method, path, b"{}", Content_Type=kind)
        caller.send(method, path, gzip.compress(b"{}"), Content_Encoding="gzip")
        caller.send(method, path, b"{}", Content_Encoding="zstd")
        caller.send(method, path, None)
    if operation.body is not None and operation.needs_body:
        assert not [status for status in caller.statuses if status < 400 and operation.path != "/runs"]


def test_no_value_breaks_a_query(server: ServerProcess) -> None:
    odd = [quote(json.loads(raw) if raw.startswith('"') and "\\ud" not in raw else raw[:200]) for raw in RAW_VALUES]
    values = [value.replace(" ", "+")[:7000] for value in (*odd, *ODD_NAMES, "a&limit=b", "")]
    asked = [(one, name) for one in OPERATIONS if one.query for name in one.query.model_fields]
    with calling(server) as caller:
        for index, (operation, name) in enumerate(asked):
            for value in values[index % STRIDE :: STRIDE]:
                caller.send(operation.method.upper(), f"{fill(operation.path)}?{name}={value}")


def test_no_name_breaks_an_address(server: ServerProcess) -> None:
    content = json.dumps(notebook_content(["1"])).encode()
    with calling(server) as caller:
        for operation in OPERATIONS:
            names = {
                key
                for key in ("project", "name", "run_id", "schedule_id", "backfill_id", "key")
                if f"{{{key}}}" in operation.path
            }
            for name in names:
                for value in ODD_NAMES:
                    known = {
                        "project": "sales",
                        "name": "report",
                        "run_id": "abcd",
                        "schedule_id": "a",
                        "backfill_id": "a",
                        "key": "k",
                    }
                    path = operation.path.format(**{**known, name: value})
                    if operation.method == "delete" and value in ("*", "-", "~"):
                        continue
                    body = content if operation.method == "put" else b"{}" if operation in WRITING else None
                    caller.send(operation.method.upper(), path, body)


def test_no_header_breaks_a_request(server: ServerProcess) -> None:
    odd = (
        "",
        " ",
        "x",
        "\u00e4".encode().decode("latin-1"),
        "\x7f",
        "x" * 5000,
        "*",
        '"',
        "1.2",
        "9" * 40 + "." + "9" * 40,
    )
    names = (
        *("Idempotency_Key", "Last_Event_ID", "If_Match", "If_None_Match", "Accept", "Authorization", "Cookie"),
        *("Origin", "Referer", "X_XSRFToken", "X_Forwarded_For", "X_Forwarded_Proto", "Range", "Sec_Fetch_Dest"),
    )
    with calling(server) as caller:
        for name in names:
            for value in odd:
                for method, path in (
                    ("POST", "/flows/sales/report/runs"),
                    ("GET", "/runs"),
                    ("PUT", "/kv/k"),
                    ("GET", "/runs/abcd/events"),
                ):
                    caller.send(method, path, b"{}" if method != "GET" else None, **{name: value})


ESCAPES = (
    *(
        "../outside.ipynb",
        "x/../../outside.ipynb",
        "../folder-evil/x.ipynb",
        "..",
        ".",
        "",
        "/",
        "//",
        "./../outside.ipynb",
    ),
    *(
        "%2e%2e/outside.ipynb",
        "..%2foutside.ipynb",
        "%252e%252e/outside.ipynb",
        "..\\outside.ipynb",
        "..\\/outside.ipynb",
    ),
    *("link.ipynb", "linked/x.ipynb", "loop.ipynb", ".hidden/x.ipynb", ".x.ipynb", "report.ipynb/../../outside.ipynb"),
    *(
        "C:\\outside.ipynb",
        "\\\\host\\share\\x.ipynb",
        "file:///etc/passwd",
        "~root/x.ipynb",
        "report.ipynb\x00.txt",
        "report.ipynb/",
    ),
    *(
        "\uff0e\uff0e/outside.ipynb",
        "..\u2215outside.ipynb",
        "report.ipynb\n",
        " ../outside.ipynb",
        "$HOME/x.ipynb",
        "x" * 300 + ".ipynb",
    ),
)


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda text: repr(text)[:40])
def test_no_path_leads_out_of_the_folder(server: ServerProcess, escape: str) -> None:
    outside = [
        escape,
        str(server.folder / escape),
        str(server.folder.parent / "outside.ipynb"),
        f"{server.folder}-evil/x.ipynb",
    ]
    with calling(server) as caller:
        for path in outside:
            if os.path.normpath(path) in ("report.ipynb", str(server.folder / "report.ipynb")):
                continue
            known = caller.send("GET", f"/notebooks?path={quote(path, errors='surrogatepass')}")
            bodies: dict[str, dict[str, Any]] = {
                "/runs": {},
                "/flows": {"project": "p", "name": "n"},
                "/schedules": {"every": "1h"},
                "/schedules/preview": {"every": "1h"},
                "/backfills": {"axes": {"n": [1]}, "dry_run": True},
            }
            for address, more in bodies.items():
                status = caller.send("POST", address, json.dumps({"path": path, **more}).encode())
                assert status in (400, 404, 422), (address, path, status)
            assert known in (400, 404)
        for field in ("output", "cwd"):
            body = {"flow": "sales/report", "options": {field: escape}}
            status = caller.send("POST", "/runs", json.dumps(body).encode())
            assert status in (409, 422) or (field, escape) in INSIDE, (field, escape, status)
        notebook = {"notebook": notebook_content(["1"]), "label": escape}
        caller.send("POST", "/runs", json.dumps(notebook).encode())


INSIDE = {("output", "C:\\outside.ipynb"), ("output", "\\\\host\\share\\x.ipynb"), ("output", "report.ipynb\n")}
"""Names of files in the folder, where names are taken as here."""


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda text: repr(text)[:40])
def test_an_upload_is_written_nowhere_else(server: ServerProcess, name: str) -> None:
    content = json.dumps(notebook_content(["1"])).encode()
    with calling(server) as caller:
        for path in (f"/flows/{name}/x", f"/flows/x/{name}"):
            status = caller.send("PUT", path, content, Content_Disposition='attachment; filename="../../evil.ipynb"')
            assert status in (400, 404, 405, 422) or name in ("CON", "0" * 32), (path, status)
        for field in ("project", "name"):
            body = {"project": "p", "name": "n", "notebook": notebook_content(["1"]), field: name}
            caller.send("POST", "/flows", json.dumps(body).encode())
    found = [path for path in Path(server.home / "uploads").rglob("*") if path.is_file()]
    assert {path.parents[1] for path in found} <= {server.home / "uploads"}


@pytest.mark.parametrize("length", ["abc", "-1", "+2", "1_0", "2, 3", "2.0", "0x2", "9" * 30, ""])
def test_a_length_that_is_no_number_is_refused(server: ServerProcess, length: str) -> None:
    """By whoever, with a token or without."""
    for token in ("", f"Authorization: token {TOKEN}\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as talk:
            head = f"POST /nbflow/api/runs HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: {length}\r\n\r\n{{}}"
            talk.sendall(head.encode())
            assert talk.recv(4096).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))


@pytest.mark.parametrize("request_line", ["GET /nbflow/runs?token=%ff", "TRACE /nbflow/runs", "GET /nbflow/app/%00"])
def test_a_page_says_what_is_wrong_to_whoever_asks(server: ServerProcess, request_line: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as talk:
        head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        talk.sendall(head.encode())
        answer = b"".join(iter(lambda: talk.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 (400|405|302) ", answer)
    assert b"</html>" in answer or b"/login?" in answer
    assert "Traceback" not in server.log.read_text()


def test_too_much_is_refused_as_it_comes(server: ServerProcess) -> None:
    """More than the limit is not kept in memory, whether or not the client says how much there will be."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    block = b"x" * 65536

    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield block

    named = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", "/nbflow/api/flows/sales/report/runs", body=chunks(), headers=named, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
