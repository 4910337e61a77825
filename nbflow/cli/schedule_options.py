"""The options that make a schedule, and those that change it: the same ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from nbflow.cli.arguments import Seconds, file_option, parameter_option
from nbflow.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_EXECUTION = ("kernel", "cwd", "output", "retries", "retry_delay", "retries_on_loss", "timeout", "cell_timeout")
_PLAIN = ("name", "timezone", "catchup", "catchup_limit", "overlap", "misfire_grace", "run_name")

_OPTIONS = (
    click.option("--cron", metavar="CRON", help="Five fields, or @hourly, @daily, @weekly, @monthly."),
    click.option("--every", metavar="TIME", help="10min, 1h 30min, 1d: in absolute time."),
    click.option("--timezone", metavar="ZONE", help="Whose clock a cron expression is read by: Europe/Berlin; UTC."),
    click.option("--starts", metavar="TIME", help="No run before it; by the schedule's clock: 2026-01-31T07:00."),
    click.option("--ends", metavar="TIME", help="No run after it."),
    parameter_option("A parameter's value; may hold {{ scheduled_date }}, {{ scheduled_time }}, {{ last_success }}."),
    file_option("Values from a JSON (.json) or YAML file."),
    click.option(
        "--catchup",
        type=click.Choice(["none", "latest", "all"]),
        help="Run times missed while nothing was running: none, the latest (default), or all of them.",
    ),
    click.option("--catchup-limit", type=click.IntRange(min=1), metavar="N", help="How many of them at most; 100."),
    click.option(
        "--overlap",
        type=click.Choice(["skip", "queue", "allow"]),
        help="While an earlier run goes on: skip the time (default), queue its run, or allow both.",
    ),
    click.option("--misfire-grace", type=Seconds(), metavar="TIME", help="So late is not yet missed; 1min."),
    click.option("--name", metavar="TEXT", help="Name of the schedule."),
    click.option("--run-name", metavar="TEXT", help="Name of its runs; {parameter} is filled in."),
    click.option("--tag", "tags", multiple=True, help="Label of its runs. Repeatable."),
    click.option("-o", "--output", metavar="OUT", help="Where executed notebooks go: out/{day}.ipynb."),
    click.option("-k", "--kernel", metavar="NAME", help="Another kernel than the notebook names."),
    click.option("--cwd", metavar="DIR", help="Folder to run in, instead of the notebook's own."),
    click.option("--retries", type=click.IntRange(min=0), metavar="N", help="Try again so often when it fails."),
    click.option("--retry-delay", type=Seconds(), help="Wait before each retry: 30, 5min."),
    click.option("--retries-on-loss", type=click.IntRange(min=0), metavar="N", help="The same when its kernel dies."),
    click.option("--timeout", type=Seconds(), help="Limit for the whole run."),
    click.option("--cell-timeout", type=Seconds(), help="Limit for each cell."),
)


def schedule_options(function: F) -> F:
    """All of them; None, or nothing, where one was not given."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_settings(options: dict[str, Any], *, zone: str, before: Any) -> dict[str, Any]:
    """The fields of a ScheduleRecord that the options set. *zone* and *before* (RunOptions) hold where they say nothing."""
    from dataclasses import replace

    from nbflow.scheduling.records import check_timezone

    settings = {name: options[name] for name in _PLAIN if options[name] is not None}
    zone = check_timezone(settings.get("timezone", zone))
    for name in ("starts", "ends"):
        if options[name] is not None:
            settings[name] = _read_time(options[name], zone, f"--{name}")
    if options["tags"]:
        settings["tags"] = options["tags"]
    execution = {name: options[name] for name in _EXECUTION if options[name] is not None}
    if execution:
        settings["options"] = replace(before, **execution)
    if options["cron"] is not None or options["every"] is not None:
        settings["when"] = _read_when(options["cron"], options["every"])
    return settings


def _read_when(cron: str | None, every: str | None) -> Any:
    from nbflow import scheduling

    if cron is not None and every is not None:
        raise UsageError("--cron and --every: give one of them")
    return scheduling.cron(cron) if cron is not None else scheduling.every(every)


def _read_time(text: str, zone: str, option: str) -> datetime | None:
    """By the schedule's clock where it names no offset; ``none`` lifts the bound."""
    from zoneinfo import ZoneInfo

    if text.lower() == "none":
        return None
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r}: expected a date or time such as 2026-01-31 or 2026-01-31T07:00") from None
