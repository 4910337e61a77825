"""The OpenAPI description: the table of operations, and one typed path for each registered flow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from nbflow import __version__
from nbflow.server import bodies, fields
from nbflow.server.handlers import ApiHandler
from nbflow.server.operations import JSON, NOTEBOOK, OPERATIONS, Operation
from nbflow.server.shapes import SHAPES, ref

if TYPE_CHECKING:
    from nbflow.flows import FlowVersion

PATH_PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "project": {"type": "string", "pattern": fields.PROJECT_PATTERN},
    "name": {"type": "string", "pattern": fields.PROJECT_PATTERN},
    "run_id": {"type": "string", "pattern": "^[0-9a-f]{4,32}$"},
    "backfill_id": {"type": "string", "pattern": "^[0-9a-zA-Z._-]{1,100}$"},
    "schedule_id": {"type": "string", "pattern": "^[0-9a-zA-Z._-]{1,100}$"},
    "key": {"type": "string", "pattern": fields.PLAIN_KEY},
}


class OpenApiHandler(ApiHandler):
    """The description, with the flows that there are now."""

    async def get(self) -> None:
        flows = await self.call(self.project.list_flows)
        self.answer(describe_api(flows, f"{self.base_url}nbflow/api"))


def describe_api(flows: Iterable[FlowVersion], url: str) -> dict[str, Any]:
    """OpenAPI 3.1 as JSON."""
    schemas: dict[str, Any] = deepcopy(dict(SHAPES))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation, schemas)
    for flow in flows:
        paths[f"/flows/{flow.full_name}/runs"] = {"post": _describe_flow(flow, schemas)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nbflow",
            "version": __version__,
            "description": "Notebooks as flows: run, scheduled and watched.",
        },
        "servers": [{"url": url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "The server's token."}},
            "responses": {
                "Problem": {
                    "description": "What is wrong",
                    "content": _content("application/problem+json", ref("Problem")),
                }
            },
        },
    }


def _describe(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": _name(operation.method, operation.path),
        "summary": operation.summary,
        "tags": [operation.path.split("/")[1].partition(".")[0]],
        "responses": _list_answers(operation),
    }
    names = re.findall(r"{(\w+)}", operation.path)
    parameters: list[Any] = [
        {"name": name, "in": "path", "required": True, "schema": PATH_PARAMETERS[name]} for name in names
    ]
    parameters += _list_query(operation.query, schemas)
    parameters += [_describe_header(name, text) for name, text in operation.headers.items()]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        schema = _take_schema(operation.body, schemas)
        told["requestBody"] = {"required": operation.needs_body, "content": _content(JSON, schema)}
    elif operation.method in ("put",):
        schema = _take_schema(bodies.NotebookBody, schemas) if operation.takes == NOTEBOOK else {}
        told["requestBody"] = {"required": True, "content": _content(operation.takes, schema)}
    return told


def _describe_flow(flow: FlowVersion, schemas: dict[str, Any]) -> dict[str, Any]:
    """``POST`` of a run, with the flow's own parameters."""
    generic = next(
        one for one in OPERATIONS if one.path.endswith("/runs") and one.method == "post" and "{name}" in one.path
    )
    told = _describe(generic, schemas)
    told["operationId"] = _name("run", flow.full_name)
    told["summary"] = f"Run {flow.full_name}"
    told["parameters"] = [one for one in told["parameters"] if one["in"] == "header"]
    parameters = {key: value for key, value in flow.schema.items() if key != "$schema"}
    body = deepcopy(schemas["RunRequest"])
    body["properties"] = {**body["properties"], "parameters": parameters}
    required = bool(flow.schema.get("required"))
    body["required"] = ["parameters"] if required else []
    told["requestBody"] = {"required": required, "content": _content(JSON, body)}
    return told


def _list_answers(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, what in operation.answers.items():
        answers[str(status)] = {"description": "Done"}
        if what is not None:
            answers[str(status)]["content"] = _content(what if "/" in what else JSON, _find_shape(what))
    for path, shape in (("/logs", "Log"), ("/events", "Events")):
        if operation.path.endswith(path):
            answers["200"]["content"] |= _content(JSON, ref(shape))
    answers["4XX"] = {"$ref": "#/components/responses/Problem"}
    answers["503"] = {"$ref": "#/components/responses/Problem"}
    return answers


def _find_shape(what: str) -> dict[str, Any]:
    if "/" not in what:
        return ref(what)
    return {"type": "object"} if what == NOTEBOOK else {"type": "string"}


def _list_query(model: type[BaseModel] | None, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _strip(one)}
        for name, one in schema["properties"].items()
    ]


def _strip(schema: dict[str, Any]) -> dict[str, Any]:
    """A field that may be left out, as the query has it: there is no null."""
    kept = [member for member in schema.get("anyOf", ()) if member.get("type") != "null"]
    bare = {key: value for key, value in schema.items() if key not in ("anyOf", "title", "default")}
    return {**bare, **kept[0]} if len(kept) == 1 else {key: value for key, value in schema.items() if key != "title"}


def _describe_header(name: str, text: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"}  # what HTTP leaves of blanks around it
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _take_schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    schemas[model.__name__] = schema
    return ref(model.__name__)


def _content(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": dict(schema)}}


def _name(method: str, path: str) -> str:
    words = [word for word in re.split(r"\W+", path) if word]
    return "_".join([method, *words])
