"""``nbflow scheduler``: schedules on a machine without the server."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

command = CommandFolder(
    "scheduler",
    "nbflow.cli.scheduler",
    ("run",),
    help="Make and execute the runs of schedules on a machine without the server.",
)
