"""The HTTP API, asked as a program would: nothing is executed here."""

from __future__ import annotations

import json
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import notebook_content
from tests.server_fixtures import Answer, ServerProcess

PARAMETERS = """from datetime import date
from typing import Literal
from nbflow import Secret
n: int = 5
day: date = date(2026, 1, 1)
region: Literal["EU", "US"] = "EU"
"""


@pytest.fixture(scope="module")
def server(api_server: ServerProcess) -> ServerProcess:
    write(api_server, "report.ipynb")
    answer = api_server.post("flows", {"project": "sales", "path": "report.ipynb"})
    assert answer.status in (200, 201), answer.text
    return api_server


def write(server: ServerProcess, path: str, parameters: str = PARAMETERS, *cells: str) -> bytes:
    content = json.dumps(notebook_content(cells or ("print(n)",), parameters=parameters)).encode()
    target = server.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return content


def assert_problem(answer: Answer, status: int) -> Any:
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


# -- flows ------------------------------------------------------------------------------------------------------------


def test_a_notebook_is_registered_by_its_path(server: ServerProcess) -> None:
    flow = server.get("flows/sales/report").json
    assert flow["source_path"] == str(server.folder / "report.ipynb")
    assert flow["schema"]["properties"]["region"]["enum"] == ["EU", "US"]
    assert [parameter["name"] for parameter in flow["parameters"]] == ["n", "day", "region"]
    assert "sales/report" in [one["flow"] for one in server.get("flows", project="sales").json["flows"]]
    assert server.get("flows/sales/report/schema").json == flow["schema"]


def test_a_notebook_is_registered_by_upload_and_given_back(server: ServerProcess) -> None:
    first, second = (json.dumps(notebook_content([f"print({n})"])).encode() for n in (1, 2))
    assert server.ask("PUT", "flows/up/loaded", first).status == 201
    assert server.ask("PUT", "flows/up/loaded", first).status == 200
    assert server.ask("PUT", "flows/up/loaded", second).json["version"] == 2
    given = server.get("flows/up/loaded/notebook", version=1)
    assert given.body == first
    assert "sandbox" in given.headers["Content-Security-Policy"]
    assert [one["version"] for one in server.get("flows/up/loaded/versions").json["versions"]] == [1, 2]
    assert server.ask("DELETE", "flows/up/loaded").status == 204
    assert_problem(server.get("flows/up/loaded"), 404)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json", b'{"nbformat": 4}', b"\xff\xfe", b""], ids=repr)
def test_an_upload_that_is_no_notebook_is_refused(server: ServerProcess, body: bytes) -> None:
    assert server.ask("PUT", "flows/up/bad", body).status in (400, 422)
    assert_problem(server.get("flows/up/bad"), 404)


def test_values_are_checked_without_a_run(server: ServerProcess) -> None:
    good = server.post("flows/sales/report/validate", {"parameters": {"n": 3.0, "day": "2026-02-03"}})
    assert good.json == {"parameters": {"n": 3, "day": "2026-02-03"}}
    problem = assert_problem(
        server.post("flows/sales/report/validate", {"parameters": {"n": "3", "regoin": "EU", "region": "XX"}}), 422
    )
    assert set(problem["errors"]) == {"n", "regoin", "region"}
    assert "region" in problem["errors"]["regoin"]
    assert "'EU', 'US'" in problem["errors"]["region"]


# -- what lies outside ------------------------------------------------------------------------------------------------


