"""``nbflow kv ls``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.console import write_json
from nbflow.cli.exits import ExitCode


@click.command("ls", short_help="List keys and values.")
@click.argument("prefix", default="")
@json_option
def command(prefix: str, as_json: bool) -> int:
    """List the keys that begin with PREFIX, and their values."""
    from nbflow.cli.summary import show_value
    from nbflow.cli.table import write_table
    from nbflow.project import Project

    with Project.open() as project:
        pairs = project.store.kv_list(prefix)
    if as_json:
        write_json(pairs)
    elif pairs:
        write_table(("key", "value"), [(key, show_value(value)) for key, value in pairs.items()])
    return ExitCode.OK
