"""The logs of runs in the output of whoever waits for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nbflow.events import Event, EventKind
from nbflow.lifecycle import RunRecord
from nbflow.project import Project

STATE_PAUSE = 0.2


class LogStream:
    """Prints the lines of runs as they come, each marked with its run's name.

    Whole lines only, so that those of several runs don't mix.
    """

    def __init__(self, project: Project, runs: Iterable[RunRecord] = ()) -> None:
        self._project = project
        self._open: dict[str, RunRecord] = {}
        self._tokens: dict[str, str | None] = {}
        self._names: dict[str, str] = {}
        self._looked = 0.0
        for run in runs:
            self.add(run)

    def add(self, run: RunRecord) -> None:
        """One more run to follow."""
        self._open[run.id], self._tokens[run.id], self._names[run.id] = run, None, run.name

    @property
    def left(self) -> list[str]:
        """Ids of the runs that have not ended, or whose lines were not all printed."""
        return list(self._open)

    def turn(self) -> None:
        """Print what there is; where there is nothing, pause for a moment."""
        if time.monotonic() - self._looked > max(STATE_PAUSE, self._project.look_pause):
            self._looked = time.monotonic()
            for run_id in self._open:
                self._open[run_id] = self._project.get_run(run_id)
        told = [self._print_news(run) for run in list(self._open.values())]
        # What had ended before its journal was read to the end has nothing more to tell.
        ended = [run_id for run_id, run in self._open.items() if run.state.is_terminal]
        for run_id in ended:
            del self._open[run_id]
        if not any(told) and not ended:
            time.sleep(self._project.look_pause)

    def _print_news(self, run: RunRecord) -> bool:
        # An attempt may have begun since the run was looked at.
        known = run if run.state.is_terminal else replace(run, attempts=run.attempts + 1)
        told = False
        for event in self._project.read_journal(known, after=self._tokens[run.id]):
            self._tokens[run.id], told = event.token, True
            if event.kind is EventKind.RENAMED:
                self._names[run.id] = event.data["name"]
            print_event(event, self._names[run.id])
        return told


def stream_runs(project: Project, runs: Sequence[RunRecord], *, deadline: float | None = None) -> None:
    """Print the lines of *runs* until all have ended, or until the *deadline* of the monotonic clock."""
    stream = LogStream(project, runs)
    while stream.left and (deadline is None or time.monotonic() < deadline):
        stream.turn()


def print_event(event: Event, name: str) -> None:
    """Print what the event has to say, each line marked with the run's name."""
    if event.kind is EventKind.LOG:
        file = sys.stderr if event.data["stream"] == "stderr" else sys.stdout
        lines = event.data["lines"]
    elif event.kind is EventKind.OUTPUT and event.data["mime"] == "text/plain":
        file, lines = sys.stdout, event.data["text"].splitlines()
    else:
        return
    if lines:
        print("\n".join(f"{name} | {line}" for line in lines), file=file, flush=True)
