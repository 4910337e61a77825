"""``nbflow schedule show``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option, schedule_argument
from nbflow.cli.console import write_json
from nbflow.cli.exits import ExitCode
from nbflow.records import schedule_to_json

SHOWN_RUNS = 5


@click.command("show", short_help="Show one schedule.")
@schedule_argument
@json_option
def command(schedule_id: str, as_json: bool) -> int:
    """Show a schedule: its next five times by its own clock, its values, its newest runs, and whether it still can run."""
    from nbflow.cli.schedule_display import write_schedule
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    with Project.open() as project:
        schedule = project.schedules.get(schedule_id)
        runs = project.list_runs(RunFilter(schedule_id=schedule.id, limit=SHOWN_RUNS))
        problem = str(project.schedules.find_problem(schedule) or "")
    if as_json:
        write_json({**schedule_to_json(schedule, runs=runs), "problem": problem or None})
    else:
        write_schedule(schedule, runs=runs, problem=problem)
    return ExitCode.OK
