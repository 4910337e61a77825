"""``nbflow schedule``: when flows run by themselves."""

from __future__ import annotations

from nbflow.cli.commands import CommandFolder

EPILOG = """\b
Examples:
  nbflow schedule create sales/report --cron "0 7 * * 1-5" --timezone Europe/Berlin -p region=EU
  nbflow schedule create report.ipynb --every 10min -p day="{{ scheduled_date - 1d }}"
  nbflow schedule show report-3f2a
  nbflow scheduler run              makes and executes the runs, until it is stopped
"""

command = CommandFolder(
    "schedule",
    "nbflow.cli.schedule",
    ("create", "ls", "show", "run", "edit", "pause", "unpause", "rm"),
    default="ls",
    help="Make, list, show, change and remove schedules. Without a command: ls.",
    epilog=EPILOG,
)
