"""``nbflow app``: which page the server opens, and what it refuses before it starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbflow.cli.exits import ExitCode
from nbflow.cli.main import main
from tests.conftest import NotebookFactory


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The command lines that took the place of this process, had they been let to."""
    seen: list[list[str]] = []
    monkeypatch.setenv("NBFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda path, argv: seen.append(argv))
    return seen


def test_the_server_opens_at_the_form_of_the_notebook(started: list[list[str]], make_notebook: NotebookFactory) -> None:
    make_notebook(name="monthly reports/sales.ipynb")
    assert main(["app", "monthly reports/sales.ipynb", "--no-browser", "--", "--ServerApp.ip=::1"]) == ExitCode.OK
    [argv] = started
    assert "--NbflowServer.default_url=/nbflow/app/monthly%20reports/sales.ipynb" in argv
    assert "--NbflowServer.only=monthly reports/sales.ipynb" in argv
    assert "--ServerApp.ip=::1" in argv
    assert not any("root_dir" in word for word in argv)


def test_a_notebook_elsewhere_is_served_from_its_own_folder(
    started: list[list[str]], make_notebook: NotebookFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make_notebook(name="there/sales.ipynb")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["app", str(path)]) == ExitCode.OK
    assert f"--ServerApp.root_dir={path.parent}" in started[0]
    assert "--NbflowServer.default_url=/nbflow/app/sales.ipynb" in started[0]


def test_a_registered_flow_is_named_by_its_project(started: list[list[str]], make_notebook: NotebookFactory) -> None:
    main(["register", str(make_notebook(name="sales.ipynb")), "--project", "eu"])
    assert main(["app", "eu/sales"]) == ExitCode.OK
    assert "--NbflowServer.default_url=/nbflow/app/eu/sales" in started[0]
    assert "--NbflowServer.only=eu/sales" in started[0]


def test_a_notebook_that_is_not_there_starts_nothing(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["app", "missing.ipynb"]) == ExitCode.USAGE
    assert "missing.ipynb does not exist" in capsys.readouterr().err
    assert not started
