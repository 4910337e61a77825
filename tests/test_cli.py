"""The command line as a whole: help, usage errors, the boundary, completion, what is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import nbflow
from nbflow.cli.commands import CommandFolder
from nbflow.cli.main import COMMANDS, build
from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory

HEAVY = (
    "papermill", "nbclient", "nbformat", "nbconvert", "pandas", "numpy", "IPython", "ipykernel", "ipywidgets",
    "jupyter_client", "jupyter_core", "jupyter_server", "traitlets", "zmq", "tornado", "sqlalchemy", "alembic",
)  # fmt: skip


def list_commands() -> list[tuple[str, ...]]:
    """Every command by its path: ``("runs", "show")``."""
    paths: list[tuple[str, ...]] = [()]
    for name in COMMANDS:
        paths.append((name,))
        context = click.Context(build())
        command = build().get_command(context, name)
        if isinstance(command, CommandFolder):
            paths += [(name, inner) for inner in command.list_commands(context)]
    return paths


@pytest.mark.parametrize("path", list_commands(), ids=" ".join)
def test_every_command_explains_itself(cli: CommandLine, path: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        answer = cli(*path, option)
        assert answer.code == 0
        assert answer.err == ""
        assert answer.out.startswith(f"Usage: {' '.join(('nbflow', *path))}")


def test_help_shows_commands_examples_exit_codes_and_completion(cli: CommandLine) -> None:
    text = cli("--help").out
    for word in (*COMMANDS, "Examples:", "Exit codes:", "_NBFLOW_COMPLETE=bash_source"):
        assert word in text
    assert cli().out == text


def test_version(cli: CommandLine) -> None:
    assert cli("--version").out == f"nbflow {nbflow.__version__}\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["rnu"], "run"),
        (["runs", "shwo"], "show"),
        (["run"], "FLOW"),
        (["run", "x.ipynb", "--tiemout", "3"], "--timeout"),
        (["run", "x.ipynb", "--timeout", "soon"], "10min"),
        (["run", "x.ipynb", "--retries", "-1"], "--retries"),
        (["run", "x.ipynb", "a.ipynb", "b.ipynb"], "b.ipynb"),
        (["prune"], "--older-than"),
        (["prune", "--older-than", "30"], "30d"),
        (["prune", "--older-than", "9999999999w"], "30d"),
        (["runs", "ls", "--state", "broken"], "failed"),
        (["register", "x.ipynb"], "--project"),
        (["inspect", "x.ipynb", "--json", "--json-schema"], "one"),
        (["\x1b[2Jevil"], "evil"),
    ],
)
def test_bad_usage_is_told_in_three_lines(cli: CommandLine, args: list[str], told: str) -> None:
    answer = cli(*args)
    assert answer.code == 2
    assert answer.out == ""
    assert 1 <= len(answer.error_lines) <= 3
    assert told in answer.err
    assert "\x1b" not in answer.err


def test_a_bug_of_ours_is_one_line_and_shows_its_traceback_on_request(
    cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    # A package in front of ours on the path stands for a bug that nobody knows yet.
    (tmp_path / "sitecustomize.py").write_text(
        "import nbflow.cli.console\ndef broken(value): raise RuntimeError('impossible')\nnbflow.cli.console.write_json = broken\n"
    )
    path = make_notebook(parameters="x: int = 1")
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(nbflow.__file__).parents[1]}"}
    answer = cli("inspect", path, "--json", env=environment)
    assert answer.code == 70
    assert "impossible" in answer.err
    assert "NBFLOW_TRACEBACK=1" in answer.err
    assert "Traceback" not in answer.err
    assert "Traceback" in cli("inspect", path, "--json", env={**environment, "NBFLOW_TRACEBACK": "1"}).err


def test_a_closed_or_full_standard_output_is_no_traceback(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(parameters="x: int = 1")
    command = [sys.executable, "-m", "nbflow", "inspect", str(path), "--json"]
    for shell, code in (
        ('exec >&-; exec "$@"', 0),
        ('exec "$@" > /dev/full', 6),
        ('"$@" | true; exit ${PIPESTATUS[0]}', 0),
    ):
        done = subprocess.run(
            ["bash", "-c", shell, "bash", *command], env=cli.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (shell, done.stderr)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) <= 3


def find_imports(cli: CommandLine, *args: object) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    script = (
        "import sys, io\n"
        "from nbflow.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, args)],
        env=cli.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_looking_at_notebooks_imports_nothing_heavy(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["import pandas as pd\npd.DataFrame({'x': [x]})"],
        parameters="from datetime import date\nfrom typing import Literal\nx: int = 1  # help\nday: date = date.today()\n"
        "region: Literal['EU', 'US'] = 'EU'\nopts: dict[str, list[float]] = {}",
    )
    for args in (
        ["--help"],
        ["run", "--help"],
        ["run", path, "--help"],
        ["inspect", path],
        ["inspect", path, "--json"],
        ["inspect", path, "--json-schema"],
        ["check", path],
        ["check", path.parent],
    ):
        found = find_imports(cli, *args) & set(HEAVY)
        assert not found, (args, found)


def test_help_imports_neither_rich_nor_pydantic(cli: CommandLine) -> None:
    assert not find_imports(cli, "--help") & {"rich", "pydantic", "ruamel", "typing_extensions"}


def complete(cli: CommandLine, line: str, *, shell: str = "bash") -> list[str]:
    """What completing the last word of *line* offers."""
    words = line.split(" ")
    environment = {
        "_NBFLOW_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    answer = cli(env=environment)
    assert answer.err == ""
    return [item.partition(",")[2] for item in answer.out.splitlines() if item]


def test_the_shells_get_their_scripts(cli: CommandLine) -> None:
    for shell in ("bash", "zsh", "fish"):
        answer = cli(env={"_NBFLOW_COMPLETE": f"{shell}_source"})
        assert "_nbflow_completion" in answer.out or "_nbflow_complete" in answer.out


def test_completion_knows_commands_flows_parameters_and_choices(
    cli: CommandLine, make_notebook: NotebookFactory
) -> None:
    path = make_notebook(
        parameters="from typing import Literal\nregion: Literal['EU', 'US'] = 'EU'\nrows: int = 1\nfast: bool = False",
        name="work/report.ipynb",
    )
    assert cli.cwd == path.parent
    assert "run" in complete(cli, "nbflow ru")
    assert complete(cli, "nbflow runs sh") == ["show"]
    assert complete(cli, "nbflow run rep") == ["report.ipynb"]
    assert complete(cli, "nbflow run report.ipynb -p r") == ["region", "rows"]
    assert complete(cli, "nbflow run report.ipynb -p region ") == ["EU", "US"]
    assert complete(cli, "nbflow run report.ipynb -p fast t") == ["true"]
    assert "--timeout" in complete(cli, "nbflow run report.ipynb --time")
    assert cli("register", path, "--project", "sales").code == 0
    assert complete(cli, "nbflow run sal") == ["sales/report"]
    assert complete(cli, "nbflow run sales/report -p ro") == ["rows"]
    assert cli("kv", "set", "last-day", "1").code == 0
    assert complete(cli, "nbflow kv get la") == ["last-day"]


def test_completion_of_something_broken_offers_nothing(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    (cli.cwd / "broken.ipynb").write_text("{")
    assert complete(cli, "nbflow run broken.ipynb -p x") == []
    assert complete(cli, "nbflow runs show zz") == []


@pytest.mark.kernel
def test_completion_knows_run_ids(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    run_id = cli("run", make_notebook(["1"], parameters="rows: int = 1"), "--json").json["id"]
    assert complete(cli, f"nbflow runs show {run_id[:3]}") == [run_id]
    assert complete(cli, f"nbflow runs rerun {run_id} -p ro") == ["rows"]


def test_every_json_answer_is_strict(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(parameters="x: float = float('nan')", name="report.ipynb")
    assert cli("register", path, "--project", "p", "--json").json["new"] is True
    for args in (
        ["inspect", path, "--json"],
        ["inspect", path, "--json-schema"],
        ["inspect", "p/report", "--json"],
        ["check", path, "--json"],
        ["flows", "--json"],
        ["flows", "show", "p/report", "--json"],
        ["runs", "--json"],
        ["kv", "--json"],
        ["prune", "--older-than", "1d", "--json"],
    ):
        answer = cli(*args)
        assert answer.code == 0, answer.err
        assert json.dumps(answer.json)
