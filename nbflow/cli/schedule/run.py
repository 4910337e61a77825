"""``nbflow schedule run``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option, schedule_argument, watch_options
from nbflow.cli.watching import finish_run


@click.command("run", short_help="Run a schedule's flow now.")
@schedule_argument
@watch_options
@json_option
def command(schedule_id: str, watch: bool, logs: bool, as_json: bool) -> int:
    """Run the flow with the schedule's values at once, whatever its times; tokens stand for now."""
    from nbflow.project import Project

    with Project.open() as project:
        run = project.schedules.run_now(schedule_id, detach=not watch)
        return finish_run(project, run, detach=not watch, as_json=as_json, logs=logs)
