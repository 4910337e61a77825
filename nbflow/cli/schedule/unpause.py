"""``nbflow schedule unpause``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option, schedules_argument
from nbflow.cli.exits import ExitCode


@click.command("unpause", short_help="Make runs again.")
@schedules_argument
@json_option
def command(schedule_ids: tuple[str, ...], as_json: bool) -> int:
    """Make runs again, from the next time on; none for the times that passed meanwhile."""
    from nbflow.cli.schedule_display import write_outcome
    from nbflow.project import Project

    with Project.open() as project:
        known = [project.schedules.get(schedule_id).id for schedule_id in schedule_ids]
        schedules = [project.schedules.unpause(schedule_id) for schedule_id in known]
    write_outcome(schedules, as_json=as_json)
    return ExitCode.OK
