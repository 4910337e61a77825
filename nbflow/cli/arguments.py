"""Options and argument types that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from nbflow.cli.completion import (
    complete_backfill,
    complete_flow,
    complete_key,
    complete_parameter,
    complete_run,
    complete_schedule,
)

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def parse_seconds(text: str) -> float | None:
    """``90``, ``1.5``, ``10min``, ``2h``, ``30d`` in seconds; None for anything else."""
    found = _AMOUNT.fullmatch(text.strip().lower())
    if found is None or (found[2] or "s") not in _UNITS:
        return None
    return float(found[1]) * _UNITS[found[2] or "s"]


class Seconds(click.ParamType[float]):
    """A length of time in seconds, or with a unit."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        seconds = parse_seconds(value)
        if seconds is None:
            self.fail(f"{value!r} is no length of time; write 90 (seconds), 10min, 2h or 30d", param, ctx)
        return seconds


class Age(click.ParamType[datetime]):
    """A moment: so long ago (``2h``, ``30d``), or a date or time in ISO form (local unless it names its offset)."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        moment = parse_age(value, datetime.now(UTC))
        if moment is None:
            self.fail(f"{value!r} is no age and no date; write 2h, 30d, 2026-01-31 or 2026-01-31T18:00", param, ctx)
        return moment


def parse_age(text: str, now: datetime) -> datetime | None:
    """The moment that *text* names, by its age or by its date; None where it names none."""
    seconds = None if text.strip().isdigit() else parse_seconds(text)
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if seconds is None else now - timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None


def json_option(function: F) -> F:
    """``--json``: the answer as strict JSON on standard output, and nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Strict JSON on standard output, nothing else.")(
        function
    )


def flow_argument(function: F) -> F:
    """FLOW: a notebook's path, or PROJECT/NAME."""
    return click.argument("flow", metavar="FLOW", shell_complete=complete_flow)(function)


def run_argument(function: F) -> F:
    """RUN: an id, or an unambiguous beginning of one."""
    return click.argument("run_id", metavar="RUN", shell_complete=complete_run)(function)


def schedule_argument(function: F) -> F:
    """SCHEDULE: an id, an unambiguous beginning of one, or a name."""
    return click.argument("schedule_id", metavar="SCHEDULE", shell_complete=complete_schedule)(function)


def schedules_argument(function: F) -> F:
    """SCHEDULE...: one or more of them."""
    return click.argument(
        "schedule_ids", metavar="SCHEDULE...", nargs=-1, required=True, shell_complete=complete_schedule
    )(function)


def backfill_argument(function: F) -> F:
    """BACKFILL: an id, an unambiguous beginning of one, or a name."""
    return click.argument("backfill_id", metavar="BACKFILL", shell_complete=complete_backfill)(function)


def key_argument(function: F) -> F:
    """KEY: of the key-value store."""
    return click.argument("key", shell_complete=complete_key)(function)


def parameter_option(help: str, metavar: str = "NAME=VALUE") -> Callable[[F], F]:
    """``-p NAME=VALUE``, for a :class:`nbflow.cli.papermill.PairCommand`."""
    return click.option(
        "-p",
        "--parameter",
        "pairs",
        metavar=metavar,
        nargs=2,
        multiple=True,
        shell_complete=complete_parameter,
        help=help,
    )


def file_option(help: str) -> Callable[[F], F]:
    """``-f FILE``: values in files."""
    return click.option(
        "-f",
        "--parameters-file",
        "files",
        metavar="FILE",
        multiple=True,
        type=click.Path(path_type=Path),
        help=help,
    )


def watch_options(function: F) -> F:
    """``--watch/--detach`` and ``--logs/--no-logs`` for the commands that start a run."""
    function = click.option("--logs/--no-logs", default=True, help="Show what the notebook prints (default), or not.")(
        function
    )
    return click.option("--watch/--detach", default=True, help="Watch until it ends (default), or leave it to itself.")(
        function
    )
