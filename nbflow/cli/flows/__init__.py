"""``nbflow flows``: the registered flows."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

command = CommandFolder(
    "flows",
    "nbflow.cli.flows",
    ("ls", "show", "limit", "rm"),
    default="ls",
    help="List, show and remove registered flows. Without a command: ls.",
)
