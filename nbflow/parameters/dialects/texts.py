"""Texts that stand for something else: what a shell or a widget holds is always a string."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbflow.parameters.markers import Constraint


@dataclass(frozen=True, slots=True)
class AsText:
    """Beside ``str``: numbers and booleans are taken too, as the text that the other side would have for them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(_as_text, handler(source))


@dataclass(frozen=True, slots=True)
class DateText(Constraint):
    """A date as text, ``2026-01-31``; an empty text is no date yet."""

    def check(self, value: Any) -> str | None:
        try:
            datetime.datetime.strptime(value, "%Y-%m-%d")
        except (TypeError, ValueError):
            return None if value == "" else "must be a date, written as 2026-01-31"
        return None

    def keywords(self) -> dict[str, Any]:
        return {"format": "date"}


@dataclass(frozen=True, slots=True)
class SeveralOf(Constraint):
    """Some of these values in one text, with commas between them."""

    values: tuple[str, ...]

    def check(self, value: Any) -> str | None:
        if isinstance(value, str) and all(part in self.values for part in value.split(",") if part):
            return None
        return f"must be some of {', '.join(map(repr, self.values))}, with commas between them"


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if type(value) in (int, float) else value
