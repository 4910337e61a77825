"""Tokens in a schedule's values: ``{{ scheduled_date - 1d }}``, resolved once for each run.

::

    {{ scheduled_date }}            2026-03-01, by the schedule's clock
    {{ scheduled_date - 1d }}       days and weeks, added or taken off
    {{ scheduled_date:%Y-%m }}      in another form
    {{ scheduled_time - 6h }}       2026-03-01T01:00:00+01:00
    {{ last_success }}              the scheduled time of the newest run that completed
    {{{{                            two braces, and no token
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nbflow.errors import Fault
from nbflow.parameters import Text

NAMES = ("scheduled_date", "scheduled_time", "last_success")
_MARK = "{{"
_PLACE = re.compile(r"\{\{\{\{|\{\{(?P<token>[^{}]*)\}\}|\{\{")
_TOKEN = re.compile(r"\s*(?P<name>\w+)\s*(?P<shift>(?:[+-]\s*\d{1,6}\s*[a-z]+\s*)*)(?::(?P<form>.*))?", re.DOTALL)
_STEP = re.compile(r"([+-])\s*(\d+)\s*([a-z]+)")
_CALENDAR = {"d": 1, "w": 7}
_CLOCK = {"s": 1, "min": 60, "m": 60, "h": 3600}


class TokenError(ValueError):
    """A token that can't be resolved; the message says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the tokens of one run stand for. Times are in the schedule's timezone."""

    scheduled: datetime
    last_success: datetime | None = None
    """None: no run of the schedule has completed yet."""


def has_tokens(value: Any) -> bool:
    """Whether a text is to be resolved: it holds two opening braces."""
    return isinstance(value, str) and _MARK in value


def find_faults(parameters: Mapping[str, Any]) -> list[Fault]:
    """Every token that could not be resolved in a run."""
    sample = Moment(scheduled=datetime(2026, 1, 31, tzinfo=UTC), last_success=datetime(2026, 1, 30, tzinfo=UTC))
    faults = []
    for name, value in parameters.items():
        try:
            for text in _find_texts(value):
                render_text(text, sample)
                if not isinstance(value, str) and render_text(text, Moment(scheduled=sample.scheduled)) is None:
                    raise TokenError("last_success may be missing: give it a parameter of its own")
        except TokenError as error:
            faults.append(Fault(parameter=name, rule="token", message=str(error)))
    return faults


def render_values(parameters: Mapping[str, Any], moment: Moment) -> dict[str, Any]:
    """The values with their tokens resolved, read as if they were typed on a command line.

    A parameter whose ``last_success`` does not exist yet is left out: it keeps its default. Raises TokenError.
    """
    values: dict[str, Any] = {}
    for name, value in parameters.items():
        if not isinstance(value, str):
            values[name] = _render_nested(value, moment)
        elif not has_tokens(value):
            values[name] = value
        elif (text := render_text(value, moment)) is not None:
            values[name] = Text(text)
    return values


def render_text(text: str, moment: Moment) -> str | None:
    """*text* with its tokens resolved; None when one of them does not exist yet. Raises TokenError."""
    pieces, end = [], 0
    for place in _PLACE.finditer(text):
        pieces.append(text[end : place.start()])
        end = place.end()
        if place["token"] is None and place[0] == _MARK:
            raise TokenError(
                f"{_shorten(text[place.start() :])}: a token ends with }}}}; for two braces write {{{{{{{{"
            )
        resolved = _MARK if place["token"] is None else _resolve(place["token"], moment)
        if resolved is None:
            return None
        pieces.append(resolved)
    return "".join([*pieces, text[end:]])


def _resolve(token: str, moment: Moment) -> str | None:
    found = _TOKEN.fullmatch(token)
    name = found["name"] if found else ""
    if found is None or name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        raise TokenError(f"{{{{{_shorten(token)}}}}} is no token; {hint}")
    time = moment.last_success if name == "last_success" else moment.scheduled
    if time is None:
        return None
    for sign, amount, unit in _STEP.findall(found["shift"]):
        time = _shift(time, name, int(f"{sign}{amount}"), unit)
    if found["form"] is not None:
        if "%" not in found["form"]:
            raise TokenError(f"{{{{{_shorten(token)}}}}}: a form is written as in strftime: {name}:%Y-%m-%d")
        return time.strftime(found["form"].strip())
    return time.date().isoformat() if name == "scheduled_date" else time.isoformat()


def _shift(time: datetime, name: str, amount: int, unit: str) -> datetime:
    """Days by the clock on the wall, hours in absolute time."""
    try:
        if unit in _CALENDAR:
            shifted = time + timedelta(days=amount * _CALENDAR[unit])
            return shifted.astimezone(UTC).astimezone(time.tzinfo)  # one that a change of the clocks passes over
        if unit in _CLOCK and name != "scheduled_date":
            moved = time.astimezone(UTC) + timedelta(seconds=amount * _CLOCK[unit])
            return moved.astimezone(time.tzinfo)
    except OverflowError:
        raise TokenError(f"{name} {amount:+d}{unit}: beyond the calendar") from None
    units = "d or w" if name == "scheduled_date" else "min, h, d or w"
    raise TokenError(f"{name} {amount:+d}{unit}: expected a number of {units}, as in {name} - 1d")


def _find_texts(value: Any) -> Iterator[str]:
    if has_tokens(value):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _find_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _find_texts(item)


def _render_nested(value: Any, moment: Moment) -> Any:
    if isinstance(value, Mapping):
        return {key: _render_nested(item, moment) for key, item in value.items()}
    if isinstance(value, list):
        return [_render_nested(item, moment) for item in value]
    return (render_text(value, moment) or "") if has_tokens(value) else value


def _shorten(text: str) -> str:
    text = " ".join(text.split()) or text[:1]
    return text if len(text) <= 40 else text[:39] + "…"
