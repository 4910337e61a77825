"""A run as it is watched: live on a terminal, as plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from nbflow.cli.console import clean, clean_line, is_terminal, write_line
from nbflow.errors import OutputError
from nbflow.events import Event, EventKind, LogLines

if TYPE_CHECKING:
    from rich.console import Group

OWN_STREAM = "nbflow"


class Display(Protocol):
    """Somebody who watches a run: a terminal, a pipe, a file."""

    def show(self, event: Event) -> None:
        """Show one event. May raise OSError or StreamError when it can't be shown any more."""

    def note(self, text: str) -> None:
        """Show one line of nbflow's own. Called from any thread."""

    def close(self) -> None: ...


def _part(lines: Iterable[tuple[str, str]], *, own: bool) -> tuple[list[str], list[str]]:
    """nbflow's own lines apart from the notebook's; all together where *own* is false."""
    notes: list[str] = []
    printed: list[str] = []
    for stream, line in lines:
        (notes if own and stream == OWN_STREAM else printed).append(line)
    return notes, printed


def describe_step(event: Event) -> str | None:
    """nbflow's own line about a step between attempts; None where there is nothing to say."""
    if event.kind is EventKind.STARTED and event.attempt > 1:
        return f"attempt {event.attempt}"
    if event.kind is EventKind.STATE and event.data.get("state") == "scheduled":
        return f"trying again: {event.data.get('message') or 'the attempt did not succeed'}"
    return None


class PlainDisplay:
    """The notebook's lines to one stream, nbflow's own to standard error, one for each cell: nothing moves."""

    def __init__(self, out: TextIO, *, logs: bool = True, steps: bool = True) -> None:
        self._out = out
        self._logs = logs
        self._steps = steps
        self._lines = LogLines()
        self._cells = 0

    def show(self, event: Event) -> None:
        notes, lines = _part(self._lines.take(event), own=self._steps)
        if lines and self._logs:
            write_line(clean("\n".join(lines)), stream=self._out)
        if notes and self._logs:
            write_line(clean("\n".join(notes)), error=True)
        if event.kind is EventKind.STARTED:
            self._cells = event.data.get("cells", 0)
        if event.kind is EventKind.CELL_STARTED and self._steps:
            self.note(
                f"[{event.data.get('number', '?')}/{self._cells or '?'}] {event.data.get('title') or ''}".rstrip()
            )
        step = describe_step(event)
        if step:
            self.note(step)

    def note(self, text: str) -> None:
        write_line(clean_line(text), error=True)

    def close(self) -> None:
        """Nothing is held."""


class LiveDisplay:
    """A bar by cell at the bottom of a terminal; unfinished lines just above it, finished ones scroll away."""

    def __init__(self, terminal: TextIO, *, out: TextIO | None, logs: bool = True) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._out = out
        self._logs = logs
        self._lines = LogLines()
        self._console = Console(file=terminal, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[place]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, style="dim"),
            console=self._console,
        )
        self._task = self._progress.add_task("starting", total=None, place="")
        # Only this display writes to the terminal, so the streams need not be redirected.
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, event: Event) -> None:
        notes, lines = _part(self._lines.take(event), own=True)
        if lines and self._logs:
            self._print("\n".join(lines))
        for note in notes if self._logs else ():
            self.note(note)
        data = event.data
        match event.kind:
            case EventKind.STARTED:
                self._progress.update(self._task, total=data.get("cells") or None, completed=0, description="")
            case EventKind.CELL_STARTED:
                title = clean_line(str(data.get("title") or ""), limit=200)
                place = f"cell {data.get('number', '?')} of {data.get('cells') or self._total()}"
                self._progress.update(self._task, description=title, place=place)
            case EventKind.CELL_FINISHED:
                self._progress.update(self._task, completed=data.get("number", 0))
        step = describe_step(event)
        if step:
            self.note(step)

    def note(self, text: str) -> None:
        self._console.print(clean_line(text), style="yellow", soft_wrap=True)

    def close(self) -> None:
        self._live.stop()

    def _total(self) -> str:
        total = self._progress.tasks[0].total
        return f"{total:.0f}" if total else "?"

    def _print(self, text: str) -> None:
        if self._out is not None:
            write_line(clean(text), stream=self._out)
        else:
            self._console.print(self._coloured(text), soft_wrap=True)

    def _coloured(self, text: str) -> Any:
        from rich.text import Text

        return Text.from_ansi(clean(text, colours=True))

    def _render(self) -> Group:
        from rich.console import Group

        unfinished = [self._coloured(line) for line in self._lines.partial.values()] if self._logs else []
        for text in unfinished:
            text.no_wrap, text.overflow = True, "ellipsis"
        return Group(*unfinished, self._progress)


class LastCell:
    """Remembers which cell began last: what the summary of a failure names."""

    def __init__(self) -> None:
        self.description: str | None = None
        self._cells = 0

    def show(self, event: Event) -> None:
        if event.kind is EventKind.STARTED:
            self._cells = event.data.get("cells", 0)
            self.description = None
        elif event.kind is EventKind.CELL_STARTED:
            number, title = event.data.get("number", "?"), event.data.get("title")
            self.description = f"{number} of {self._cells}" + (f": {title}" if title else "")

    def note(self, text: str) -> None:
        """Nothing is shown."""

    def close(self) -> None:
        """Nothing is held."""


class StreamFile:
    """One stream of the notebook written to a file of its own, as papermill's ``--stdout-file`` does."""

    def __init__(self, file: TextIO, stream: str) -> None:
        self._file = file
        self._stream = stream
        self._lines = LogLines()

    def show(self, event: Event) -> None:
        for stream, line in self._lines.take(event):
            if stream == self._stream:
                self._file.write(line + "\n")
        self._file.flush()

    def note(self, text: str) -> None:
        """Only the notebook's own lines are kept."""

    def close(self) -> None:
        self._file.close()


def open_stream_file(path: Path, stream: str) -> StreamFile:
    """The file at *path* for one stream; OutputError when it can't be written."""
    try:
        return StreamFile(path.open("w", encoding="utf-8", errors="backslashreplace"), stream)
    except OSError as error:
        raise OutputError(f"--{stream}-file {path}: {error.strerror}", path=str(path)) from None


def make_display(*, logs: bool, bar: bool = True, as_json: bool = False) -> Display:
    """The display that fits standard output and standard error; with *as_json* the former is kept for the answer."""
    out = sys.stderr if as_json else sys.stdout
    for terminal in (out, sys.stderr):
        if bar and is_terminal(terminal):
            return LiveDisplay(terminal, out=None if terminal is out else out, logs=logs)
    return PlainDisplay(out, logs=logs, steps=bar)
