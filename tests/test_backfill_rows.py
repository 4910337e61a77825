"""Rows: expanded from axes and tables, all of them checked before one is recorded."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from nbflow.errors import MissingExtraError, ParameterError, RowError, UsageError
from nbflow.parameters import Text, read_declaration
from nbflow.parameters.records import SourceCell
from nbflow.project.rows import RowFile, RowReader
from nbflow.project.tables import read_rows

DECLARED = """
from datetime import date, datetime
from typing import Literal
day: date
region: Literal["EU", "US"] = "EU"
n: int = 1
note: str = ""
when = "2026-01-01"
token: Secret = None
tags: list[str] = []
"""


def read(
    constants: dict[str, Any] | None = None,
    axes: dict[str, list[Any]] | None = None,
    table: Any = None,
    exclude: Any = None,
    render: Callable[[Any], tuple[str | None, str | None]] = lambda typed: (None, None),
) -> RowFile:
    declaration = read_declaration([SourceCell(index=0, source=DECLARED, tags=("parameters",))])
    return RowReader(
        declaration,
        "p/f",
        constants=constants or {},
        axes=axes or {},
        table=None if table is None else read_rows(table),
        exclude=exclude,
        render=render,
    ).read()


def list_parameters(file: RowFile) -> list[dict[str, Any]]:
    return [dict(row.parameters) for batch in file.read() for row in batch]


def test_axes_make_their_product_and_the_last_one_varies_fastest() -> None:
    file = read({"n": 7}, {"day": [date(2026, 1, 1), "2026-01-02"], "region": ["EU", "US"]})
    assert list_parameters(file) == [
        {"n": 7, "day": "2026-01-01", "region": "EU"},
        {"n": 7, "day": "2026-01-01", "region": "US"},
        {"n": 7, "day": "2026-01-02", "region": "EU"},
        {"n": 7, "day": "2026-01-02", "region": "US"},
    ]
    assert (file.total, file.axes) == (4, ("day", "region"))


def test_the_rows_of_a_table_are_combined_with_the_axes() -> None:
    table = [{"day": "2026-01-01", "n": 1}, {"day": "2026-01-02"}]
    file = read({}, {"region": ["EU", "US"]}, table)
    assert list_parameters(file) == [
        {"day": "2026-01-01", "n": 1, "region": "EU"},
        {"day": "2026-01-01", "n": 1, "region": "US"},
        {"day": "2026-01-02", "region": "EU"},
        {"day": "2026-01-02", "region": "US"},
    ]
    assert file.axes == ("day", "n", "region")
    assert [row.number for batch in file.read() for row in batch] == [1, 2, 3, 4]


def test_every_fault_of_every_row_is_told_at_once() -> None:
    table = [{"day": "soon", "n": "x"}, {"n": 1}, {"day": "2026-01-01"}, {"day": "2026-01-02", "colour": 3}]
    with pytest.raises(RowError) as caught:
        read(table=table)
    error = caught.value
    assert (error.count, error.total) == (3, 4)
    assert [(each.row, each.fault.parameter, each.fault.rule) for each in error.row_faults] == [
        (1, "day", "type"),
        (1, "n", "type"),
        (2, "day", "missing"),
        (4, "colour", "unknown"),
    ]
    assert str(error).splitlines()[0] == "3 of 4 rows are refused, nothing was recorded:"
    assert "row 2: day: required" in str(error)


def test_a_bad_value_of_an_axis_is_told_once() -> None:
    with pytest.raises(RowError) as caught:
        read({}, {"day": ["2026-01-01", "soon"], "region": ["EU", "US", "MOON"]})
    error = caught.value
    assert (error.count, error.total) == (4, 6)
    assert [(each.row, each.rows, each.fault.parameter) for each in error.row_faults] == [
        (3, 2, "region"),
        (4, 3, "day"),
    ]


def test_of_many_faults_twenty_are_shown_and_all_are_counted() -> None:
    with pytest.raises(RowError) as caught:
        read(table=[{"day": "2026-01-01", "n": f"x{number}"} for number in range(3000)])
    assert caught.value.count == 3000
    assert len(str(caught.value).splitlines()) == 21
    assert "first 20" in str(caught.value)


def test_a_name_that_nothing_declares_is_told_once_for_all_rows() -> None:
    with pytest.raises(ParameterError, match="did you mean 'day'") as caught:
        read({}, {"dya": ["2026-01-01", "2026-01-02"]})
    assert not isinstance(caught.value, RowError)
    with pytest.raises(ParameterError, match="expected int"):
        read({"n": "many"}, {"day": ["2026-01-01"]})


def test_a_secret_is_no_axis() -> None:
    for given in (
        {"axes": {"token": ["a", "b"], "day": ["2026-01-01"]}},
        {"table": [{"day": "2026-01-01", "token": "a"}]},
    ):
        with pytest.raises(ParameterError, match="one value for all rows") as caught:
            read({}, **given)
        assert "'a'" not in str(caught.value)


def test_the_same_values_twice_are_an_accident() -> None:
    with pytest.raises(RowError, match=r"row 3: row: the values of an earlier row"):
        read(table=[{"day": "2026-01-01"}, {"day": "2026-01-02"}, {"day": Text("2026-01-01")}])


def test_two_rows_do_not_write_one_file() -> None:
    with pytest.raises(RowError, match=r"an earlier row writes /out/EU\.ipynb too"):
        read({}, {"day": ["2026-01-01", "2026-01-02"]}, render=lambda typed: (None, "/out/EU.ipynb"))


def test_rows_are_the_same_in_any_order() -> None:
    days, regions = ["2026-01-01", "2026-01-02"], ["EU", "US"]
    first = read({}, {"day": days, "region": regions})
    assert read({}, {"region": regions[::-1], "day": days[::-1]}).hash == first.hash
    assert read(table=[{"day": d, "region": r} for r in regions for d in days]).hash == first.hash
    assert read({}, {"day": days, "region": ["EU"]}).hash != first.hash
    assert read({"n": 1}, {"day": days, "region": regions}).hash != first.hash


def test_rows_are_excluded_by_their_values() -> None:
    axes = {"day": ["2026-01-01", "2026-01-02", "2026-01-03"], "region": ["EU", "US"]}
    one = read({}, axes, exclude=[{"region": Text("US"), "day": Text("2026-01-03")}])
    assert (one.total, one.excluded) == (5, 1)
    several = read({}, axes, exclude=[{"day": [date(2026, 1, 1), "2026-01-02"]}, {"region": "US"}])
    assert list_parameters(several) == [{"day": "2026-01-03", "region": "EU"}]
    assert [row.number for batch in several.read() for row in batch] == [5]
    odd = read({}, axes, exclude=lambda row: row["day"].day % 2 == 1)
    assert odd.total == 2
    for wrong, told in (({"colour": "red"}, "no such parameter"), ({"day": "never"}, "expected date"), ({}, "mapping")):
        with pytest.raises((ParameterError, UsageError), match=told):
            read({}, axes, exclude=[wrong])
    with pytest.raises(UsageError, match="all 6 are excluded"):
        read({}, axes, exclude=lambda row: True)


def test_a_date_for_a_text_is_its_text() -> None:
    file = read({"day": "2026-01-01"}, {"when": [date(2026, 1, 31), datetime(2026, 2, 1), datetime(2026, 2, 1, 6)]})
    assert [row["when"] for row in list_parameters(file)] == ["2026-01-31", "2026-02-01", "2026-02-01T06:00:00"]


def test_a_list_within_an_axis_is_one_value() -> None:
    assert [row["tags"] for row in list_parameters(read({"day": "2026-01-01"}, {"tags": [["a", "b"], []]}))] == [
        ["a", "b"],
        [],
    ]


# -- tables


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_csv_file_is_read_by_the_declared_types(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", '\ufeffday,n,note\n2026-01-01,007,"a,b"\n\n2026-01-02,,é\n2026-01-03\n')
    assert list_parameters(read(table=path)) == [
        {"day": "2026-01-01", "n": 7, "note": "a,b"},
        {"day": "2026-01-02", "note": "é"},
        {"day": "2026-01-03"},
    ]
    tabs = write(tmp_path / "rows.tsv", "day\tnote\n2026-01-01\ta,b\n")
    assert list_parameters(read(table=str(tabs))) == [{"day": "2026-01-01", "note": "a,b"}]


def test_json_and_json_lines_are_read(tmp_path: Path) -> None:
    rows = [{"day": "2026-01-01", "n": 1}, {"day": "2026-01-02", "note": "007"}]
    lines = write(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    whole = write(tmp_path / "rows.json", json.dumps(rows))
    assert list_parameters(read(table=lines)) == list_parameters(read(table=whole)) == rows


def test_a_frame_is_read_and_its_missing_values_are_not_given() -> None:
    import pandas as pd

    frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-01", "2026-01-02"]), "n": [1.0, None], "note": ["a", None]})
    assert list_parameters(read(table=frame.astype({"n": "Int64"}))) == [
        {"day": "2026-01-01", "n": 1, "note": "a"},
        {"day": "2026-01-02"},
    ]


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "rows.parquet"
    pd.DataFrame({"day": [date(2026, 1, 1), date(2026, 1, 2)], "n": [1, 2]}).to_parquet(path)
    assert list_parameters(read(table=path)) == [{"day": "2026-01-01", "n": 1}, {"day": "2026-01-02", "n": 2}]
    with pytest.raises((UsageError, MissingExtraError), match=r"broken\.parquet"):
        read(table=write(tmp_path / "broken.parquet", "PAR1"))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.csv", "", "first line must name"),
        ("rows.csv", "day,day\n1,2\n", "each once"),
        ("rows.csv", "day\n2026-01-01,7\n", "line 2: 2 cells"),
        ("rows.csv", "day,n\n", "the table has none"),
        ("rows.jsonl", '{"day": "2026-01-01"}\n[1]\n', "line 2: expected an object"),
        ("rows.jsonl", "{", "line 1: not JSON"),
        ("rows.json", "{}", "a list of objects"),
        ("rows.json", "[1]", "row 1: expected a mapping"),
        ("rows.txt", "day\n", "expected a CSV"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, name: str, content: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read(table=write(tmp_path / name, content))


def test_a_table_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("day,note\n2026-01-01,é\n".encode("latin-1"))
    for table, told in ((tmp_path / "no.csv", "no such file"), (tmp_path / "latin.csv", "UTF-8"), (7, "a DataFrame"), ({"day": 1}, "mappings")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            read(table=table)


def test_a_parameter_is_given_by_the_table_or_beside_it() -> None:
    with pytest.raises(UsageError, match="n: given both"):
        read({"n": 1}, {}, [{"day": "2026-01-01", "n": 2}])


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.project.rows.BATCH", 500)

    def peak(count: int) -> int:
        tracemalloc.start()
        file = read(table=({"day": "2026-01-01", "n": number} for number in range(count)))
        assert sum(len(batch) for batch in file.read()) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # What grows is eight bytes of each row's key, by which a second row with the same values is noticed.
    small, large = peak(3_000), peak(6_000)
    assert large - small < 3_000 * 150
