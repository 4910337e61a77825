"""What the README says is so."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from nbflow.cli.exits import ExitCode
from nbflow.cli.main import build
from nbflow.config import Config
from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory
from tests.server_fixtures import TOKEN, ServerProcess

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def list_command_lines() -> list[list[str]]:
    """Every ``nbflow`` command in the README; two on a line stand apart by spaces, as do their remarks."""
    texts = [
        text
        for language, block in BLOCKS
        if not language
        for line in block.splitlines()
        for text in re.split(r"\s{3,}|&&", line)
    ]
    texts += re.findall(r"`(nbflow \w+ [^`]+)`", README)  # of one word: its mention
    lines = [
        shlex.split(text.strip().removeprefix(".venv/bin/"))
        for text in texts
        if re.match(r"\s*(\.venv/bin/)?nbflow ", text)
    ]
    return [line[1:] for line in lines]


@pytest.mark.parametrize("line", list_command_lines(), ids=" ".join)
def test_every_command_line_is_one(line: list[str]) -> None:
    group = build()
    context = click.Context(group, info_name="nbflow")
    command = group.get_command(context, line[0])
    assert command is not None, line
    rest = line[1:]
    if isinstance(command, click.Group):
        context = command.make_context(line[0], rest, parent=context)
        names = [*context._protected_args, *context.args]
        command, rest = command.get_command(context, names[0]), names[1:]
        assert command is not None, line
    if "--help" not in rest:
        command.make_context(line[0], rest, parent=context)


def test_there_are_command_lines_to_check() -> None:
    assert len(list_command_lines()) >= 20


def test_every_setting_and_exit_code_is_named() -> None:
    names = {field.name for field in fields(Config)} - {"source", "engine", "lease"}
    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) >= names
    table = README[README.index("| exit code") : README.index("Parameter files ending")]
    codes = {int(code) for code in re.findall(r"\d+", table)}
    assert codes == {int(code) for code in ExitCode} - {ExitCode.BUG, ExitCode.SIGHUP}


def test_every_file_it_points_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_parameter_types_it_names_are_known(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    table = README[README.index("| written |") : README.index("The comment behind a parameter")]
    words = set(re.findall(r"`([A-Za-z]+)`", table)) - {"Annotated", "Choice", "Pattern"}
    cell = "from datetime import *\nfrom decimal import Decimal\nfrom pathlib import Path\nfrom uuid import UUID\n"
    cell += "from pandas import Timestamp, Timedelta\nfrom nbflow import Secret\n"
    cell += "\n".join(f"p_{word}: {word}" for word in sorted(words))
    answer = cli("check", make_notebook([f"print({', '.join('p_' + word for word in words)})"], parameters=cell))
    assert {"bool", "Timestamp", "UUID", "Secret", "dict"} <= words
    assert answer.code == 0
    assert "0 errors, 0 warnings" in answer.err, answer.out


@pytest.mark.kernel
def test_its_python_runs(cli: CommandLine, make_notebook: NotebookFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    make_notebook(
        ["import nbflow\nnbflow.record('rows', 3)"],
        parameters="from datetime import date\nregion: str = 'EU'\nday: date = date(2026, 1, 1)",
        name="work/report.ipynb",
    )
    code = next(block for language, block in BLOCKS if language == "python" and "import nbflow" in block)
    script = cli.cwd / "script.py"
    script.write_text(f"from datetime import date\n{code}\nprint(run.state)\n", encoding="utf-8")
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, script], cwd=cli.cwd, env=cli.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["completed"]


@pytest.mark.kernel
def test_its_curl_runs(served: ServerProcess, make_notebook: NotebookFactory, tmp_path: Path) -> None:
    import json
    import subprocess

    parameters = "from datetime import date\nregion: str = 'EU'\nday: date = date(2026, 1, 1)"
    make_notebook(["print('it is', region)"], parameters=parameters, name="report.ipynb")
    (block,) = (block for language, block in BLOCKS if language == "sh" and "curl" in block)
    script = block.replace("http://127.0.0.1:8888", served.url).replace("curl -sS", "curl -sS --fail-with-body")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event: end" in done.stdout
    assert "\nit is EU\n" in done.stdout
    assert '"total": 31' in done.stdout
    assert json.loads((tmp_path / "executed.ipynb").read_text())["cells"]
    (schedule,) = served.get("schedules", flow="sales/report").json["schedules"]
    assert served.ask("DELETE", f"schedules/{schedule['id']}").status == 204
