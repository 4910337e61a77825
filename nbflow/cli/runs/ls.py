"""``nbflow runs ls``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import Age, json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.lifecycle import RunRecord, RunState
from nbflow.records import run_to_json

if TYPE_CHECKING:
    from nbflow.project import Project


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
@click.option("--tree", is_flag=True, help="Each run with the runs that it submitted, all the way down.")
@json_option
def command(
    states: tuple[str, ...],
    flow: str | None,
    tags: tuple[str, ...],
    name: str | None,
    since: datetime | None,
    limit: int,
    tree: bool,
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
        leads: dict[str, str] = {}
        if tree:
            runs, leads = _grow(project, runs)
    if as_json:
        write_json([run_to_json(run) for run in runs])
    elif runs:
        _write_rows(runs, leads)
    else:
        write_line("no runs", error=True)
    return ExitCode.OK


def _grow(project: Project, runs: list[RunRecord]) -> tuple[list[RunRecord], dict[str, str]]:
    """The whole trees of *runs*, newest tree first, and the lines to draw before each run's name."""
    from nbflow.api.tree import grow
    from nbflow.ports import RunFilter

    found: list[RunRecord] = []
    for root_id in dict.fromkeys(run.root_id for run in runs):
        found += project.list_runs(RunFilter(root_id=root_id, limit=None, oldest_first=True))
    branches = list(grow(found))
    return [branch.run for branch in branches], {branch.run.id: branch.lead for branch in branches}


def _write_rows(runs: list[RunRecord], leads: Mapping[str, str]) -> None:
    from nbflow.cli.summary import format_duration, show_value
    from nbflow.cli.table import format_time, write_table

    rows = [
        (
            run.id,
            run.state.value,
            leads.get(run.id, "") + run.name,
            format_time(run.started or run.created),
            "" if run.duration is None else format_duration(run.duration),
            " ".join(f"{key}={show_value(value, limit=30)}" for key, value in run.parameters.items()),
        )
        for run in runs
    ]
    write_table(("run", "state", "name", "started", "took", "parameters"), rows)
