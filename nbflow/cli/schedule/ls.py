"""``nbflow schedule ls``."""

from __future__ import annotations

import os

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.records import schedule_to_json


@click.command("ls", short_help="List schedules.")
@click.option("--flow", metavar="FLOW", shell_complete=complete_flow, help="Only those of this notebook or flow.")
@json_option
def command(flow: str | None, as_json: bool) -> int:
    """List schedules by flow, each with its next time, by its own clock, and its newest run."""
    from nbflow.cli.schedule_display import write_schedules
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    is_path = flow is not None and (flow.endswith(".ipynb") or os.path.exists(flow))
    wanted = [os.path.abspath(flow) if is_path else flow] if flow else []
    with Project.open() as project:
        found = project.schedules.find(*wanted)
        newest = [project.list_runs(RunFilter(schedule_id=schedule.id, limit=1)) for schedule in found]
    listed = [(schedule, runs[0] if runs else None) for schedule, runs in zip(found, newest, strict=True)]
    if as_json:
        write_json([schedule_to_json(schedule, runs=[run] if run else []) for schedule, run in listed])
    elif listed:
        write_schedules(listed)
    else:
        write_line("no schedules", error=True)
    return ExitCode.OK
