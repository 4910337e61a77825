"""The options that make a backfill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nbflow.cli.arguments import Seconds, file_option, parameter_option

if TYPE_CHECKING:
    from nbflow.parameters import Declaration

F = TypeVar("F", bound=Callable[..., Any])

_EXECUTION = (
    "kernel",
    "cwd",
    "retries",
    "retry_delay",
    "retries_on_loss",
    "timeout",
    "cell_timeout",
    "start_timeout",
    "report",
)
_SETTINGS = (
    "max_active_runs",
    "max_failures",
    "run_backwards",
    "reprocess_behavior",
    "skip_completed",
    "name",
    "run_name",
    "tags",
    "priority",
)
REPROCESS = click.Choice(["none", "failed", "completed"])

_OPTIONS = (
    parameter_option(
        "A value, several (EU,US), a range (2026-01-01..2026-01-31, 1..10) or a JSON list. Repeatable.",
        metavar="NAME=VALUES",
    ),
    file_option("Values from a JSON (.json) or YAML file; lists are axes."),
    click.option(
        "--step", "steps", metavar="STEP", multiple=True, help="Of ranges: 1D, W-MON, MS, 6h, 5; NAME=STEP of one."
    ),
    click.option(
        "--rows",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="A table of rows: .csv, .tsv, .jsonl, .json or .parquet; empty cells are not given.",
    ),
    click.option(
        "--exclude",
        "exclusions",
        metavar="NAME=VALUE,...",
        multiple=True,
        help="Leave out the rows that have all these values. Repeatable.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Tell how many rows there are and what would become of them, and stop."
    ),
    click.option("--max-active-runs", type=click.IntRange(min=1), metavar="N", default=4, help="So many at once; 4."),
    click.option("--max-failures", type=click.IntRange(min=1), metavar="N", help="Begin no more once so many failed."),
    click.option("--run-backwards", is_flag=True, help="The last row first."),
    click.option(
        "--reprocess-behavior",
        type=REPROCESS,
        default="none",
        help="Rows that ran before: leave them alone (none, default), run the failed again, or the completed too.",
    ),
    click.option("--skip-completed", is_flag=True, help="Reuse completed runs of the same notebook and values."),
    click.option("--priority", type=int, default=0, metavar="N", help="Among backfills; higher first. 0."),
    click.option("--name", metavar="TEXT", help="Name of the backfill."),
    click.option("--run-name", metavar="TEXT", help="Name of its runs; {parameter} is filled in."),
    click.option("--tag", "tags", multiple=True, help="Label of its runs. Repeatable."),
    click.option("-o", "--output", metavar="OUT", help="Where executed notebooks go: out/{region}-{day}.ipynb."),
    click.option("-k", "--kernel", metavar="NAME", help="Another kernel than the notebook names."),
    click.option("--cwd", metavar="DIR", help="Folder to run in, instead of the notebook's own."),
    click.option("--retries", type=click.IntRange(min=0), metavar="N", default=0, help="Try each row again so often."),
    click.option("--retry-delay", type=Seconds(), default=0.0, help="Wait before each retry: 30, 5min."),
    click.option(
        "--retries-on-loss", type=click.IntRange(min=0), metavar="N", default=0, help="The same when its kernel dies."
    ),
    click.option("--timeout", type=Seconds(), help="Limit for each run."),
    click.option("--cell-timeout", type=Seconds(), help="Limit for each cell."),
    click.option("--start-timeout", type=Seconds(), default=60.0, help="Limit for a kernel's start; 60 s."),
    click.option(
        "--report", type=click.Choice(["html"]), metavar="html", help="A report beside each executed notebook."
    ),
    click.option("--watch/--detach", default=True, help="Watch until it ends (default), or leave it to itself."),
)


def backfill_options(function: F) -> F:
    """All of them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_values(options: dict[str, Any], declaration: Declaration) -> dict[str, Any]:
    """``values``, ``rows`` and ``exclude`` of ``Backfills.create``."""
    from nbflow.backfilling.axes import read_axis, read_condition, read_steps
    from nbflow.cli.values import collect_values
    from nbflow.parameters import Text

    steps = read_steps(options["steps"])
    values = collect_values(files=options["files"])
    for name, text in options["pairs"]:
        parameter = declaration.get(name)
        is_secret = parameter is not None and parameter.secret
        values[name] = Text(text) if is_secret else read_axis(name, text, steps.get(name, steps.get("")))
    exclude = [read_condition(text, steps) for text in options["exclusions"]]
    return {"values": values, "rows": options["rows"], "exclude": exclude or None}


def read_settings(options: dict[str, Any]) -> dict[str, Any]:
    """The other arguments of ``Backfills.create``."""
    from nbflow.lifecycle import RunOptions

    execution = {name: options[name] for name in _EXECUTION}
    settings = {name: options[name] for name in _SETTINGS}
    return {**settings, "options": RunOptions(output=options["output"], **execution)}
