"""``nbflow runs report``."""

from __future__ import annotations

from pathlib import Path

import click

from nbflow.cli.arguments import run_argument
from nbflow.cli.console import write_line
from nbflow.cli.exits import ExitCode


@click.command("report", short_help="Write a run's executed notebook as HTML.")
@run_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to; beside the notebook when left out.",
)
def command(run_id: str, output: Path | None) -> int:
    """Write the executed notebook of RUN as one HTML file, and print its path."""
    from nbflow.project import Project

    with Project.open() as project:
        path = project.write_report(project.get_run(run_id).id, output)
    write_line(str(path))
    return ExitCode.OK
