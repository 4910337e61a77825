"""``nbflow runs cancel``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.completion import complete_run
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.records import run_to_json


@click.command("cancel", short_help="End runs.")
@click.argument("run_ids", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_run)
@click.option("--wait", is_flag=True, help="Return only when they have ended.")
@json_option
def command(run_ids: tuple[str, ...], wait: bool, as_json: bool) -> int:
    """Ask for the end of runs and of the runs they started. One that has ended stays as it is."""
    from nbflow.project import Project

    with Project.open() as project:
        wanted = [project.get_run(run_id).id for run_id in run_ids]
        runs = [project.cancel(run_id) for run_id in wanted]
        if wait:
            runs = [project.wait(run.id) for run in runs]
    if as_json:
        write_json([run_to_json(run) for run in runs])
    else:
        for run in runs:
            write_line(f"{run.id}  {run.state}")
    return ExitCode.OK
