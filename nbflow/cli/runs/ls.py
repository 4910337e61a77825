"""``nbflow runs ls``."""

from __future__ import annotations

import os
from datetime import datetime

import click

from nbflow.cli.arguments import Age, json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.cli.records import run_to_json
from nbflow.lifecycle import RunRecord, RunState


@click.command("ls", short_help="List runs.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RunState]),
    help="Only runs in this state. Repeatable.",
)
@click.option(
    "--flow", metavar="FLOW", shell_complete=complete_flow, help="Only runs of this notebook or registered flow."
)
@click.option("--tag", "tags", multiple=True, help="Only runs with this tag. Repeatable: all of them.")
@click.option("--name", help="Only runs whose name contains this.")
@click.option("--since", type=Age(), metavar="AGE", help="Only runs submitted since: 2h, 7d, 2026-01-31.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="At most so many; 0 for all.")
@json_option
def command(
    states: tuple[str, ...],
    flow: str | None,
    tags: tuple[str, ...],
    name: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> int:
    """List runs, newest first."""
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    wanted = RunFilter(
        states=tuple(RunState(state) for state in states),
        flow=os.path.abspath(flow) if flow and (flow.endswith(".ipynb") or os.path.exists(flow)) else flow,
        tags=tags,
        name=name,
        created_after=since,
        limit=limit or None,
    )
    with Project.open() as project:
        runs = project.list_runs(wanted)
    if as_json:
        write_json([run_to_json(run) for run in runs])
    elif runs:
        _write_rows(runs)
    else:
        write_line("no runs", error=True)
    return ExitCode.OK


def _write_rows(runs: list[RunRecord]) -> None:
    from nbflow.cli.summary import format_duration, show_value
    from nbflow.cli.table import format_time, write_table

    rows = [
        (
            run.id,
            run.state.value,
            run.name,
            format_time(run.started or run.created),
            "" if run.duration is None else format_duration(run.duration),
            " ".join(f"{key}={show_value(value, limit=30)}" for key, value in run.parameters.items()),
        )
        for run in runs
    ]
    write_table(("run", "state", "name", "started", "took", "parameters"), rows)
