"""The numbered notebooks are documentation that runs: each of them, through nbflow itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli_fixtures import CommandLine

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_they_are_numbered_without_gaps() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == [f"{number:02d}-" for number in range(1, len(NOTEBOOKS) + 1)]
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_valid_short_and_without_outputs(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert 5 <= len(notebook.cells) <= 30
    assert notebook.cells[0].cell_type == "markdown"
    assert re.match(r"# \d+ · ", notebook.cells[0].source)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_check_has_nothing_to_say_about_them(cli: CommandLine, path: Path) -> None:
    answer = cli("check", "--strict", path)
    assert answer.code == 0, answer.out


@pytest.mark.kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(cli: CommandLine, path: Path) -> None:
    before = path.read_bytes()
    answer = cli("run", path, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["results"]
    assert path.read_bytes() == before


@pytest.mark.kernel
def test_the_first_one_takes_another_value(cli: CommandLine) -> None:
    answer = cli("run", NOTEBOOKS[0], "-p", "x=3")
    assert answer.code == 0
    assert "result latitudes     [0, 40, 80]" in answer.out
    assert len([line for line in answer.out.splitlines() if "°" in line]) == 3
    assert answer.error_lines[-1].startswith("[5/5]")


def test_the_first_one_refuses_wrong_values_and_names(cli: CommandLine) -> None:
    for pair, told in (("x=abc", "x: expected int"), ("y=3", "x")):
        answer = cli("run", NOTEBOOKS[0], "-p", pair)
        assert answer.code == 2
        assert told in answer.err
        assert len(answer.error_lines) <= 3


@pytest.mark.kernel
def test_the_commands_in_their_text_work(cli: CommandLine) -> None:
    """Every ``nbflow`` line shown in a notebook runs; one whose comment says *refused* is."""
    import shlex

    lines = [
        line
        for path in NOTEBOOKS
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("nbflow ")
    ]
    assert len(lines) >= 5
    for line in lines:
        answer = cli(*shlex.split(line, comments=True)[1:], cwd=FOLDER.parent)
        assert answer.code == (2 if "# refused" in line else 0), (line, answer.err)
