"""``nbflow runs open``."""

from __future__ import annotations

import os
import shutil
import sys

import click

from nbflow.cli.arguments import run_argument
from nbflow.cli.console import is_terminal, write_line
from nbflow.cli.exits import ExitCode
from nbflow.errors import NotFoundError


@click.command("open", short_help="Open a run's executed notebook.")
@run_argument
@click.option("--print", "only_print", is_flag=True, help="Print its path and no more.")
def command(run_id: str, only_print: bool) -> int:
    """Open the executed notebook in JupyterLab where that is installed; print its path in a pipe or without it."""
    from nbflow.project import Project

    with Project.open() as project:
        run = project.get_run(run_id)
        path = project.find_output(run)
    if path is None:
        raise NotFoundError(
            f"run {run.id} ({run.state}) has no executed notebook"
            + (f" at {run.output_path} any more" if run.output_path else "")
        )
    write_line(str(path))
    lab = shutil.which("jupyter-lab")
    if lab and is_terminal(sys.stdout) and not only_print:
        os.execv(lab, [lab, str(path)])
    return ExitCode.OK
