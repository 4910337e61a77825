"""``nbflow runs retry``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option, run_argument, watch_options
from nbflow.cli.watching import finish_run


@click.command("retry", short_help="Try a run again that did not complete.")
@run_argument
@watch_options
@json_option
def command(run_id: str, watch: bool, logs: bool, as_json: bool) -> int:
    """Give a failed, crashed, timed-out or cancelled run a further attempt: same id, same notebook, same values."""
    from nbflow.project import Project

    with Project.open() as project:
        run = project.retry(project.get_run(run_id).id, detach=not watch)
        return finish_run(project, run, detach=not watch, as_json=as_json, logs=logs)
