"""``nbflow schedule unpause``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option, schedules_argument
from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.records import schedule_to_json


@click.command("unpause", short_help="Make runs again.")
@schedules_argument
@json_option
def command(schedule_ids: tuple[str, ...], as_json: bool) -> int:
    """Make runs again, from the next time on; none for the times that passed meanwhile."""
    from nbflow.cli.schedule_display import list_next
    from nbflow.project import Project

    with Project.open() as project:
        known = [project.schedules.get(schedule_id).id for schedule_id in schedule_ids]
        schedules = [project.schedules.unpause(schedule_id) for schedule_id in known]
    if as_json:
        write_json([schedule_to_json(schedule) for schedule in schedules])
    else:
        for schedule in schedules:
            state = "paused" if schedule.paused else f"next: {(*list_next(schedule, 1), 'never again')[0]}"
            write_line(clean_line(f"{schedule.id}  {schedule.name}  {state}"))
    return ExitCode.OK
