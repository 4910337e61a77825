"""Lines of a stream as a terminal would show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.engines.lines import LineSplitter


def split(*pieces: str) -> list[str]:
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    last = splitter.finish()
    return lines if last is None else [*lines, last]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (("a\nb\n",), ["a", "b"]),
        (("a", "b\nc"), ["ab", "c"]),
        (("a\r\nb\r\n",), ["a", "b"]),
        (("a\r", "\nb"), ["a", "b"]),
        (("10%\r50%\r100%\n",), ["100%"]),
        (("10%", "\r50%", "\r", "100%\n"), ["100%"]),
        (("long line\rab\n",), ["abng line"]),
        (("long\ra", "b\n"), ["abng"]),
        (("abc\b\bX\n",), ["aXc"]),
        (("\n\n",), ["", ""]),
        (("",), []),
        (("done\r",), ["done"]),
    ],
)
def test_carriage_returns_and_backspaces_move_the_cursor(pieces: tuple[str, ...], lines: list[str]) -> None:
    assert split(*pieces) == lines


def test_an_unfinished_line_is_shown_once_for_each_change() -> None:
    splitter = LineSplitter()
    splitter.feed("\r 50%")
    assert splitter.peek() == " 50%"
    assert splitter.peek() is None
    splitter.feed("\r 75%")
    assert splitter.peek() == " 75%"
    assert splitter.feed("\n") == [" 75%"]
    assert splitter.peek() is None


def test_a_stream_without_newlines_does_not_grow_in_memory() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(30) for line in splitter.feed("x" * 10_000)]
    assert [len(line) for line in lines] == [splitter.MAX_LINE] * 2
    assert len(splitter.finish() or "") == 300_000 - 2 * splitter.MAX_LINE


@given(st.lists(st.text("ab\n"), max_size=20))
def test_how_a_text_is_cut_into_pieces_makes_no_difference(pieces: list[str]) -> None:
    assert split(*pieces) == split("".join(pieces))


@given(st.lists(st.text("ab\n\r"), max_size=20))
def test_not_even_with_carriage_returns(pieces: list[str]) -> None:
    assert split(*pieces) == split("".join(pieces))