def test_nothing_outside_the_folder_is_reached(server: ServerProcess) -> None:
    outside = server.folder.parent / "outside.ipynb"
    outside.write_text(json.dumps(notebook_content()))
    sibling = server.folder.parent / f"{server.folder.name}-sibling"
    sibling.mkdir(exist_ok=True)
    (sibling / "x.ipynb").write_text(json.dumps(notebook_content()))
    write(server, ".hidden/x.ipynb")
    write(server, ".x.ipynb")
    links = {"link.ipynb": outside, "linked": sibling, "shown.ipynb": server.folder / ".hidden" / "x.ipynb"}
    for name, target in links.items():
        (server.folder / name).unlink(missing_ok=True)
        os.symlink(target, server.folder / name)
    escapes = [
        "../outside.ipynb",
        "report/../../outside.ipynb",
        str(outside),
        f"../{sibling.name}/x.ipynb",
        f"{server.folder}-sibling/x.ipynb",
        *links,
        "linked/x.ipynb",
        ".hidden/x.ipynb",
        ".x.ipynb",
        "x\x00.ipynb",
        "%2e%2e/outside.ipynb",
        "~/x.ipynb",
        "/etc/passwd",
        "y" * 999 + ".ipynb",
    ]
    for path in escapes:
        for answer in (server.get("notebooks", path=path), server.post("runs", {"path": path})):
            assert answer.status in (400, 404, 422), (path, answer.text)
        assert server.post("flows", {"project": "p", "path": path}).status in (404, 422), path
        assert server.post("schedules", {"path": path, "every": "1h"}).status in (404, 422), path
        assert server.post("backfills", {"path": path, "axes": {"n": [1]}}).status in (404, 422), path
    assert server.get("notebooks", path="report.ipynb").status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"output": "../out.ipynb"},
        {"output": "/tmp/out.ipynb"},
        {"output": "a/../../out.ipynb"},
        {"output": ".out.ipynb"},
        {"output": "{label}.ipynb"},
        {"cwd": ".."},
        {"cwd": "/"},
        {"cwd": "nowhere"},
        {"kernel": "no-such-kernel"},
    ],
    ids=str,
)
def test_a_run_may_not_write_or_work_elsewhere(server: ServerProcess, options: dict[str, str]) -> None:
    write(server, "labelled.ipynb", 'label = "x"')
    body = {"path": "labelled.ipynb", "parameters": {"label": "../../out"}, "options": options}
    assert server.post("runs", body).status in (409, 422)
    assert server.post("schedules", {**body, "every": "1h"}).status in (409, 422)
    rows = {**body, "parameters": {}, "axes": {"label": ["../../out", "y"]}}
    assert server.post("backfills", rows).status in (409, 422)


# -- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_is_recorded_shown_listed_renamed_and_cancelled(server: ServerProcess) -> None:
    made = server.post("flows/sales/report/runs", {"parameters": {"n": 7}, "name": "n is {n}", "tags": ["a", "ü"]})
    assert made.status == 201
    run = made.json
    assert made.headers["Location"] == f"/nbflow/api/runs/{run['id']}"
    assert (run["state"], run["name"], run["parameters"], run["tags"]) == ("pending", "n is 7", {"n": 7}, ["a", "ü"])
    assert server.get(f"runs/{run['id'][:6]}").json["tries"] == []
    assert run["id"] in [one["id"] for one in server.get("runs", tag=["a", "ü"], state="pending").json["runs"]]
    renamed = server.ask("PATCH", f"runs/{run['id']}", {"name": "another"})
    assert renamed.json["name"] == "another"
    assert server.post(f"runs/{run['id']}/cancel").json["state"] == "cancelled"
    assert server.post(f"runs/{run['id']}/retry").json["state"] == "pending"
    assert_problem(server.post(f"runs/{run['id']}/retry"), 409)
    again = server.post(f"runs/{run['id']}/rerun", {"parameters": {"region": "US"}}).json
    assert again["parameters"] == {"n": 7, "region": "US"}
    assert [one["id"] for one in server.get(f"runs/{again['id']}/tree").json["runs"]] == [again["id"]]


