"""``nbflow prune``: delete what old runs left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import Age, json_option
from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode

if TYPE_CHECKING:
    from nbflow.ports import RunFilter, Store

EPILOG = """\b
Examples:
  nbflow prune --older-than 30d --dry-run
  nbflow prune --older-than 2026-01-01
"""


@click.command("prune", epilog=EPILOG, short_help="Delete old runs.")
@click.option("--older-than", "before", type=Age(), required=True, metavar="AGE", help="30d, 12h, or a date.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def command(before: datetime, dry_run: bool, as_json: bool) -> int:
    """Delete runs that ended before then: records, logs, and executed notebooks that lie in nbflow's own folders."""
    from nbflow.lifecycle import TERMINAL
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    ended = RunFilter(states=tuple(TERMINAL), created_before=before, limit=None, oldest_first=True)
    with Project.open() as project:
        doomed = _find(project.store, ended, before) if dry_run else []
        count = len(doomed) if dry_run else project.prune(before=before)
    if as_json:
        write_json({"deleted": 0 if dry_run else count, "would_delete": [run_id for run_id, *_ in doomed]})
        return ExitCode.OK
    for run_id, state, name in doomed:
        write_line(f"{run_id}  {state}  {clean_line(name)}")
    noun = "run" if count == 1 else "runs"
    write_line(f"{count} {noun} would be deleted" if dry_run else f"{count} {noun} deleted", error=dry_run)
    return ExitCode.OK


def _find(store: Store, ended: RunFilter, before: datetime) -> list[tuple[str, str, str]]:
    """Id, state and name of the runs that would go."""
    columns = store.list_columns(ended, ("id", "state", "name", "ended"))
    bound = (before - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
    return [
        (run_id, state, name)
        for run_id, state, name, time in zip(*columns.values(), strict=True)
        if time is not None and time < bound
    ]
