"""``nbflow kv get``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import key_argument
from nbflow.cli.console import write_json
from nbflow.cli.exits import ExitCode


@click.command("get", short_help="Print a key's value.")
@key_argument
@click.option("--json", "as_json", is_flag=True, hidden=True, help="The answer is JSON in any case.")
def command(key: str, as_json: bool) -> int:
    """Print the value of KEY as JSON."""
    from nbflow.project import Project

    with Project.open() as project:
        write_json(project.store.kv_get(key))
    return ExitCode.OK
