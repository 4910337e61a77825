"""``nbflow backfill cancel``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.exits import ExitCode


@click.command("cancel", short_help="End a backfill.")
@backfill_argument
@json_option
def command(backfill_id: str, as_json: bool) -> int:
    """End the rows of BACKFILL that run, and begin no other. `nbflow backfill resume` takes it up again."""
    from nbflow.cli.backfill_display import write_outcome
    from nbflow.project import Project

    with Project.open() as project:
        project.backfills.cancel(backfill_id)
        snapshot = project.backfills.look(backfill_id)
    write_outcome(snapshot, as_json=as_json)
    return ExitCode.OK
