"""Flows: registered by path or by upload, shown with their parameters, and asked whether values would do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.errors import NotFoundError
from nbflow.flows import check_name
from nbflow.notebooks import read_notebook, write_atomically
from nbflow.parameters.values import dumps_strict
from nbflow.project.loading import LoadedFlow, load_file, load_registered, notebook_to_json
from nbflow.records import finding_to_json, flow_to_json, parameter_to_json
from nbflow.server.bodies import CheckRequest, LimitRequest, NotebookBody, RegisterRequest
from nbflow.server.handlers import MAX_UPLOAD, ApiHandler
from nbflow.server.problems import Problem
from nbflow.server.queries import FlowsQuery, PathQuery, VersionQuery
from nbflow.server.reading import read, read_query
from nbflow.server.values import take_values

if TYPE_CHECKING:
    from nbflow.flows import FlowVersion
    from nbflow.project import Project
    from nbflow.server.service import Service


def load_version(project: Project, full_name: str, version: int | None) -> LoadedFlow:
    """A registered flow: never a file that happens to have this name. Raises NotFoundError."""
    return load_registered(full_name, project.store, version=version)


def describe_flow(project: Project, loaded: LoadedFlow) -> dict[str, Any]:
    """A registered flow with everything that a form or a program wants to know."""
    version = loaded.version
    assert version is not None
    return {
        **flow_to_json(version),
        "language": loaded.notebook.language,
        "kernel": loaded.notebook.kernel_name,
        "schema": loaded.declaration.json_schema(),
        "parameters": [parameter_to_json(parameter) for parameter in loaded.declaration.parameters],
        "versions": [flow_to_json(one) for one in project.list_versions(version.project, version.name)],
        "drift": [finding_to_json(finding, version.source_path) for finding in project.find_drift(version)],
    }


def describe_notebook(loaded: LoadedFlow) -> dict[str, Any]:
    """A notebook that is not registered."""
    shown = notebook_to_json(loaded)
    return {**shown, "schema": shown.pop("json_schema")}


def keep_upload(service: Service, project: str, name: str, notebook: bytes) -> Path:
    """The file of a notebook that came by HTTP, in the home of the store. Raises NotebookError."""
    read_notebook(notebook)
    path = service.project.config.home / "uploads" / project / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, [notebook], private=True)
    return path


def upload(service: Service, project: str, name: str, notebook: bytes) -> tuple[FlowVersion, bool]:
    check_name(project, "project")
    check_name(name, "flow name")
    return service.project.register(keep_upload(service, project, name, notebook), project=project, name=name)


class FlowsHandler(ApiHandler):
    """All flows."""

    max_body = MAX_UPLOAD

    async def get(self) -> None:
        query = read_query(FlowsQuery, self.read_arguments())
        found = await self.call(self.project.list_flows, query.project)
        self.answer({"flows": [flow_to_json(version) for version in found]})

    async def post(self) -> None:
        body = self.read_json()
        request = read(RegisterRequest, body)
        version, new = await self.call(_register, self.service, request, body)
        self.answer(
            await self.call(_describe, self.project, version.full_name, None),
            HTTPStatus.CREATED if new else HTTPStatus.OK,
            headers={"Location": self.make_url(f"flows/{version.full_name}")},
        )


def _register(service: Service, request: RegisterRequest, body: Mapping[str, Any]) -> tuple[FlowVersion, bool]:
    given = request.model_fields_set
    if ("path" in given) == ("notebook" in given):
        message = "give one of path and notebook"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message, errors={"path": message})
    if "path" in given:
        path = service.find_notebook(request.path)
        return service.project.register(path, project=request.project, name=request.name or None)
    if "name" not in given:
        message = "required where the notebook itself is sent"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"name: {message}", errors={"name": message})
    return upload(service, request.project, request.name, to_content(body["notebook"]))


def to_content(notebook: Mapping[str, Any]) -> bytes:
    """A notebook that was a part of a JSON body as the file it would be."""
    return dumps_strict(notebook).encode("ascii")


def _describe(project: Project, full_name: str, version: int | None) -> dict[str, Any]:
    return describe_flow(project, load_version(project, full_name, version))


class FlowHandler(ApiHandler):
    """One flow; its newest version, or ``?version=``."""

    max_body = MAX_UPLOAD

    async def get(self, project: str, name: str) -> None:
        query = read_query(VersionQuery, self.read_arguments())
        self.answer(await self.call(_describe, self.project, f"{project}/{name}", query.version))

    async def put(self, project: str, name: str) -> None:
        """The body is the notebook."""
        read(NotebookBody, self.read_json())
        version, new = await self.call(upload, self.service, project, name, self.body)
        self.answer(
            await self.call(_describe, self.project, version.full_name, None),
            HTTPStatus.CREATED if new else HTTPStatus.OK,
        )

    async def delete(self, project: str, name: str) -> None:
        await self.call(self.project.remove_flow, project, name)
        self.answer_nothing()


class FlowVersionsHandler(ApiHandler):
    async def get(self, project: str, name: str) -> None:
        found = await self.call(self.project.list_versions, project, name)
        if not found:
            raise NotFoundError(f"flow {project}/{name}: there is no such flow")
        self.answer({"versions": [flow_to_json(version) for version in found]})


class FlowSchemaHandler(ApiHandler):
    """The JSON Schema of the values."""

    async def get(self, project: str, name: str) -> None:
        query = read_query(VersionQuery, self.read_arguments())
        loaded = await self.call(load_version, self.project, f"{project}/{name}", query.version)
        self.answer(await self.call(loaded.declaration.json_schema))


class FlowNotebookHandler(ApiHandler):
    """The notebook as it was registered."""

    async def get(self, project: str, name: str) -> None:
        query = read_query(VersionQuery, self.read_arguments())
        loaded = await self.call(load_version, self.project, f"{project}/{name}", query.version)
        self.send_notebook(loaded.notebook.content, f"{name}.ipynb")


class FlowCheckHandler(ApiHandler):
    """Whether values would do, and what they would be."""

    async def post(self, project: str, name: str) -> None:
        query = read_query(VersionQuery, self.read_arguments())
        request = read(CheckRequest, self.read_json(optional=True))
        loaded = await self.call(load_version, self.project, f"{project}/{name}", query.version)
        refers = self.service.settings.scope is None
        values = await self.call(_check, loaded, request, refers)
        self.answer({"parameters": values})


def _check(loaded: LoadedFlow, request: CheckRequest, refers: bool) -> dict[str, Any]:
    return dict(loaded.declaration.validate(take_values(loaded, request.parameters, refers=refers)).json)


class LimitsHandler(ApiHandler):
    """How many runs of a flow may go on at once, by its name, where that is limited."""

    async def get(self) -> None:
        self.answer({"limits": await self.call(self.project.list_flow_limits)})

    async def put(self) -> None:
        request = read(LimitRequest, self.read_json())
        flow = await self.call(load_version, self.project, request.flow, None)
        await self.call(self.project.set_flow_limit, flow.reference, request.limit)
        self.answer({"limits": await self.call(self.project.list_flow_limits)})


class NotebookHandler(ApiHandler):
    """A notebook below the server's folder that need not be registered."""

    async def get(self) -> None:
        query = read_query(PathQuery, self.read_arguments())
        self.answer(await self.call(_inspect, self.service, query.path))


def _inspect(service: Service, path: str) -> dict[str, Any]:
    return describe_notebook(load_file(service.find_notebook(path)))
