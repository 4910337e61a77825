"""Tables and lists of named values: to the width of the terminal, one line a row in a pipe, where lines are for programs."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest

import click

from nbflow.cli.console import clean, clean_line, is_terminal, write_line

COLOURS: Mapping[str, str] = {
    "completed": "green",
    "skipped": "green",
    "failed": "red",
    "crashed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "running": "cyan",
}
GAP = "  "
NARROWEST = 12
"""Columns that a column keeps, however narrow the terminal is."""
_BLOCK = 500
"""Rows written at once."""


def write_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headers; on a terminal long cells wrap within their columns."""
    cells = [[_clean_cell(cell) for cell in row] for row in rows]
    widths = [max(map(measure, column)) for column in zip(headers, *cells, strict=True)]
    if is_terminal(sys.stdout):
        widths = _fit(widths, shutil.get_terminal_size().columns)
    write_line(paint(_join(headers, widths), bold=True))
    for start in range(0, len(cells), _BLOCK):
        lines: list[str] = []
        for row in cells[start : start + _BLOCK]:
            columns = [list(_wrap(cell, width)) for cell, width in zip(row, widths, strict=True)]
            lines += (_join(line, widths) for line in zip_longest(*columns, fillvalue=""))
        write_line("\n".join(lines))


def _clean_cell(text: str) -> str:
    """One line, behind the lines that join it to its parent in a tree."""
    if text[:1].isalnum():
        return clean_line(text)
    lead = len(text) - len(text.lstrip("│├└─ "))
    return text[:lead] + clean_line(text[lead:])


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The cells side by side; the states among them in their colours."""
    padded = [
        paint(cell, COLOURS.get(cell)) + " " * (width - measure(cell))
        for cell, width in zip(cells, widths, strict=True)
    ]
    return GAP.join(padded).rstrip()


def _fit(widths: Sequence[int], total: int) -> list[int]:
    """*widths* with the widest ones narrowed until they fit, as far as that goes."""
    fitted = list(widths)
    room = total - len(GAP) * (len(fitted) - 1)
    while sum(fitted) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _wrap(text: str, width: int) -> Iterator[str]:
    """*text* in lines of at most *width* columns, broken at spaces where there are any."""
    while measure(text) > width:
        end = _find_end(text, width)
        space = text.rfind(" ", 0, end + 1)
        end = space if space > 0 else end
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    yield text


def _find_end(text: str, width: int) -> int:
    used = 0
    for index, character in enumerate(text):
        used += measure(character)
        if used > width:
            return max(index, 1)
    return len(text)


def measure(text: str) -> int:
    """How many columns of a terminal *text* takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def write_facts(facts: Sequence[tuple[str, str]], *, indent: str = "", error: bool = False) -> None:
    """``name  value`` lines, the names in one column; further lines of a value stand under its first."""
    width = max((measure(name) for name, _ in facts), default=0)
    for name, value in facts:
        lines = [clean(line) for line in value.splitlines()] or [""]
        for label, line in zip_longest([name], lines, fillvalue=""):
            write_line(f"{indent}{label}{' ' * (width - measure(label))}{GAP}{line}".rstrip(), error=error)


def format_time(time: datetime | None) -> str:
    """A moment in the local timezone, to the second; empty for None."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else ""


def paint(text: str, colour: str | None = None, *, bold: bool = False, error: bool = False) -> str:
    """*text* in a colour where the stream shows colours."""
    if not (colour or bold) or os.environ.get("NO_COLOR") or not is_terminal(sys.stderr if error else sys.stdout):
        return text
    return click.style(text, fg=colour, bold=bold or None)
