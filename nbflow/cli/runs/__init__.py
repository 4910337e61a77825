"""``nbflow runs``: what ran, how it ended, and what can be done about it."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

EPILOG = """\b
Examples:
  nbflow runs --state failed --since 2d
  nbflow runs show 3f2a            any unambiguous beginning of an id
  nbflow runs logs 3f2a --follow
  nbflow runs rerun 3f2a -p n=50
"""

command = CommandFolder(
    "runs",
    "nbflow.cli.runs",
    ("ls", "show", "logs", "cancel", "retry", "rerun", "open", "report"),
    default="ls",
    help="List and show runs, follow, cancel and repeat them. Without a command: ls.",
    epilog=EPILOG,
)
