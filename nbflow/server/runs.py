"""Runs: asked for, listed, shown, ended, tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.errors import NotFoundError
from nbflow.lifecycle import RunOptions, RunRecord, RunState
from nbflow.notebooks import read_notebook
from nbflow.parameters.values import MASK
from nbflow.ports import RunFilter
from nbflow.project.loading import LoadedFlow, load_file
from nbflow.records import attempt_to_json, run_to_json
from nbflow.server.bodies import (
    CancelRequest,
    RenameRequest,
    RerunRequest,
    RunRequest,
    StartRequest,
    WaitingRequest,
)
from nbflow.server.flows import load_version, to_content
from nbflow.server.handlers import MAX_UPLOAD, ApiHandler
from nbflow.server.idempotency import Once
from nbflow.server.problems import Problem
from nbflow.server.queries import ColumnsQuery, RunsQuery, VersionQuery
from nbflow.server.reading import read, read_query
from nbflow.server.values import take_values

if TYPE_CHECKING:
    from nbflow.project import Project
    from nbflow.project.submission import Parent
    from nbflow.server.service import Service


class StartingHandler(ApiHandler):
    """Something that makes a run: once for an ``Idempotency-Key``."""

    @property
    def once(self) -> Once:
        """Raises Problem for a key that is none."""
        return Once(self.project, self.request.headers.get("Idempotency-Key"))

    def check_request(self, request: RunRequest) -> None:
        """Raises Problem where the server is an app, whose form could not ask for this."""
        scope = self.service.settings.scope
        if scope is not None:
            scope.check(request)

    def answer_run(self, run: RunRecord, *, replayed: bool) -> None:
        made = not replayed and run.state is not RunState.SKIPPED
        headers = {"Location": self.make_url(f"runs/{run.id}")}
        if replayed:
            headers["Idempotent-Replay"] = "true"
        self.answer(run_to_json(run), HTTPStatus.CREATED if made else HTTPStatus.OK, headers=headers)


def start(
    once: Once, service: Service, flow: LoadedFlow, request: RunRequest, body: Mapping[str, Any]
) -> tuple[RunRecord, bool]:
    """The run that is asked for, and whether it had been made before. Raises as ``Project.submit`` does."""
    asked = [flow.reference, flow.notebook.hash, hide_secrets(flow, body)]
    return once.make(asked, lambda run_id: submit(service, flow, request, run_id))


def hide_secrets(flow: LoadedFlow, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a request as it may be kept."""
    secret = {parameter.name for parameter in flow.declaration.parameters if parameter.secret}
    given = body.get("parameters", {})
    return {**body, "parameters": {name: MASK if name in secret else value for name, value in given.items()}}


def submit(service: Service, flow: LoadedFlow, request: RunRequest, run_id: str | None) -> RunRecord:
    """Record the run. Raises as ``Project.submit`` does."""
    return service.project.submit(
        flow,
        take_values(flow, request.parameters, refers=service.settings.scope is None),
        service.take_options(request.options, RunOptions()),
        name=request.name,
        tags=request.tags,
        skip_completed=request.skip_completed,
        parent=find_parent(service.project, request.parent_id),
        run_id=run_id,
    )


def find_parent(project: Project, parent_id: str | None) -> Parent | None:
    from nbflow.project.submission import Parent

    if parent_id is None:
        return None
    run = project.get_run(parent_id)
    return Parent(id=run.id, root_id=run.root_id, depth=run.depth)


class FlowRunsHandler(StartingHandler):
    """The runs of a registered flow."""

    async def post(self, project: str, name: str) -> None:
        query = read_query(VersionQuery, self.read_arguments())
        body = self.read_json(optional=True)
        request = read(RunRequest, body)
        self.check_request(request)
        flow = await self.call(load_version, self.project, f"{project}/{name}", query.version)
        run, replayed = await self.call(start, self.once, self.service, flow, request, body)
        self.answer_run(run, replayed=replayed)


