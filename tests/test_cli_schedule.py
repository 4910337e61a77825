"""``nbflow schedule``: made, listed, shown, changed and removed from the command line."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory

CELL = "from datetime import date\nn: int\nday: date = date(2026, 1, 1)\nlabel: str = ''"


@pytest.fixture
def report(make_notebook: NotebookFactory) -> Path:
    return make_notebook(["print(n)"], parameters=CELL, name="work/report.ipynb")


def create(cli: CommandLine, *args: object) -> Any:
    """The schedule of the report, as JSON."""
    answer = cli("schedule", "create", "report.ipynb", *args, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_show_prints_the_next_five_times_by_its_own_clock_with_the_values(cli: CommandLine, report: Path) -> None:
    answer = cli(
        *("schedule", "create", "report.ipynb", "--cron", "0 7 * * 1-5", "--timezone", "Europe/Berlin"),
        *("-p", "n=9", "-p", "day={{ scheduled_date - 1d }}", "--name", "nightly", "--starts", "2027-03-26"),
    )
    assert answer.code == 0, answer.err
    assert "nbflow scheduler run" in answer.err
    shown = cli("schedule", "show", "nightly")
    assert shown.code == 0
    for text in (
        "when      0 7 * * 1-5 (Europe/Berlin)",
        "next      2027-03-26 07:00 CET",
        "2027-03-29 07:00 CEST",
        "2027-03-30 07:00 CEST",
        "2027-03-31 07:00 CEST",
        "2027-04-01 07:00 CEST",
        "  n    9",
        "  day  {{ scheduled_date - 1d }}",
    ):
        assert text in shown.out
    assert shown.out.count(" 07:00 C") == 5
    assert shown.out == answer.out


def test_json_holds_everything(cli: CommandLine, report: Path) -> None:
    made = create(
        cli,
        *("--every", "1h 30min", "-p", "n=9", "--tag", "a", "--tag", "b", "--retries", "2", "--timeout", "10min"),
        *("--catchup", "all", "--catchup-limit", "7", "--overlap", "queue", "--misfire-grace", "5min", "-o", "o.ipynb"),
        *("--run-name", "r-{n}", "--ends", "2100-01-01T12:00+02:00"),
    )
    shown = cli("schedule", "show", made["id"][:4], "--json").json
    assert shown == {**made, "problem": None}
    assert cli("schedule", "ls", "--json").json == [made]
    expected = {
        "flow": str(report),
        "flow_version": None,
        "cron": None,
        "every": 5400.0,
        "timezone": "UTC",
        "parameters": {"n": 9},
        "tags": ["a", "b"],
        "catchup": "all",
        "catchup_limit": 7,
        "overlap": "queue",
        "misfire_grace": 300.0,
        "run_name": "r-{n}",
        "ends": "2100-01-01T10:00:00+00:00",
        "paused": False,
        "runs": [],
    }
    assert {key: made[key] for key in expected} == expected
    assert (made["options"]["retries"], made["options"]["timeout"]) == (2, 600.0)
    assert made["options"]["output"] == str(cli.cwd / "o.ipynb")
    times = [datetime.fromisoformat(text) for text in made["next_times"]]
    assert {(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)} == {5400}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["-p", "n=1"], "--cron '0 7 * * 1-5' or --every 10min"),
        (["--every", "1h"], "n: required, but no value was given"),
        (["--every", "1h", "-p", "n=x"], "n: expected int"),
        (["--every", "1h", "-p", "n=1", "-p", "day={{ today }}"], "is no token"),
        (["--every", "1h", "--cron", "@daily", "-p", "n=1"], "give one of them"),
        (["--cron", "0 25 * * *", "-p", "n=1"], "bad hour"),
        (["--every", "often", "-p", "n=1"], "10min"),
        (["--every", "1h", "-p", "n=1", "--timezone", "Berlin"], "did you mean Europe/Berlin"),
        (["--every", "1h", "-p", "n=1", "--starts", "tomorrow"], "2026-01-31T07:00"),
        (["--every", "1h", "-p", "n=1", "--overlap", "kill"], "'skip', 'queue', 'allow'"),
        (["--every", "1h", "-p", "n=1", "-k", "none"], "not installed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_three_lines(cli: CommandLine, report: Path, args: list[str], told: str) -> None:
    answer = cli("schedule", "create", "report.ipynb", *args)
    assert answer.code in (2, 3)
    assert told in answer.err
    assert len(answer.error_lines) <= 3
    assert answer.out == ""


def test_a_list_tells_when_each_runs_next_and_how_it_ran_last(cli: CommandLine, report: Path) -> None:
    assert cli("schedule").err == "no schedules\n"
    create(cli, "--cron", "@daily", "-p", "n=9", "--name", "one")
    create(cli, "--every", "1h", "-p", "n=99", "--name", "two")
    assert cli("schedule", "pause", "two").code == 0
    lines = cli("schedule").out.splitlines()
    assert lines[0].split() == ["schedule", "name", "flow", "when", "next", "last", "run", "parameters"]
    assert re.search(r"one +\S+report\.ipynb +@daily +\d{4}-\d\d-\d\d 00:00 UTC +n=9$", lines[1])
    assert re.search(r"two +\S+report\.ipynb +every 1h +paused +n=99$", lines[2])
    assert [one["name"] for one in cli("schedule", "ls", "--flow", "report.ipynb", "--json").json] == ["one", "two"]
    assert cli("schedule", "ls", "--flow", "p/other", "--json").json == []


def test_an_edit_changes_only_what_is_given(cli: CommandLine, report: Path) -> None:
    made = create(cli, "--cron", "0 7 * * *", "-p", "n=9", "-p", "label=a", "--retries", "1", "--name", "one")
    edited = cli("schedule", "edit", "one", "-p", "n=10", "--unset", "label", "--timeout", "5", "--json").json
    assert edited["parameters"] == {"n": 10}
    assert (edited["options"]["retries"], edited["options"]["timeout"]) == (1, 5.0)
    assert (edited["cron"], edited["id"]) == (made["cron"], made["id"])
    edited = cli("schedule", "edit", "one", "--every", "2h", "--timezone", "Asia/Tokyo", "--name", "two", "--json").json
    assert (edited["cron"], edited["every"], edited["timezone"], edited["name"]) == (None, 7200.0, "Asia/Tokyo", "two")
    assert edited["next_times"][0].endswith("+09:00")
    for args in (["-p", "n=x"], ["--unset", "n"], ["--unset", "nothing"], ["--cron", "x"]):
        answer = cli("schedule", "edit", "two", *args)
        assert answer.code == 2
        assert len(answer.error_lines) <= 3
    assert cli("schedule", "show", "two", "--json").json["parameters"] == {"n": 10}


def test_times_without_an_offset_are_by_the_schedules_clock(cli: CommandLine, report: Path) -> None:
    made = create(cli, "--every", "1h", "-p", "n=9", "--timezone", "Asia/Tokyo", "--starts", "2099-01-01T09:00")
    assert made["starts"] == "2099-01-01T00:00:00+00:00"
    edited = cli("schedule", "edit", made["id"], "--starts", "2099-01-02", "--json").json
    assert edited["starts"] == "2099-01-01T15:00:00+00:00"
    assert cli("schedule", "edit", made["id"], "--starts", "none", "--json").json["starts"] is None


def test_paused_unpaused_and_removed(cli: CommandLine, report: Path) -> None:
    for name in ("one", "two"):
        create(cli, "--every", "1h", "-p", "n=9", "--name", name)
    assert cli("schedule", "pause", "one", "two").out.count("paused") == 2
    assert cli("schedule", "show", "one", "--json").json["next_times"] == []
    assert "next: 2" in cli("schedule", "unpause", "one").out
    answer = cli("schedule", "rm", "one", "nothing")
    assert answer.code == 2
    assert len(cli("schedule", "ls", "--json").json) == 2
    assert cli("schedule", "rm", "one", "two").code == 0
    assert cli("schedule", "ls", "--json").json == []
    for verb in ("show", "pause", "unpause", "rm", "run", "edit"):
        answer = cli("schedule", verb, "one")
        assert answer.code == 2
        assert "nbflow schedule ls" in answer.err


def test_a_registered_flow_is_followed_or_pinned(cli: CommandLine, report: Path) -> None:
    assert cli("register", "report.ipynb", "--project", "sales").code == 0
    for reference, version in (("sales/report", None), ("sales/report@1", 1)):
        made = cli("schedule", "create", reference, "--every", "1h", "-p", "n=1", "--json").json
        assert (made["flow"], made["flow_version"]) == ("sales/report", version)


def test_check_tells_what_is_wrong_with_what_is_scheduled(
    cli: CommandLine, report: Path, make_notebook: NotebookFactory
) -> None:
    assert "frozen-date" not in cli("check", "report.ipynb").out
    assert not (cli.home / "nbflow.db").exists()
    create(cli, "--every", "1h", "-p", "n=9", "--name", "one")
    answer = cli("check", "report.ipynb")
    assert answer.code == 0
    assert "warning: frozen-date: day is the same date in every scheduled run" in answer.out
    make_notebook(["print(n)"], parameters="n: str", name="work/report.ipynb")
    answer = cli("check", ".")
    assert answer.code == 1
    assert "error: schedule: schedule one can't run any more: n: expected str" in answer.out
    assert "n: expected str" in cli("schedule", "show", "one").out


def test_names_of_schedules_and_parameters_are_completed(cli: CommandLine, report: Path) -> None:
    create(cli, "--every", "1h", "-p", "n=9", "--name", "nightly")

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_NBFLOW_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        return [text.partition(",")[2] for text in cli(env=env).out.splitlines()]

    assert complete("nbflow schedule show ni") == ["nightly"]
    assert complete("nbflow schedule edit nightly -p da") == ["day"]
    assert complete("nbflow schedule create report.ipynb -p la") == ["label"]


@pytest.mark.kernel
def test_run_executes_it_now(cli: CommandLine, report: Path) -> None:
    create(cli, "--every", "1h", "-p", "n=9", "--name", "one")
    answer = cli("schedule", "run", "one")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "9"
    (run,) = cli("schedule", "show", "one", "--json").json["runs"]
    assert run["state"] == "completed"
    assert re.search(r"^due +\d{4}-", cli("runs", "show", run["id"]).out, re.MULTILINE)
    assert cli("runs", "show", run["id"], "--json").json["schedule_id"] == cli("schedule", "ls", "--json").json[0]["id"]


def test_removing_a_flow_names_its_schedules(cli: CommandLine, report: Path) -> None:
    cli("register", "report.ipynb", "--project", "sales")
    made = cli("schedule", "create", "sales/report", "--every", "1h", "-p", "n=1", "--json").json
    answer = cli("flows", "rm", "sales/report")
    assert answer.code == 0
    assert f"nbflow schedule rm {made['id']}" in answer.err
    assert "no flow of that name is registered" in cli("schedule", "show", made["id"], "--json").json["problem"]
