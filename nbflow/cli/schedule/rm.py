"""``nbflow schedule rm``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import schedules_argument
from nbflow.cli.console import clean_line, write_line
from nbflow.cli.exits import ExitCode


@click.command("rm", short_help="Remove schedules.")
@schedules_argument
def command(schedule_ids: tuple[str, ...]) -> int:
    """Remove schedules. Their runs stay; a run still held behind another one is cancelled."""
    from nbflow.project import Project

    with Project.open() as project:
        known = [project.schedules.get(schedule_id).id for schedule_id in schedule_ids]
        for schedule_id in known:
            removed = project.schedules.remove(schedule_id)
            write_line(clean_line(f"removed {removed.id}  {removed.name} of {removed.flow}"))
    return ExitCode.OK
