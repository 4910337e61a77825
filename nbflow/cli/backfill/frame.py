"""``nbflow backfill frame``."""

from __future__ import annotations

from pathlib import Path

import click

from nbflow.cli.arguments import backfill_argument
from nbflow.cli.console import write_line
from nbflow.cli.exits import ExitCode


@click.command("frame", short_help="The table of results.")
@backfill_argument
@click.option(
    "--to",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to: .parquet, .csv, .json or .jsonl; CSV on standard output when left out.",
)
def command(backfill_id: str, target: Path | None) -> int:
    """One line for each row of BACKFILL: its values, state, duration, results, and what went wrong."""
    from nbflow.api.backfills import Backfill
    from nbflow.project import Project

    if target is not None:
        from nbflow.api.exporting import check_target

        check_target(target)
    with Project.open() as project:
        frame = Backfill(project.backfills.get(backfill_id), project).to_frame()
    if target is None:
        write_line(frame.to_csv(index=False).rstrip("\n"))
    else:
        from nbflow.api.exporting import export_frame

        export_frame(frame, target)
        write_line(f"{len(frame):,} rows: {target}", error=True)
    return ExitCode.OK
