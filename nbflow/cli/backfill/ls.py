"""``nbflow backfill ls``."""

from __future__ import annotations

import os

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode


@click.command("ls", short_help="List backfills.")
@click.option("--flow", metavar="FLOW", shell_complete=complete_flow, help="Only those of this notebook or flow.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="At most so many; 0 for all.")
@json_option
def command(flow: str | None, limit: int, as_json: bool) -> int:
    """List backfills, newest first, with how many of their rows completed."""
    from nbflow.cli.backfill_display import write_backfills
    from nbflow.project import Project
    from nbflow.records import backfill_to_json

    is_path = flow is not None and (flow.endswith(".ipynb") or os.path.exists(flow))
    with Project.open() as project:
        found = project.backfills.look_all(os.path.abspath(flow) if flow and is_path else flow, limit=limit or None)
    if as_json:
        write_json([backfill_to_json(snapshot) for snapshot in found])
    elif found:
        write_backfills(found)
    else:
        write_line("no backfills", error=True)
    return ExitCode.OK
