"""``nbflow scheduler run``: the process that makes the runs of schedules, and executes them."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import click

from nbflow.cli.console import clean_line, write_line
from nbflow.cli.exits import ExitCode

if TYPE_CHECKING:
    from nbflow.lifecycle import RunRecord
    from nbflow.project import Project

EPILOG = """\b
Ctrl-C or SIGTERM stops it. Notebooks that are being executed go on; the next scheduler takes them up, and whatever
waits. Any number may run at once, on one store: each fire time is one run.
"""
LOOK = 0.5
"""Seconds between two looks whether the service gave up."""


@click.command("run", epilog=EPILOG, short_help="Make and execute the runs of schedules.")
@click.option("--quiet", is_flag=True, help="Name no runs.")
def command(quiet: bool) -> int:
    """Make the runs of all schedules of the store when they are due, and execute them, until stopped."""
    from nbflow.project import Project

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Project.open() as project:
        service = project.serve(tell=None if quiet else _name_run)
        service.start()
        try:
            _greet(project)
            while not stop.wait(LOOK):
                if service.error is not None:
                    raise service.error
        finally:
            service.close()
        _say_goodbye(project)
    return ExitCode.OK


def _greet(project: Project) -> None:
    where: Any = getattr(project.store, "where", project.config.home)
    count = len(project.schedules.find())
    noun = "schedule" if count == 1 else "schedules"
    write_line(f"serving {where}: {count} {noun}, {project.config.slots} runs at once; Ctrl-C stops", error=True)


def _name_run(run: RunRecord) -> None:
    due = run.scheduled_time.isoformat() if run.scheduled_time else ""
    said = f"  {run.message}" if run.state.is_terminal else ""
    write_line(clean_line(f"{run.id}  {due}  {run.name}  {run.state}{said}", limit=300))


def _say_goodbye(project: Project) -> None:
    from nbflow.lifecycle import RunState
    from nbflow.ports import RunFilter

    counts = project.store.count_runs(RunFilter(states=(RunState.RUNNING, RunState.CANCELLING)))
    going_on = sum(counts.values())
    write_line(f"stopped; runs that go on: {going_on}", error=True)