def test_a_list_is_read_page_by_page(server: ServerProcess) -> None:
    tag = uuid.uuid4().hex
    made = [server.post("flows/sales/report/runs", {"tags": [tag]}).json["id"] for _ in range(5)]
    for order, expected in (("newest", made[::-1]), ("oldest", made)):
        found, cursor = [], None
        while True:
            page = server.get("runs", tag=tag, limit=2, order=order, **({"cursor": cursor} if cursor else {})).json
            found += [run["id"] for run in page["runs"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert found == expected
    counts = server.get("runs/counts", tag=tag).json
    assert counts["total"] == counts["counts"]["pending"] == 5


@pytest.mark.parametrize(
    "query",
    ["state=nonsense", "limit=0", "limit=x", "limit=501", "limit=1&limit=2", "cursor=x", "since=yesterday", "order=up"],
)
def test_a_query_that_can_not_be_meant_is_refused(server: ServerProcess, query: str) -> None:
    problem = assert_problem(server.ask("GET", f"runs?{query}"), 400)
    assert set(problem["errors"]) == {query.partition("=")[0]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"parameters": []}, "parameters"),
        ({"tags": "x"}, "tags"),
        ({"tags": ["a,b"]}, "tags.0"),
        ({"name": ""}, "name"),
        ({"options": {"retries": -1}}, "options.retries"),
        ({"options": {"retries": "1"}}, "options.retries"),
        ({"options": {"timeout": 0}}, "options.timeout"),
        ({"options": {"engine": "dask"}}, "options.engine"),
        ({"unknown": 1}, "unknown"),
        ({"parameters": {"n": None}}, "n"),
        ({"parameters": {"day": "yesterday"}}, "day"),
        ({"parameters": {"n": True}}, "n"),
    ],
    ids=str,
)
def test_a_bad_body_names_the_field(server: ServerProcess, body: dict[str, Any], field: str) -> None:
    problem = assert_problem(server.post("flows/sales/report/runs", body), 422)
    assert set(problem["errors"]) == {field}


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[1, NaN]", b"[" * 100_000, b'{"parameters": NaN}'], ids=lambda b: repr(b[:9])
)
def test_a_body_that_is_no_json_is_refused(server: ServerProcess, body: bytes) -> None:
    assert_problem(server.ask("POST", "flows/sales/report/runs", body), 400)


@pytest.mark.parametrize("body", [b"null", b"[]", b"3", b'"x"'], ids=repr)
def test_a_body_that_is_no_object_is_refused(server: ServerProcess, body: bytes) -> None:
    assert_problem(server.ask("POST", "flows/sales/report/runs", body), 422)


def test_bodies_have_a_limit(server: ServerProcess) -> None:
    large = b'{"parameters": {"n": "' + b"x" * (2 * 1024 * 1024) + b'"}}'
    assert_problem(server.ask("POST", "flows/sales/report/runs", large), 413)
    assert_problem(server.post("flows/sales/report/runs", {"parameters": {"region": "x" * 600_000}}), 422)
    assert_problem(server.ask("POST", "runs", b"x", headers={"Content-Type": "text/html"}), 415)


# -- once -------------------------------------------------------------------------------------------------------------


def test_a_key_makes_one_run_however_often_it_is_sent_at_once(server: ServerProcess) -> None:
    key, barrier = uuid.uuid4().hex, threading.Barrier(12)

    def send(_: int) -> Answer:
        barrier.wait()
        return server.post("flows/sales/report/runs", {"parameters": {"n": 1}, "tags": [key]}, Idempotency_Key=key)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert server.get("runs/counts", tag=key).json["total"] == 1
    assert sum(answer.headers["Idempotent-Replay"] == "true" for answer in answers) == 11


def test_a_key_stands_for_one_request(server: ServerProcess) -> None:
    key = uuid.uuid4().hex
    refused = server.post("flows/sales/report/runs", {"parameters": {"n": "x"}}, Idempotency_Key=key)
    assert refused.status == 422
    made = server.post("flows/sales/report/runs", {"parameters": {"n": 1}}, Idempotency_Key=key)
    assert made.status == 201
    assert_problem(server.post("flows/sales/report/runs", {"parameters": {"n": 2}}, Idempotency_Key=key), 409)
    assert_problem(server.post("flows/sales/report/runs", {}, Idempotency_Key="x" * 201), 400)
    assert key not in server.get("kv").text


# -- schedules, backfills, pairs --------------------------------------------------------------------------------------


