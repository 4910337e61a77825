"""Ranges, axes and conditions: what a person writes, and which values that is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import nbflow
from nbflow.backfilling.axes import read_axis, read_condition, read_steps, split_axes
from nbflow.backfilling.spans import number_range
from nbflow.errors import UsageError
from nbflow.parameters import Text


def test_whole_days_are_dates() -> None:
    year = nbflow.date_range("2026-01-01", "2026-12-31")
    assert (len(year), year[0], year[-1]) == (365, date(2026, 1, 1), date(2026, 12, 31))
    assert all(type(day) is date for day in year)
    assert nbflow.date_range(date(2026, 1, 1), datetime(2026, 1, 2)) == year[:2]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("7D", ["2026-01-01", "2026-01-08", "2026-01-15", "2026-01-22", "2026-01-29"]),
        (timedelta(days=14), ["2026-01-01", "2026-01-15", "2026-01-29"]),
        ("W-MON", ["2026-01-05", "2026-01-12", "2026-01-19", "2026-01-26"]),
        ("MS", ["2026-01-01"]),
        ("ME", ["2026-01-31"]),
        ("2W", ["2026-01-04", "2026-01-18"]),
    ],
)
def test_steps_are_those_of_pandas(step: Any, expected: list[str]) -> None:
    import pandas as pd

    found = nbflow.date_range("2026-01-01", "2026-01-31", step=step)
    assert [day.isoformat() for day in found] == expected
    assert [day.isoformat() for day in found] == [
        f"{day:%Y-%m-%d}" for day in pd.date_range("2026-01-01", "2026-01-31", freq=step)
    ]


@pytest.mark.parametrize("inclusive", ["both", "left", "right", "neither"])
@pytest.mark.parametrize("step", ["1D", "B", "2D"])
def test_ends_are_included_as_in_pandas(inclusive: Any, step: str) -> None:
    import pandas as pd

    ours = nbflow.date_range("2026-01-01", "2026-01-09", step=step, inclusive=inclusive)
    theirs = pd.date_range("2026-01-01", "2026-01-09", freq=step, inclusive=inclusive)
    assert ours == [day.date() for day in theirs]


@pytest.mark.parametrize(
    ("start", "end", "step", "times"),
    [
        ("2026-03-28T02:30", "2026-03-30T02:30", "1D", ["28 02:30:00+01:00", "29 03:00:00+02:00", "30 02:30:00+02:00"]),
        ("2026-10-24T02:30", "2026-10-26T02:30", "1D", ["24 02:30:00+02:00", "25 02:30:00+02:00", "26 02:30:00+01:00"]),
        ("2026-03-29T01:30", "2026-03-29T02:30", "30min", ["29 01:30:00+01:00", "29 03:00:00+02:00"]),
        ("2026-10-25T02:30", "2026-10-25T03:00", "30min", ["25 02:30:00+02:00", "25 02:00:00+01:00", "25 02:30:00+01:00", "25 03:00:00+01:00"]),
    ],
)  # fmt: skip
def test_times_at_which_the_clocks_change_are_those_of_schedules(
    start: str, end: str, step: str, times: list[str]
) -> None:
    found = nbflow.date_range(start, end, step=step, tz="Europe/Berlin")
    assert [str(moment)[8:] for moment in found] == times


def test_hours_and_zones_are_datetimes() -> None:
    assert nbflow.date_range("2026-01-01", "2026-01-01T12:00", step="6h")[1:] == [
        datetime(2026, 1, 1, 6),
        datetime(2026, 1, 1, 12),
    ]
    spring = nbflow.date_range("2026-03-28", "2026-03-30", tz="Europe/Berlin")
    assert [str(moment) for moment in spring] == [
        "2026-03-28 00:00:00+01:00",
        "2026-03-29 00:00:00+01:00",
        "2026-03-30 00:00:00+02:00",
    ]
    (aware,) = nbflow.date_range("2026-01-01T00:00+00:00", "2026-01-01T00:00+00:00")
    assert aware == datetime(2026, 1, 1, tzinfo=UTC)
    assert isinstance(aware, datetime)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("2026-02-30", "2026-03-01"), "2026-02-30"),
        (("2026-03-01", "2026-01-01"), "end before it starts"),
        (("2026-01-01", "2026-01-02", {"step": "sometimes"}), "pandas frequency"),
        (("2026-01-01", "2026-01-02", {"step": "0D"}), "pandas frequency"),
        (("2026-01-01", "2026-01-02", {"step": timedelta(0)}), "pandas frequency"),
        (("2026-01-01", "2026-01-02", {"tz": "Mars/Olympus"}), "Europe/Berlin"),
        (("2026-01-01", "2026-01-02", {"inclusive": "all"}), "both, neither"),
        (("0001-01-01", "9999-12-31"), "more than 1,000,000"),
    ],
)
def test_an_impossible_range_is_refused(given: Any, told: str) -> None:
    start, end, *options = given
    with pytest.raises(UsageError, match=told) as caught:
        nbflow.date_range(start, end, **dict(*options))
    assert len(str(caught.value).splitlines()) <= 3


def test_numbers_are_exact() -> None:
    assert number_range("1", "4") == [1, 2, 3, 4]
    assert number_range("0", "1", "0.1") == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for start, end, step in (("3", "1", "1"), ("1", "2", "0"), ("1", "2", "-1"), ("1", "nan", "1"), ("1", "1e9", "1")):
        with pytest.raises(UsageError):
            number_range(start, end, step)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EU", "EU"),
        ("EU,US", ["EU", "US"]),
        (" EU , US ", ["EU", "US"]),
        ("2026-01-30..2026-02-01", ["2026-01-30", "2026-01-31", "2026-02-01"]),
        ("2026-01-01..2026-03-01..MS", ["2026-01-01", "2026-02-01", "2026-03-01"]),
        ("1..3", ["1", "2", "3"]),
        ("-1..1", ["-1", "0", "1"]),
        ("0..1..0.5", ["0.0", "0.5", "1.0"]),
        ("1..2,7", ["1", "2", "7"]),
        ('["a,b", "1..2", 3]', ["a,b", "1..2", 3]),
        ('[["EU", "US"]]', [["EU", "US"]]),
        ("../data", "../data"),
        ("a..b", "a..b"),
        ("1...3", "1...3"),
        ("", ""),
        ("{'a': 1}", "{'a': 1}"),
    ],
)
def test_a_text_is_a_value_or_an_axis(text: str, expected: Any) -> None:
    found = read_axis("x", text)
    assert found == expected
    if not text.startswith("["):
        assert all(isinstance(value, Text) for value in (found if isinstance(found, list) else [found]))


@pytest.mark.parametrize("text", ["a,,b", "a,", ",", "[1, 2", "[]", "5..1"])
def test_a_text_that_can_not_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_axis("x", text)


def test_a_step_is_for_all_ranges_or_for_one() -> None:
    steps = read_steps(["2D", "n=5"])
    assert read_axis("day", "2026-01-01..2026-01-04", steps.get("day", steps[""])) == ["2026-01-01", "2026-01-03"]
    assert read_axis("n", "0..10", steps["n"]) == ["0", "5", "10"]
    assert read_axis("n", "0..2", steps[""]) == ["0", "1", "2"]  # a step of days is none of numbers
    for bad in (["1D", "2D"], ["n="], [""]):
        with pytest.raises(UsageError):
            read_steps(bad)


def test_a_condition_names_values_of_several_parameters() -> None:
    assert read_condition("region=US,CA,day=2026-01-03", {}) == {"region": ["US", "CA"], "day": "2026-01-03"}
    with pytest.raises(UsageError, match="NAME=VALUE"):
        read_condition("US", {})


def test_lists_are_axes_and_anything_else_is_one_value() -> None:
    import numpy as np
    import pandas as pd

    values: dict[str, Any] = {
        "list": [1],
        "tuple": (1, 2),
        "range": range(2),
        "iterator": (n for n in "ab"),
        "array": np.array([1.5, 2.5]),
        "index": pd.date_range("2026-01-01", periods=2),
        "series": pd.Series(["x"]),
        "text": "EU",
        "number": 3,
        "mapping": {"a": 1},
        "none": None,
        "scalar": np.float64(1),
    }
    constants, axes = split_axes(values)
    assert list(constants) == ["text", "number", "mapping", "none", "scalar"]
    assert {name: len(found) for name, found in axes.items()} == {
        "list": 1,
        "tuple": 2,
        "range": 2,
        "iterator": 2,
        "array": 2,
        "index": 2,
        "series": 1,
    }
    for wrong in ([], {1, 2}, iter(())):
        with pytest.raises(UsageError, match="x: a"):
            split_axes({"x": wrong})
