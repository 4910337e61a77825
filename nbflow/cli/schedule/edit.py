"""``nbflow schedule edit``."""

from __future__ import annotations

from typing import Any

import click

from nbflow.cli.arguments import json_option, schedule_argument
from nbflow.cli.console import write_json
from nbflow.cli.exits import ExitCode
from nbflow.cli.papermill import PairCommand
from nbflow.cli.schedule_options import read_settings, schedule_options
from nbflow.cli.values import collect_values
from nbflow.records import schedule_to_json

EPILOG = """\b
Examples:
  nbflow schedule edit report-3f2a --cron "0 8 * * *" -p region=US
  nbflow schedule edit report-3f2a --unset day --ends none
"""


@click.command("edit", cls=PairCommand, epilog=EPILOG, short_help="Change a schedule.")
@schedule_argument
@schedule_options
@click.option("--unset", metavar="NAME", multiple=True, help="Give this parameter no value any more. Repeatable.")
@json_option
def command(schedule_id: str, as_json: bool, unset: tuple[str, ...], **options: Any) -> int:
    """Change what is given, and leave the rest. Everything is checked, as when a schedule is made."""
    from nbflow.cli.schedule_display import write_schedule
    from nbflow.project import Project

    with Project.open() as project:
        before = project.schedules.get(schedule_id)
        settings = read_settings(options, zone=before.timezone, before=before.options)
        values = collect_values(files=options["files"], pairs=options["pairs"])
        schedule = project.schedules.edit(before.id, values=values, unset=unset, **settings)
    if as_json:
        write_json(schedule_to_json(schedule))
    else:
        write_schedule(schedule)
    return ExitCode.OK
