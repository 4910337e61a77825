"""``nbflow kv set``."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from nbflow.cli.arguments import key_argument
from nbflow.cli.exits import ExitCode
from nbflow.cli.files import parse_json


@click.command("set", short_help="Set a key's value.", context_settings={"ignore_unknown_options": True})
@key_argument
@click.argument("value")
def command(key: str, value: str) -> int:
    """Set KEY to VALUE: JSON where it is JSON, else a string. - reads it from standard input."""
    from nbflow.project import Project

    with Project.open() as project:
        project.kv.set(key, _read(sys.stdin.read() if value == "-" else value))
    return ExitCode.OK


def _read(text: str) -> Any:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text.rstrip("\n")
    return parse_json(text, "VALUE")
