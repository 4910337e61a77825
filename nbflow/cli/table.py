"""Tables and lists of named values, to the width of the terminal; unbounded in a pipe, where lines are for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from nbflow.cli.console import clean, clean_line, is_terminal, write_line

STYLES: Mapping[str, str] = {
    "completed": "green",
    "skipped": "green",
    "failed": "red",
    "crashed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "running": "cyan",
}
PIPE_WIDTH = 10_000


def write_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headers, one line each; on a terminal long cells wrap."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    watched = is_terminal(sys.stdout)
    console = Console(highlight=False, markup=False, emoji=False, width=None if watched else PIPE_WIDTH)
    table = Table(box=box.SIMPLE_HEAD if watched else None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean_line(cell), style=STYLES.get(cell, "")) for cell in row))
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().strip("\n").splitlines():
        write_line(line.rstrip())


def write_facts(facts: Sequence[tuple[str, str]], *, indent: str = "", error: bool = False) -> None:
    """``name  value`` lines, the names in one column; further lines of a value stand under its first."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        lines = [clean(line) for line in value.splitlines()] or [""]
        write_line(f"{indent}{name:<{width}}  {lines[0]}".rstrip(), error=error)
        for line in lines[1:]:
            write_line(f"{indent}{'':<{width}}  {line}", error=error)


def format_time(time: datetime | None) -> str:
    """A moment in the local timezone, to the second; empty for None."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S") if time else ""


def paint(text: str, style: str, *, error: bool = False) -> str:
    """*text* in a colour where the stream shows colours."""
    if os.environ.get("NO_COLOR") or not is_terminal(sys.stderr if error else sys.stdout):
        return text
    import click

    return click.style(text, fg=style)