class RunsHandler(StartingHandler):
    """All runs."""

    max_body = MAX_UPLOAD

    async def get(self) -> None:
        wanted = read_filter(self.service, read_query(RunsQuery, self.read_arguments()))
        runs = await self.call(self.project.list_runs, wanted)
        more = len(runs) == wanted.limit and bool(runs)
        self.answer({"runs": [run_to_json(run) for run in runs], "next": str(runs[-1].sequence) if more else None})

    async def post(self) -> None:
        body = self.read_json()
        request = read(StartRequest, body)
        self.check_request(request)
        flow = await self.call(find_flow, self.service, request, body)
        run, replayed = await self.call(start, self.once, self.service, flow, request, body)
        self.answer_run(run, replayed=replayed)


def find_flow(service: Service, request: StartRequest, body: Mapping[str, Any]) -> LoadedFlow:
    """The flow that is meant. Raises Problem, NotFoundError, NotebookError."""
    given = [name for name in ("flow", "path", "notebook") if name in request.model_fields_set]
    match given:
        case ["flow"]:
            return find_registered(service, request.flow)
        case ["path"]:
            return load_file(service.find_notebook(request.path))
        case ["notebook"]:
            return _take_notebook(service, request.label, body["notebook"])
    message = f"give exactly one of flow, path and notebook; there are {', '.join(given) or 'none'}"
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={given[0] if given else "flow": message})


def find_registered(service: Service, reference: str) -> LoadedFlow:
    """``project/name`` or ``project/name@3``; never a path. Raises NotFoundError."""
    from nbflow.flows import is_flow_name

    name, _, number = reference.partition("@")
    if not is_flow_name(name) or (number and not (number.isdecimal() and number.isascii() and len(number) < 10)):
        raise NotFoundError(f"flow {reference!r}: expected PROJECT/NAME or PROJECT/NAME@VERSION")
    return load_version(service.project, name, int(number) if number else None)


def _take_notebook(service: Service, label: str | None, notebook: Mapping[str, Any]) -> LoadedFlow:
    """A notebook that came with the request: its kernel works in the server's folder, or where the label says below it."""
    source = service.settings.folder / f"{(label or 'notebook').removesuffix('.ipynb')}.ipynb"
    if not source.parent.is_dir():
        source = service.settings.folder / source.name
    return LoadedFlow(label=source.stem, notebook=read_notebook(to_content(notebook)), source_path=source)


def read_filter(service: Service, query: RunsQuery) -> RunFilter:
    """The query as the store takes it."""
    flow = query.flow
    if flow is not None and flow.endswith(".ipynb") and not Path(flow).is_absolute():
        flow = str(service.settings.folder / flow)
    return RunFilter(
        states=tuple(query.state),
        flow=flow,
        tags=tuple(query.tag),
        name=query.name,
        values=tuple((name, text) for name, _, text in (one.partition("=") for one in query.parameter)),
        parent_id=query.parent_id,
        root_id=query.root_id,
        schedule_id=query.schedule_id,
        backfill_id=query.backfill_id,
        sequences=tuple(query.sequence) or None,
        created_after=query.since,
        created_before=query.until,
        after_sequence=int(query.cursor) if query.cursor else None,
        limit=query.limit,
        oldest_first=query.order == "oldest",
    )


class RunCountsHandler(ApiHandler):
    """How many runs there are, by state."""

    async def get(self) -> None:
        wanted = read_filter(self.service, read_query(RunsQuery, self.read_arguments()))
        found = await self.call(self.project.store.count_runs, wanted)
        counts = {state.value: found.get(state, 0) for state in RunState}
        self.answer({"counts": counts, "total": sum(counts.values())})


