"""``nbflow runs ls``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from nbflow.cli.arguments import Age, json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.cli.export import write_runs
from nbflow.cli.summary import format_duration, show_value
from nbflow.cli.table import format_time, write_table
from nbflow.errors import UsageError
from nbflow.lifecycle import RunRecord, RunState
from nbflow.records import run_to_json

if TYPE_CHECKING:
    from nbflow.ports import RunFilter
    from nbflow.project import Project

Row = tuple[str, ...]


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
@click.option(
    "-p",
    "--parameter",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only runs that had this value, given or by default. Repeatable: all of them.",
)
@click.option("--since", type=Age(), metavar="AGE", help="Only runs submitted since: 2h, 7d, 2026-01-31.")
@click.option("--limit", type=click.IntRange(min=0), default=20, help="At most so many [default: 20]; 0 for all.")
@click.option("--tree", is_flag=True, help="Each run with the runs that it submitted, all the way down.")
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write all of them to FILE: .parquet, .csv, .json, .jsonl.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    states: tuple[str, ...],
    flow: str | None,
    tags: tuple[str, ...],
    name: str | None,
    values: tuple[str, ...],
    since: datetime | None,
    limit: int,
    tree: bool,
    to: Path | None,
    as_json: bool,
) -> int:
    """List runs, newest first."""
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    if to and tree:
        raise UsageError("--to writes one row a run; leave out --tree")
    if to and context.get_parameter_source("limit") is ParameterSource.DEFAULT:
        limit = 0
    wanted = RunFilter(
        states=tuple(RunState(state) for state in states),
        flow=os.path.abspath(flow) if flow and (flow.endswith(".ipynb") or os.path.exists(flow)) else flow,
        tags=tags,
        name=name,
        values=tuple(map(_read_value, values)),
        created_after=since,
        limit=limit or None,
    )
    with Project.open() as project:
        if to:
            return write_runs(project, wanted, to, as_json=as_json)
        if as_json:
            runs = project.list_runs(wanted)
            write_json([run_to_json(run) for run in (_grow(project, runs)[0] if tree else runs)])
            return ExitCode.OK
        rows = _make_tree_rows(*_grow(project, project.list_runs(wanted))) if tree else _read_rows(project, wanted)
    if rows:
        write_table(("run", "state", "name", "started", "took", "parameters"), rows)
    else:
        write_line("no runs", error=True)
    return ExitCode.OK


def _read_value(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise UsageError(f"-p {text}: expected NAME=VALUE, such as region=EU")
    return name, value


def _grow(project: Project, runs: list[RunRecord]) -> tuple[list[RunRecord], dict[str, str]]:
    """The whole trees of *runs*, newest tree first, and the lines to draw before each run's name."""
    from nbflow.api.tree import grow
    from nbflow.ports import RunFilter

    found: list[RunRecord] = []
    for root_id in dict.fromkeys(run.root_id for run in runs):
        found += project.list_runs(RunFilter(root_id=root_id, limit=None, oldest_first=True))
    branches = list(grow(found))
    return [branch.run for branch in branches], {branch.run.id: branch.lead for branch in branches}


def _make_tree_rows(runs: list[RunRecord], leads: Mapping[str, str]) -> list[Row]:
    return [
        (
            run.id,
            run.state.value,
            leads[run.id] + run.name,
            format_time(run.started or run.created),
            "" if run.duration is None else format_duration(run.duration),
            _show_parameters(run.parameters),
        )
        for run in runs
    ]


def _read_rows(project: Project, wanted: RunFilter) -> list[Row]:
    """The same of runs by column, which are quick to read however many there are."""
    names = ("id", "state", "name", "created", "started", "ended", "parameters")
    columns = project.store.list_columns(wanted, names)
    return [
        (
            run_id,
            state,
            name,
            format_time(datetime.fromtimestamp((started or created) / 1e6, UTC)),
            "" if started is None or ended is None else format_duration((ended - started) / 1e6),
            _show_parameters(parameters),
        )
        for run_id, state, name, created, started, ended, parameters in zip(
            *(columns[name] for name in names), strict=True
        )
    ]


def _show_parameters(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={show_value(value, limit=30)}" for key, value in parameters.items())
