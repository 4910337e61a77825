"""Tables of runs: what is in them, of which types, and as files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbflow.api.exporting import export_frame
from nbflow.api.frames import FIELDS, read_frame
from nbflow.api.listing import Runs
from nbflow.api.results import Table
from nbflow.api.run import Run
from nbflow.errors import MissingExtraError, NotFoundError, OutputError, UsageError
from nbflow.lifecycle import Failure, FailureKind, RunState
from nbflow.ports import RunFilter, Store
from nbflow.project import Project
from tests.store_fixtures import NOW, add_run, later
from tests.test_store_runs import NASTY_VALUES

ALL = RunFilter(limit=None, oldest_first=True)


def frame_of(store: Store, *results: Any, **fields: Any) -> pd.DataFrame:
    for each in results:
        add_run(store, results={} if each is None else {"x": each}, **fields)
    return read_frame(store, ALL)


@pytest.fixture
def store(project: Project) -> Store:
    return project.store


def test_one_row_a_run_with_what_went_in_and_what_came_out(store: Store) -> None:
    failure = Failure(kind=FailureKind.EXCEPTION, message="cell 3: ValueError: bad", ename="ValueError")
    done: dict[str, Any] = {"started": later(1), "ended": later(3.5), "attempts": 1, "output_path": "/out/a.ipynb"}
    first = add_run(store, state=RunState.COMPLETED, parameters={"n": 1}, values={"n": 1, "m": 2}, **done)
    second = add_run(store, state=RunState.FAILED, flow="p/sales", parameters={"n": 5}, failure=failure, **done)
    dead = Failure(kind=FailureKind.KERNEL_DIED, message="the kernel died")
    add_run(store, state=RunState.CRASHED, failure=dead)
    add_run(store, state=RunState.CANCELLED, message="cancelled (user)")
    add_run(store, message="waits")
    frame = read_frame(store, ALL)
    assert list(frame.columns) == [*FIELDS, "n", "m"]
    assert frame["id"].tolist()[:2] == [first.id, second.id]
    assert frame["flow"].tolist()[:2] == ["/notebooks/report.ipynb", "p/sales"]
    assert frame["state"].tolist() == ["completed", "failed", "crashed", "cancelled", "pending"]
    assert frame["state"].dtype == "category"
    assert frame["created"].tolist() == [pd.Timestamp(NOW)] * 5
    assert frame["duration"].tolist()[:2] == [2.5, 2.5]
    assert frame["duration"].isna().tolist() == [False, False, True, True, True]
    errors = frame[["error_type", "error"]].astype(object).where(frame[["error_type", "error"]].notna(), None)
    assert errors.to_numpy().tolist() == [
        [None, None],
        ["ValueError", "cell 3: ValueError: bad"],
        ["kernel_died", "the kernel died"],
        [None, "cancelled (user)"],
        [None, None],
    ]
    assert str(frame["m"].dtype) == "Int64"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "Int64"),
        ([1, 2.5], "float64"),
        ([1.5, None], "float64"),
        ([{"$float": "nan"}, {"$float": "inf"}, 1], "float64"),
        ([True, False], "bool"),
        ([True, None], "boolean"),
        ([True, 1], "object"),
        ([2**70, 1], "object"),
        (["2026-01-31", "2026-02-01", None], "datetime64"),
        (["2026-01-31T10:00:00", "2026-01-31"], "datetime64"),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.123456+02:00"], "datetime64[us, UTC]"),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:00"], "text"),
        (["2026-02-30"], "text"),
        (["2026-01", "12:30:00", "EU"], "text"),
        ([[1, 2], [3, 4]], "object"),
        ([{"a": 1}, None], "object"),
    ],
)
def test_a_column_has_the_narrowest_type_that_fits(store: Store, values: list[Any], dtype: str) -> None:
    column = frame_of(store, *values)["x"]
    if dtype == "text":
        assert pd.api.types.is_string_dtype(column)
        assert column.tolist() == values
    else:
        assert str(column.dtype).startswith(dtype)


def test_names_that_are_taken_get_a_prefix(store: Store) -> None:
    add_run(store, parameters={"state": "x", "rows": 1}, results={"rows": 2, "state": 3, "result_rows": 4})
    frame = read_frame(store, ALL)
    assert frame["parameter_state"].tolist() == ["x"]
    assert frame[["rows", "result_rows", "result_state", "result_result_rows"]].to_numpy().tolist() == [[1, 2, 3, 4]]


def test_recorded_tables_stay_shut_until_they_are_asked_for(store: Store) -> None:
    stored = json.loads(pd.DataFrame({"a": [1, 2]}).to_json(orient="table"))
    cell = frame_of(store, {"$table": stored})["x"][0]
    assert isinstance(cell, Table)
    assert repr(cell) == "<table of 2 rows>"
    assert cell.to_frame()["a"].tolist() == [1, 2]


def test_no_runs_make_an_empty_frame_with_the_usual_columns(store: Store) -> None:
    for frame in (read_frame(store, ALL), Runs().to_frame()):
        assert list(frame.columns) == list(FIELDS)
        assert len(frame) == 0
        assert str(frame["created"].dtype).endswith("UTC]")
        assert frame["duration"].dtype == float


def test_values_of_every_kind_survive(store: Store) -> None:
    add_run(store, name="\udfff", parameters=NASTY_VALUES, results={"\udfff": 1})
    frame = read_frame(store, ALL)
    assert frame["name"][0] == "\udfff"
    assert frame["\\udfff"][0] == 1
    assert frame["integers"][0] == NASTY_VALUES["integers"]


def test_a_list_of_runs_stays_the_same_list_whose_runs_are_read_anew(project: Project) -> None:
    store = project.store
    made = [add_run(store, name=f"r{index}") for index in range(1200)]
    runs = Runs.find(project, RunFilter(limit=None))
    store.rename_run(made[0].id, "renamed")
    add_run(store)
    assert len(runs) == 1200
    assert [run.id for run in runs] == [run.id for run in reversed(made)]
    assert runs[-1].name == "renamed"
    assert runs[-1] is list(runs)[-1]
    assert [run.id for run in runs[2:4]] == [made[-3].id, made[-4].id]
    assert runs == list(runs)
    frame = runs.to_frame()
    assert frame["id"].tolist() == [run.id for run in runs]
    assert frame["name"].tolist()[-1] == "renamed"
    chosen = Runs([runs[5], runs[1], runs[900]])
    assert chosen.to_frame()["id"].tolist() == [run.id for run in chosen]


def test_runs_that_were_pruned_meanwhile_are_left_out(project: Project) -> None:
    add_run(project.store)
    add_run(project.store, state=RunState.COMPLETED, ended=NOW)
    runs = Runs.find(project, RunFilter())
    project.store.prune(before=later(1))
    assert len(list(runs)) == len(runs.to_frame()) == 1
    with pytest.raises(NotFoundError, match="pruned"):
        runs[0]


@pytest.fixture
def frame(project: Project) -> pd.DataFrame:
    table = json.loads(pd.DataFrame({"a": [1]}).to_json(orient="table"))
    results = {"deep": {"a": [1]}, "total": 1 / 3, "big": 2**70, "table": {"$table": table}, "mixed": 1}
    day = {"day": "2026-01-31"}
    add_run(project.store, state=RunState.COMPLETED, started=NOW, ended=later(1.5), parameters=day, results=results)
    add_run(project.store, name='a "b", \udfff', parameters={"day": "2026-02-01"}, results={"mixed": "x", "n": 3})
    return read_frame(project.store, ALL)


def test_a_frame_goes_to_parquet_and_comes_back(frame: pd.DataFrame, tmp_path: Path) -> None:
    export_frame(frame, tmp_path / "runs.parquet")
    back = pd.read_parquet(tmp_path / "runs.parquet")
    assert list(back.columns) == list(frame.columns)
    for name in ("id", "state", "created", "duration", "day", "total", "n"):
        pd.testing.assert_series_equal(back[name], frame[name], check_dtype=False, check_categorical=False)
    assert back["deep"].tolist()[0] == '{"a": [1]}'
    assert back["table"].tolist()[0] == '[{"index": 0, "a": 1}]'
    assert back["mixed"].tolist() == ["1", "x"]
    assert back["big"].tolist()[0] == str(2**70)


def test_a_frame_goes_to_csv(frame: pd.DataFrame, tmp_path: Path) -> None:
    export_frame(pd.concat([frame] * 600, ignore_index=True), tmp_path / "runs.csv")
    back = pd.read_csv(tmp_path / "runs.csv")
    assert len(back) == 1200
    assert back["day"].tolist()[:2] == ["2026-01-31", "2026-02-01"]
    assert back["total"][0] == 1 / 3
    assert back["name"][1] == 'a "b", \\udfff'
    export_frame(frame[:0], tmp_path / "runs.csv")
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1


def test_a_frame_goes_to_strict_json(frame: pd.DataFrame, tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    export_frame(frame, tmp_path / "runs.json")
    export_frame(frame, tmp_path / "runs.jsonl")
    rows = json.loads((tmp_path / "runs.json").read_text(), parse_constant=refuse)
    assert rows == [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert rows[0]["day"] == "2026-01-31"
    assert rows[0]["ended"] == "2026-03-01T12:00:01.500+00:00"
    assert rows[0]["deep"] == {"a": [1]}
    assert rows[0]["table"] == [{"index": 0, "a": 1}]
    assert rows[1]["ended"] is rows[1]["duration"] is rows[1]["total"] is rows[1]["deep"] is None
    assert rows[1]["n"] == 3
    export_frame(frame[:0], tmp_path / "runs.json")
    assert json.loads((tmp_path / "runs.json").read_text()) == []


def test_a_file_that_cant_be_written_is_refused(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"ends in \.parquet, \.csv, \.json or \.jsonl"):
        export_frame(frame, tmp_path / "runs.xlsx")
    with pytest.raises(OutputError, match="make it first"):
        export_frame(frame, tmp_path / "nowhere" / "runs.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nbflow\[parquet\]'"):
        export_frame(frame, tmp_path / "runs.parquet")
    assert list(tmp_path.glob("runs*")) == []


def test_a_run_of_the_list_is_a_run(project: Project) -> None:
    add_run(project.store, results={"rows": 3})
    run = Runs.find(project, RunFilter())[0]
    assert isinstance(run, Run)
    assert run.results == {"rows": 3}