class RunColumnsHandler(ApiHandler):
    """Some fields of many runs, each as one list: for tables, at a fraction of what whole runs cost."""

    async def get(self) -> None:
        query = read_query(ColumnsQuery, self.read_arguments())
        wanted = read_filter(self.service, query)
        names = list(dict.fromkeys([*query.field, "sequence"]))
        columns = await self.call(self.project.store.list_columns, wanted, names)
        sequences = columns["sequence"]
        more = len(sequences) == wanted.limit
        told = {name: columns[name] for name in dict.fromkeys(query.field)}
        self.answer({"columns": told, "next": str(sequences[-1]) if more else None})


class RunHandler(ApiHandler):
    """One run, by its id or an unambiguous beginning of it."""

    async def get(self, run_id: str) -> None:
        self.answer(await self.call(_show, self.project, run_id))

    async def patch(self, run_id: str) -> None:
        request = read(RenameRequest, self.read_json())
        self.answer(run_to_json(await self.call(self.project.rename, run_id, request.name)))


def _show(project: Project, run_id: str) -> dict[str, Any]:
    run = project.get_run(run_id)
    return {**run_to_json(run), "tries": [attempt_to_json(each) for each in project.store.list_attempts(run.id)]}


class RunTreeHandler(ApiHandler):
    """All runs of the tree that a run belongs to, oldest first."""

    async def get(self, run_id: str) -> None:
        self.answer({"runs": [run_to_json(run) for run in await self.call(_list_tree, self.project, run_id)]})


def _list_tree(project: Project, run_id: str) -> list[RunRecord]:
    root_id = project.get_run(run_id).root_id
    return project.list_runs(RunFilter(root_id=root_id, limit=10_000, oldest_first=True))


class RunCancelHandler(ApiHandler):
    async def post(self, run_id: str) -> None:
        request = read(CancelRequest, self.read_json(optional=True))
        run = await self.call(self.project.cancel, run_id, reason=request.reason, hurry=request.hurry)
        self.answer(run_to_json(run), HTTPStatus.ACCEPTED)


class RunWaitingHandler(ApiHandler):
    """Its notebook waits for the runs that it asked for here, or no longer does."""

    async def post(self, run_id: str) -> None:
        request = read(WaitingRequest, self.read_json())
        await self.call(_set_waiting, self.project, run_id, request)
        self.answer_nothing()


def _set_waiting(project: Project, run_id: str, request: WaitingRequest) -> None:
    run = project.get_run(run_id)
    if request.attempt > run.attempts:
        raise NotFoundError(f"run {run.id}: it has no attempt {request.attempt}")
    project.store.set_waiting(f"{run.id}.{request.attempt}", request.waiting)


class RunHooksHandler(ApiHandler):
    """What was recorded of the hooks that were told of it."""

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        self.answer({"hooks": await self.call(self.project.read_hooks, run.id)})


class RunRetryHandler(ApiHandler):
    async def post(self, run_id: str) -> None:
        run = await self.call(self.project.retry, run_id)
        self.answer(run_to_json(run), HTTPStatus.ACCEPTED)


class RunRerunHandler(StartingHandler):
    """The same notebook with the same values, some of them replaced."""

    async def post(self, run_id: str) -> None:
        body = self.read_json(optional=True)
        request = read(RerunRequest, body)
        run, replayed = await self.call(_rerun, self.once, self.service, run_id, request, body)
        self.answer_run(run, replayed=replayed)


def _rerun(
    once: Once, service: Service, run_id: str, request: RerunRequest, body: Mapping[str, Any]
) -> tuple[RunRecord, bool]:
    project = service.project
    before = project.get_run(run_id)
    flow = project.load_run(before.id)
    values = take_values(flow, request.parameters)
    kept = replace(before.options, output=None)
    options = None if request.options is None else service.take_options(request.options, kept)

    parent = find_parent(project, request.parent_id)

    def make(new_id: str | None) -> RunRecord:
        return project.rerun(
            before.id,
            values,
            options=options,
            name=request.name,
            tags=request.tags,
            parent=parent,
            new_id=new_id,
        )

    return once.make([before.id, hide_secrets(flow, body)], make)
