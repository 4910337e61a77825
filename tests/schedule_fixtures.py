"""Schedules for the tests, and what fills them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nbflow.scheduling import Cron, Every, ScheduleRecord

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    """``2026-03-01 12:00`` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_schedule(when: str | Cron | Every = "* * * * *", timezone: str = "UTC", **fields: Any) -> ScheduleRecord:
    """A schedule with a cron expression or an interval; *fields* over the defaults."""
    made = Cron(when) if isinstance(when, str) else when
    defaults: dict[str, Any] = {"id": "a1b2c3d4", "name": "nightly", "flow": "p/f", "created": CREATED}
    return ScheduleRecord(**{**defaults, "when": made, "timezone": timezone, **fields})
