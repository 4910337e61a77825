"""``nbflow backfill unpause``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.exits import ExitCode


@click.command("unpause", short_help="Begin rows again.")
@backfill_argument
@json_option
def command(backfill_id: str, as_json: bool) -> int:
    """Begin rows of BACKFILL again."""
    from nbflow.cli.backfill_display import write_outcome
    from nbflow.project import Project

    with Project.open() as project:
        project.backfills.unpause(backfill_id)
        snapshot = project.backfills.look(backfill_id)
    write_outcome(snapshot, as_json=as_json)
    return ExitCode.OK
