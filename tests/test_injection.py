"""Values written as Python: they come back equal and of the same type, and nothing else is left behind."""

from __future__ import annotations

import ast
import datetime
import decimal
import json
import math
import pathlib
import sys
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbflow.parameters import Declaration
from nbflow.parameters.injection import render_injection, render_python, render_secrets
from nbflow.parameters.literals import WIDTH, literal
from nbflow.parameters.values import dumps_exact, loads_exact
from tests.parameters_fixtures import declare, find_faults

ANYTHING = declare("x: Any")


def nest(depth: int, innermost: Any = None) -> Any:
    """Lists and dictionaries in turn, *depth* deep."""
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"k'\"": value}
    return value


NASTY: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    10**400,
    -(10**5000),
    0.0,
    -0.0,
    1e22,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "a",
    "it's",
    'say "hi"',
    "both ' and \"",
    "'''",
    '"""',
    "\"\"\"'''",
    "\\",
    "\\n",
    "ends with \\",
    "line\nfeed\r\ntab\t",
    "\x00\x01\x7f",
    "\u2028\u2029\x85\x0b\x0c",
    "emoji 🎉 ﬁ é",
    "\ud800",
    "\udfff and \ud83c alone, the wrong way round",
    "\ufeff",
    "\u202eright to left",
    "$(ls) `ls` ${x} %s {x} {{x}}",
    "%magic\n!ls\n?help\n%%bash",
    "# comment",
    "x = 1; import os",
    "True",
    "nan",
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"k": []},
    {"it's": 1, 'say "hi"': 2, "both ' \"": 3, "\n": 4, "\ud800": 5, "\\": 6, "1": 7},
    [None, [True, [1, [1.5, ["x"]]]]],
    nest(50),
    nest(64),
    list(range(200)),
    ["x" * 90, "y" * 90],
    {f"key {number}": [number] * 5 for number in range(40)},
    {"nan": [math.nan, {"inf": -math.inf}]},
    {"%time": "!ls", "?": "x?"},
]


