"""Parameter files and YAML: JSON exactly, YAML 1.2, and errors that name file and line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.cli.files import parse_yaml, read_parameter_file
from nbflow.errors import UsageError

NASTY = {
    "nan": math.nan,
    "inf": [math.inf, -math.inf],
    "zero": -0.0,
    "large": 1e22,
    "tiny": 5e-324,
    "huge": 10**60,
    "emoji": "😀",
    "surrogate": "\ud800 and \udc00",
    "separators": "\u2028\u2029\x85",
    "nul": "\x00",
    "quotes": "\"\"\"'''\\\\",
    'key"with\\quotes': {"": [], " ": {}},
    "nothing": None,
    "truth": [True, False],
}


def same(left: Any, right: Any) -> bool:
    """Equal and of the same types, NaN and the sign of zero included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_file_gives_back_every_value_exactly(tmp_path: Path, ascii_only: bool, indent: int | None) -> None:
    values = NASTY if ascii_only else {key: value for key, value in NASTY.items() if key != "surrogate"}
    path = write(tmp_path / "values.json", json.dumps(values, ensure_ascii=ascii_only, indent=indent))
    assert same(read_parameter_file(path), values)


def test_json_in_a_yaml_file_is_read_as_json(tmp_path: Path) -> None:
    path = write(tmp_path / "values.yaml", json.dumps(NASTY))
    assert same(read_parameter_file(path), NASTY)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
@settings(max_examples=200, deadline=None)
def test_yaml_reads_what_a_yaml_writer_wrote(value: Any) -> None:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode = False  # a writer of YAML 1.1 breaks lines at characters that are ordinary ones in 1.2
    yaml.dump({"value": value}, stream)
    assert same(parse_yaml(stream.getvalue(), "file"), {"value": value})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("off", "off"),
        ("True", True),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 10:00:00", "2026-01-31 10:00:00"),
        ("1e22", 1e22),
        ("-.inf", -math.inf),
        (".nan", math.nan),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("'007'", "007"),
        ("!!str 007", "007"),
        ('"\\ud83d\\ude00"', "😀"),
        ("{a: [1, 2]}", {"a": [1, 2]}),
    ],
)
def test_yaml_has_the_types_of_its_core_schema(text: str, value: Any) -> None:
    assert same(parse_yaml(f"key: {text}", "file"), {"key": value})


def test_characters_that_once_broke_lines_are_ordinary_ones() -> None:
    assert parse_yaml('a: "x\u2028y\x85z"\nb: p\u2029q', "file") == {"a": "x\u2028y\x85z", "b": "p\u2029q"}


def test_yaml_aliases_and_merge_keys_are_followed() -> None:
    text = "base: &base {n: 1, unit: m}\nlong: {<<: *base, n: 2}\nagain: *base"
    assert parse_yaml(text, "file") == {
        "base": {"n": 1, "unit": "m"},
        "long": {"unit": "m", "n": 2},
        "again": {"n": 1, "unit": "m"},
    }


BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("v.json", b'{\n "a": 1,\n "a": 2\n}', ["line 3", "'a'", "twice"]),
        ("v.json", b'{\n "a": 1,\n}', ["line"]),
        ("v.json", b"[1, 2]", ["mapping", "list"]),
        ("v.json", b"", ["not JSON"]),
        ("v.json", b"null", ["mapping", "null"]),
        ("v.json", b'{"a": 1' + b"0" * 5000 + b"}", ["digits"]),
        ("v.json", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["deep"]),
        ("v.json", '{"a": "é"}'.encode("utf-16"), ["UTF-8"]),
        ("v.yaml", b"a: 1\na: 2", ["line 2", "twice"]),
        ("v.yaml", b"a: [1", ["line 1"]),
        ("v.yaml", b"- 1\n- 2", ["mapping", "list"]),
        ("v.yaml", b"just words", ["mapping", "string"]),
        ("v.yaml", b"1: 2", ["name", "1"]),
        ("v.yaml", b"a: 1\n---\nb: 2", ["line"]),
        ("v.yaml", b"a: !!python/object/apply:os.system [id]", ["line 1"]),
        ("v.yaml", b"a: &a [*a]", ["alias"]),
        ("v.yaml", BOMB.encode(), ["alias"]),
        ("v.yaml", b"a: " + b"[" * 3000, ["deep"]),
        ("v.yaml", b"a: \x07", ["character"]),
        ("v.yaml", b"a: !!float x", ["float"]),
        ("v.yaml", b"\xff\xfe\x00", ["UTF-8"]),
    ],
)
def test_a_broken_file_is_refused_by_name_in_one_line(
    tmp_path: Path, name: str, content: bytes, told: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_parameter_file(path)
    text = str(refused.value)
    assert str(path) in text
    assert len(text.splitlines()) == 1
    assert all(word in text for word in told), text


def test_a_repeated_key_does_not_show_the_values(tmp_path: Path) -> None:
    path = write(tmp_path / "v.yaml", "token: s3cret\ntoken: s3cret2")
    with pytest.raises(UsageError) as refused:
        read_parameter_file(path)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "values.json"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(UsageError, match=r"values\.json"):
        read_parameter_file(path)


def test_a_byte_order_mark_and_an_empty_yaml_file_are_fine(tmp_path: Path) -> None:
    marked = tmp_path / "marked.json"
    marked.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_parameter_file(marked) == {"a": 1}
    assert read_parameter_file(write(tmp_path / "empty.yaml", "# nothing yet\n")) == {}
