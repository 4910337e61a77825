"""``nbflow runs logs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator

import click

from nbflow.cli.arguments import run_argument
from nbflow.cli.console import write_json, write_line
from nbflow.cli.display import Display, PlainDisplay, make_display
from nbflow.cli.exits import ExitCode, exit_code_of_run
from nbflow.events import Event, LogLines

EPILOG = """\b
Exit code: 0; with --follow that of the run.
"""


@click.command("logs", epilog=EPILOG, short_help="Print what a run's notebook printed.")
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON array of stream and text; with --follow one object a line."
)
def command(run_id: str, follow: bool, as_json: bool) -> int:
    """Print the log of a run. Ctrl-C ends the following, not the run."""
    from nbflow.project import Project

    with Project.open() as project:
        run = project.get_run(run_id)
        if as_json and not follow:
            write_json(list(_list_lines(project.read_events(run.id))))
            return ExitCode.OK
        if as_json:
            for line in _list_lines(project.watch(run.id)):
                write_line(json.dumps(line))
        elif follow:
            _show(project.watch(run.id), make_display(logs=True))
        else:
            _show(project.read_events(run.id), PlainDisplay(sys.stdout, steps=False))
        return exit_code_of_run(project.get_run(run.id)) if follow else ExitCode.OK


def _show(events: Iterable[Event], display: Display) -> None:
    try:
        for event in events:
            display.show(event)
    finally:
        display.close()


def _list_lines(events: Iterable[Event]) -> Iterator[dict[str, str]]:
    lines = LogLines()
    for event in events:
        for stream, text in lines.take(event):
            yield {"time": event.time.isoformat(), "stream": stream, "text": text}
