"""``nbflow inspect``, ``nbflow check`` and ``nbflow run FLOW --help``: what a notebook declares, and what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory

PARAMETERS = """from datetime import date, datetime
from typing import Annotated, Literal
from nbflow import Range, Secret
region: Literal["EU", "US"] = "EU"  # sales region
day: date  # which day
n: Annotated[int, Range(1, 100)] = 10  # rows to show
since: datetime = datetime.now()  # computed
token: Secret = "s3cret-default"  # for the API
print(region, day, n, since, token)
"""


def test_inspect_shows_names_types_defaults_and_help(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    answer = cli("inspect", make_notebook(parameters=PARAMETERS))
    assert answer.code == 0
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line}
    assert "Literal['EU', 'US']" in lines["region"]
    assert "sales region" in lines["region"]
    assert "required" in lines["day"]
    assert "Range(1, 100)" in lines["n"]
    assert "datetime.now()" in lines["since"]
    assert "s3cret" not in answer.out


def test_inspect_answers_in_json_and_as_a_schema(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(parameters=PARAMETERS)
    flow = cli("inspect", path, "--json")
    by_name = {parameter["name"]: parameter for parameter in flow.json["parameters"]}
    assert list(by_name) == ["region", "day", "n", "since", "token"]
    assert by_name["region"]["choices"] == ["EU", "US"]
    assert by_name["day"]["required"] is True
    assert by_name["since"]["computed"] is True
    assert by_name["token"]["secret"] is True
    schema = cli("inspect", path, "--json-schema")
    assert schema.json["required"] == ["day"]
    assert schema.json["properties"]["n"]["maximum"] == 100
    assert flow.json["json_schema"] == schema.json
    assert "s3cret" not in flow.out + schema.out


def test_a_notebooks_own_parameters_come_first_in_its_help(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(parameters=PARAMETERS)
    for args in (
        ["run", path, "--help"],
        ["run", "--help", path],
        ["run", path, "-p", "n=3", "-h"],
        ["run", path, "--help-notebook"],
    ):
        text = cli(*args).out
        assert text.index("sales region") < text.index("--retries")
        assert "required" in text
        assert "s3cret" not in text


def test_help_of_what_is_no_flow_is_still_help(cli: CommandLine) -> None:
    answer = cli("run", "missing.ipynb", "--help")
    assert answer.code == 0
    assert "missing.ipynb" in answer.out
    assert "--retries" in answer.out


def test_a_notebook_without_parameters_says_how_to_declare_some(
    cli: CommandLine, make_notebook: NotebookFactory
) -> None:
    assert "tag" in cli("inspect", make_notebook(["x = 1"])).out


def test_names_and_help_can_not_act_on_the_terminal(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        parameters="x: int = 1  # \x1b[2Jhelp \x1b]0;title\x07\ny: str = '\x9b31m\u202e'", name="a\x1b[2Jb.ipynb"
    )
    for args in (["inspect", path], ["run", path, "--help"], ["check", path]):
        answer = cli.on_terminal(*args)
        assert "x" in answer.out
        assert "\x1b[2J" not in answer.out
        assert "\x1b]0" not in answer.out
        assert "\x9b" not in answer.out
        assert "\u202e" not in answer.out


def test_check_finds_what_is_wrong_line_by_line(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    clean = make_notebook(["print(x)"], parameters="x: int = 1", name="clean.ipynb")
    zombie = make_notebook(["print(1)"], parameters="x: int = 1", name="zombie.ipynb")
    assert cli("check", clean).code == 0
    assert cli("check", clean).out == ""
    answer = cli("check", clean, zombie)
    assert len(answer.out.splitlines()) == 1
    assert answer.out.startswith(f"{zombie}: cell 1")
    assert "warning" in answer.out
    assert "'x'" in answer.out or " x" in answer.out
    assert "2 notebooks checked" in answer.err
    assert cli("check", zombie).code == 0
    assert cli("check", "--strict", zombie).code == 1
    found = cli("check", zombie, "--json").json
    assert found[0]["path"] == str(zombie)
    assert found[0]["severity"] == "warning"
    assert found[0]["cell"] == 0


def test_check_walks_folders_and_reports_what_can_not_be_read(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    root = make_notebook(["print(1)"], name="books/a.ipynb").parent
    make_notebook(["print(1)"], name="books/deeper/b.ipynb")
    make_notebook(["print(1)"], name="books/.ipynb_checkpoints/a-checkpoint.ipynb")
    (root / "broken.ipynb").write_text("{ not json")
    (root / "notes.txt").write_text("no notebook")
    answer = cli("check", root)
    assert answer.code == 1
    assert "3 notebooks checked: 1 error" in answer.err
    assert answer.out.startswith(f"{root / 'broken.ipynb'}: error: unreadable:")


def test_check_of_nothing_is_bad_usage(cli: CommandLine) -> None:
    for name in ("missing.ipynb", "no/such"):
        answer = cli("check", name)
        assert answer.code == 2
        assert name in answer.err


def broken_inputs(folder: Path) -> dict[str, Path]:
    """Files that are no notebooks, each in its own way."""
    whole = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    contents: dict[str, bytes] = {
        "empty": b"",
        "blank": b" \n\n",
        "text": b"hello",
        "truncated": whole[:-10].encode(),
        "list": b"[]",
        "null": b"null",
        "number": b"3",
        "no-cells": b"{}",
        "cells-text": b'{"cells": "x", "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        "future": whole.replace('"nbformat": 4', '"nbformat": 9').encode(),
        "negative": whole.replace('"nbformat": 4', '"nbformat": -1').encode(),
        "utf16": whole.encode("utf-16"),
        "latin1": whole.replace('"metadata": {}', '"metadata": {"t": "é"}').encode("latin-1"),
        "binary": bytes(range(256)) * 8,
        "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        "gzip": b"\x1f\x8b\x08" + b"\0" * 100,
        "zip": b"PK\x03\x04" + b"\0" * 100,
        "python": b"print('hello')\n",
        "html": b"<!DOCTYPE html><html></html>",
        "conflict": b"<<<<<<< HEAD\n" + whole.encode() + b"\n=======\n>>>>>>> theirs\n",
        "two": whole.encode() * 2,
        "trailing-comma": whole[:-1].encode() + b",}",
        "single-quotes": whole.replace('"', "'").encode(),
        "deep": b"[" * 200_000,
        "deep-metadata": whole.replace('"metadata": {}', '"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5000).encode(),
        "nan-version": whole.replace('"nbformat": 4', '"nbformat": NaN').encode(),
        "text-version": whole.replace('"nbformat": 4', '"nbformat": "four"').encode(),
        "nul": b"\0" * 64,
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.ipynb"
        paths[name].write_bytes(content)
    paths["folder"] = folder / "folder.ipynb"
    paths["folder"].mkdir()
    paths["missing"] = folder / "missing.ipynb"
    paths["missing-folder"] = folder / "nowhere" / "x.ipynb"
    paths["under-a-file"] = paths["text"] / "x.ipynb"
    paths["dangling"] = folder / "dangling.ipynb"
    paths["dangling"].symlink_to(folder / "gone.ipynb")
    paths["loop"] = folder / "loop.ipynb"
    paths["loop"].symlink_to(paths["loop"])
    paths["long"] = folder / ("x" * 300 + ".ipynb")
    paths["fifo"] = folder / "fifo.ipynb"
    os.mkfifo(paths["fifo"])
    paths["device"] = Path("/dev/null")
    paths["unreadable"] = Path("/proc/self/mem")  # even for root
    return paths


BROKEN = (
    "empty", "blank", "text", "truncated", "list", "null", "number", "no-cells", "cells-text", "future",
    "negative", "utf16", "latin1", "binary", "png", "gzip", "zip", "python", "html", "conflict", "two", "trailing-comma",
    "single-quotes", "deep", "nan-version", "text-version", "nul", "lfs", "folder", "missing", "missing-folder",
    "under-a-file", "dangling", "loop", "long", "fifo", "device", "unreadable",
)  # fmt: skip


def test_every_broken_input_is_refused_in_three_lines(cli: CommandLine, tmp_path: Path) -> None:
    paths = broken_inputs(tmp_path)
    wrong: dict[str, Any] = {}
    for name in BROKEN:
        for args in (["run", paths[name]], ["inspect", paths[name]], ["register", paths[name], "--project", "p"]):
            answer = cli(*args)
            if (
                answer.code not in (2, 3)
                or not 1 <= len(answer.error_lines) <= 3
                or answer.out
                or "Traceback" in answer.err
            ):
                wrong[f"{args[0]} {name}"] = answer
    assert not wrong
