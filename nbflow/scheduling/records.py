"""The words of schedules: cron and interval, policies, and the record that the store keeps."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from nbflow.errors import UsageError
from nbflow.lifecycle import RunOptions

ALIASES: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST_CRON = 200
_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "seconds"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "minutes"),
    **dict.fromkeys(("h", "hour", "hours"), "hours"),
    **dict.fromkeys(("d", "day", "days"), "days"),
    **dict.fromkeys(("w", "week", "weeks"), "weeks"),
}
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)\s*")
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(days=3660)


class Catchup(StrEnum):
    """What becomes of fire times that were missed while no scheduler was running."""

    NONE = "none"
    """They are left out."""
    LATEST = "latest"
    """The newest of them runs, once."""
    ALL = "all"
    """Each of them runs: the newest ``catchup_limit``."""


class Overlap(StrEnum):
    """What becomes of a fire time at which an earlier run of the schedule has not ended."""

    SKIP = "skip"
    """It makes no run. Times that are caught up together never skip one another: they run one by one."""
    QUEUE = "queue"
    """Its run is recorded, and waits until those before it have ended."""
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron expression, by the clock of the schedule's timezone; made by :func:`cron`."""

    expression: str

    @property
    def fields(self) -> str:
        """The five fields, for an alias such as ``@daily`` too."""
        return ALIASES.get(self.expression.lower(), self.expression)

    def __str__(self) -> str:
        return self.expression


@dataclass(frozen=True, slots=True)
class Every:
    """At equal distances in absolute time, counted from an anchor; made by :func:`every`."""

    seconds: float
    anchor: datetime | None = None
    """None: the schedule's ``starts``, else its creation."""

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return f"every {format_interval(self.interval)}"


When = Cron | Every


def cron(expression: str) -> Cron:
    """Five fields (minute, hour, day of month, month, day of week), or ``@hourly``, ``@daily``, ``@weekly``, ``@monthly``.

    Where the clock is put forward, a time that does not exist fires when the gap ends; where it is put back, a time that
    comes twice fires once, but for expressions that fire every hour. Raises UsageError.
    """
    from nbflow.scheduling.times import check_cron

    made = Cron(" ".join(expression.split())) if isinstance(expression, str) else Cron("")
    check_cron(made, shown=str(expression)[:_LONGEST_CRON])
    return made


def every(
    interval: str | float | timedelta | None = None, /, *, anchor: datetime | None = None, **parts: float
) -> Every:
    """``every("10min")``, ``every("1h 30min")``, ``every(timedelta(hours=6))``, ``every(hours=6)``, ``every(90)`` (seconds).

    Counted in absolute time from *anchor*: a change of the clocks shifts nothing. Raises UsageError.
    """
    given: object = parts if interval is None else interval
    length = _read_parts(parts) if interval is None else parse_interval(interval)
    if length is None or (interval is not None and parts):
        raise UsageError(f"interval {given!r}: write 10min, 1h 30min, 6h, 1d or a number of seconds")
    if not _SHORTEST <= length <= _LONGEST:
        raise UsageError(f"interval {given!r}: expected 1 second to {_LONGEST.days} days")
    if anchor is not None and anchor.tzinfo is None:
        raise UsageError(f"anchor {anchor}: it has no timezone; add one, such as .astimezone()")
    return Every(length.total_seconds(), anchor)


def parse_interval(text: str | float | timedelta) -> timedelta | None:
    """A length of time from a text such as ``1h 30min``, or a number of seconds; None for anything else."""
    if isinstance(text, timedelta):
        return text
    try:
        return timedelta(seconds=float(text))
    except (ValueError, TypeError, OverflowError):
        pass
    words = str(text).strip().lower()
    found = _AMOUNT.findall(words)
    if not found or _AMOUNT.sub("", words) or any(unit not in _UNITS for _, unit in found):
        return None
    try:
        return sum((timedelta(**{_UNITS[unit]: float(amount)}) for amount, unit in found), timedelta())
    except OverflowError:
        return None


def _read_parts(parts: Mapping[str, float]) -> timedelta | None:
    try:
        return timedelta(**parts) if parts else None
    except (TypeError, OverflowError):
        return None


def format_interval(interval: timedelta) -> str:
    """``10min``, ``1h 30min``: what :func:`parse_interval` reads."""
    rest = interval.total_seconds()
    words = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count:g}{unit}")
    if rest or not words:
        words.append(f"{rest:g}s")
    return " ".join(words)


def check_timezone(timezone: str | tzinfo) -> str:
    """The IANA name of a timezone. Raises UsageError for what is none, which names the nearest."""
    from zoneinfo import ZoneInfo, available_timezones

    name = str(timezone)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        known = available_timezones()
        near = difflib.get_close_matches(name, known, n=1) or [
            one for one in sorted(known) if name and one.lower().endswith(name.lower().replace(" ", "_"))
        ]
        hint = f"did you mean {near[0]}?" if near else "expected a name such as Europe/Berlin or UTC"
        raise UsageError(f"timezone {name!r}: unknown; {hint}") from None
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """When a flow runs by itself, and with which values, as the store keeps it. Times are UTC."""

    id: str
    name: str
    """Unique among the schedules of its flow."""
    flow: str
    """``project/name``, or the absolute path of a notebook: the file as it is when a run is made."""
    flow_version: int | None = None
    """The registered version that runs; None: the newest one at each fire time."""
    when: When
    timezone: str = "UTC"
    """In whose clock a cron expression is read, and times are shown."""
    starts: datetime | None = None
    ends: datetime | None = None
    """No fire time lies before ``starts`` or behind ``ends``."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """In JSON form; a text may hold tokens (``{{ scheduled_date }}``), a secret is a reference (``env:NAME``)."""
    run_name: str | None = None
    """Template of the runs' names."""
    tags: tuple[str, ...] = ()
    options: RunOptions = RunOptions()  # noqa: RUF009 - frozen
    catchup: Catchup = Catchup.LATEST
    catchup_limit: int = 100
    overlap: Overlap = Overlap.SKIP
    misfire_grace: float = 60.0
    """Seconds by which a fire time may be late and is not yet taken for missed."""
    paused: bool = False
    next_due: datetime | None = None
    """The first fire time not yet decided upon; None when there is none any more."""
    last_success: datetime | None = None
    """The scheduled time of the newest completed run among those that were pruned."""
    created: datetime
    revision: int = 0
    """Counts the edits: what was decided upon an earlier one is not carried out."""
    note: str = ""
    """Why a fire time made no run, the last time that happened."""

    @property
    def zone(self) -> tzinfo:
        """Raises UsageError when this machine does not know it."""
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise UsageError(
                f"schedule {self.name}: the timezone {self.timezone} is unknown here; install tzdata"
            ) from None

    @property
    def anchor(self) -> datetime:
        """From where the intervals are counted."""
        own = self.when.anchor if isinstance(self.when, Every) else None
        return own or self.starts or self.created.replace(microsecond=0)

    @property
    def reference(self) -> str:
        """The flow as ``Project.load`` takes it."""
        return self.flow if self.flow_version is None else f"{self.flow}@{self.flow_version}"
