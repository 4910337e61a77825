"""``nbflow flows limit``."""

from __future__ import annotations

import click

from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_line
from nbflow.cli.exits import ExitCode
from nbflow.errors import UsageError


@click.command("limit", short_help="How many runs of a flow may go on at once.")
@click.argument("flow", metavar="[FLOW]", required=False, shell_complete=complete_flow)
@click.argument("limit", metavar="[N|none]", required=False)
def command(flow: str | None, limit: str | None) -> int:
    """Let at most N runs of FLOW go on at once, whoever submits them: by hand, schedules or backfills.

    `none` lifts the limit. Without N the limit of FLOW is shown; without FLOW those of all flows.
    """
    from nbflow.project import Project

    with Project.open() as project:
        reference = None if flow is None else project.load(flow).reference
        if reference is not None and limit is not None:
            project.set_flow_limit(reference, _read_limit(limit))
        limits = project.list_flow_limits()
    if reference is not None:
        write_line(f"{reference}: {limits.get(reference, 'no limit')}")
    for name, most in limits.items() if reference is None else ():
        write_line(f"{name}: {most}")
    return ExitCode.OK


def _read_limit(text: str) -> int | None:
    if text.lower() == "none":
        return None
    if not text.isdecimal():
        raise UsageError(f"limit {text!r}: expected a number of runs, or none")
    return int(text)
