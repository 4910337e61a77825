"""``nbflow backfill`` as a person or a script uses it, with real kernels where rows really run."""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli_fixtures import CommandLine, read_until
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until

PARAMETERS = 'from datetime import date\nfrom nbflow import Secret\nday: date\nregion: str = "EU"\ntoken: Secret = None'
FAILING = (
    'import nbflow\nif region == "US" and day.day == 2:\n    raise ValueError("no data")\nnbflow.record("d", day.day)'
)


def show(cli: CommandLine, backfill_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = cli("backfill", "show", backfill_id, "--json").json
    return shown


def list_one(cli: CommandLine) -> dict[str, Any]:
    (only,) = cli("backfill", "ls", "--json").json
    return dict(only)


# -- without a kernel


def test_a_dry_run_tells_the_rows_and_records_nothing(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook([], parameters=PARAMETERS)
    values = (
        "-p",
        "day=2026-01-01..2026-01-10",
        "-p",
        'region=["EU", "a,b..c"]',
        "--exclude",
        "region=EU,day=2026-01-03",
    )
    told = cli("backfill", "create", path, *values, "--dry-run")
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0] == f"19 rows of {path}, 1 excluded"
    assert lines[1].split() == ["run", "19"]
    assert [line.split() for line in lines[3:]] == [
        ["row", "day", "region"],
        ["1", "2026-01-01", "EU", "run"],
        ["2", "2026-01-01", "a,b..c", "run"],
        ["3", "2026-01-02", "EU", "run"],
        ["4", "2026-01-02", "a,b..c", "run"],
        ["6", "2026-01-03", "a,b..c", "run"],
        ["…"],
        ["16", "2026-01-08", "a,b..c", "run"],
        ["17", "2026-01-09", "EU", "run"],
        ["18", "2026-01-09", "a,b..c", "run"],
        ["19", "2026-01-10", "EU", "run"],
        ["20", "2026-01-10", "a,b..c", "run"],
    ]
    plan = cli("backfill", "create", path, *values, "--step", "7D", "--dry-run", "--json").json
    assert (plan["total"], plan["decisions"]) == (4, {"run": 4})
    assert cli("backfill").error_lines == ["no backfills"]
    assert cli("runs", "ls", "--json").json == []


def test_rows_of_a_table_that_are_refused_are_all_told(
    cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    path = make_notebook([], parameters=PARAMETERS)
    table = tmp_path / "rows.csv"
    table.write_text("day,region\n" + "".join(f"2026-01-{number:02d},EU\n" for number in range(30, 60)))
    told = cli("backfill", "create", path, "--rows", table)
    assert told.code == 2
    assert told.error_lines[0] == "error: 28 of 30 rows are refused, nothing was recorded (the first 20 faults):"
    assert told.error_lines[1].startswith("  row 3: day: expected date")
    assert len(told.error_lines) == 21
    assert cli("runs", "ls", "--json").json == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("-p", "day=2026-01-05..2026-01-01"), "end before it starts"),
        (("-p", "dya=2026-01-05"), "did you mean 'day'"),
        (("-p", "day=2026-01-05", "--exclude", "US"), "NAME=VALUE"),
        (("-p", "day=2026-01-05,,2026-01-06"), "a value is empty"),
        (("-p", "day=2026-01-05", "--step", "1D", "--step", "2D"), "one step for all"),
        (("-p", "day=2026-01-05", "-p", "token=abc"), "env:NAME"),
        (("--rows", "nowhere.csv"), "no such file"),
        (("-p", "region=EU"), "day: required"),
        (("-p", "day=2026-01-05", "-o", "no/such/folder/{day}.ipynb"), "mkdir -p"),
        (("-p", "day=2026-01-05,2026-01-06", "-o", "same.ipynb"), "name a parameter in it"),
    ],
)
def test_what_can_not_be_meant_is_told_in_a_few_lines(
    cli: CommandLine, make_notebook: NotebookFactory, args: tuple[str, ...], told: str
) -> None:
    answer = cli("backfill", "create", make_notebook([], parameters=PARAMETERS), *args)
    assert answer.code == 2
    assert told in answer.err
    assert len(answer.error_lines) <= 3
    assert "Traceback" not in answer.err


def test_an_unknown_backfill_is_told(cli: CommandLine) -> None:
    for command in ("show", "pause", "unpause", "cancel", "resume", "frame"):
        answer = cli("backfill", command, "abcd")
        assert (answer.code, len(answer.error_lines)) == (2, 1), answer
        assert "nbflow backfill ls" in answer.err


