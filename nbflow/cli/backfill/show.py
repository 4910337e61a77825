"""``nbflow backfill show``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.console import write_json
from nbflow.cli.exits import ExitCode


@click.command("show", short_help="Show one backfill.")
@backfill_argument
@json_option
def command(backfill_id: str, as_json: bool) -> int:
    """Show a backfill: its state, how many rows are in which, the first that failed, and what can be done."""
    from nbflow.cli.backfill_display import write_backfill
    from nbflow.project import Project
    from nbflow.records import backfill_to_json

    with Project.open() as project:
        snapshot = project.backfills.look(backfill_id)
        if as_json:
            write_json(backfill_to_json(snapshot))
        else:
            write_backfill(project, snapshot)
    return ExitCode.OK
