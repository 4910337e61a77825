"""``nbflow backfill pause``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.exits import ExitCode


@click.command("pause", short_help="Begin no further rows.")
@backfill_argument
@json_option
def command(backfill_id: str, as_json: bool) -> int:
    """Begin no further row of BACKFILL until it is unpaused, whichever process works on it. Rows that run go on."""
    from nbflow.cli.backfill_display import write_outcome
    from nbflow.project import Project

    with Project.open() as project:
        project.backfills.pause(backfill_id)
        snapshot = project.backfills.look(backfill_id)
    write_outcome(snapshot, as_json=as_json)
    return ExitCode.OK
