"""The logs of runs in the output of whoever waits for them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from nbflow.events import Event, EventKind
from nbflow.lifecycle import RunRecord
from nbflow.project import Project

PAUSE = 0.02
STATE_PAUSE = 0.2


def stream_runs(project: Project, runs: Sequence[RunRecord], *, timeout: float | None = None) -> None:
    """Print the lines of *runs* as they come, each marked with its run's name, until all have ended.

    Whole lines only, so that those of several runs don't mix; ends early after *timeout* seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    tokens: dict[str, str | None] = {run.id: None for run in runs}
    names = {run.id: run.name for run in runs}
    looked = 0.0
    ended: set[str] = set()
    while tokens:
        told = False
        for run_id in list(tokens):
            for event in project.read_events(run_id, after=tokens[run_id]):
                tokens[run_id], told = event.token, True
                if event.kind is EventKind.RENAMED:
                    names[run_id] = event.data["name"]
                print_event(event, names[run_id])
            # What had ended before its journal was read to the end has nothing more to tell.
            if run_id in ended:
                del tokens[run_id]
        if deadline is not None and time.monotonic() > deadline:
            return
        if time.monotonic() - looked > STATE_PAUSE:
            looked = time.monotonic()
            ended = {run_id for run_id in tokens if project.get_run(run_id).state.is_terminal}
        if not told and not ended:
            time.sleep(PAUSE)


def print_event(event: Event, name: str) -> None:
    """Print what the event has to say, each line marked with the run's name."""
    if event.kind is EventKind.LOG:
        file = sys.stderr if event.data["stream"] == "stderr" else sys.stdout
        for line in event.data["lines"]:
            print(f"{name} | {line}", file=file, flush=True)
    elif event.kind is EventKind.OUTPUT and event.data["mime"] == "text/plain":
        for line in event.data["text"].splitlines():
            print(f"{name} | {line}", flush=True)
