"""``nbflow kv``: the key-value store that notebooks and commands share."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

EPILOG = """\b
Examples:
  nbflow kv set last-day '"2026-01-31"'
  nbflow kv get last-day
  nbflow kv ls backfill/
"""

command = CommandFolder(
    "kv",
    "nbflow.cli.kv",
    ("get", "set", "rm", "ls"),
    default="ls",
    help="Get, set, remove and list JSON values by key; a notebook reaches them as nbflow.kv.",
    epilog=EPILOG,
)