def test_a_schedule_is_previewed_made_changed_and_removed(server: ServerProcess) -> None:
    body = {"flow": "sales/report", "cron": "0 7 * * *", "parameters": {"day": "{{ scheduled_date }}"}}
    times = server.post("schedules/preview", body).json["next_times"]
    assert [time["parameters"]["day"] == time["time"][:10] for time in times] == [True] * 5
    made = server.post("schedules", {**body, "timezone": "Europe/Berlin"})
    assert made.status == 201
    address = f"schedules/{made.json['id']}"
    assert len(made.json["next_times"]) == 5
    changed = server.ask("PATCH", address, {"parameters": {"n": 3}, "unset": ["day"], "every": "10min"}).json
    assert (changed["parameters"], changed["every"], changed["timezone"]) == ({"n": 3}, 600, "Europe/Berlin")
    assert server.post(f"{address}/pause").json["paused"] is True
    assert server.post(f"{address}/unpause").json["paused"] is False
    run = server.post(f"{address}/run")
    assert run.status == 201
    assert (run.json["schedule_id"], run.json["parameters"]) == (made.json["id"], {"n": 3})
    assert server.get("schedules", flow="sales/report").json["schedules"][0]["id"] == made.json["id"]
    assert server.ask("DELETE", address).status == 204
    assert_problem(server.get(address), 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron": "nonsense"}, "cron"),
        ({"every": "10min"}, "every"),
        ({"timezone": "Mars/Olympus"}, None),
        ({"parameters": {"n": "x"}}, "n"),
        ({"parameters": {"m": 1}}, "m"),
        ({"ends": "2020-01-01", "starts": "2021-01-01"}, "ends"),
    ],
    ids=str,
)
def test_a_schedule_that_can_not_be_kept_is_refused(server: ServerProcess, change: Any, field: str | None) -> None:
    body = {"flow": "sales/report", "cron": "0 7 * * *", **change}
    for path in ("schedules", "schedules/preview"):
        answer = server.post(path, body)
        assert answer.status in (409, 422), answer.text
        assert field is None or set(answer.json["errors"]) == {field}


def test_a_change_that_the_rest_of_a_schedule_forbids_is_a_conflict(server: ServerProcess) -> None:
    body = {"flow": "sales/report", "every": "1h", "starts": "2030-01-01T00:00:00Z"}
    address = f"schedules/{server.post('schedules', body).json['id']}"
    problem = assert_problem(server.ask("PATCH", address, {"ends": "2029-01-01T00:00:00Z"}), 409)
    assert set(problem["errors"]) == {"ends"}
    assert server.ask("PATCH", address, {"ends": "2031-01-01T00:00:00Z"}).status == 200
    assert server.ask("DELETE", address).status == 204


def test_a_list_is_filtered_by_any_text(server: ServerProcess) -> None:
    for name in ("name", "tag", "parent_id", "root_id", "schedule_id", "backfill_id"):
        assert server.get("runs", **{name: "¼ %_'\""}).json["runs"] == []


def test_a_backfill_is_planned_made_held_back_and_ended(server: ServerProcess) -> None:
    axes = {"day": {"first": "2026-01-01", "last": "2026-01-31"}, "region": ["EU", "US"]}
    body = {"flow": "sales/report", "parameters": {"n": 2}, "axes": axes}
    plan = server.post("backfills", {**body, "dry_run": True})
    assert (plan.status, plan.json["total"], plan.json["runs"]) == (200, 62, 62)
    made = server.post("backfills", {**body, "max_active_runs": 3})
    assert (made.status, made.json["total"], made.json["message"]) == (201, 62, "62 rows")
    address = f"backfills/{made.json['id']}"
    assert server.post("backfills", body).json["id"] == made.json["id"]
    assert server.post(f"{address}/pause").json["paused"] is True
    assert server.post(f"{address}/unpause").json["paused"] is False
    grid = server.get(f"{address}/grid").json
    assert (grid["axes"], len(grid["cells"]), grid["cells"][1][3]) == (["day", "region"], 62, ["2026-01-01", "US"])
    page = server.get(f"{address}/runs", limit=60).json
    rest = server.get(f"{address}/runs", limit=60, cursor=page["next"]).json
    assert [run["row"] for run in page["runs"] + rest["runs"]] == list(range(1, 63))
    assert server.get(f"{address}/frame").text.count("\n") == 63
    ended = server.post(f"{address}/cancel")
    assert (ended.status, ended.json["counts"]) == (202, {"cancelled": 62})
    assert server.post(f"{address}/resume").json["waiting"] == 62
    assert server.post(f"{address}/cancel").status == 202
    assert made.json["id"] in [one["id"] for one in server.get("backfills", flow="sales/report").json["backfills"]]


