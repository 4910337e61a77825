"""What reaches a terminal: text that can't act on it, JSON that is strict."""

from __future__ import annotations

import json

import pytest

from nbflow.cli.console import clean, clean_line, make_strict


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀\tand\nlines", "plain é 😀\tand\nlines"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1bPq...\x1b\\after", "after"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("bell\x07", "bell\\x07"),
        ("half \x1b", "half \\x1b"),
        ("a\x08b\x7f\x9b31m", "a\\x08b\\x7f\\x9b31m"),
        ("\u202ereversed", "\\u202ereversed"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("carriage\rreturn", "carriage\\x0dreturn"),
        ("\x1b]0;never ended", ""),
    ],
)
def test_text_can_not_act_on_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_plain_colours_stay_where_they_are_asked_for() -> None:
    text = "\x1b[1;31mred\x1b[0m \x1b[2Jrest\x07"
    assert clean(text, colours=True) == "\x1b[1;31mred\x1b[0m rest\\x07"


def test_a_sequence_can_not_be_assembled_from_the_pieces_of_another() -> None:
    for text in ("\x1b\x1b[2J[31m", "\x1b[\x1b[mH", "\x1b]0;\x1b[31mtitle\x07"):
        assert "\x1b" not in clean(text)
        assert "\x1b[H" not in clean(text, colours=True)
        assert "\x1b]" not in clean(text, colours=True)


def test_a_line_is_one_line_of_bounded_length() -> None:
    assert clean_line(" a\n  b\tc ") == "a b c"
    assert len(clean_line("x" * 10_000)) == 500


def test_strict_json_has_no_nan_and_no_foreign_types() -> None:
    value = {"nan": float("nan"), "list": [float("inf"), -float("inf"), 1e22], 3: {1}, "t": (1, True, None)}
    text = json.dumps(make_strict(value), allow_nan=False)
    assert json.loads(text) == {"nan": "NaN", "list": ["Infinity", "-Infinity", 1e22], "3": [1], "t": [1, True, None]}
