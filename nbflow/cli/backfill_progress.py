"""The rows of a backfill as they end: a line each in a pipe; on a terminal a bar, and the first that fail above it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from nbflow.cli.console import StreamError, clean_line, discard, is_terminal, write_line
from nbflow.cli.summary import format_duration, show_value
from nbflow.lifecycle import TERMINAL, RunState
from nbflow.ports import RunFilter

if TYPE_CHECKING:
    from nbflow.api.progress import TerminalBar
    from nbflow.backfilling import Snapshot
    from nbflow.project import Project

SHOWN_FAILURES = 10
_FIELDS = ("sequence", "backfill_row", "parameters", "state", "started", "ended", "failure", "message")
_PAGE = 500
_FAILED = tuple(state for state in TERMINAL if not state.is_success)


class Endings:
    """Tells which rows have ended since it was last asked; those in *states* only."""

    def __init__(self, project: Project, backfill_id: str, states: tuple[RunState, ...]) -> None:
        self._store = project.store
        self._wanted = RunFilter(backfill_id=backfill_id, states=states, limit=None, oldest_first=True)
        self._seen = set(self._list())

    def _list(self) -> list[int]:
        return self._store.list_columns(self._wanted, ["sequence"])["sequence"]

    def find(self) -> Iterator[dict[str, Any]]:
        new = [sequence for sequence in self._list() if sequence not in self._seen]
        self._seen.update(new)
        for start in range(0, len(new), _PAGE):
            page = RunFilter(sequences=tuple(new[start : start + _PAGE]), limit=None, oldest_first=True)
            columns = self._store.list_columns(page, _FIELDS)
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            yield from sorted(rows, key=lambda row: row["ended"] or 0)


class Rows:
    """A line for each row that ended; on a terminal only for the first that failed, above a bar."""

    def __init__(self, endings: Endings, stream: TextIO, bar: TerminalBar | None) -> None:
        self._endings = endings
        self._stream: TextIO | None = stream
        self._bar = bar
        self._done = -1
        self._told = 0

    def show(self, snapshot: Snapshot) -> None:
        if self._bar is not None:
            self._bar.show(snapshot)
        done = snapshot.failed if self._bar is not None else snapshot.done
        if done == self._done:
            return
        self._done = done
        for row in self._endings.find():
            self._told += 1
            if self._bar is None:
                self._write(describe_row(row, snapshot))
            elif self._told <= SHOWN_FAILURES:
                self._bar.note(describe_row(row, snapshot), "red")

    def note(self, text: str) -> None:
        """A line of nbflow's own."""
        if self._bar is not None:
            self._bar.note(text, "yellow")
        else:
            write_line(text, error=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            write_line(text, stream=self._stream)
        except (OSError, StreamError):  # `| head` has read enough: the rows go on unseen
            discard(self._stream)
            self._stream = None


def describe_row(row: dict[str, Any], snapshot: Snapshot) -> str:
    """``row 7  day=2026-01-07  failed in 2.1 s: ValueError: bad``."""
    given = row["parameters"]
    axes = [name for name in snapshot.backfill.axes if name in given]
    values = " ".join(f"{name}={show_value(given[name], limit=30)}" for name in axes)
    took = ""
    if row["started"] is not None and row["ended"] is not None:
        took = f" in {format_duration((row['ended'] - row['started']) / 1e6)}"
    why = row["failure"]["message"] if row["failure"] else row["message"]
    why = f": {clean_line(why, limit=160)}" if why and not RunState(row["state"]).is_success else ""
    parts = (f"row {row['backfill_row']}", values, f"{row['state'].replace('_', ' ')}{took}{why}")
    return "  ".join(filter(None, parts))


def make_progress(project: Project, backfill_id: str, *, as_json: bool) -> Rows:
    """What fits standard output and standard error; with *as_json* the former is kept for the answer."""
    out = sys.stderr if as_json else sys.stdout
    terminal = next((stream for stream in (out, sys.stderr) if is_terminal(stream)), None)
    if terminal is None or not is_terminal(out):
        return Rows(Endings(project, backfill_id, tuple(TERMINAL)), out, None)
    from nbflow.api.progress import TerminalBar

    return Rows(Endings(project, backfill_id, _FAILED), out, TerminalBar(terminal))
