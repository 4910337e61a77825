"""JSON Schema of a declaration."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tests.parameters_fixtures import declare


def schema_of(source: str) -> dict[str, Any]:
    """The schema of ``x``, without our own extension."""
    schema = declare(source).json_schema()["properties"]["x"]
    del schema["x-nbflow"]
    return schema


def test_a_declaration_is_an_object_with_properties_in_order() -> None:
    schema = declare("b: int\na = 'x'  # a help\nc: date = date.today()").json_schema()
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "b": {"type": "integer", "x-nbflow": {"type": "int"}},
            "a": {
                "type": "string",
                "description": "a help",
                "default": "x",
                "x-nbflow": {"type": "str", "inferred": True},
            },
            "c": {"type": "string", "format": "date", "x-nbflow": {"type": "date", "computed": "date.today()"}},
        },
        "required": ["b"],
        "additionalProperties": False,
        "x-nbflow": {"language": "python"},
    }
    assert list(schema["properties"]) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("bool", {"type": "boolean"}),
        ("float", {"type": "number"}),
        ("datetime", {"type": "string", "format": "date-time"}),
        ("time", {"type": "string", "format": "time"}),
        ("timedelta", {"type": "string", "format": "duration"}),
        ("Decimal", {"type": ["number", "string"], "format": "decimal"}),
        ("Path", {"type": "string", "format": "path"}),
        ("UUID", {"type": "string", "format": "uuid"}),
        ("pd.Timestamp", {"type": "string", "format": "date-time"}),
        ("pd.Timedelta", {"type": "string", "format": "duration"}),
        ("Secret", {"type": "string", "format": "password", "writeOnly": True}),
        ("Any", {}),
        ("Unknown", {}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Literal['a', 1, None]", {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        ("int | None", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("set[str]", {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (
            "tuple[int, str]",
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
            },
        ),
        ("tuple[int, ...]", {"type": "array", "items": {"type": "integer"}}),
        ("dict", {"type": "object"}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Annotated[int, Range(1, 9)]", {"type": "integer", "minimum": 1, "maximum": 9}),
        ("Annotated[float, Gt(0), Lt(1)]", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        ("Annotated[float, Range(0, float('inf'))]", {"type": "number", "minimum": 0}),
        ("Annotated[int, MultipleOf(5)]", {"type": "integer", "multipleOf": 5}),
        ("Annotated[str, Len(1, 3)]", {"type": "string", "minLength": 1, "maxLength": 3}),
        ("Annotated[list[int], Len(1)]", {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        ("Annotated[str, Pattern('[A-Z]+')]", {"type": "string", "pattern": "^(?:[A-Z]+)$"}),
        ("Annotated[str, Choice('a', 'b')]", {"type": "string", "enum": ["a", "b"]}),
        ("Annotated[list[str], Choice('a')]", {"type": "array", "items": {"type": "string", "enum": ["a"]}}),
        (
            "Annotated[int | None, Range(1, 9)]",
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
        ),
        ("Annotated[date, Range(date(2026, 1, 1), None)]", {"type": "string", "format": "date"}),
    ],
)
def test_a_type_in_the_words_of_json_schema(annotation: str, schema: dict[str, Any]) -> None:
    assert schema_of(f"x: {annotation}") == schema


def test_an_enumeration_lists_what_may_be_sent() -> None:
    source = "class Color(Enum):\n    RED = 'red'\n    GREEN = 'green'\nx: Color = Color.RED"
    assert schema_of(source) == {"type": "string", "enum": ["red", "green"], "default": "red"}


@pytest.mark.parametrize(
    ("source", "default"),
    [
        ("x: date = date(2026, 1, 31)", "2026-01-31"),
        ("x: set[int] = {2, 1}", [1, 2]),
        ("x: Path = Path('a')", "a"),
        ("x = (1, 2)", [1, 2]),
        ("x = {1: 'a'}", {"1": "a"}),
        ("x: int | None = None", None),
        ("x: timedelta = timedelta(hours=1)", "PT1H"),
    ],
)
def test_a_default_is_in_json_form(source: str, default: Any) -> None:
    schema = declare(source).json_schema()["properties"]["x"]
    assert "default" in schema
    assert schema["default"] == default


@pytest.mark.parametrize("source", ["x = float('nan')", "x = [1, -math.inf]", "x = b'a'", "x = {(1, 2): 3}"])
def test_a_default_that_json_has_no_word_for_is_told_as_text(source: str) -> None:
    schema = declare(source).json_schema()["properties"]["x"]
    assert "default" not in schema
    assert schema["x-nbflow"]["default_text"] == source.removeprefix("x = ")
    json.dumps(schema, allow_nan=False)


def test_the_default_of_a_secret_is_not_told() -> None:
    schema = declare("x: Secret = 'hunter2'").json_schema()
    assert "hunter2" not in json.dumps(schema)


def test_hints_for_a_control_are_beside_the_schema() -> None:
    schema = declare("x: Annotated[float, Range(0, 1, step=0.1)] = 0.5").json_schema()["properties"]["x"]
    assert schema["x-nbflow"]["widget"] == {"minimum": 0, "maximum": 1, "step": 0.1}


def test_a_language_that_cannot_be_read_takes_any_property() -> None:
    assert declare("x = 1", language="rust").json_schema()["additionalProperties"] is True


def test_the_schema_and_the_validation_agree() -> None:
    declaration = declare(
        "a: int\nb: Annotated[int, Range(1, 9)] = 1\nc: Literal['x', 'y'] = 'x'\nd: list[float] = []\n"
        "e: dict[str, int] = {}\nf: tuple[int, str] = (1, 'a')\ng: int | None = None\nh: Annotated[str, Pattern('a+')] = 'a'"
    )
    schema = declaration.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    good = {"a": 1, "b": 9, "c": "y", "d": [1.5], "e": {"k": 1}, "f": [1, "b"], "g": None, "h": "aa"}
    checker.validate(good)
    assert declaration.validate(good).json == good
    for name, bad in [("b", 10), ("c", "z"), ("d", ["x"]), ("e", {"k": 1.5}), ("f", [1]), ("g", "x"), ("h", "ab")]:
        assert not checker.is_valid({**good, name: bad})
        with pytest.raises(Exception, match=f"^{name}: "):
            declaration.validate({**good, name: bad})
    assert not checker.is_valid({})
    assert not checker.is_valid({**good, "other": 1})
