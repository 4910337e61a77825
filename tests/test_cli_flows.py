"""``nbflow register``, ``nbflow flows`` and ``nbflow kv`` from outside."""

from __future__ import annotations

import pytest

from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory


def test_a_registered_flow_is_listed_shown_and_removed(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print(x)"], parameters="x: int = 1  # how many", name="report.ipynb")
    assert cli("register", path, "--project", "sales").out == "registered sales/report version 1\n"
    assert cli("register", path, "--project", "sales").out == "unchanged: sales/report version 1\n"
    make_notebook(["print(x, 2)"], parameters="x: int = 2  # how many", name="report.ipynb")
    assert cli("register", path, "--project", "sales").out == "registered sales/report version 2\n"
    assert cli("register", path, "--project", "sales", "--name", "other").code == 0
    assert [flow["flow"] for flow in cli("flows", "--json").json] == ["sales/other", "sales/report"]
    assert cli("flows", "--project", "none", "--json").json == []
    shown = cli("flows", "show", "sales/report").out
    assert "how many" in shown
    assert "drift       none" in shown
    assert [one["version"] for one in cli("flows", "show", "sales/report", "--json").json["versions"]] == [1, 2]
    assert cli("flows", "rm", "sales/other").code == 0
    assert [flow["flow"] for flow in cli("flows", "--json").json] == ["sales/report"]
    assert cli("flows", "rm", "sales/other").code == 2


def test_drift_between_file_and_version_is_shown(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print(x)"], parameters="x: int = 1", name="report.ipynb")
    cli("register", path, "--project", "sales")
    make_notebook(["print(y)"], parameters="y: str = 'a'", name="report.ipynb")
    assert "drift:" in cli("flows", "show", "sales/report").out
    assert cli("flows", "show", "sales/report", "--json").json["drift"]
    assert "drift:" in cli("check", "sales/report").out
    path.unlink()
    assert "drift:" in cli("flows", "show", "sales/report").out


@pytest.mark.kernel
def test_a_registered_flow_runs_as_it_was_registered(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print('old', x)"], parameters="x: int = 1", name="report.ipynb")
    cli("register", path, "--project", "sales")
    make_notebook(["print('new', x)"], parameters="x: int = 1", name="report.ipynb")
    answer = cli("run", "sales/report", "-p", "x=5")
    assert answer.code == 0
    assert "old 5" in answer.out.splitlines()
    assert cli("runs", "--flow", "sales/report", "--json").json[0]["flow_version"] == 1
    cli("register", path, "--project", "sales")
    assert "old 5" in cli("run", "sales/report@1", "-p", "x=5").out.splitlines()


def test_an_unregistered_name_is_told_in_both_readings(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    cli("register", make_notebook(name="report.ipynb"), "--project", "sales")
    answer = cli("run", "sales/reprot")
    assert answer.code == 2
    assert len(answer.error_lines) <= 3
    assert "file" in answer.err
    assert "registered" in answer.err
    assert "sales/report" in answer.err


@pytest.mark.parametrize(("project", "name"), [("a/b", None), ("", None), ("p", "../x"), ("p", "a b"), ("-p", None)])
def test_names_that_can_not_be_names_are_refused(
    cli: CommandLine, make_notebook: NotebookFactory, project: str, name: str | None
) -> None:
    options = ["--name", name] if name is not None else []
    answer = cli("register", make_notebook(), "--project", project, *options)
    assert answer.code == 2
    assert len(answer.error_lines) <= 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ('"3"', "3"),
        ("[1, 2.5, null]", [1, 2.5, None]),
        ('{"a": {"b": true}}', {"a": {"b": True}}),
        ("plain words", "plain words"),
        ("2026-01-31", "2026-01-31"),
        ("", ""),
        ("-1", -1),
        ("é 😀", "é 😀"),
    ],
)
def test_a_value_is_kept_under_its_key(cli: CommandLine, text: str, value: object) -> None:
    answer = cli("kv", "set", "key", text)
    assert answer.code == 0, answer.err
    assert cli("kv", "get", "key").json == value
    assert cli("kv", "set", "piped", "-", stdin=text).code == 0
    assert cli("kv", "get", "piped").json == value


def test_keys_are_listed_by_prefix_and_removed(cli: CommandLine) -> None:
    for key in ("a/1", "a/2", "b"):
        cli("kv", "set", key, f'"{key}"')
    assert cli("kv", "ls", "a/", "--json").json == {"a/1": "a/1", "a/2": "a/2"}
    assert [line.split() for line in cli("kv").out.splitlines()] == [
        ["key", "value"],
        ["a/1", "a/1"],
        ["a/2", "a/2"],
        ["b", "b"],
    ]
    assert cli("kv", "rm", "b").code == 0
    for command in ("get", "rm"):
        answer = cli("kv", command, "b")
        assert answer.code == 2
        assert "'b'" in answer.err


def test_a_value_that_is_no_json_value_twice_over_is_refused(cli: CommandLine) -> None:
    answer = cli("kv", "set", "key", '{"a": 1, "a": 2}')
    assert answer.code == 2
    assert "twice" in answer.err