def test_rows_that_are_refused_are_named(server: ServerProcess) -> None:
    body = {"flow": "sales/report", "rows": [{"n": 1}, {"n": "x", "region": "EU"}, {"region": "XX"}]}
    problem = assert_problem(server.post("backfills", body), 422)
    assert set(problem["errors"]) == {"n", "region"}
    assert "row 2" in problem["errors"]["n"]
    assert "row 3" in problem["errors"]["region"]


def test_pairs_are_kept_and_two_writers_do_not_overwrite_each_other(server: ServerProcess) -> None:
    first = server.ask("PUT", "kv/a%2Fb%20ü".replace("ü", "%C3%BC"), {"x": [1, None]})
    assert (first.status, first.json) == (200, {"key": "a/b ü", "value": {"x": [1, None]}})
    address = "kv/a/b%20%C3%BC"
    assert server.get(address).headers["Etag"] == first.headers["Etag"]
    tag = {"If-Match": first.headers["Etag"]}
    assert server.ask("PUT", address, 2, headers=tag).status == 200
    assert_problem(server.ask("PUT", address, 3, headers=tag), 412)
    assert_problem(server.ask("PUT", address, 3, headers={"If-None-Match": "*"}), 412)
    assert server.get("kv", prefix="a/").json == {"pairs": {"a/b ü": 2}}
    assert server.ask("DELETE", address).status == 204
    assert_problem(server.ask("DELETE", address), 404)
    assert_problem(server.get("kv/%1Fidempotency"), 404)


# -- the protocol -----------------------------------------------------------------------------------------------------


def test_every_answer_is_of_its_kind(server: ServerProcess) -> None:
    assert_problem(server.get("no/such/path"), 404)
    assert_problem(server.get("/nbflow/api"), 404)
    refused = server.ask("DELETE", "runs")
    assert_problem(refused, 405)
    assert refused.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert_problem(server.ask("TRACE", "runs"), 405)
    head = server.ask("HEAD", "runs")
    assert (head.status, head.body) == (200, b"")
    choice = server.ask("OPTIONS", "runs", token=None)
    assert (choice.status, choice.headers["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert "nbflow_runs{state=" in server.get("metrics").text
    health = server.get("health").json
    assert (health["status"], health["worker"]["alive"]) == ("degraded", False)


@pytest.mark.parametrize("path", ["runs/ffff", "runs/%00", "runs/%ff", "schedules/x%00", "backfills/zzzz", "flows/a/b"])
def test_what_is_not_there_is_not_found(server: ServerProcess, path: str) -> None:
    assert_problem(server.get(path), 400 if "%ff" in path else 404)


def test_no_description_shows_what_a_secret_is_by_default(server: ServerProcess) -> None:
    literal, computed = "hush-by-default-1", "hush-by-default-2"
    parameters = f"from nbflow import Secret\na: Secret = {literal!r}\nb: Secret = Secret({computed!r})\n"
    write(server, "hushed.ipynb", parameters)
    flow = server.post("flows", {"project": "hushed", "path": "hushed.ipynb"})
    assert [one["required"] for one in flow.json["parameters"]] == [False, False]
    run_id = server.post("flows/hushed/hushed/runs").json["id"]
    addresses = ["flows/hushed/hushed", "flows/hushed/hushed/schema", "openapi.json", "notebooks?path=hushed.ipynb"]
    addresses += [f"runs/{run_id}", f"/nbflow/runs/{run_id}", f"/nbflow/notebook?from={run_id}"]
    answers = {address: server.get(address) for address in addresses}
    assert {answer.status for answer in answers.values()} == {200}
    assert [address for address, answer in answers.items() if "hush-by-default" in answer.text] == []


def test_a_secret_without_a_process_to_hand_it_to_is_refused_and_kept_nowhere(server: ServerProcess) -> None:
    write(server, "secret.ipynb", "from nbflow import Secret\ntoken: Secret = None\n")
    answer = server.post("runs", {"path": "secret.ipynb", "parameters": {"token": "hush-hush-9"}})
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"]
    kept = [path for path in server.home.rglob("*") if path.is_file() and b"hush-hush-9" in path.read_bytes()]
    assert kept == []
