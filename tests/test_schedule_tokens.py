"""Tokens in a schedule's values: resolved once, by the schedule's clock; what is none is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.parameters import Text
from nbflow.scheduling.tokens import Moment, TokenError, find_faults, render_text, render_values

BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = Moment(
    scheduled=datetime(2026, 3, 30, 1, 30, tzinfo=BERLIN),
    last_success=datetime(2026, 3, 28, 23, 30, tzinfo=BERLIN),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ scheduled_date }}", "2026-03-30"),
        ("{{scheduled_date}}", "2026-03-30"),
        ("{{ scheduled_time }}", "2026-03-30T01:30:00+02:00"),
        ("{{ last_success }}", "2026-03-28T23:30:00+01:00"),
        ("{{ scheduled_date - 1d }}", "2026-03-29"),
        ("{{ scheduled_date - 1 d + 2w }}", "2026-04-12"),
        ("{{ scheduled_date - 30d }}", "2026-02-28"),
        # a day ago by the clock, 23 hours ago in fact
        ("{{ scheduled_time - 1d }}", "2026-03-29T01:30:00+01:00"),
        ("{{ scheduled_time - 24h }}", "2026-03-29T00:30:00+01:00"),
        ("{{ scheduled_time - 1d + 30min }}", "2026-03-29T03:00:00+02:00"),
        ("{{ scheduled_time + 90s }}", "2026-03-30T01:31:30+02:00"),
        ("{{ scheduled_date:%Y-%m }}", "2026-03"),
        ("{{ scheduled_time - 1d:%d.%m. %H:%M %Z }}", "29.03. 01:30 CET"),
        ("{{ last_success + 1d:%Y%m%d }}", "20260329"),
        ("from {{ last_success:%d }} to {{ scheduled_date:%d }}", "from 28 to 30"),
        ("{{{{ name }}", "{{ name }}"),
        ("{{{{{{ scheduled_date }}", "{{2026-03-30"),
        ("}} {", "}} {"),
    ],
)
def test_resolved(text: str, expected: str) -> None:
    assert render_text(text, MOMENT) == expected
    assert find_faults({"x": text}) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ schedule_date }}", "did you mean scheduled_date?"),
        ("{{ name }}", "there are scheduled_date, scheduled_time, last_success"),
        ("{{ }}", "is no token"),
        ("{{ scheduled_date", "ends with }}"),
        ("{{ scheduled_date - 1h }}", "a number of d or w"),
        ("{{ scheduled_time - 1 month }}", "min, h, d or w"),
        ("{{ scheduled_date - }}", "is no token"),
        ("{{ scheduled_date:iso }}", "strftime"),
        ("{{ scheduled_date - 999999w }}", "beyond the calendar"),
        ("{{ scheduled_date; import os }}", "is no token"),
        ("{{ 7 * 7 }}", "is no token"),
    ],
)
def test_refused(text: str, told: str) -> None:
    for value in (text, [text], {"a": ["b", text]}):
        [fault] = find_faults({"x": value})
        assert (fault.parameter, fault.rule) == ("x", "token")
        assert told in fault.message


def test_values_are_read_as_if_they_were_typed() -> None:
    values: dict[str, Any] = {
        "day": "{{ scheduled_date }}",
        "n": 9,
        "plain": "text",
        "days": ["{{ scheduled_date }}", 1],
    }
    rendered = render_values(values, MOMENT)
    assert rendered == {"day": "2026-03-30", "n": 9, "plain": "text", "days": ["2026-03-30", 1]}
    assert isinstance(rendered["day"], Text)
    assert not isinstance(rendered["plain"], Text)


def test_before_the_first_success_a_parameter_keeps_its_default() -> None:
    first = Moment(scheduled=MOMENT.scheduled)
    assert render_values({"since": "{{ last_success }}", "day": "{{ scheduled_date }}"}, first) == {"day": "2026-03-30"}
    [fault] = find_faults({"since": {"from": "{{ last_success }}"}})
    assert "a parameter of its own" in fault.message


@given(st.text("{} scheduled_date:%-+1dY", max_size=40))
def test_any_text_is_resolved_or_refused(text: str) -> None:
    try:
        resolved = render_text(text, MOMENT)
    except TokenError:
        assert find_faults({"x": text})
        return
    assert resolved is not None
    if "{{" not in text:
        assert resolved == text
