"""``nbflow backfill unpause``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode


@click.command("unpause", short_help="Begin rows again.")
@backfill_argument
@json_option
def command(backfill_id: str, as_json: bool) -> int:
    """Begin rows of BACKFILL again."""
    from nbflow.cli.backfill_display import describe_counts, show_state, suggest
    from nbflow.project import Project
    from nbflow.records import backfill_to_json

    with Project.open() as project:
        project.backfills.unpause(backfill_id)
        snapshot = project.backfills.look(backfill_id)
    if as_json:
        write_json(backfill_to_json(snapshot))
    else:
        write_line(f"{snapshot.backfill.id}  {show_state(snapshot)}  {describe_counts(snapshot)}")
        hint = suggest(snapshot)
        if hint:
            write_line(hint, error=True)
    return ExitCode.OK