def same(left: Any, right: Any) -> bool:
    """Equal, of the same type all the way down, with NaN equal to itself and -0.0 apart from 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or (left == right and math.copysign(1, left) == math.copysign(1, right))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def run(source: str, namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """The names that *source* leaves in a namespace."""
    space: dict[str, Any] = dict(namespace or {})
    exec(compile(source, "<injected>", "exec"), space)
    del space["__builtins__"]
    return space


def inject(declaration: Declaration, value: Any) -> Any:
    """*value* after validation, the store, and a namespace that executes the cell; nothing else may be left in it."""
    values = declaration.validate({"x": value})
    restored = declaration.restore(loads_exact(dumps_exact(values.json)))
    source = render_python(declaration, values)
    assert render_python(declaration, restored) == source
    space = run(source)
    assert list(space) == ["x"]
    assert same(restored.typed["x"], values.typed["x"])
    return space["x"]


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_nasty_values_come_back_as_they_were(value: Any) -> None:
    assert same(inject(ANYTHING, value), value)


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_nasty_values_pass_through_ipython(value: Any) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    source = render_python(ANYTHING, ANYTHING.validate({"x": value}))
    transformed = TransformerManager().transform_cell(source)
    assert same(run(transformed)["x"], value)


def test_nasty_values_pass_through_a_real_shell() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    before = set(shell.user_ns)
    for value in NASTY:
        result = shell.run_cell(render_python(ANYTHING, ANYTHING.validate({"x": value})), store_history=False)
        result.raise_error()
        assert same(shell.user_ns["x"], value)
    assert set(shell.user_ns) - before <= {"x"}


def is_whole(text: str) -> bool:
    """Whether JSON can hold *text*: two halves of a surrogate pair side by side are one character there."""
    return bool(json.loads(json.dumps(text)) == text)


TEXTS = st.text(st.characters()).filter(is_whole) | st.text(
    st.sampled_from("'\"\\\n\r\t\x00\u2028\ud800\udc00#%!?{}$🎉 ")
).filter(is_whole)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**2100), max_value=2**2100)
    | st.floats()
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON_VALUES)
@example([10**5000, -(16**5000)])
def test_every_json_value_comes_back_as_it_was(value: Any) -> None:
    assert same(inject(ANYTHING, value), value)


@pytest.mark.parametrize("value", ["\ud83c\udf89", ["a\ud800\udc00"], {"\ud800\udc00": 1}])
def test_a_split_character_is_refused_because_json_would_join_it(value: Any) -> None:
    (fault,) = find_faults(ANYTHING, {"x": value})
    assert fault.rule == "unrepresentable"


TYPED: list[tuple[str, Any]] = [
    ("date", datetime.date(2026, 1, 31)),
    ("date", datetime.date.min),
    ("datetime", datetime.datetime(2026, 1, 31)),
    ("datetime", datetime.datetime(2026, 1, 31, 1, 2, 3, 4)),
    ("datetime", datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)),
    ("datetime", datetime.datetime(2026, 1, 31, tzinfo=datetime.timezone(datetime.timedelta(hours=-5.5)))),
    ("datetime", datetime.datetime.max),
    ("time", datetime.time(0)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("time", datetime.time(1, tzinfo=datetime.UTC)),
    ("timedelta", datetime.timedelta(0)),
    ("timedelta", datetime.timedelta(days=-1, microseconds=1)),
    ("timedelta", datetime.timedelta.max),
    ("Decimal", decimal.Decimal("1.10")),
    ("Decimal", decimal.Decimal("1E-400")),
    ("Decimal", decimal.Decimal("-0")),
    ("Decimal", decimal.Decimal("Infinity")),
    ("Path", pathlib.Path('a/it\'s "b"\n\udcff')),
    ("Path", pathlib.Path()),
    ("UUID", uuid.UUID(int=5)),
    ("Literal['a', 1, 2.5, None]", 2.5),
    ("tuple[int, str]", (1, "a")),
    ("tuple[int]", (1,)),
    ("tuple", ()),
    ("set[int]", {1, 2}),
    ("set", set()),
    ("frozenset[str]", frozenset({"a"})),
    ("frozenset", frozenset()),
    ("set[tuple[int, frozenset[int]]]", {(1, frozenset({2}))}),
    ("dict[int, list[date]]", {1: [datetime.date(2026, 1, 31)]}),
    ("dict[float, str]", {1.5: "a"}),
    ("dict[bool, str]", {True: "a"}),
    ("dict[date, Decimal]", {datetime.date(2026, 1, 31): decimal.Decimal(1)}),
    ("list[Path | None]", [pathlib.Path("a"), None]),
    ("pd.Timestamp", pd.Timestamp("2026-01-31T12:00:00.123456789")),
    ("pd.Timestamp", pd.Timestamp("2026-01-31", tz="UTC")),
    ("pd.Timedelta", pd.Timedelta(-123456789, "ns")),
    ("pd.Timedelta", pd.Timedelta(0)),
]


@pytest.mark.parametrize(("annotation", "value"), TYPED, ids=range(len(TYPED)))
def test_typed_values_come_back_as_they_were(annotation: str, value: Any) -> None:
    back = inject(declare(f"x: {annotation}"), value)
    assert type(back) is type(value)
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | pd.Timestamp)


def test_nan_of_other_types_comes_back() -> None:
    declaration = declare("x: Decimal")
    values = declaration.restore(declaration.validate({"x": decimal.Decimal("NaN")}).json)
    assert run(render_python(declaration, values))["x"].is_nan()


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(
        st.dates(),
        st.datetimes(timezones=st.none() | st.timezones()),
        st.times(),
        st.timedeltas(),
        st.decimals(allow_nan=False),
        st.uuids(),
        st.frozensets(st.integers()),
    )
)
def test_every_typed_value_comes_back(value: tuple[Any, ...]) -> None:
    declaration = declare("x: tuple[date, datetime, time, timedelta, Decimal, UUID, frozenset[int]]")
    back = inject(declaration, value)
    assert back[1].tzinfo is None or back[1].utcoffset() == value[1].utcoffset()
    assert back[0] == value[0]
    assert back[1].replace(tzinfo=None) == value[1].replace(tzinfo=None)
    assert same(back[2:], value[2:])


def test_an_enumeration_is_reached_by_its_name() -> None:
    colors = "from enum import Enum\nclass Color(Enum):\n    RED = 'red'\n    it = (1, 2)\n"
    declaration = declare(colors + "x: Color = Color.RED")
    source = render_python(declaration, declaration.validate({"x": "it"}))
    space = run(colors + source)
    assert space["x"] is space["Color"].it


def test_numpy_values_come_back_as_plain_ones() -> None:
    assert same(inject(declare("x: list[float]"), [np.float64(0.5), np.int64(2)]), [0.5, 2.0])
    assert same(inject(ANYTHING, {"a": np.float64("nan"), "b": np.bool_(True)}), {"a": math.nan, "b": True})


def test_parameters_called_like_builtins_do_no_harm() -> None:
    names = ["float", "set", "frozenset", "dict", "datetime", "math", "Path", "date", "print", "type", "tuple"]
    declaration = declare(
        "\n".join(f"{name}: Any" for name in names) + "\nx: float\ny: frozenset[int]\nz: date\nw: set"
    )
    given_values = dict.fromkeys(names, "shadow") | {"x": math.nan, "y": [], "z": "2026-01-31", "w": []}
    values = declaration.validate(given_values)
    space = run(render_python(declaration, values))
    assert math.isnan(space["x"])
    assert (space["y"], space["z"], space["w"]) == (frozenset(), datetime.date(2026, 1, 31), set())
    assert set(space) == set(given_values)


# how the cell reads


def test_the_cell_reads_well() -> None:
    declaration = declare("region: str\nday: date\nratio: float\nopts: dict\nn = 1")
    values = declaration.validate(
        {"n": 2, "opts": {"EU": [0.1, 0.9], "note": "x" * 90}, "day": "2026-01-31", "region": "EU", "ratio": math.inf}
    )
    assert render_python(declaration, values) == (
        "# Parameters\n"
        'region = "EU"\n'
        'day = __import__("datetime").date(2026, 1, 31)\n'
        'ratio = __import__("math").inf\n'
        "opts = {\n"
        '    "EU": [0.1, 0.9],\n'
        f'    "note": "{"x" * 90}",\n'
        "}\n"
        "n = 2\n"
    )


def test_long_containers_take_a_line_for_each_item() -> None:
    source = render_python(ANYTHING, ANYTHING.validate({"x": {"a": list(range(100)), "b": {"c": ["y" * 40] * 4}}}))
    assert max(map(len, source.splitlines())) <= WIDTH
    assert '            "' + "y" * 40 in source
    ast.parse(source)


@pytest.mark.parametrize("comment", ["two\nlines", "# hash", "", "x = 1\rimport os", "a\u2028b", "ends \\"])
def test_a_comment_stays_a_comment(comment: str) -> None:
    source = render_python(ANYTHING, ANYTHING.validate({"x": 1}), comment=comment)
    assert run(source) == {"x": 1}
    assert source.endswith("x = 1\n")


def test_huge_integers_do_not_meet_the_kernels_limit() -> None:
    source = render_python(ANYTHING, ANYTHING.validate({"x": 10**5000}))
    limit = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(640)
        assert run(source)["x"] == 10**5000
    finally:
        sys.set_int_max_str_digits(limit)


def test_literals_are_one_line() -> None:
    assert literal({"a": ["x" * 200, (1,), {1}]}) == '{"a": ["' + "x" * 200 + '", (1,), {1}]}'


# secrets and other languages


def test_a_secret_is_in_no_cell() -> None:
    declaration = declare("token: Secret\nx = 1\nnone: Secret | None = None")
    values = declaration.validate({"token": 'it\'s "hunter2"\n', "x": 2, "none": None})
    source = render_injection(declaration, values, kernel_name="python3", language="python")
    assert source == "# Parameters\nx = 2\nnone = None\n"
    space = run(render_secrets(values.secrets))
    assert space == {"token": 'it\'s "hunter2"\n'}
    assert type(space["token"]) is str


@pytest.mark.parametrize("language", ["python", "Python", "python3", "ipython"])
def test_python_has_many_names(language: str) -> None:
    declaration = declare("x = 1", language=language)
    values = declaration.validate({"x": 2})
    assert render_injection(declaration, values, kernel_name="k", language=language) == "# Parameters\nx = 2\n"


def test_another_language_writes_its_own_cell() -> None:
    declaration = declare("x <- 1", language="R")
    values = declaration.validate({"x": 2})
    source = render_injection(declaration, values, kernel_name="ir", language="R")
    assert source.startswith("# Parameters\nx = 2")
