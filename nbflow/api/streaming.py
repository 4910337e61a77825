"""A run's log in the output of whoever waits for it."""

from __future__ import annotations

import sys

from nbflow.events import Event, EventKind


def print_event(event: Event, name: str) -> None:
    """Print what the event has to say, each line marked with the run's name."""
    if event.kind is EventKind.LOG:
        file = sys.stderr if event.data["stream"] == "stderr" else sys.stdout
        for line in event.data["lines"]:
            print(f"{name} | {line}", file=file, flush=True)
    elif event.kind is EventKind.OUTPUT and event.data["mime"] == "text/plain":
        for line in event.data["text"].splitlines():
            print(f"{name} | {line}", flush=True)
