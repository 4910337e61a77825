"""Types of parameters: from the annotation as written, or from the default where there is none."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import subprocess
import sys
import typing
import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from nbflow.parameters import Choice, LiteralDefault, Pattern, Range, Secret
from nbflow.parameters.markers import Bounds, PandasTimedelta, PandasTimestamp
from tests.parameters_fixtures import declare, declare_one


@pytest.mark.parametrize(
    ("annotation", "python_type", "text"),
    [
        ("bool", bool, "bool"),
        ("int", int, "int"),
        ("float", float, "float"),
        ("str", str, "str"),
        ("'int'", int, "int"),
        ("date", datetime.date, "date"),
        ("datetime", datetime.datetime, "datetime"),
        ("datetime.date", datetime.date, "date"),
        ("datetime.datetime", datetime.datetime, "datetime"),
        ("time", datetime.time, "time"),
        ("timedelta", datetime.timedelta, "timedelta"),
        ("Decimal", decimal.Decimal, "Decimal"),
        ("Path", pathlib.Path, "Path"),
        ("UUID", uuid.UUID, "UUID"),
        ("Any", Any, "Any"),
        ("object", Any, "Any"),
        ("Secret", Secret, "Secret"),
        ("nbflow.Secret", Secret, "Secret"),
        ("Literal['EU', 'US']", Literal["EU", "US"], "Literal['EU', 'US']"),
        ("Literal[1, 2, None]", Literal[1, 2, None], "Literal[1, 2, None]"),
        ("Literal[-1]", Literal[-1], "Literal[-1]"),
        ("Optional[int]", int | None, "int | None"),
        ("int | None", int | None, "int | None"),
        ("Union[int, str]", int | str, "int | str"),
        ("None | int", None | int, "None | int"),
        ("int | Any", Any, "Any"),
        ("list", list, "list"),
        ("list[float]", list[float], "list[float]"),
        ("List[float]", list[float], "list[float]"),
        ("Sequence[str]", list[str], "list[str]"),
        ("tuple[int, str]", tuple[int, str], "tuple[int, str]"),
        ("Tuple[int, ...]", tuple[int, ...], "tuple[int, ...]"),
        ("set[int]", set[int], "set[int]"),
        ("frozenset[str]", frozenset[str], "frozenset[str]"),
        ("dict[str, list[date]]", dict[str, list[datetime.date]], "dict[str, list[date]]"),
        ("Dict[int, Any]", dict[int, Any], "dict[int, Any]"),
        ("Mapping[str, int]", dict[str, int], "dict[str, int]"),
        ("list[int] | None", list[int] | None, "list[int] | None"),
        ("pd.Timestamp", PandasTimestamp, "Timestamp"),
        ("Timedelta", PandasTimedelta, "Timedelta"),
        ("Final[int]", int, "int"),
        ("Annotated[int, Range(1, 100)]", Annotated[int, Range(1, 100)], "int"),
        ("Annotated[int, Range(1, 100, step=5)]", Annotated[int, Range(1, 100, 5)], "int"),
        ("Annotated[str, Choice('a', 'b')]", Annotated[str, Choice("a", "b")], "str"),
        ("Annotated[str, Pattern(r'[A-Z]+')]", Annotated[str, Pattern("[A-Z]+")], "str"),
        ("Annotated[int, 'help', Gt(0), Le(5)]", Annotated[int, Bounds(gt=0), Bounds(le=5)], "int"),
        ("Annotated[int, Interval(ge=1, lt=4)]", Annotated[int, Bounds(ge=1, lt=4)], "int"),
        ("Annotated[str, Len(1, 3)]", Annotated[str, Bounds(min_length=1, max_length=3)], "str"),
        (
            "Annotated[str, Field(min_length=2, pattern='^a')]",
            Annotated[str, Bounds(min_length=2, search="^a")],
            "str",
        ),
        ("list[Annotated[int, Range(0, 9)]]", list[Annotated[int, Range(0, 9)]], "list[int]"),
    ],
)
def test_an_annotation_is_understood(annotation: str, python_type: Any, text: str) -> None:
    parameter = declare_one(f"x: {annotation}")
    assert parameter.python_type == python_type
    assert parameter.type_text == text
    assert parameter.annotation == annotation.strip("'")
    assert not parameter.inferred


@pytest.mark.parametrize(
    ("earlier", "annotation", "text"),
    [
        ("from typing import Literal as L", "L['a']", "Literal['a']"),
        ("import typing as t", "t.Optional[t.List[int]]", "list[int] | None"),
        ("import typing_extensions", "typing_extensions.Literal['a']", "Literal['a']"),
        ("from collections.abc import Sequence as S", "S[int]", "list[int]"),
        ("import datetime", "datetime.date", "date"),
        ("import datetime as dt", "dt.datetime", "datetime"),
        ("from datetime import date as Day", "Day", "date"),
        ("import pandas", "pandas.Timestamp", "Timestamp"),
        ("import pathlib as p", "p.Path", "Path"),
        ("import nbflow as nb", "nb.Secret", "Secret"),
        ("import nbflow", "Annotated[int, nbflow.Range(1, 2)]", "int"),
        ("try:\n    from typing import Literal as L\nexcept ImportError:\n    L = None", "L['a']", "Literal['a']"),
        ("%matplotlib inline\nimport datetime as dt\n!ls", "dt.date", "date"),
        ("Region = Literal['EU', 'US']", "Region", "Literal['EU', 'US']"),
        ("Region = Literal['EU', 'US']\nRegions = list[Region]", "Regions", "list[Literal['EU', 'US']]"),
        ("type Region = Literal['EU']", "Region | None", "Literal['EU'] | None"),
        ("Region: TypeAlias = 'Literal[1]'", "Region", "Literal[1]"),
        ("UserId = NewType('UserId', int)", "UserId", "int"),
        ("from pydantic import PositiveInt, SecretStr", "PositiveInt", "int"),
        ("from pydantic import PositiveInt, SecretStr", "SecretStr", "Secret"),
        ("date = '2026-01-31'", "date", "date"),
    ],
)
def test_names_are_followed_through_earlier_cells(earlier: str, annotation: str, text: str) -> None:
    declaration = declare(f"x: {annotation}", earlier)
    assert declaration.parameters[0].type_text == text
    assert not declaration.findings


def test_a_parameter_called_like_its_type_does_not_hide_it() -> None:
    declaration = declare("from datetime import date\ndate: date = date(2026, 1, 31)\nday: date = date.today()")
    assert [parameter.type_text for parameter in declaration.parameters] == ["date", "date"]


@pytest.mark.parametrize(
    "annotation", ["DataFrame", "np.ndarray", "torch.nn.Module", "Foo[int]", "f()", "5", "datetime"]
)
def test_an_unknown_annotation_is_any_with_a_warning(annotation: str) -> None:
    declaration = declare(f"x: {annotation} = None", "import datetime")
    (parameter,) = declaration.parameters
    assert (parameter.python_type, parameter.type_text, parameter.annotation) == (Any, "Any", annotation)
    (finding,) = declaration.findings
    assert (finding.rule, finding.severity, finding.parameter) == ("annotation", "warning", "x")


def test_an_unknown_part_leaves_the_rest() -> None:
    declaration = declare("x: dict[str, Foo] = {}\ny: Annotated[int, Range(1, 5), Even()] = 2")
    assert [parameter.type_text for parameter in declaration.parameters] == ["dict[str, Any]", "int"]
    assert declaration.parameters[1].python_type == Annotated[int, Range(1, 5)]
    assert [finding.message.split(" of ")[0] for finding in declaration.findings] == ["the type Foo", "the type Even()"]


# enumerations


COLOR = "from enum import Enum\nclass Color(Enum):\n    RED = 'red'\n    GREEN = 'green'\n"


@pytest.mark.parametrize("where", ["earlier", "same"])
def test_an_enumeration_of_the_notebook_is_a_choice(where: str) -> None:
    source = "color: Color = Color.RED  # of the line"
    declaration = declare(source, COLOR) if where == "earlier" else declare(COLOR + source)
    (parameter,) = declaration.parameters
    assert (parameter.type_text, parameter.choices) == ("Color", ("red", "green"))
    assert isinstance(parameter.default, LiteralDefault)
    assert parameter.default.value is parameter.python_type.RED


@pytest.mark.parametrize(
    ("body", "choices"),
    [
        ("class K(StrEnum):\n    AA = auto()\n    B = auto()", ("aa", "b")),
        ("class K(IntEnum):\n    A = auto()\n    B = 7\n    C = auto()", (1, 7, 8)),
        ("class K(str, Enum):\n    A = 'a'\n    def f(self): return 1\n    _x = 2", ("a",)),
        ("class K(Enum):\n    A = (1, 2)\n    B = compute()", ("A", "B")),
    ],
)
def test_members_are_read_without_running_the_class(body: str, choices: tuple[Any, ...]) -> None:
    parameter = declare_one("x: K", "from enum import *\nfrom enum import Enum, IntEnum, StrEnum, auto", body)
    assert parameter.choices == choices


def test_the_type_of_an_enum_default_is_inferred() -> None:
    assert declare_one("color = Color.RED", COLOR).type_text == "Color"


# choices and hints


@pytest.mark.parametrize(
    ("annotation", "choices"),
    [
        ("Literal['a', 'b'] | None", ("a", "b")),
        ("Literal['a', None]", ("a",)),
        ("Annotated[int, Choice(1, 2)]", (1, 2)),
        ("list[Literal['a', 'b']]", ("a", "b")),
        ("Annotated[list[str], Choice('a')]", ("a",)),
        ("Literal['a'] | Literal['b']", ("a", "b")),
        ("Literal['a'] | int", ()),
        ("Annotated[date, Choice(date(2026, 1, 31))]", ("2026-01-31",)),
        ("int", ()),
    ],
)
def test_choices_are_told_where_they_are_finite(annotation: str, choices: tuple[Any, ...]) -> None:
    assert declare_one(f"x: {annotation}").choices == choices


def test_a_range_gives_hints_for_a_control() -> None:
    assert dict(declare_one("x: Annotated[int, Range(1, 9, step=2)]").widget) == {"minimum": 1, "maximum": 9, "step": 2}
    assert dict(declare_one("x: Annotated[int, Range(lo=1)] | None").widget) == {"minimum": 1}


def test_secret_is_told_wherever_it_stands() -> None:
    declaration = declare("a: Secret\nb: Secret | None = None\nc: Annotated[Secret, 'token']\nd: list[Secret]\ne: str")
    assert [parameter.secret for parameter in declaration.parameters] == [True, True, True, True, False]
    assert [(finding.rule, finding.parameter) for finding in declaration.findings] == [("secret", "d")]
    assert declaration.parameters[3].python_type is Secret


# inference


@pytest.mark.parametrize(
    ("default", "text"),
    [
        ("True", "bool"),
        ("10", "int"),
        ("0.5", "float"),
        ("'a'", "str"),
        ("None", "Any"),
        ("[1, 2]", "list"),
        ("{'a': 1}", "dict"),
        ("{}", "dict"),
        ("{1: 'a'}", "dict[int, Any]"),
        ("(1, 2)", "tuple"),
        ("{1}", "set"),
        ("b'x'", "Any"),
        ("1j", "Any"),
        ("f'{a}'", "str"),
        ("'%s' % a", "str"),
        ("'{}'.format(a)", "str"),
        ("a > 1", "bool"),
        ("not a", "bool"),
        ("[a for a in b]", "list"),
        ("[a, b]", "list"),
        ("{'a': b}", "dict"),
        ("str(a)", "str"),
        ("int(a)", "int"),
        ("len(a)", "int"),
        ("sorted(a)", "list"),
        ("unknown(a)", "Any"),
        ("a", "Any"),
        ("datetime.now()", "datetime"),
        ("datetime.datetime.now()", "datetime"),
        ("datetime.now() - timedelta(days=1)", "datetime"),
        ("datetime.now() - datetime(2026, 1, 1)", "timedelta"),
        ("datetime.now().date()", "date"),
        ("datetime.now().replace(hour=0)", "datetime"),
        ("datetime.now().strftime('%Y')", "str"),
        ("date.today()", "date"),
        ("date.today().isoformat()", "str"),
        ("date(2026, 1, 31)", "date"),
        ("timedelta(days=1)", "timedelta"),
        ("Path('x')", "Path"),
        ("Path.home() / 'data'", "Path"),
        ("Path('x') / 'y'", "Path"),
        ("Decimal('1')", "Decimal"),
        ("uuid.uuid4()", "Any"),
        ("pd.Timestamp('2026-01-31')", "Timestamp"),
        ("pd.Timestamp.now() - pd.Timedelta(days=1)", "Timestamp"),
        ("pd.Timestamp.now().normalize()", "Timestamp"),
        ("os.environ['A']", "Any"),
        ("float('nan')", "float"),
        ("np.nan", "float"),
        ("1 if a else 2", "int"),
        ("1 if a else 'b'", "Any"),
    ],
)
def test_the_type_follows_from_the_default(default: str, text: str) -> None:
    parameter = declare_one(f"x = {default}")
    assert parameter.type_text == text
    assert parameter.inferred
    assert parameter.annotation is None


def test_a_default_takes_the_type_of_the_parameter_it_names() -> None:
    declaration = declare("start: date\nend = start\nlater = start + timedelta(days=1)")
    assert [parameter.type_text for parameter in declaration.parameters] == ["date", "date", "date"]


def test_imported_functions_are_followed() -> None:
    declaration = declare(
        "a = uuid4()\nb = os.environ['A']\nc = os.getenv('A', 'x')", "import os\nfrom uuid import uuid4"
    )
    assert [parameter.type_text for parameter in declaration.parameters] == ["UUID", "str", "str"]


@pytest.mark.parametrize(
    ("default", "value"),
    [
        ("date(2026, 1, 31)", datetime.date(2026, 1, 31)),
        ("datetime(2026, 1, 31, tzinfo=timezone.utc)", datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)),
        ("date(2026, 1, 31) + timedelta(days=1)", datetime.date(2026, 2, 1)),
        ("Path('a') / 'b'", pathlib.Path("a/b")),
        ("Decimal('1.10')", decimal.Decimal("1.10")),
        ("date.fromisoformat('2026-01-31')", datetime.date(2026, 1, 31)),
    ],
)
def test_a_constructor_with_literal_arguments_is_a_known_default(default: str, value: Any) -> None:
    parameter = declare_one(f"x = {default}")
    assert parameter.default == LiteralDefault(value, default)


# the markers in a notebook


def test_the_markers_work_with_plain_pydantic() -> None:
    number: TypeAdapter[Any] = TypeAdapter(Annotated[int, Range(1, 100)])
    assert number.validate_python(5) == 5
    assert number.json_schema() == {"type": "integer", "minimum": 1, "maximum": 100}
    with pytest.raises(ValidationError, match="must be from 1 to 100"):
        number.validate_python(500)
    for adapter, good, bad in (
        (TypeAdapter(Annotated[str, Choice("a", "b")]), "a", "c"),
        (TypeAdapter(Annotated[str, Pattern("[A-Z]{3}")]), "ABC", "ABCD"),
        (TypeAdapter(Secret), "abc", 5),
        (TypeAdapter(PandasTimestamp), "2026-01-31", "soon"),
        (TypeAdapter(PandasTimedelta), "P1D", "soon"),
    ):
        assert adapter.validate_python(good) is not None
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)


def test_a_secret_is_a_string_with_a_masked_repr() -> None:
    secret = Secret("abc")
    assert secret == "abc"
    assert f"{secret}" == "abc"
    assert repr(secret) == "Secret('********')"
    assert "abc" not in repr({"token": secret})


def test_the_markers_run_in_a_notebook_cell() -> None:
    code = (
        "from typing import Annotated\nfrom nbflow import Choice, Pattern, Range, Secret\n"
        "n: Annotated[int, Range(1, 5)] = 2\nt: Secret = Secret('a')\nc: Annotated[str, Choice('a'), Pattern('a')] = 'a'\n"
        "import sys; print('pydantic' in sys.modules, n, c)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "2", "a"]


def test_every_type_has_a_text_that_reads_back_as_itself() -> None:
    for annotation in ("int", "list[float]", "dict[str, int | None]", "Literal['a', 1]", "tuple[int, ...]"):
        text = declare_one(f"x: {annotation}").type_text
        assert declare_one(f"x: {text}").python_type == declare_one(f"x: {annotation}").python_type
    assert typing.get_args(declare_one("x: dict[str, int | None]").python_type)[0] is str
