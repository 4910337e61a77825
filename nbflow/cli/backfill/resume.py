"""``nbflow backfill resume``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import backfill_argument, json_option
from nbflow.cli.backfill_options import REPROCESS
from nbflow.errors import RowError


@click.command("resume", short_help="Run what is missing.")
@backfill_argument
@click.option(
    "--reprocess-behavior",
    type=REPROCESS,
    default="failed",
    help="Rows that failed: leave them alone (none) or run them again (default); completed: a new backfill of all.",
)
@click.option("--max-active-runs", type=click.IntRange(min=1), metavar="N", help="So many at once from now on.")
@click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Begin no more once so many failed.")
@click.option("--watch/--detach", default=True, help="Watch until it ends (default), or leave it to itself.")
@json_option
def command(
    backfill_id: str,
    reprocess_behavior: str,
    max_active_runs: int | None,
    max_failures: int | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Run the rows of BACKFILL that never ran, and those that did not complete.

    The notebook is read anew: the file as it is now, or the newest registered version.
    """
    from nbflow.cli.backfill_display import write_row_error
    from nbflow.cli.backfill_watching import finish_backfill
    from nbflow.cli.exits import ExitCode
    from nbflow.project import Project

    with Project.open() as project:
        try:
            started = project.backfills.resume(
                backfill_id,
                reprocess_behavior=reprocess_behavior,
                detach=not watch,
                max_active_runs=max_active_runs,
                max_failures=max_failures,
            )
        except RowError as error:
            write_row_error(error)
            return ExitCode.USAGE
        return finish_backfill(project, started, detach=not watch, as_json=as_json)
