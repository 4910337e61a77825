"""``nbflow runs rerun``."""

from __future__ import annotations

from pathlib import Path

import click

from nbflow.cli.arguments import file_option, json_option, parameter_option, run_argument, watch_options
from nbflow.cli.papermill import PairCommand
from nbflow.cli.values import ask_for_secrets, collect_values
from nbflow.cli.watching import finish_run

EPILOG = """\b
Example:
  nbflow runs rerun 3f2a -p n=50       the same run with another n
"""


@click.command("rerun", cls=PairCommand, epilog=EPILOG, short_help="Run the same once more, with changes.")
@run_argument
@parameter_option("Another value.")
@file_option("Other values from a JSON or YAML file.")
@watch_options
@json_option
def command(
    run_id: str, pairs: tuple[tuple[str, str], ...], files: tuple[Path, ...], watch: bool, logs: bool, as_json: bool
) -> int:
    """Run the notebook of RUN as it was then, with its values and options, some values replaced: a new run."""
    from nbflow.project import Project

    with Project.open() as project:
        before = project.get_run(run_id)
        values = collect_values(pairs=pairs, files=files)
        values = ask_for_secrets(values, project.load_run(before.id).declaration)
        run = project.rerun(before.id, values, detach=not watch)
        return finish_run(project, run, detach=not watch, as_json=as_json, logs=logs)
