"""``nbflow runs ls`` of many runs, and ``--to``: their table as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from nbflow.lifecycle import RunState
from nbflow.stores import SqlStore, open_store
from tests.cli_fixtures import CommandLine
from tests.store_fixtures import NOW, add_run, later, make_run


@pytest.fixture
def runs(cli: CommandLine) -> Iterator[SqlStore]:
    cli.home.mkdir(mode=0o700)
    opened = open_store(None, home=cli.home)
    add_run(opened, state=RunState.FAILED, name="first", parameters={"day": "2026-01-31"})
    add_run(opened, state=RunState.COMPLETED, started=NOW, ended=later(2), parameters={"day": "2026-02-01", "n": 2})
    opened.add_runs([make_run(name=f"other {index}", parameters={"x": "a b"}) for index in range(28)])
    yield opened
    opened.close()


def test_all_that_fit_are_written_newest_first(cli: CommandLine, runs: SqlStore) -> None:
    answer = cli("runs", "ls", "--to", "out.csv")
    assert (answer.code, answer.out, answer.err) == (0, "30 runs written to out.csv\n", "")
    assert pd.read_csv(cli.cwd / "out.csv")["name"].tolist()[-1] == "first"
    assert cli("runs", "--state", "failed", "--to", "out.parquet").out == "1 run written to out.parquet\n"
    assert pd.read_parquet(cli.cwd / "out.parquet")["day"].tolist() == [pd.Timestamp("2026-01-31")]
    told = cli("runs", "--limit", "2", "--to", "out.jsonl", "--json").json
    assert (told["runs"], told["columns"][:2]) == (2, ["id", "name"])
    lines = (cli.cwd / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["other 27", "other 26"]


def test_a_file_that_cant_be_is_refused_in_a_line(cli: CommandLine, runs: SqlStore) -> None:
    for file, word in (("out.xls", ".parquet"), ("no/out.csv", "make it first"), ("out", ".csv")):
        answer = cli("runs", "ls", "--to", file)
        assert answer.code == 2
        assert word in answer.err
        assert len(answer.error_lines) == 1
    assert cli("runs", "ls", "--tree", "--to", "out.csv").code == 2
    assert list(cli.cwd.iterdir()) == []


def test_parquet_without_its_library_names_the_extra(cli: CommandLine, runs: SqlStore, tmp_path: Path) -> None:
    hidden = tmp_path / "site" / "sitecustomize.py"
    hidden.parent.mkdir()
    hidden.write_text(
        "import sys\nclass Hide:\n    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] == 'pyarrow':\n            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    answer = cli("runs", "ls", "--to", "out.parquet", env={"PYTHONPATH": str(hidden.parent)})
    assert answer.code == 2
    assert "pip install 'nbflow[parquet]'" in answer.err
    assert cli("runs", "ls", "--to", "out.csv", env={"PYTHONPATH": str(hidden.parent)}).code == 0


def test_the_list_shows_what_it_showed(cli: CommandLine, runs: SqlStore) -> None:
    lines = cli("runs", "ls").out.splitlines()
    assert len(lines) == 21
    lines = cli("runs", "ls", "--limit", "0").out.splitlines()
    assert len(lines) == 31
    assert lines[-1].split()[1:3] == ["failed", "first"]
    assert lines[-1].endswith("day=2026-01-31")
    assert "2.0 s  day=2026-02-01 n=2" in lines[-2]
    assert cli("runs", "ls", "--tree", "--limit", "0").out.splitlines() == lines
