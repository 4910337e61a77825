"""Watching a backfill: how fast it goes, and a bar of it on a terminal or a bar and its grid in a notebook."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from nbflow.backfilling import Snapshot
from nbflow.errors import WaitTimeout

if TYPE_CHECKING:
    from nbflow.project import Project

PAUSE = 0.25
"""Seconds between two looks, and more where one takes long: watching may not cost what running costs."""
_SHARE = 20
_WINDOW = 30.0
_GRID_UP_TO = 2_000


class View(Protocol):
    """Where the progress of a backfill is seen."""

    def show(self, snapshot: Snapshot) -> None:
        """As it stands now."""

    def close(self) -> None:
        """Nothing will be shown any more."""


class NoView:
    """Where nobody looks."""

    def show(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


def follow(project: Project, backfill_id: str, view: View, *, timeout: float | None = None) -> Snapshot:
    """How the backfill stands when nothing more happens by itself. Raises WaitTimeout after *timeout* seconds."""
    backfills = project.backfills
    end = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            began = time.monotonic()
            snapshot = backfills.look(backfill_id)
            view.show(snapshot)
            if snapshot.state.is_resting:
                return snapshot
            now = time.monotonic()
            pause = max(PAUSE, _SHARE * (now - began))
            if end is not None and end - now <= pause:
                snapshot = backfills.wait(backfill_id, timeout=max(end - now, 0.0))
                view.show(snapshot)
                return snapshot
            try:
                backfills.wait(backfill_id, timeout=pause)
            except WaitTimeout:
                continue
    finally:
        view.close()


class Pace:
    """How many rows end in a second, of late, and how long the others will take."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._left = 0

    def add(self, snapshot: Snapshot, now: float) -> None:
        self._left = snapshot.total - snapshot.done
        self._seen.append((now, snapshot.done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Rows a second; None as long as that can't be told."""
        (begun, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - begun) if done > before and now > begun else None

    @property
    def remaining(self) -> float | None:
        """Seconds."""
        return self._left / self.rate if self.rate else None

    def __str__(self) -> str:
        if self.rate is None or self.remaining is None:
            return ""
        rate = f"{self.rate:.1f}/s" if self.rate >= 1 else f"{self.rate * 60:.1f}/min"
        return f"{rate}, {say_seconds(self.remaining)} left" if self._left else rate


def say_seconds(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 days``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min" if whole < 172_800 else f"{whole // 86_400} days"


class TerminalBar:
    """A line at the bottom of a terminal: a bar, done, failed, running, rate, what remains."""

    def __init__(self, terminal: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._pace = Pace()
        self._console = Console(file=terminal, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            auto_refresh=False,  # it is shown anew often enough without a thread
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._progress.start()

    def show(self, snapshot: Snapshot) -> None:
        self._pace.add(snapshot, time.monotonic())
        self._progress.update(
            self._task,
            completed=snapshot.done,
            total=snapshot.total or None,
            description=describe_progress(snapshot, self._pace),
            refresh=True,
        )

    def note(self, text: str, style: str | None = None) -> None:
        """A line that scrolls away above the bar."""
        self._console.print(text, style=style, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


def describe_progress(snapshot: Snapshot, pace: Pace) -> str:
    """``14/365 done  2 failed  4 running  1.2/s, 4 min 52 s left``."""
    parts = [f"{snapshot.done:,}/{snapshot.total:,} done"]
    parts += [f"{snapshot.failed:,} failed"] if snapshot.failed else []
    parts += [f"{snapshot.active:,} running"] if snapshot.active else []
    state = snapshot.state.value.replace("_", " ")
    parts += [] if state == "running" else [state]
    return "  ".join([*parts, str(pace)]).rstrip()


class NotebookView:
    """The bar and the grid in the output of a cell, drawn anew as rows end; what was drawn last is saved with it.

    A display that is updated, no widget: it needs no front end, and no thread.
    """

    def __init__(self, project: Project) -> None:
        from IPython.display import display

        self._project = project
        self._pace = Pace()
        self._shown: Snapshot | None = None
        self._next = 0.0
        self._display: Any = display
        self._handle: Any = None

    def show(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        self._pace.add(snapshot, now)
        is_over = snapshot.state.is_resting
        if (now < self._next and not is_over) or snapshot == self._shown:
            return
        self._shown = snapshot
        bundle = {"text/html": self._draw(snapshot), "text/plain": describe_progress(snapshot, self._pace)}
        if self._handle is None:
            self._handle = self._display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        spent = time.monotonic() - now
        self._next = now + max(PAUSE, _SHARE * spent)

    def _draw(self, snapshot: Snapshot) -> str:
        from nbflow.api.backfill_html import CELL_FIELDS, show_snapshot
        from nbflow.api.grid import read_cells

        cells = None
        if snapshot.total <= _GRID_UP_TO or snapshot.state.is_resting:
            record = snapshot.backfill
            cells = read_cells(self._project.store, record.id, record.axes, extra=CELL_FIELDS)
        return show_snapshot(snapshot, cells, pace="" if snapshot.state.is_resting else str(self._pace))

    def close(self) -> None: ...


def choose_view(project: Project) -> View:
    """A notebook's where this is a Jupyter kernel, a bar where standard error is a terminal, else none."""
    ipython = sys.modules.get("IPython.core.getipython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and hasattr(shell, "kernel"):
        return NotebookView(project)
    return TerminalBar(sys.stderr) if sys.stderr is not None and sys.stderr.isatty() else NoView()
