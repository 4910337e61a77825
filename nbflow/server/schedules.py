"""Schedules: made, changed, paused, and what they would do."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from nbflow.errors import UsageError
from nbflow.lifecycle import RunOptions
from nbflow.ports import RunFilter
from nbflow.project.loading import LoadedFlow, load_file
from nbflow.project.templates import make_moment, resolve_values
from nbflow.records import schedule_to_json
from nbflow.scheduling import Cron, Every, ScheduleRecord, cron, every, next_times
from nbflow.server.bodies import ScheduleChange, ScheduleRequest
from nbflow.server.handlers import ApiHandler
from nbflow.server.problems import Problem
from nbflow.server.queries import SchedulesQuery
from nbflow.server.reading import read, read_query
from nbflow.server.runs import StartingHandler, find_registered

if TYPE_CHECKING:
    from nbflow.project import Project
    from nbflow.server.service import Service

PLAIN = (
    "name",
    "timezone",
    "starts",
    "ends",
    "catchup",
    "catchup_limit",
    "overlap",
    "misfire_grace",
    "run_name",
    "paused",
)
SHOWN_RUNS = 5
SHOWN_TIMES = 5


def show_schedule(project: Project, schedule: ScheduleRecord) -> dict[str, Any]:
    """A schedule, its next times and its newest runs."""
    runs = project.list_runs(RunFilter(schedule_id=schedule.id, limit=SHOWN_RUNS))
    return schedule_to_json(schedule, runs=runs)


def read_when(request: ScheduleChange) -> Cron | Every | None:
    """Raises Problem."""
    given = request.model_fields_set & {"cron", "every"}
    if len(given) == 2:
        message = "give one of cron and every"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"every": message})
    try:
        return cron(request.cron) if "cron" in given else every(request.every) if given else None
    except UsageError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors={given.pop(): str(error)}) from None


def read_settings(
    service: Service, request: ScheduleChange, before: RunOptions, known: ScheduleRecord | None = None
) -> dict[str, Any]:
    """The fields of a ScheduleRecord that are given, *known* being what it has been. Raises Problem."""
    given = request.model_fields_set
    settings = {name: getattr(request, name) for name in PLAIN if name in given}
    settings = {name: value for name, value in settings.items() if value is not None or name in ("starts", "ends")}
    if request.tags is not None:
        settings["tags"] = tuple(request.tags)
    if request.options is not None:
        settings["options"] = service.take_options(request.options, before)
    starts, ends = (settings.get(name, getattr(known, name, None)) for name in ("starts", "ends"))
    if starts and ends and ends < starts:
        message = "it ends before it starts"
        raise Problem(HTTPStatus.CONFLICT, message, errors={"ends": message})
    when = read_when(request)
    return settings if when is None else {**settings, "when": when}


def _find_flow(service: Service, request: ScheduleRequest) -> LoadedFlow:
    given = request.model_fields_set
    if ("flow" in given) == ("path" in given):
        message = "give one of flow and path"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"flow": message})
    if "flow" in given:
        return find_registered(service, request.flow)
    return load_file(service.find_notebook(request.path))


def _require_when(settings: dict[str, Any]) -> Cron | Every:
    when: Cron | Every | None = settings.pop("when", None)
    if when is None:
        message = "required: cron or every"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"cron": message})
    return when


def _create(service: Service, request: ScheduleRequest) -> dict[str, Any]:
    flow = _find_flow(service, request)
    settings = read_settings(service, request, RunOptions())
    when = _require_when(settings)
    made = service.project.schedules.create(flow, when, request.parameters, **settings)
    service.line.wake()
    return show_schedule(service.project, made)


def _preview(service: Service, request: ScheduleRequest) -> dict[str, Any]:
    flow = _find_flow(service, request)
    settings = read_settings(service, request, RunOptions())
    when = _require_when(settings)
    schedule = service.project.schedules.prepare_new(flow, when, request.parameters, **settings)
    return _show_times(schedule, flow)


def _preview_change(service: Service, schedule_id: str, request: ScheduleChange) -> dict[str, Any]:
    schedules = service.project.schedules
    known, change = _read_change(service, schedule_id, request)
    schedule = schedules.prepare_change(known.id, **change)
    return _show_times(schedule, schedules.load(schedule))


def _show_times(schedule: ScheduleRecord, flow: LoadedFlow) -> dict[str, Any]:
    return {"next_times": [_show_time(schedule, flow, time) for time in next_times(schedule, _now(), SHOWN_TIMES)]}


def _show_time(schedule: ScheduleRecord, flow: LoadedFlow, time: datetime) -> dict[str, Any]:
    values = resolve_values(flow.declaration, schedule.parameters, make_moment(schedule, time, None))
    return {"time": time.astimezone(schedule.zone).isoformat(), "parameters": dict(values.json)}


def _now() -> datetime:
    return datetime.now(UTC)


def _read_change(service: Service, schedule_id: str, request: ScheduleChange) -> tuple[ScheduleRecord, dict[str, Any]]:
    """The schedule, and what is to become of it, as ``Schedules.edit`` takes it."""
    known = service.project.schedules.get(schedule_id)
    settings = read_settings(service, request, known.options, known)
    unset = [name for name in request.unset if name in known.parameters]
    return known, {"values": request.parameters, "unset": unset, **settings}


def _edit(service: Service, schedule_id: str, request: ScheduleChange) -> dict[str, Any]:
    known, change = _read_change(service, schedule_id, request)
    changed = service.project.schedules.edit(known.id, **change)
    service.line.wake()
    return show_schedule(service.project, changed)


class SchedulesHandler(ApiHandler):
    """All schedules."""

    async def get(self) -> None:
        query = read_query(SchedulesQuery, self.read_arguments())
        self.answer({"schedules": await self.call(_list, self.service, query.flow)})

    async def post(self) -> None:
        request = read(ScheduleRequest, self.read_json())
        made = await self.call(_create, self.service, request)
        self.answer(made, HTTPStatus.CREATED, headers={"Location": self.make_url(f"schedules/{made['id']}")})


def _list(service: Service, flow: str | None) -> list[dict[str, Any]]:
    names = () if flow is None else (flow, str(service.settings.folder / flow))
    return [show_schedule(service.project, schedule) for schedule in service.project.schedules.find(*names)]


class SchedulePreviewHandler(ApiHandler):
    """When a schedule would fire, and with which values; nothing is recorded."""

    async def post(self) -> None:
        request = read(ScheduleRequest, self.read_json())
        self.answer(await self.call(_preview, self.service, request))


class ScheduleHandler(ApiHandler):
    """One schedule, by its id, a beginning of it, or its name."""

    async def get(self, schedule_id: str) -> None:
        self.answer(await self.call(_show, self.project, schedule_id))

    async def patch(self, schedule_id: str) -> None:
        request = read(ScheduleChange, self.read_json())
        self.answer(await self.call(_edit, self.service, schedule_id, request))

    async def delete(self, schedule_id: str) -> None:
        await self.call(self.project.schedules.remove, schedule_id)
        self.answer_nothing()


def _show(project: Project, schedule_id: str) -> dict[str, Any]:
    """With why it could not run now, where it could not."""
    schedule = project.schedules.get(schedule_id)
    problem = project.schedules.find_problem(schedule)
    return {**show_schedule(project, schedule), "problem": str(problem) if problem else None}


class ScheduleChangePreviewHandler(ApiHandler):
    """When a schedule fires next, and with which values: as it is, or as it would be with changes."""

    async def post(self, schedule_id: str) -> None:
        request = read(ScheduleChange, self.read_json(optional=True))
        self.answer(await self.call(_preview_change, self.service, schedule_id, request))


class SchedulePauseHandler(ApiHandler):
    async def post(self, schedule_id: str) -> None:
        paused = await self.call(self.project.schedules.pause, schedule_id)
        self.answer(await self.call(show_schedule, self.project, paused))


class ScheduleUnpauseHandler(ApiHandler):
    async def post(self, schedule_id: str) -> None:
        going = await self.call(self.project.schedules.unpause, schedule_id)
        self.answer(await self.call(show_schedule, self.project, going))


class ScheduleRunHandler(StartingHandler):
    """A run with the schedule's values, now."""

    async def post(self, schedule_id: str) -> None:
        run = await self.call(self.project.schedules.run_now, schedule_id)
        self.answer_run(run, replayed=False)
