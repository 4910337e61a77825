"""Backfills: planned, recorded, watched, held back, ended and taken up again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbflow.backfilling.axes import read_axis
from nbflow.errors import RowError
from nbflow.lifecycle import RunOptions, RunState
from nbflow.ports import RunFilter
from nbflow.project.loading import LoadedFlow, load_file
from nbflow.project.tables import read_table
from nbflow.records import backfill_to_json, plan_to_json, run_to_json
from nbflow.server.backfill_bodies import (
    MAX_ROWS,
    Axis,
    BackfillQuery,
    BackfillRequest,
    BackfillRunsQuery,
    BackfillsQuery,
    CancelBackfillRequest,
    ResumeRequest,
    Span,
)
from nbflow.server.handlers import MAX_UPLOAD, ApiHandler
from nbflow.server.problems import Problem
from nbflow.server.reading import read, read_query
from nbflow.server.runs import find_parent, find_registered
from nbflow.server.values import take_values

if TYPE_CHECKING:
    from nbflow.backfilling import Snapshot
    from nbflow.project import Project
    from nbflow.project.backfills import Started
    from nbflow.server.service import Service

PLAIN = (
    "name",
    "run_name",
    "tags",
    "priority",
    "max_active_runs",
    "max_failures",
    "run_backwards",
    "reprocess_behavior",
    "skip_completed",
)


class BackfillsHandler(ApiHandler):
    """All backfills, newest first."""

    max_body = MAX_UPLOAD

    async def get(self) -> None:
        query = read_query(BackfillsQuery, self.read_arguments())
        self.answer({"backfills": await self.call(_list, self.service, query)})

    async def post(self) -> None:
        """With ``dry_run`` what would become of each row, and nothing is recorded."""
        request = read(BackfillRequest, self.read_json())
        told, status = await self.call(_create, self.service, request)
        self.answer(told, status)


def _list(service: Service, query: BackfillsQuery) -> list[dict[str, Any]]:
    flow = query.flow
    if flow is not None and flow.endswith(".ipynb"):
        flow = str(service.settings.folder / flow)
    return [backfill_to_json(snapshot) for snapshot in service.project.backfills.look_all(flow, limit=query.limit)]


def _create(service: Service, request: BackfillRequest) -> tuple[dict[str, Any], HTTPStatus]:
    flow = _find_flow(service, request)
    call: dict[str, Any] = {
        **_read_values(flow, request),
        **{name: getattr(request, name) for name in PLAIN if name in request.model_fields_set},
        "options": service.take_options(request.options, RunOptions()),
        "parent": find_parent(service.project, request.parent_id),
    }
    backfills = service.project.backfills
    try:
        if request.dry_run:
            return plan_to_json(backfills.plan(flow, **call)), HTTPStatus.OK
        started = backfills.create(flow, **call, detach=True)
    except RowError as error:
        raise _refuse_rows(error) from None
    return _tell(service.project, started), HTTPStatus.CREATED


def _tell(project: Project, started: Started) -> dict[str, Any]:
    """The backfill, what the call did, and whether rows are begun because of it."""
    told = backfill_to_json(project.backfills.look(started.backfill.id), message=started.message)
    return {**told, "goes_on": started.goes_on}


def _refuse_rows(error: RowError) -> Problem:
    """One message for each parameter, with the first row in which it is wrong; and all of them, by row and parameter."""
    errors: dict[str, str] = {}
    for fault in error.row_faults:
        errors.setdefault(fault.fault.parameter, str(fault))
    rows = [
        {"row": one.row, "rows": one.rows, "parameter": one.fault.parameter, "message": one.fault.message}
        for one in error.row_faults
    ]
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=errors, kind=RowError.__name__, more={"rows": rows}
    )


def _find_flow(service: Service, request: BackfillRequest) -> LoadedFlow:
    given = request.model_fields_set
    if ("flow" in given) == ("path" in given):
        message = "give one of flow and path"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"flow": message})
    return find_registered(service, request.flow) if "flow" in given else load_file(service.find_notebook(request.path))


def _read_values(flow: LoadedFlow, request: BackfillRequest) -> dict[str, Any]:
    constants = take_values(flow, request.parameters)
    # A list is an axis to who makes backfills; here it is a value, and the axes are told apart.
    values = {name: [value] if isinstance(value, list) else value for name, value in constants.items()}
    values |= {name: _read_axis(name, axis) for name, axis in request.axes.items()}
    return {"values": values, "rows": _read_rows(flow, request), "exclude": request.exclude or None}


def _read_rows(flow: LoadedFlow, request: BackfillRequest) -> Iterable[Mapping[str, Any]] | None:
    if request.table is None:
        return None if request.rows is None else [take_values(flow, row) for row in request.rows]
    if request.rows is not None:
        message = "give one of rows and table"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"table": message})
    return read_table(request.table, most=MAX_ROWS)


def _read_axis(name: str, axis: Axis) -> Any:
    if isinstance(axis, Span):
        return read_axis(name, f"{axis.first}..{axis.last}", axis.step)
    return read_axis(name, axis) if isinstance(axis, str) else axis


class BackfillHandler(ApiHandler):
    """One backfill, by its id, a beginning of it, or its name."""

    async def get(self, backfill_id: str) -> None:
        self.answer(await self.call(_show, self.project, backfill_id))


def _show(project: Project, backfill_id: str) -> dict[str, Any]:
    return backfill_to_json(project.backfills.look(backfill_id))


class BackfillPauseHandler(ApiHandler):
    async def post(self, backfill_id: str) -> None:
        backfill = await self.call(self.project.backfills.pause, backfill_id)
        self.answer(await self.call(_show, self.project, backfill.id))


class BackfillUnpauseHandler(ApiHandler):
    async def post(self, backfill_id: str) -> None:
        backfill = await self.call(self.project.backfills.unpause, backfill_id)
        self.answer(await self.call(_show, self.project, backfill.id))


class BackfillCancelHandler(ApiHandler):
    async def post(self, backfill_id: str) -> None:
        request = read(CancelBackfillRequest, self.read_json(optional=True))
        snapshot = await self.call(_end, self.project, backfill_id, request)
        self.answer(backfill_to_json(snapshot), HTTPStatus.ACCEPTED)


def _end(project: Project, backfill_id: str, request: CancelBackfillRequest) -> Snapshot:
    if request.reason == "user":
        return project.backfills.cancel(backfill_id, hurry=request.hurry)
    return project.backfills.interrupt(backfill_id, reason=request.reason, hurry=request.hurry)


class BackfillResumeHandler(ApiHandler):
    """What is missing is run; the answer tells of the backfill that does it, which may be a new one."""

    async def post(self, backfill_id: str) -> None:
        request = read(ResumeRequest, self.read_json(optional=True))
        self.answer(await self.call(_resume, self.project, backfill_id, request), HTTPStatus.ACCEPTED)


def _resume(project: Project, backfill_id: str, request: ResumeRequest) -> dict[str, Any]:
    try:
        started = project.backfills.resume(
            backfill_id,
            reprocess_behavior=request.reprocess_behavior,
            detach=True,
            max_active_runs=request.max_active_runs,
            max_failures=request.max_failures,
        )
    except RowError as error:
        raise _refuse_rows(error) from None
    return _tell(project, started)


class BackfillRunsHandler(ApiHandler):
    """Its runs in the order of its rows, in pages."""

    async def get(self, backfill_id: str) -> None:
        query = read_query(BackfillRunsQuery, self.read_arguments())
        backfill = await self.call(self.project.backfills.get, backfill_id)
        wanted = RunFilter(
            backfill_id=backfill.id,
            states=tuple(query.state),
            after_sequence=int(query.cursor) if query.cursor else None,
            limit=query.limit,
            oldest_first=True,
        )
        runs = await self.call(self.project.list_runs, wanted)
        shown = [{**run_to_json(run), "row": run.backfill_row} for run in runs]
        self.answer({"runs": shown, "next": str(runs[-1].sequence) if len(runs) == query.limit else None})


class BackfillGridHandler(ApiHandler):
    """Every row in few words, for a picture of all: its number, run, state and the values of the axes."""

    async def get(self, backfill_id: str) -> None:
        query = read_query(BackfillQuery, self.read_arguments())
        self.answer(await self.call(_list_cells, self.project, backfill_id, query.limit))


def _list_cells(project: Project, backfill_id: str, limit: int) -> dict[str, Any]:
    backfill = project.backfills.get(backfill_id)
    pages = project.backfills.backfiller.read_rows(backfill, RunState)
    runs = islice((run for page in pages for run in page), limit)
    cells = [[run.backfill_row, run.id, run.state.value, _pick(run.parameters, backfill.axes)] for run in runs]
    return {"axes": list(backfill.axes), "cells": cells}


def _pick(parameters: Mapping[str, Any], names: tuple[str, ...]) -> list[Any]:
    return [parameters.get(name) for name in names]


class BackfillFrameHandler(ApiHandler):
    """The table of results as CSV."""

    async def get(self, backfill_id: str) -> None:
        text = await self.call(_write_frame, self.project, backfill_id)
        self.set_attachment_header(f"backfill-{backfill_id}.csv")
        self.finish_as(text.encode("utf-8", "backslashreplace"), "text/csv; charset=utf-8")


def _write_frame(project: Project, backfill_id: str) -> str:
    from nbflow.api.backfills import Backfill

    frame = Backfill(project.backfills.get(backfill_id), project).to_frame()
    return str(frame.to_csv(index=False))
