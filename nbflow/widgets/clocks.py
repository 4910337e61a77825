"""Pickers of dates and times. They show the clock time that is passed; of a moment also its zone."""

from __future__ import annotations

import datetime
from typing import Any

import ipywidgets as W

from nbflow.parameters import Text
from nbflow.widgets.controls import STYLE, Control
from nbflow.widgets.form import UNSET
from nbflow.widgets.kinds import bare_type


class DateControl(Control):
    """A calendar."""

    def build(self) -> W.Widget:
        return self.watched(W.DatePicker(**self.common))

    def read(self) -> Any:
        day = self.widget.value
        if day is None:
            return UNSET
        return Text(day.isoformat()) if bare_type(self.parameter) is str else day

    def write(self, form: Any) -> None:
        self.widget.value = _parse(datetime.date, form)


class TimeControl(Control):
    """A clock. A time with a zone keeps the zone of its default."""

    def build(self) -> W.Widget:
        self._zone: datetime.tzinfo | None = None
        return self.watched(W.TimePicker(step=1, **self.common))

    def read(self) -> Any:
        clock = self.widget.value
        return UNSET if clock is None else clock.replace(tzinfo=self._zone)

    def write(self, form: Any) -> None:
        clock = _parse(datetime.time, form)
        self._zone = clock.tzinfo if clock is not None else None
        self.widget.value = None if clock is None else clock.replace(tzinfo=None)


class DatetimeControl(Control):
    """A calendar with a clock, and the zone that the clock shows."""

    def build(self) -> W.Widget:
        self._zones: list[datetime.tzinfo | str | None] = [None, datetime.UTC, "local"]
        self._zone = self.watched(W.Dropdown(options=self._list_zones(), value=0, description="zone", style=STYLE))
        self._zone.add_class("nbflow-zone")
        self.beside = (self._zone,)
        return self.watched(W.NaiveDatetimePicker(**self.common))

    def _list_zones(self) -> list[tuple[str, int]]:
        here = datetime.datetime.now().astimezone().tzname()
        names: dict[Any, str] = {None: "no time zone", datetime.UTC: "UTC", "local": f"here ({here})"}
        return [(names.get(zone) or str(zone), place) for place, zone in enumerate(self._zones)]

    def read(self) -> Any:
        moment = self.widget.value
        if moment is None:
            return UNSET
        zone = self._zones[self._zone.value]
        return moment.astimezone() if zone == "local" else moment.replace(tzinfo=zone)

    def write(self, form: Any) -> None:
        moment = _parse(datetime.datetime, form)
        self.widget.value = None if moment is None else moment.replace(tzinfo=None)
        self._zone.value = 0 if moment is None else self._find_zone(moment)

    def _find_zone(self, moment: datetime.datetime) -> int:
        offset = moment.utcoffset()
        if offset is None:
            return 0
        if not offset:
            return 1
        zone = datetime.timezone(offset)
        if zone not in self._zones:
            self._zones.append(zone)
            self._zone.options = self._list_zones()
        return self._zones.index(zone)


def _parse(kind: Any, form: Any) -> Any:
    """The moment that a JSON form, a text or a typed value stands for; None where it is none."""
    if isinstance(form, kind):
        return form
    try:
        return kind.fromisoformat(str(form)) if isinstance(form, str) else None
    except ValueError:
        return None
