"""The schedules of a server: checked here as they are there, then asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbflow.errors import NbflowError, UsageError
from nbflow.lifecycle import RunOptions, RunRecord
from nbflow.project.loading import LoadedFlow
from nbflow.project.remote.reading import read_run, read_schedule
from nbflow.project.remote.requests import write_options, write_registered
from nbflow.project.remote.store import quote, refuse
from nbflow.project.schedules import Schedules
from nbflow.project.templates import check_values, make_moment
from nbflow.scheduling import Cron, ScheduleRecord, next_times
from nbflow.scheduling.records import When

if TYPE_CHECKING:
    from nbflow.project.remote import RemoteProject

_PLAIN = ("name", "timezone", "catchup", "catchup_limit", "overlap", "misfire_grace", "run_name", "paused")


class RemoteSchedules(Schedules):
    """What can be done with the schedules of a server."""

    def __init__(self, project: RemoteProject) -> None:
        super().__init__(project)
        self._connection = project.connection

    def get(self, schedule_id: str) -> ScheduleRecord:
        return read_schedule(self._connection.get(f"schedules/{quote(schedule_id)}"))

    def find(self, *flows: str) -> list[ScheduleRecord]:
        found = []
        for flow in flows or (None,):
            name = os.path.basename(flow) if flow and os.path.isfile(flow) else flow
            found += [read_schedule(each) for each in self._connection.get("schedules", flow=name)["schedules"]]
        return found

    def create(
        self, flow: LoadedFlow, when: When, values: Mapping[str, Any] | None = None, **settings: Any
    ) -> ScheduleRecord:
        body = {
            **write_registered(flow, "schedule"),
            **_write_when(when),
            **_write_settings(settings, RunOptions()),
            "parameters": _write_values(flow, when, values or {}, settings),
        }
        return read_schedule(self._connection.post("schedules", body))

    def prepare_new(
        self, flow: LoadedFlow, when: When, values: Mapping[str, Any] | None = None, **settings: Any
    ) -> ScheduleRecord:
        refuse(self._connection, "a schedule that is not recorded")

    def edit(
        self, schedule_id: str, *, values: Mapping[str, Any] | None = None, unset: Sequence[str] = (), **changes: Any
    ) -> ScheduleRecord:
        known = self.get(schedule_id)
        unknown = [name for name in unset if name not in known.parameters]
        if unknown:
            raise UsageError(f"schedule {known.name}: it gives no value to {', '.join(unknown)}")
        when = changes.get("when")
        body = {
            **({} if when is None else _write_when(when)),
            **_write_settings(changes, known.options),
            "unset": list(unset),
        }
        if values:
            kept = {name: value for name, value in known.parameters.items() if name not in unset}
            zone = {"timezone": known.timezone, **changes}
            checked = _write_values(self.load(known), when or known.when, {**kept, **values}, zone)
            body["parameters"] = {name: checked[name] for name in values}
        return read_schedule(self._connection.ask("PATCH", f"schedules/{known.id}", body=body).json)

    def pause(self, schedule_id: str) -> ScheduleRecord:
        return read_schedule(self._connection.post(f"schedules/{quote(schedule_id)}/pause", is_safe=True))

    def unpause(self, schedule_id: str) -> ScheduleRecord:
        return read_schedule(self._connection.post(f"schedules/{quote(schedule_id)}/unpause", is_safe=True))

    def remove(self, schedule_id: str) -> ScheduleRecord:
        known = self.get(schedule_id)
        self._connection.ask("DELETE", f"schedules/{known.id}")
        return known

    def load(self, schedule: ScheduleRecord) -> LoadedFlow:
        if os.path.isabs(schedule.flow):
            refuse(self._connection, f"reading {schedule.flow}")
        return super().load(schedule)

    def find_problem(self, schedule: ScheduleRecord) -> NbflowError | None:
        problem = self._connection.get(f"schedules/{schedule.id}").get("problem")
        return UsageError(problem) if problem else None

    def run_now(self, schedule_id: str, *, detach: bool = False) -> RunRecord:
        return read_run(self._connection.post(f"schedules/{quote(schedule_id)}/run"))


def _write_when(when: When) -> dict[str, Any]:
    if isinstance(when, Cron):
        return {"cron": when.expression}
    if when.anchor is not None:
        raise UsageError("every(..., anchor=...): a server counts from the schedule's start; give starts instead")
    return {"every": when.seconds}


def _write_settings(settings: Mapping[str, Any], before: RunOptions) -> dict[str, Any]:
    told = {name: settings[name] for name in _PLAIN if settings.get(name) is not None}
    if "timezone" in told:
        told["timezone"] = str(told["timezone"])
    for name in ("starts", "ends"):
        if name in settings:
            told[name] = _write_time(name, settings[name])
    if settings.get("tags") is not None:
        told["tags"] = list(settings["tags"])
    if settings.get("options") is not None:
        told["options"] = write_options(settings["options"], before=before)
    return told


def _write_time(name: str, time: datetime | None) -> str | None:
    if time is not None and time.tzinfo is None:
        raise UsageError(f"{name} = {time}: it has no timezone; add one, such as .astimezone()")
    return time.isoformat() if time else None


def _write_values(
    flow: LoadedFlow, when: When, values: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The values as a schedule keeps them. Raises ParameterError, UsageError."""
    from nbflow.scheduling.records import check_timezone

    now = datetime.now(UTC)
    draft = ScheduleRecord(
        id="",
        name=flow.label,
        flow=flow.reference,
        when=when,
        created=now,
        timezone=check_timezone(settings.get("timezone") or "UTC"),
        starts=settings.get("starts"),
        ends=settings.get("ends"),
    )
    following = next_times(draft, now, 1)
    checked = check_values(flow.declaration, values, make_moment(draft, following[0] if following else now, None))
    # Where a secret is read is a matter of the server's machine.
    references = {one.name for one in flow.declaration.parameters if one.secret and one.name in values}
    return {name: str(values[name]) if name in references else value for name, value in checked.items()}
