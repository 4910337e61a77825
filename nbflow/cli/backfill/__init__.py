"""``nbflow backfill``: one flow for many rows of values."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

EPILOG = """\b
Examples:
  nbflow backfill create sales/report -p day=2026-01-01..2026-01-31 -p region=EU,US
  nbflow backfill create report.ipynb --rows customers.csv --dry-run
  nbflow backfill show 39f7
  nbflow backfill resume 39f7           what is missing, with the notebook as it is now
  nbflow backfill frame 39f7 --to results.csv
"""

command = CommandFolder(
    "backfill",
    "nbflow.cli.backfill",
    ("create", "ls", "show", "pause", "unpause", "cancel", "resume", "frame"),
    default="ls",
    help="Run a flow for many rows of values; list, show, hold back and take up such backfills. Without a command: ls.",
    epilog=EPILOG,
)
