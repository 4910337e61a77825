"""``nbflow flows rm``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import flow_argument
from nbflow.cli.console import write_line
from nbflow.cli.exits import ExitCode
from nbflow.flows import split_name


@click.command("rm", short_help="Forget a registered flow.")
@flow_argument
def command(flow: str) -> int:
    """Forget a registered flow and its versions. Its file and its runs stay."""
    from nbflow.project import Project

    with Project.open() as project:
        project.remove_flow(*split_name(flow))
        schedules = " ".join(schedule.id for schedule in project.schedules.find(flow))
    write_line(f"removed {flow}")
    if schedules:
        write_line(f"its schedules can't run any more: nbflow schedule rm {schedules}", error=True)
    return ExitCode.OK
