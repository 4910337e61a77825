"""Watching a run to its end, and passing on the wish of whoever presses Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

from nbflow.cli.console import StreamError, discard, has_lost_reader
from nbflow.cli.display import Display
from nbflow.errors import NbflowError
from nbflow.events import Event
from nbflow.lifecycle import RunRecord

if TYPE_CHECKING:
    from nbflow.project import Project

# The first signal asks, the second hurries; after these, leaving at once is all that is left.
PATIENCE = 2


def follow_run(project: Project, run_id: str, displays: Sequence[Display]) -> RunRecord:
    """Show the run until it has ended; its record. SIGINT, SIGTERM and SIGHUP ask for its end, once more kills it."""
    watching = list(displays)
    project.tell = lambda text: _note(watching, text)
    try:
        with signals_passed_on(lambda request, hurry: _pass_on(project, run_id, watching, request, hurry=hurry)):
            for event in project.watch(run_id):
                _show(event, watching)
    finally:
        project.tell = None
        for display in displays:
            display.close()
    return project.get_run(run_id)


def _show(event: Event, watching: list[Display]) -> None:
    for display in list(watching):
        try:
            display.show(event)
        except (OSError, StreamError):  # `| head` has read enough, or the terminal is gone: the run goes on unseen
            lost = [stream for stream in (sys.stdout, sys.stderr) if has_lost_reader(stream)]
            for stream in lost:
                discard(stream)
            if not lost:
                watching.remove(display)


@contextmanager
def signals_passed_on(pass_on: Callable[[signal.Signals, bool], None]) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into calls of ``pass_on(signal, hurry)``; *hurry* from the second one on.

    The calls are made by a thread: a handler may not touch the store that its own thread is using.
    """
    asked: SimpleQueue[signal.Signals | None] = SimpleQueue()
    count = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > PATIENCE:
            raise SystemExit(128 + number)
        asked.put(signal.Signals(number))

    def serve() -> None:
        hurry = False
        for request in iter(asked.get, None):
            pass_on(request, hurry)
            hurry = True

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    thread = threading.Thread(target=serve, name="nbflow-cancel", daemon=True)
    thread.start()
    try:
        for number, handler in before.items():
            if number is not signal.SIGHUP or handler is not signal.SIG_IGN:  # nohup is obeyed
                signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.put(None)
        thread.join(timeout=5)


def _pass_on(
    project: Project, run_id: str, displays: Sequence[Display], request: signal.Signals, *, hurry: bool
) -> None:
    _note(displays, "killing" if hurry else "cancelling: the notebook may clean up; once more kills it at once")
    try:
        project.cancel(run_id, reason=request.name, hurry=hurry)
    except NbflowError as error:
        _note(displays, f"could not be cancelled: {error}; press Ctrl-C until it ends")


def _note(displays: Sequence[Display], text: str) -> None:
    for display in list(displays):
        try:
            display.note(text)
        except (OSError, StreamError):
            continue
