"""What would be done, before it is: the rows of a table, and the next times of a schedule as it would be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import notebook_content
from tests.server_fixtures import ServerProcess

PARAMETERS = """from datetime import date
from typing import Literal
from nbflow import Secret
day: date
n: int = 5
region: Literal["EU", "US"] = "EU"
key: Secret = ""
"""
FLOW = "plans/report"


@pytest.fixture(scope="module")
def server(api_server: ServerProcess) -> ServerProcess:
    content = json.dumps(notebook_content(["print(day, n)"], parameters=PARAMETERS)).encode()
    assert api_server.ask("PUT", f"flows/{FLOW}", content).status in (200, 201)
    return api_server


def plan(server: ServerProcess, table: str, **more: Any) -> Any:
    return server.post("backfills", {"flow": FLOW, "table": table, "dry_run": True, **more})


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_is_read_by_the_declared_types_whichever_mark_divides_its_cells(
    server: ServerProcess, mark: str
) -> None:
    table = "\ufeffday,n,region\r\n2026-01-01,7,\r\n\r\n2026-01-02,,US\r\n,,\r\n".replace(",", mark)
    answer = plan(server, table)
    assert answer.status == 200, answer.text
    rows = [row["parameters"] for row in answer.json["first"]]
    assert rows == [
        {"day": "2026-01-01", "n": 7},
        {"day": "2026-01-02", "region": "US"},
    ]


def test_every_fault_of_a_table_is_told_by_row_and_column(server: ServerProcess) -> None:
    answer = plan(server, "day,n,region\n2026-01-01,1,EU\n2026-01-32,two,EU\n2026-01-03,3,MARS\n")
    assert answer.status == 422
    faults = {(one["row"], one["parameter"]) for one in answer.json["rows"]}
    assert faults == {(2, "day"), (2, "n"), (3, "region")}
    assert "MARS" in next(one["message"] for one in answer.json["rows"] if one["row"] == 3)
    assert set(answer.json["errors"]) == {"day", "n", "region"}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("", "first line must name"),
        ("day,day\n", "each once"),
        ("day\n2026-01-01,7\n", "line 2: 2 cells under 1 name"),
        ("day\n", "the table has none"),
        ("dy\n2026-01-01\n", "did you mean 'day'"),
        ("day,key\n2026-01-01,hunter2\n", "a secret has one value for all rows"),
    ],
)
def test_a_table_that_is_none_is_refused_in_words(server: ServerProcess, table: str, told: str) -> None:
    answer = plan(server, table)
    assert answer.status == 422
    assert told in answer.json["detail"]
    assert "hunter2" not in answer.text


def test_rows_are_given_once(server: ServerProcess) -> None:
    answer = plan(server, "day\n2026-01-01\n", rows=[{"day": "2026-01-01"}])
    assert (answer.status, answer.json["errors"]) == (422, {"table": "give one of rows and table"})


def test_the_next_times_of_a_schedule_are_told_with_changes_and_without(server: ServerProcess) -> None:
    body = {"flow": FLOW, "cron": "0 7 * * *", "parameters": {"day": "{{ scheduled_date }}", "n": 3}}
    made = server.post("schedules", body).json
    address = f"schedules/{made['id']}/preview"
    times = server.post(address).json["next_times"]
    assert [one["time"] for one in times] == made["next_times"]
    assert times[0]["parameters"] == {"day": times[0]["time"][:10], "n": 3}
    changed = server.post(address, {"cron": "30 8 1 * *", "unset": ["n"]}).json["next_times"]
    assert all("-01T08:30:00" in one["time"] for one in changed)
    assert changed[0]["parameters"] == {"day": changed[0]["time"][:10]}
    assert server.post(address, {"parameters": {"n": "many"}}).json["errors"].keys() == {"n"}
    assert server.get(f"schedules/{made['id']}").json["parameters"] == body["parameters"]  # nothing was changed
    assert server.ask("DELETE", f"schedules/{made['id']}").status == 204
    assert server.post(address).status == 404


@pytest.mark.parametrize(
    ("path", "field", "told"),
    [
        ("runs?stat=failed", "stat", "did you mean state?"),
        ("runs/counts?flw=a/b", "flw", "did you mean flow?"),
        ("runs?parameter=day", "parameter", "expected NAME=VALUE"),
        ("flows?nonsense=1", "nonsense", "there is no such field"),
    ],
)
def test_a_filter_that_is_misspelt_is_not_left_out(server: ServerProcess, path: str, field: str, told: str) -> None:
    answer = server.get(path)
    assert answer.status == 400
    assert told in answer.json["errors"][field]


def test_a_field_that_is_misspelt_is_told_with_the_one_that_is_near(server: ServerProcess) -> None:
    answer = plan(server, "day\n2026-01-01\n", max_active=3)
    assert (answer.status, answer.json["errors"]) == (
        422,
        {"max_active": "there is no such field; did you mean max_active_runs?"},
    )
    assert "but GET, HEAD, POST" in server.ask("DELETE", "runs").json["detail"]
    assert server.get("health").body.endswith(b"\n")  # for who reads it in a terminal
