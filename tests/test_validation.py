"""Values of a call: what is accepted, as what, and how a refusal reads."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbflow.errors import ParameterError
from nbflow.parameters import Text, read_declaration
from nbflow.parameters.literals import literal
from nbflow.parameters.values import MASK, MAX_BYTES, dumps_exact, dumps_strict, loads_exact, strict_form
from tests.parameters_fixtures import declare, find_faults

UTC = datetime.UTC
COLOR = "class Color(Enum):\n    RED = 'red'\n    GREEN = 'green'\n"
SIZE = "class Size(IntEnum):\n    S = 1\n    L = 2\n"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Letter(enum.StrEnum):
    A = "a"


class Loud(str):
    def __str__(self) -> str:
        return "other"


ACCEPTED: list[tuple[str, Any, Any]] = [
    ("bool", True, True),
    ("int", 3, 3),
    ("int", 10**5000, 10**5000),
    ("int", np.int64(3), 3),
    ("float", 3, 3.0),
    ("float", 2.5, 2.5),
    ("float", math.inf, math.inf),
    ("float", "Infinity", math.inf),
    ("float", np.float32(0.5), 0.5),
    ("float", np.float64(0.5), 0.5),
    ("bool", np.bool_(True), True),
    ("str", "a", "a"),
    ("str", "", ""),
    ("str", "\ud800", "\ud800"),
    ("str", Loud("a"), "a"),
    ("str", np.str_("a"), "a"),
    ("date", "2026-01-31", datetime.date(2026, 1, 31)),
    ("date", datetime.date(2026, 1, 31), datetime.date(2026, 1, 31)),
    ("date", datetime.datetime(2026, 1, 31), datetime.date(2026, 1, 31)),
    ("date", pd.Timestamp("2026-01-31"), datetime.date(2026, 1, 31)),
    ("date", np.datetime64("2026-01-31"), datetime.date(2026, 1, 31)),
    ("datetime", "2026-01-31T12:00:00Z", datetime.datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("datetime", "2026-01-31", datetime.datetime(2026, 1, 31)),
    ("datetime", datetime.date(2026, 1, 31), datetime.datetime(2026, 1, 31)),
    ("datetime", pd.Timestamp("2026-01-31 12:00"), datetime.datetime(2026, 1, 31, 12)),
    ("datetime", np.datetime64("2026-01-31T12:00:00", "ns"), datetime.datetime(2026, 1, 31, 12)),
    ("time", "12:30", datetime.time(12, 30)),
    ("time", datetime.time(1, 2, 3, 4), datetime.time(1, 2, 3, 4)),
    ("timedelta", "P1DT2H", datetime.timedelta(days=1, hours=2)),
    ("timedelta", "-PT0.5S", datetime.timedelta(seconds=-0.5)),
    ("timedelta", "-1 day, 23:59:59", datetime.timedelta(seconds=-1)),
    ("timedelta", "1:30:00", datetime.timedelta(hours=1.5)),
    ("timedelta", datetime.timedelta(microseconds=1), datetime.timedelta(microseconds=1)),
    ("timedelta", pd.Timedelta("1D"), datetime.timedelta(days=1)),
    ("timedelta", np.timedelta64(5, "m"), datetime.timedelta(minutes=5)),
    ("Decimal", "1.10", decimal.Decimal("1.10")),
    ("Decimal", 3, decimal.Decimal(3)),
    ("Decimal", 0.1, decimal.Decimal("0.1")),
    ("Decimal", decimal.Decimal("1E+5"), decimal.Decimal("1E+5")),
    ("Path", "a/b", pathlib.Path("a/b")),
    ("Path", pathlib.Path("a"), pathlib.Path("a")),
    ("UUID", "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("Literal['a', 1]", 1, 1),
    ("Literal[1]", 1.0, 1),
    ("Literal['a', None]", None, None),
    ("int | None", None, None),
    ("int | None", 3, 3),
    ("int | float", 2, 2),
    ("float | int", 2, 2),
    ("int | str", "5", "5"),
    ("date | str", "2026-01-31", datetime.date(2026, 1, 31)),
    ("date | str", "soon", "soon"),
    ("list[int] | int", [1], [1]),
    ("bool | int", True, True),
    ("list", [1, "a", None], [1, "a", None]),
    ("list[int]", (1, 2), [1, 2]),
    ("list[int]", {2, 1}, [1, 2]),
    ("list[date]", ["2026-01-31"], [datetime.date(2026, 1, 31)]),
    ("tuple[int, str]", [1, "a"], (1, "a")),
    ("tuple[int, ...]", [1, 2, 3], (1, 2, 3)),
    ("tuple", [1, "a"], (1, "a")),
    ("set[int]", [1, 2, 2], {1, 2}),
    ("set[tuple[int, int]]", [[1, 2]], {(1, 2)}),
    ("frozenset[str]", {"a"}, frozenset({"a"})),
    ("dict", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    ("dict[str, float]", {"a": 1}, {"a": 1.0}),
    ("dict[int, str]", {1: "a"}, {1: "a"}),
    ("dict[int, str]", {"1": "a"}, {1: "a"}),
    ("dict[date, int]", {datetime.date(2026, 1, 31): 1}, {datetime.date(2026, 1, 31): 1}),
    ("dict", collections.OrderedDict(a=1), {"a": 1}),
    ("list[float]", [np.float64(0.5), np.int32(1)], [0.5, 1.0]),
    ("Any", {"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
    ("Any", np.int64(3), 3),
    ("Any", [np.bool_(False)], [False]),
    ("Annotated[int, Range(1, 5)]", 5, 5),
    ("Annotated[int | None, Range(1, 5)]", None, None),
    ("Annotated[float, Gt(0), Lt(1)]", 0.5, 0.5),
    ("Annotated[float, Field(multiple_of=0.1)]", 0.3, 0.3),
    ("Annotated[str, Pattern('[A-Z]{3}')]", "ABC", "ABC"),
    ("Annotated[str, Field(pattern='B')]", "ABC", "ABC"),
    ("Annotated[list[str], Choice('a', 'b')]", ["b"], ["b"]),
    ("Annotated[date, Range(date(2026, 1, 1), None)]", "2026-01-31", datetime.date(2026, 1, 31)),
    ("int | None", pd.NA, None),
    ("datetime | None", pd.NaT, None),
]


@pytest.mark.parametrize(("annotation", "given", "typed"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_value_is_accepted_as_its_declared_type(annotation: str, given: Any, typed: Any) -> None:
    declaration = declare(f"x: {annotation}")
    values = declaration.validate({"x": given})
    assert values.typed["x"] == typed
    assert type(values.typed["x"]) is type(typed)
    stored = loads_exact(dumps_exact(values.json))
    again = declaration.restore(stored)
    assert again.typed["x"] == typed
    assert type(again.typed["x"]) is type(typed)
    assert again.json == values.json


REFUSED: list[tuple[str, Any, str, str]] = [
    ("int", "3", "type", "expected int, got '3'"),
    ("int", True, "type", "expected int, got True"),
    ("int", 2.5, "type", "expected int, got the float 2.5"),
    ("int", 2.0, "type", "expected int"),
    ("int", None, "type", "expected int, got None"),
    ("bool", 1, "type", "expected bool"),
    ("bool", "true", "type", "expected bool"),
    ("float", "2.5", "type", "expected float"),
    ("float", True, "type", "expected float"),
    ("float", 2**60 + 1, "type", "can't hold exactly"),
    ("float", 10**400, "type", "too large"),
    ("str", 3, "type", "expected str, got the int 3"),
    ("str", Letter.A, "type", "expected str"),
    ("int", enum.IntEnum("N", "A").A, "type", "expected int"),
    ("str", datetime.date(2026, 1, 31), "type", "expected str"),
    ("str", b"a", "type", "expected str"),
    ("date", "31.1.2026", "type", "as YYYY-MM-DD"),
    ("date", "2026-02-31", "type", "day"),
    ("date", "2026-01-31T12:00:00", "type", "expected date"),
    ("date", datetime.datetime(2026, 1, 31, 12), "type", "expected date"),
    ("date", 20260131, "type", "expected date"),
    ("datetime", 1750000000, "type", "expected datetime"),
    ("datetime", "1750000000", "type", "expected datetime"),
    ("datetime", "2026-01-31T12:00:00.0000001", "type", "expected datetime"),
    ("datetime", pd.Timestamp("2026-01-31 12:00:00.000000001"), "type", "expected datetime"),
    ("time", "noon", "type", "as HH:MM:SS"),
    ("timedelta", 5, "type", "as P1DT12H"),
    ("timedelta", "P", "type", "as P1DT12H"),
    ("timedelta", "PT", "type", "as P1DT12H"),
    ("timedelta", "P1Y", "type", "as P1DT12H"),
    ("timedelta", pd.Timedelta(1, "ns"), "type", "as P1DT12H"),
    ("Decimal", "abc", "type", "expected Decimal"),
    ("Decimal", "sNaN", "type", "expected Decimal"),
    ("Decimal", True, "type", "expected Decimal"),
    ("Path", 3, "type", "expected path"),
    ("Path", "a\x00b", "type", "expected path"),
    ("UUID", "123", "type", "expected UUID"),
    ("Literal['a', 'b']", "c", "constraint", "must be one of 'a', 'b'; got 'c'"),
    ("Literal[1]", True, "constraint", "must be one of 1"),
    ("int | None", "x", "type", "expected int"),
    ("int | list[str]", 2.5, "type", "expected int | list[str], got the float 2.5"),
    ("Annotated[int, Range(1, 5)] | str", 9, "constraint", "must be from 1 to 5"),
    ("str | date", datetime.date(2026, 1, 31), "unrepresentable", "can't be told apart in JSON"),
    ("list[int]", ["a"], "type", "at [0]: expected int, got 'a'"),
    ("list[int]", "abc", "type", "expected list[int], got 'abc'"),
    ("list[int]", {"a": 1}, "type", "expected list[int]"),
    ("list[int]", [1, "a", "b", "c"], "type", "(and 2 more such)"),
    ("tuple[int, str]", [1], "type", "expected 2 items"),
    ("dict[str, list[int]]", {"k": [1, "x"]}, "type", "at ['k'][1]: expected int"),
    ("dict", [1], "type", "expected dict"),
    ("dict", {1: "a"}, "unrepresentable", "annotate x: dict[int, Any]"),
    ("dict[int, str]", {"a": "b"}, "type", "expected int"),
    ("set[list[int]]", [[1]], "type", ""),
    ("Annotated[int, Range(1, 100)]", 500, "constraint", "must be from 1 to 100, got the int 500"),
    ("Annotated[float, Range(0, 1)]", math.nan, "constraint", "must be from 0 to 1"),
    ("Annotated[int, Range(lo=1)]", 0, "constraint", "must be at least 1"),
    ("Annotated[int, Gt(1)]", 1, "constraint", "must be greater than 1"),
    ("Annotated[int, Lt(1)]", 1, "constraint", "must be less than 1"),
    ("Annotated[int, MultipleOf(5)]", 7, "constraint", "multiple of 5"),
    ("Annotated[str, Len(1, 3)]", "abcd", "constraint", "at most 3"),
    ("Annotated[str, Pattern('[A-Z]{3}')]", "ABCD", "constraint", "must match the pattern"),
    ("Annotated[list[str], Choice('a')]", ["a", "b"], "constraint", "must be one of 'a'"),
    ("Annotated[date, Range(1, 2)]", "2026-01-31", "constraint", "can't be compared"),
    ("Any", datetime.date(2026, 1, 31), "unrepresentable", "annotate x: date"),
    ("Any", {1, 2}, "unrepresentable", "annotate x: set"),
    ("Any", (1, 2), "unrepresentable", "annotate x: tuple"),
    ("Any", decimal.Decimal(1), "unrepresentable", "annotate x: Decimal"),
    ("Any", Path("a"), "unrepresentable", "annotate x:"),
    ("Any", uuid.uuid4(), "unrepresentable", "annotate x: UUID"),
    ("Any", pd.Timestamp("2026-01-31"), "unrepresentable", "annotate x: pd.Timestamp"),
    ("Any", Color.RED, "unrepresentable", "annotate x: Color"),
    ("Any", object(), "unrepresentable", "object is not a JSON value"),
    ("Any", [1, [datetime.date(2026, 1, 31)]], "unrepresentable", "annotate x"),
    ("Any", {1: "a"}, "unrepresentable", "dict[int, Any]"),
    ("Any", b"a", "unrepresentable", "bytes is not a JSON value"),
    ("Any", 1j, "unrepresentable", "complex"),
    ("list", np.arange(3), "unrepresentable", "a numpy ndarray can't be passed; pass a list"),
    ("Any", pd.DataFrame({"a": [1]}), "unrepresentable", "path of a file"),
    ("float", np.longdouble(1), "unrepresentable", "longdouble"),
    ("float", np.ma.masked, "unrepresentable", "MaskedConstant"),
    ("Literal[1]", np.timedelta64(1, "D"), "constraint", "must be one of 1"),
    ("pd.Timestamp", np.datetime64("2026-01-31T00:00:00.000000000001", "ps"), "type", "expected Timestamp"),
    ("timedelta", np.timedelta64(1, "Y"), "type", "expected timedelta"),
    ("int", pd.NA, "type", "got None"),
]


@pytest.mark.parametrize(("annotation", "given", "rule", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_value_is_refused_by_name_rule_and_remedy(annotation: str, given: Any, rule: str, words: str) -> None:
    (fault,) = find_faults(declare(f"x: {annotation}"), {"x": given})
    assert (fault.parameter, fault.rule) == ("x", rule)
    assert words in fault.message
    assert "\n" not in fault.message
    assert len(fault.message) < 300


def test_a_value_that_hides_from_repr_is_still_named() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    (fault,) = find_faults(declare("x: int"), {"x": Hostile()})
    assert fault.message == "expected int, got a Hostile"


def test_the_type_of_a_default_binds_and_says_how_to_loosen_it() -> None:
    declaration = declare("n = 10\nname = 'a'\nnothing = None")
    assert declaration.validate({"n": 5, "name": "b", "nothing": [1]}).typed == {"n": 5, "name": "b", "nothing": [1]}
    (fault,) = find_faults(declaration, {"n": 0.5})
    assert fault.message.endswith("the type comes from the default: annotate n: float if that is meant")


class Unruly(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("no\nitems")


ODD: list[Any] = [
    *(
        "{why} {name} %s",
        "\ud800",
        "x\ny",
        {"\ud800": "x"},
        {None: 1},
        {1: 1, "1": 2},
        {True: 1, "true": 2},
        {(1, 2): 3},
    ),
    *(Unruly(a=1), collections.deque([1]), range(3), iter([1]), bytearray(b"x"), object, len, ..., NotImplemented, 1j),
    *(
        np.float64("nan"),
        np.bytes_(b"a"),
        np.array(1),
        np.void(b"a"),
        pd.Period("2026-01"),
        pd.Series([1]),
        pd.Index([1]),
    ),
    *(
        pd.Timestamp.max,
        pd.Timedelta.min,
        datetime.timedelta.min,
        decimal.Decimal("sNaN"),
        pathlib.PureWindowsPath("a"),
    ),
    *(
        datetime.datetime.max,
        datetime.time(1, tzinfo=UTC),
        frozenset([frozenset()]),
        {"a", 1, None},
        -(10**400),
        Color.RED,
    ),
    *(Text("[1,2"), Text("\x00"), Text("-"), Text("9" * 10_000), Text("P1D"), Text("{}"), Text("2026-01-31")),
]
ODD_TYPES = [
    *(
        "Any",
        "int",
        "float",
        "bool",
        "str",
        "date",
        "datetime",
        "time",
        "timedelta",
        "Decimal",
        "Path",
        "UUID",
        "Secret",
    ),
    *(
        "pd.Timestamp",
        "pd.Timedelta",
        "Literal['a', 1, None]",
        "int | float | str",
        "str | date",
        "list[Any]",
        "list[int]",
    ),
    *(
        "tuple",
        "tuple[int, str]",
        "set",
        "set[float]",
        "frozenset[str]",
        "dict",
        "dict[int, Any]",
        "dict[tuple[int, int], str]",
    ),
    *("dict[Any, Any]", "Color", "dict[Color, int]", "Annotated[str, Len(1, 3)]", "Annotated[Any, Choice('a', 1)]"),
    *("Annotated[float, MultipleOf(0)]", "Annotated[str, Pattern('\\ud800')]", "set[dict]"),
]


@pytest.mark.parametrize("annotation", ODD_TYPES)
def test_any_object_is_accepted_exactly_or_refused_in_one_line(annotation: str) -> None:
    declaration = declare(COLOR + f"x: {annotation}")
    for given in ODD:
        try:
            values = declaration.validate({"x": given})
        except ParameterError as error:
            text = str(error)
            text.encode("utf-8", "strict")
            if len(text.splitlines()) != 1 or len(text) > 350:
                pytest.fail(text)
        else:
            again = declaration.restore(loads_exact(dumps_exact(values.json)), values.secrets)
            assert literal(dict(again.typed)) == literal(dict(values.typed))


# all faults together


def test_all_faults_of_a_call_are_told_together() -> None:
    declaration = declare("region: Literal['EU', 'US']\nn: Annotated[int, Range(1, 9)] = 1\nday: date\nalpha = 0.5")
    faults = find_faults(declaration, {"regio": "EU", "n": 10, "alpha": "x", "class": 1})
    assert [(fault.parameter, fault.rule) for fault in faults] == [
        ("regio", "unknown"),
        ("n", "constraint"),
        ("alpha", "type"),
        ("class", "name"),
        ("region", "missing"),
        ("day", "missing"),
    ]
    assert "did you mean 'region'?" in faults[0].message


def test_the_error_has_three_lines_at_most() -> None:
    declaration = declare("\n".join(f"p{number}: int" for number in range(50)))
    with pytest.raises(ParameterError) as caught:
        declaration.validate({"p1": "x", "q": 1})
    assert len(str(caught.value).splitlines()) <= 3
    assert len(caught.value.faults) == 51


def test_an_unknown_name_lists_what_is_declared() -> None:
    with pytest.raises(ParameterError) as caught:
        declare("x = 1\nregion = 'EU'").validate({"y": 3})
    assert str(caught.value) == "y: no such parameter; declared: x, region"
    with pytest.raises(ParameterError) as caught:
        declare("region = 'EU'\nday = 1").validate({"Region": "EU"})
    assert str(caught.value) == "Region: no such parameter; did you mean 'region'?\ndeclared: region, day"
    (fault,) = find_faults(read_declaration([]), {"x": 1})
    assert "tag the cell" in fault.message


@pytest.mark.parametrize(
    "name",
    [
        *("class", "None", "for", "a b", "a-b", "1a", "", "a;import os", "a\nb", "a=1", "a.b", "a[0]", "__import__"),
        *("__x__", "a\x00", "\ud800", "💥", "x ", "(x)", "*x", "a#", "a\u2028b"),
    ],
)
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    (fault,) = find_faults(declare("x = 1\n__x__ = 2"), {name: 1})
    assert fault.rule == "name"
    assert str(fault).isprintable()


def test_a_name_that_is_no_string_is_refused() -> None:
    (fault,) = find_faults(declare("x = 1"), {3: 1})  # type: ignore[dict-item]
    assert fault.rule == "name"


def test_soft_keywords_and_builtins_pass_when_declared() -> None:
    names = ("match", "case", "type", "_", "list", "float", "print")
    declaration = declare("\n".join(f"{name} = 1" for name in names))
    assert declaration.validate(dict.fromkeys(names, 2)).json == dict.fromkeys(names, 2)
    (fault,) = find_faults(declare("x = 1"), {"print": 1})
    assert fault.rule == "unknown"


def test_names_are_compared_as_python_does() -> None:
    declaration = declare("ﬁ = 1")
    assert declaration.validate({"ﬁ": 2}).typed == {"fi": 2}
    (fault,) = find_faults(declaration, {"ﬁ": 2, "fi": 3})
    assert fault.rule == "name"


def test_nothing_given_is_fine_when_nothing_is_required() -> None:
    values = declare("x = 1").validate({})
    assert (values.typed, values.json, values.secrets) == ({}, {}, {})


# enumerations


def test_an_enumeration_takes_members_values_and_names() -> None:
    declaration = declare(COLOR + "x: Color = Color.RED")
    for given in (Color.RED, "red", "RED", Text("red"), Text("RED")):
        values = declaration.validate({"x": given})
        assert values.typed["x"].name == "RED"
        assert values.json == {"x": "red"}
        assert declaration.restore(values.json).typed == values.typed
    for bad in (Color.BLUE, "blue", 1, None):
        (fault,) = find_faults(declaration, {"x": bad})
        assert fault.rule == "constraint"
        assert "'red', 'green'" in fault.message


def test_an_enumeration_of_numbers_takes_their_text() -> None:
    declaration = declare(SIZE + "x: Size")
    assert declaration.validate({"x": Text("2")}).json == {"x": 2}
    assert declaration.validate({"x": Text("S")}).json == {"x": 1}
    assert find_faults(declaration, {"x": True})


# text from a command line


TEXTS: list[tuple[str, str, Any]] = [
    ("int", "3", 3),
    ("int", "007", 7),
    ("int", "-3", -3),
    ("int", "1_000", 1000),
    ("int", "9" * 5000, int("9" * 4000) * 10**1000 + int("9" * 1000)),
    ("float", "2", 2.0),
    ("float", "1e3", 1000.0),
    ("float", "inf", math.inf),
    ("str", "3", "3"),
    ("str", "null", "null"),
    ("str", "", ""),
    ("bool", "true", True),
    ("bool", "No", False),
    ("bool", "1", True),
    ("bool", "0", False),
    ("date", "2026-01-31", datetime.date(2026, 1, 31)),
    ("timedelta", "P1D", datetime.timedelta(days=1)),
    ("Decimal", "0.1", decimal.Decimal("0.1")),
    ("Path", "~/x y", pathlib.Path("~/x y")),
    ("int | None", "null", None),
    ("int | None", "None", None),
    ("int | None", "3", 3),
    ("str | None", "none", None),
    ("int | str", "3", 3),
    ("str | int", "3", 3),
    ("int | str", "three", "three"),
    ("date | str", "soon", "soon"),
    ("float | list[int]", "[1]", [1]),
    ("Literal['a', 1, 2.5, True, None]", "a", "a"),
    ("Literal['a', 1, 2.5, True, None]", "1", 1),
    ("Literal['a', 1, 2.5, True, None]", "2.5", 2.5),
    ("Literal['a', 1, 2.5, True, None]", "true", True),
    ("Literal['a', 1, 2.5, True, None]", "null", None),
    ("Literal['1', 1]", "1", "1"),
    ("list[int]", "1,2, 3", [1, 2, 3]),
    ("list[int]", "[1, 2]", [1, 2]),
    ("list[int]", "", []),
    ("list[str]", "a", ["a"]),
    ("list[str]", "a,b", ["a", "b"]),
    ("list[date]", "2026-01-31,2026-02-01", [datetime.date(2026, 1, 31), datetime.date(2026, 2, 1)]),
    ("list", "1,a,true", [1, "a", True]),
    ("set[int]", "1,2,2", {1, 2}),
    ("tuple[int, str]", "1,2", (1, "2")),
    ("dict[str, int]", '{"a": 1}', {"a": 1}),
    ("dict", '{"a": [1, null]}', {"a": [1, None]}),
    ("Any", "3", 3),
    ("Any", "007", "007"),
    ("Any", "abc", "abc"),
    ("Any", "true", True),
    ("Any", "True", True),
    ("Any", "None", None),
    ("Any", '{"a": NaN}', {"a": math.nan}),
    ("Any", '"3"', "3"),
    ("Any", "[1,", "[1,"),
]


@pytest.mark.parametrize(("annotation", "text", "typed"), TEXTS, ids=range(len(TEXTS)))
def test_a_text_is_read_by_the_declared_type(annotation: str, text: str, typed: Any) -> None:
    given = declare(f"x: {annotation}").validate({"x": Text(text)}).typed["x"]
    assert type(given) is type(typed)
    assert given == typed or (isinstance(given, dict) and math.isnan(given["a"]))


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "abc"),
        ("int", "2.5"),
        ("int", "1e3"),
        ("int", ""),
        ("float", "abc"),
        ("float", "1e999"),
        ("bool", "maybe"),
        ("bool", "2"),
        ("date", "2026"),
        ("list[int]", "1,b"),
        ("list[int]", "[1,"),
        ("dict[str, int]", "a=1"),
        ("dict[str, int]", "[1]"),
        ("int | None", ""),
        ("Literal['a']", "b"),
    ],
)
def test_a_text_that_is_not_of_the_type_is_refused(annotation: str, text: str) -> None:
    (fault,) = find_faults(declare(f"x: {annotation}"), {"x": Text(text)})
    assert fault.rule in ("type", "constraint")


def test_a_text_keeps_its_parameter_strict_elsewhere() -> None:
    declaration = declare("x: list[int]")
    (fault,) = find_faults(declaration, {"x": Text('["1"]')})
    assert "at [0]: expected int, got '1'" in fault.message


# secrets


def test_a_secret_is_masked_everywhere_but_in_secrets() -> None:
    declaration = declare("token: Secret\nx = 1")
    values = declaration.validate({"token": "hunter2", "x": 2})
    assert values.json == {"token": MASK, "x": 2}
    assert values.secrets == {"token": "hunter2"}
    assert values.typed["token"] == "hunter2"
    assert "hunter2" not in repr(values)
    assert "hunter2" not in repr(values.secrets)
    assert declaration.restore(values.json, {"token": "hunter2"}) == values
    without = declaration.restore(values.json)
    assert (dict(without.typed), without.json, without.secrets) == ({"x": 2}, values.json, {})


def test_a_refused_secret_is_not_shown() -> None:
    for given in ("short", 12345, b"12345", ["hunter2"], Text("short")):
        (fault,) = find_faults(declare("token: Annotated[Secret, Len(8, 20)]"), {"token": given})
        assert "short" not in fault.message
        assert "12345" not in fault.message
        assert "hunter2" not in fault.message


def test_a_secret_typed_on_a_command_line_may_name_its_source(tmp_path: Path) -> None:
    declaration = declare("token: Secret")
    file = tmp_path / "token"
    file.write_text("from file\n")
    environ = {"TOKEN": "from env"}
    assert declaration.validate({"token": Text("env:TOKEN")}, environ=environ).secrets == {"token": "from env"}
    assert declaration.validate({"token": Text(f"file:{file}")}).secrets == {"token": "from file"}
    assert declaration.validate({"token": Text("plain")}).secrets == {"token": "plain"}
    # From anywhere else it is the secret itself: a request must not read the machine's files.
    assert declaration.validate({"token": "env:TOKEN"}, environ=environ).secrets == {"token": "env:TOKEN"}
    for missing in ("env:ABSENT", f"file:{tmp_path}/absent", f"file:{tmp_path}", "file:a\x00b"):
        (fault,) = find_faults(declaration, {"token": Text(missing)}, environ=environ)
        assert fault.rule == "secret"


def test_an_optional_secret_may_be_none() -> None:
    declaration = declare("token: Secret | None = None")
    values = declaration.validate({"token": None})
    assert (values.json, values.secrets) == ({"token": None}, {})
    assert declaration.restore(values.json) == values
    assert declaration.validate({"token": "a"}).json == {"token": MASK}


def test_a_secret_that_looks_like_the_mask_survives() -> None:
    declaration = declare("token: Secret")
    values = declaration.validate({"token": MASK})
    assert declaration.restore(values.json, values.secrets) == values


# size and depth


def test_more_than_the_limit_is_refused_with_advice() -> None:
    declaration = declare("a: str\nb = 1")
    declaration.validate({"a": "x" * (MAX_BYTES - 100)})
    (fault,) = find_faults(declaration, {"a": "x" * MAX_BYTES, "b": 2})
    assert (fault.parameter, fault.rule) == ("a", "size")
    assert "pass a path or URL" in fault.message


def test_the_limit_is_on_all_values_together() -> None:
    declaration = declare("a = ''\nb = ''\nc: Secret")
    third = "x" * (MAX_BYTES // 3)
    assert [fault.rule for fault in find_faults(declaration, {"a": third, "b": third, "c": third})] == ["size"]


@pytest.mark.parametrize("annotation", ["Any", "list", "dict", "list[Any]"])
@pytest.mark.parametrize("depth", [50, 64, 65, 500, 20_000])
def test_deep_values_pass_or_are_refused(annotation: str, depth: int) -> None:
    value: Any = {} if annotation == "dict" else []
    for _ in range(depth - 1):
        value = {"k": value} if annotation == "dict" else [value]
    declaration = declare(f"x: {annotation}")
    if depth <= 64:
        assert declaration.validate({"x": value}).typed["x"] == value
    else:
        (fault,) = find_faults(declaration, {"x": value})
        assert fault.rule == "size"
        text = "[" * depth + "]" * depth
        assert find_faults(declaration, {"x": Text(text)})[0].rule in ("size", "type")


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    (fault,) = find_faults(declare("x: Any"), {"x": loop})
    assert fault.rule == "size"


# restoring, pandas, defaults


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        ("pd.Timestamp", "2026-01-31"),
        ("pd.Timestamp", "2026-01-31T12:00:00.123456789"),
        ("pd.Timestamp", pd.Timestamp("2026-01-31", tz="Europe/Berlin")),
        ("pd.Timestamp", datetime.datetime(2026, 1, 31, tzinfo=UTC)),
        ("pd.Timestamp", np.datetime64("2026-01-31T00:00:00.000000001")),
        ("pd.Timedelta", "P1DT0.000000001S"),
        ("pd.Timedelta", pd.Timedelta(-1, "ns")),
        ("pd.Timedelta", datetime.timedelta(days=1)),
        ("list[pd.Timestamp]", ["2026-01-31"]),
    ],
)
def test_pandas_values_are_typed_and_restored(annotation: str, given: Any) -> None:
    declaration = declare(f"x: {annotation}")
    values = declaration.validate({"x": given})
    again = declaration.restore(loads_exact(dumps_exact(values.json)))
    expected = given[0] if isinstance(given, list) else given
    first = values.typed["x"][0] if isinstance(given, list) else values.typed["x"]
    assert type(first) in (pd.Timestamp, pd.Timedelta)
    assert first == type(first)(expected)
    assert again.typed == values.typed


@pytest.mark.parametrize("given", [pd.NaT, None, 5, "soon", "P1D"])
def test_what_is_no_timestamp_is_refused(given: Any) -> None:
    (fault,) = find_faults(declare("x: pd.Timestamp"), {"x": given})
    assert fault.rule == "type"


def test_a_zone_becomes_its_offset() -> None:
    from zoneinfo import ZoneInfo

    given = datetime.datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    values = declare("x: datetime").validate({"x": given})
    assert values.json == {"x": "2026-07-01T12:00:00+02:00"}
    assert values.typed["x"] == given


def test_the_json_form_of_a_set_is_in_order() -> None:
    declaration = declare("x: set[int]\ny: set[str | None]")
    values = declaration.validate({"x": {10, 9, 2, 1}, "y": {"b", None, "a"}})
    assert values.json == {"x": [1, 2, 9, 10], "y": ["a", "b", None]}


def test_restoring_by_another_declaration_says_what_changed() -> None:
    stored = declare("x = 1").validate({"x": 2}).json
    with pytest.raises(ParameterError):
        declare("y = 1").restore(stored)
    with pytest.raises(ParameterError):
        declare("x = 'a'").restore(stored)


def test_defaults_that_break_their_own_declaration_are_found() -> None:
    declaration = declare(
        "n: Annotated[int, Range(1, 5)] = 9\nm: int = None\nok: int = 1\nlater: int = f()\nt: Secret = 5\nfree = 1"
    )
    assert [fault.parameter for fault in declaration.check_defaults()] == ["n", "m"]


def test_an_unreadable_language_takes_any_name() -> None:
    declaration = declare("let x = 1", language="rust")
    assert declaration.accepts_undeclared
    assert declaration.validate({"x": {"a": 1}, "y": Text("3")}).typed == {"x": {"a": 1}, "y": 3}
    assert find_faults(declaration, {"x y": 1})[0].rule == "name"


# JSON for stores and for others


def test_strict_json_names_what_json_has_no_number_for() -> None:
    value = {"a": [math.nan, math.inf, -math.inf, 1.5], "b": "\ud800 ", "c": 10**5000, "d": 10**4000}
    text = dumps_strict(value)
    assert text.isascii()
    assert text.startswith('{"a": ["NaN", "Infinity", "-Infinity", 1.5], "b": "\\ud800 ", "c": "1000')
    assert text.endswith('000", "d": 1' + "0" * 4000 + "}")
    assert json.loads(text) == strict_form(value)
    assert dumps_exact({"b": 1, "a": [10**5000]}, sort_keys=True).startswith('{"a": [1000')
    assert dumps_strict({"a": 1}) == '{"a": 1}'


@pytest.mark.parametrize("digits", [1, 599, 600, 601, 640, 1199, 1800, 1801, 4300, 4301, 20_000])
def test_long_integers_survive_the_store(digits: int) -> None:
    for number in (10 ** (digits - 1), 10**digits - 1, -(10**digits) + 7):
        assert loads_exact(dumps_exact({"a": [number, 1.5, math.inf]})) == {"a": [number, 1.5, math.inf]}


def test_what_is_no_json_is_a_value_error() -> None:
    for text in ("", "{", "[" * 100_000, "{'a': 1}", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own messages
            loads_exact(text)
