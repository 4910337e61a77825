"""``nbflow schedule create``."""

from __future__ import annotations

from typing import Any

import click

from nbflow.cli.arguments import flow_argument, json_option
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.cli.papermill import PairCommand
from nbflow.cli.schedule_display import write_schedule
from nbflow.cli.schedule_options import read_settings, schedule_options
from nbflow.cli.values import collect_values
from nbflow.errors import UsageError
from nbflow.records import schedule_to_json

EPILOG = """\b
Examples:
  nbflow schedule create sales/report --cron "0 7 * * 1-5" --timezone Europe/Berlin -p region=EU
  nbflow schedule create sales/report@3 --cron @daily          this version, whatever is registered later
  nbflow schedule create report.ipynb --every 10min -p since="{{ last_success }}"
  nbflow schedule create report.ipynb --cron "0 6 1 * *" -p month="{{ scheduled_date - 1d:%Y-%m }}"

\b
A secret's value is a reference, read when a run starts: -p token=env:API_TOKEN or file:PATH.
"""


@click.command("create", cls=PairCommand, epilog=EPILOG, short_help="Have a flow run by itself.")
@flow_argument
@schedule_options
@json_option
def command(flow: str, as_json: bool, **options: Any) -> int:
    """Schedule a notebook, with its values; all of them are checked now, as for a run.

    The runs are made by `nbflow scheduler run`, or by a server. A path stands for the file as it is then, a registered
    name for its newest version then.
    """
    from nbflow.lifecycle import RunOptions
    from nbflow.project import Project

    settings = read_settings(options, zone="UTC", before=RunOptions())
    when = settings.pop("when", None)
    if when is None:
        raise UsageError("when? give --cron '0 7 * * 1-5' or --every 10min")
    with Project.open() as project:
        values = collect_values(files=options["files"], pairs=options["pairs"])
        schedule = project.schedules.create(project.load(flow), when, values, **settings)
    if as_json:
        write_json(schedule_to_json(schedule))
    else:
        write_schedule(schedule)
        write_line("its runs are made while nbflow scheduler run, or a server, is up", error=True)
    return ExitCode.OK