def test_a_flows_limit_is_set_shown_and_lifted(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook([], parameters=PARAMETERS)
    assert cli("flows", "limit", path, 3).out == f"{path}: 3\n"
    assert cli("flows", "limit").out == f"{path}: 3\n"
    assert cli("flows", "limit", path, "none").out == f"{path}: no limit\n"
    assert cli("flows", "limit", path, "many").code == 2


# -- with kernels


@pytest.mark.kernel
def test_from_a_failure_to_a_table_of_results(cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path) -> None:
    path = make_notebook([FAILING], parameters=PARAMETERS)
    create = ("backfill", "create", path, "-p", "day=2026-01-01..2026-01-02", "-p", "region=EU,US", "--name", "january")
    made = cli(*create)
    assert made.code == 1
    assert "3 completed, 1 failed of 4" in made.err
    assert "no data" in made.err
    backfill = list_one(cli)
    assert f"nbflow backfill resume {backfill['id']}" in made.err
    assert (backfill["name"], backfill["state"], backfill["counts"]) == (
        "january",
        "completed_with_failures",
        {"completed": 3, "failed": 1},
    )
    again = cli(*create)
    assert (again.code, "1 did not complete" in again.err) == (1, True)

    path.write_text(path.read_text().replace("day.day == 2", "day.day == 99"))
    repaired = cli(*create, "--reprocess-behavior", "failed", "--json")
    assert repaired.code == 0
    assert repaired.json["id"] == backfill["id"]
    assert repaired.json["counts"] == {"completed": 4}
    assert "it has changed" in repaired.json["message"]
    third = cli(*create, "--reprocess-behavior", "failed")
    assert (third.code, "nothing to do" in third.err) == (0, True)
    runs = cli("runs", "ls", "--json").json
    assert sorted(run["attempts"] for run in runs) == [1, 1, 1, 2]
    hashes = {run["backfill_row"]: run["attempts"] for run in runs}
    assert hashes == {1: 1, 2: 1, 3: 1, 4: 2}

    shown = cli("backfill", "show", "january")
    assert "4 completed of 4" in shown.out
    target = tmp_path / "results.csv"
    assert cli("backfill", "frame", "january", "--to", target).code == 0
    assert target.read_text() == cli("backfill", "frame", "january").out
    assert [line.split(",")[-1] for line in target.read_text().splitlines()] == ["d", "1", "1", "2", "2"]


@pytest.mark.kernel
def test_an_interrupt_leaves_what_waits_and_says_how_to_go_on(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import os, time", "while not os.path.exists('go'): time.sleep(0.05)"], parameters="n: int")
    process = cli.start("backfill", "create", path, "-p", "n=1..4", "--max-active-runs", "1")
    read_until(process, "backfill", stream="stderr")
    backfill = list_one(cli)["id"]
    wait_until(lambda: show(cli, backfill)["active"], 30)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"nbflow backfill resume {backfill}" in told
    assert show(cli, backfill)["counts"] == {"cancelled": 1, "pending": 3}
    assert show(cli, backfill)["state"] == "interrupted"
    (path.parent / "go").touch()
    assert cli("backfill", "resume", backfill).code == 0
    assert show(cli, backfill)["counts"] == {"completed": 4}


@pytest.mark.kernel
def test_a_detached_one_goes_on_by_itself(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["assert token == 'hidden'"], parameters="from nbflow import Secret\nn: int\ntoken: Secret")
    made = cli("backfill", "create", path, "-p", "n=1..3", "-p", "token=env:TOKEN", "--detach", env={"TOKEN": "hidden"})
    assert made.code == 0
    backfill = made.out.strip()
    wait_until(lambda: show(cli, backfill)["state"] not in ("running", "pending"), 60)
    assert show(cli, backfill)["counts"] == {"completed": 3}
    assert show(cli, backfill)["parameters"] == {"token": "env:TOKEN"}


@pytest.mark.kernel
def test_killed_at_ten_random_points_every_row_ends_in_one_completed_run(
    cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    path = make_notebook(["import time; time.sleep(0.05)", f"open(f'{marks}/{{n}}', 'a').close()"], parameters="n: int")
    chance = random.Random(7)
    create = ("backfill", "create", path, "-p", "n=1..30", "--reprocess-behavior", "failed", "--json")
    for _ in range(10):
        process = cli.start(*create)
        seen, more = len(list(marks.iterdir())), chance.choice((0, 0, 1, 2, 3))
        delay = chance.uniform(0.2, 1.5)
        if more:  # somewhere among its rows, rather than while it starts
            wait_until(lambda: process.poll() is not None or len(list(marks.iterdir())) >= min(seen + more, 30), 60)  # noqa: B023
        try:
            process.wait(delay / (8 if more else 1))
        except Exception:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    last = cli(*create)
    assert last.code == 0, last.err
    assert last.json["state"] == "completed"
    runs = cli("runs", "ls", "--limit", "0", "--json").json
    completed = Counter(run["parameters"]["n"] for run in runs if run["state"] == "completed")
    assert completed == dict.fromkeys(range(1, 31), 1)
    assert len(runs) == 30
    assert len(cli("backfill", "ls", "--json").json) == 1
    assert json.loads(cli(*create).out)["message"].startswith("nothing to do")
