"""``nbflow backfill create``."""

from __future__ import annotations

from typing import Any

import click

from nbflow.cli.arguments import flow_argument, json_option
from nbflow.cli.backfill_options import backfill_options, read_settings, read_values
from nbflow.cli.papermill import PairCommand
from nbflow.errors import RowError

EPILOG = """\b
Examples:
  nbflow backfill create sales/report -p day=2026-01-01..2026-01-31 -p region=EU,US
  nbflow backfill create report.ipynb -p month=2026-01-01..2026-12-31 --step MS -p n=1..10 --step n=3
  nbflow backfill create report.ipynb --rows customers.csv -p day=2026-03-01 --exclude region=US
  nbflow backfill create report.ipynb -p 'region=["a,b", "c..d"]'      values with commas or dots: a JSON list

\b
Values: FIRST..LAST is a range of dates, times or numbers (FIRST..LAST..STEP with a step of its own), commas
part values, and the rows are the product of all. A table's rows are combined with them. A parameter that is
itself a list takes one as a value of a JSON list: -p 'regions=[["EU", "US"]]'.
The same rows are no second backfill: the earlier one is told, and goes on where it was interrupted.
Exit codes: 0 all rows completed, 1 some did not, 2 bad values (nothing was recorded), 130 and 143 interrupted.
"""


@click.command("create", cls=PairCommand, epilog=EPILOG, short_help="Run a flow for many rows of values.")
@flow_argument
@backfill_options
@json_option
def command(flow: str, as_json: bool, **options: Any) -> int:
    """Run a notebook for each row of values, several at once, and watch it until all have ended.

    All rows are checked before the first one runs. A row that fails harms no other; `nbflow backfill resume` runs those
    again that are missing.
    """
    from nbflow.cli.backfill_display import write_plan, write_row_error
    from nbflow.cli.backfill_watching import finish_backfill
    from nbflow.cli.exits import ExitCode
    from nbflow.project import Project

    with Project.open() as project:
        loaded = project.load(flow)
        call = {**read_values(options, loaded.declaration), **read_settings(options)}
        try:
            if options["dry_run"]:
                plan = project.backfills.plan(loaded, **call)
                write_plan(plan, as_json=as_json)
                return ExitCode.OK
            started = project.backfills.create(loaded, **call, detach=not options["watch"])
        except RowError as error:
            write_row_error(error)
            return ExitCode.USAGE
        return finish_backfill(project, started, detach=not options["watch"], as_json=as_json)
