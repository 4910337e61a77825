"""Parameter options of ``nbflow run``: nbflow's spelling and papermill's."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click
import pytest

from nbflow.cli.papermill import translate
from nbflow.cli.run import command as run_command
from nbflow.cli.values import collect_values
from nbflow.errors import UsageError
from nbflow.parameters import Text


def parse(*args: str) -> dict[str, Any]:
    """The options that ``nbflow run`` sees for a command line."""
    with run_command.make_context("run", list(args)) as context:
        return dict(context.params)


@pytest.mark.parametrize(
    ("args", "pairs"),
    [
        (["-p", "k=v"], [("k", "v")]),
        (["-p", "k", "v"], [("k", "v")]),
        (["-pk=v"], [("k", "v")]),
        (["-pk", "v"], [("k", "v")]),
        (["--parameters", "k", "v"], [("k", "v")]),
        (["--parameters=k=v"], [("k", "v")]),
        (["--parameter", "k=v"], [("k", "v")]),
        (["-p", "k=a b=c"], [("k", "a b=c")]),
        (["-p", "k="], [("k", "")]),
        (["-p", "k", ""], [("k", "")]),
        (["-p", "k", "-5"], [("k", "-5")]),
        (["-p", "k=-5"], [("k", "-5")]),
        (["-p", "k", "-"], [("k", "-")]),
        (["-p", "k", "a=b"], [("k", "a=b")]),
        (["-p", "k=--json"], [("k", "--json")]),
        (["-p", "a=1", "-p", "b", "2", "-p", "a=3"], [("a", "1"), ("b", "2"), ("a", "3")]),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_both_forms_of_a_pair_are_taken(args: list[str], pairs: list[tuple[str, str]], first: bool) -> None:
    parsed = parse("in.ipynb", *args) if first else parse(*args, "in.ipynb")
    assert list(parsed["pairs"]) == pairs
    assert parsed["flow"] == "in.ipynb"
    assert parsed["output"] is None


def test_papermills_command_line_is_understood() -> None:
    parsed = parse(
        "in.ipynb", "out.ipynb", "-p", "alpha", "0.6", "-r", "zip", "01234", "-f", "a.yaml", "-y", "{b: 1}", "-b", "e30=",
        "--parameters_raw", "raw", "-1", "--parameters_file", "b.yaml", "-k", "python3", "--cwd", "/tmp",
        "--log-output", "--no-progress-bar", "--request-save-on-cell-execute", "--autosave-cell-every", "5",
        "--execution-timeout", "60", "--start_timeout", "30", "--report-mode", "--engine", "nbflow", "-l", "python",
        "--log-level", "DEBUG", "--stdout-file", "o.txt",
    )  # fmt: skip
    assert parsed["output"] == Path("out.ipynb")
    assert list(parsed["pairs"]) == [("alpha", "0.6")]
    assert list(parsed["raw"]) == [("zip", "01234"), ("raw", "-1")]
    assert [str(path) for path in parsed["files"]] == ["a.yaml", "b.yaml"]
    assert parsed["cell_timeout"] == 60.0
    assert parsed["start_timeout"] == 30.0
    assert parsed["report_mode"] is True
    assert parsed["no_bar"] is True


def test_the_value_of_another_option_is_no_option() -> None:
    parsed = parse("in.ipynb", "--name", "-p", "--tag", "-p", "-p", "k=v")
    assert parsed["name"] == "-p"
    assert parsed["tags"] == ("-p",)
    assert list(parsed["pairs"]) == [("k", "v")]


def test_nothing_is_read_behind_a_double_dash() -> None:
    assert translate(run_command, ["--", "-p", "k=v"]) == ["--", "-p", "k=v"]


@pytest.mark.parametrize("args", [["-p"], ["-p", "k"], ["-p", "k", "-o", "out.ipynb"], ["-p", "k", "--json"], ["-pk"]])
def test_a_name_without_value_is_refused_with_the_remedy(args: list[str]) -> None:
    with pytest.raises(click.UsageError) as refused:
        parse("in.ipynb", *args)
    assert "=" in refused.value.message


def test_precedence_is_papermills(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("a: file\nb: file\nc: file\nd: file\n")
    later = tmp_path / "later.json"
    later.write_text('{"d": "later"}')
    encoded = base64.b64encode(b"{a: encoded, z: 1}").decode()
    values = collect_values(
        encoded=[encoded],
        files=[file, later],
        yaml=["{b: yaml, c: yaml}"],
        pairs=[("c", "pair"), ("e", "1")],
        raw=[("e", "2")],
    )
    assert values == {"z": 1, "a": "file", "b": "yaml", "c": "pair", "d": "later", "e": "2"}
    assert type(values["c"]) is Text
    assert type(values["e"]) is str


@pytest.mark.parametrize("text", ["***", "e30", base64.b64encode(b"\xff").decode(), base64.b64encode(b"[1]").decode()])
def test_base64_that_holds_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="-b"):
        collect_values(encoded=[text])
