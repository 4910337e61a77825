"""``nbflow kv rm``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import key_argument
from nbflow.cli.exits import ExitCode
from nbflow.errors import NotFoundError


@click.command("rm", short_help="Remove a key.")
@key_argument
def command(key: str) -> int:
    """Remove KEY and its value."""
    from nbflow.project import Project

    with Project.open() as project:
        if not project.store.kv_delete(key):
            raise NotFoundError(f"no key {key!r}; see: nbflow kv ls")
    return ExitCode.OK
