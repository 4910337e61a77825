"""What answers look like: JSON Schemas of the objects in nbflow.records, for the OpenAPI description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbflow.lifecycle import AttemptState, RunState

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer"}
NUMBER: Shape = {"type": "number"}
FLAG: Shape = {"type": "boolean"}
TIME: Shape = {"type": "string", "format": "date-time"}
ANY: Shape = {}
FREE: Shape = {"type": "object", "additionalProperties": True}
TEXTS: Shape = {"type": "array", "items": TEXT}


def maybe(shape: Shape) -> Shape:
    """The shape, or null."""
    return {"anyOf": [shape, {"type": "null"}]}


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def many(name: str) -> Shape:
    return {"type": "array", "items": ref(name)}


def record(properties: Mapping[str, Shape], **more: Any) -> Shape:
    """An object that has all these properties."""
    return {"type": "object", "properties": dict(properties), "required": list(properties), **more}


FLOW = {
    "flow": TEXT,
    "project": TEXT,
    "name": TEXT,
    "version": WHOLE,
    "notebook_hash": TEXT,
    "source_path": TEXT,
    "registered": TIME,
}
PARAMETER = {
    "name": TEXT,
    "type": TEXT,
    "annotation": maybe(TEXT),
    "required": FLAG,
    "computed": FLAG,
    "default_source": maybe(TEXT),
    "choices": {"type": "array"},
    "secret": FLAG,
    "help": TEXT,
}
FINDING = {
    "path": TEXT,
    "cell": maybe(WHOLE),
    "line": maybe(WHOLE),
    "rule": TEXT,
    "severity": TEXT,
    "parameter": maybe(TEXT),
    "message": TEXT,
}
RUN = {
    "id": TEXT,
    "name": TEXT,
    "state": {"type": "string", "enum": [state.value for state in RunState]},
    "message": TEXT,
    "flow": maybe(TEXT),
    "flow_version": maybe(WHOLE),
    "source_path": TEXT,
    "notebook_hash": TEXT,
    "parameters": FREE,
    "values": maybe(FREE),
    "results": FREE,
    "tags": TEXTS,
    "output_path": maybe(TEXT),
    "created": TIME,
    "started": maybe(TIME),
    "ended": maybe(TIME),
    "duration": maybe(NUMBER),
    "attempts": WHOLE,
    "failure": maybe(FREE),
    "cancel_reason": maybe(TEXT),
    "log_lines": WHOLE,
    "last_line": TEXT,
    "options": FREE,
    "parent_id": maybe(TEXT),
    "root_id": TEXT,
    "depth": WHOLE,
    "sequence": WHOLE,
    "reused_run_id": maybe(TEXT),
    "scheduled_time": maybe(TIME),
    "schedule_id": maybe(TEXT),
}
ATTEMPT = {
    "number": WHOLE,
    "state": {"type": "string", "enum": [state.value for state in AttemptState]},
    "engine": TEXT,
    "pid": maybe(WHOLE),
    "started": maybe(TIME),
    "ended": maybe(TIME),
    "why": TEXT,
}
EVENT = {
    "number": WHOLE,
    "kind": TEXT,
    "time": TIME,
    "attempt": WHOLE,
    "token": maybe(TEXT),
    "data": FREE,
}
LINE = {"time": TIME, "stream": TEXT, "text": TEXT, "cell": maybe(WHOLE), "attempt": WHOLE}
SCHEDULE = {
    "id": TEXT,
    "name": TEXT,
    "flow": TEXT,
    "flow_version": maybe(WHOLE),
    "cron": maybe(TEXT),
    "every": maybe(NUMBER),
    "anchor": maybe(TIME),
    "timezone": TEXT,
    "starts": maybe(TIME),
    "ends": maybe(TIME),
    "next_times": {"type": "array", "items": TIME},
    "parameters": FREE,
    "run_name": maybe(TEXT),
    "tags": TEXTS,
    "options": FREE,
    "catchup": TEXT,
    "catchup_limit": WHOLE,
    "overlap": TEXT,
    "misfire_grace": NUMBER,
    "paused": FLAG,
    "created": TIME,
    "note": TEXT,
    "runs": {"type": "array", "items": FREE},
}
BACKFILL = {
    "id": TEXT,
    "name": TEXT,
    "state": TEXT,
    "counts": {"type": "object", "additionalProperties": WHOLE},
    "total": WHOLE,
    "done": WHOLE,
    "succeeded": WHOLE,
    "failed": WHOLE,
    "active": WHOLE,
    "waiting": WHOLE,
    "flow": TEXT,
    "axes": TEXTS,
    "parameters": FREE,
    "tags": TEXTS,
    "max_active_runs": WHOLE,
    "paused": FLAG,
    "created": TIME,
}
PROBLEM: Shape = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": WHOLE,
        "detail": TEXT,
        "error": TEXT,
        "errors": {
            "type": "object",
            "additionalProperties": TEXT,
            "description": "One message for each parameter or field.",
        },
        "rows": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Of rows that are refused: row, parameter and message of each fault; rows is how many have it.",
        },
    },
    "required": ["type", "title", "status", "detail"],
}

SHAPES: Mapping[str, Shape] = {
    "Problem": PROBLEM,
    "Health": record(
        {
            "status": {"type": "string", "enum": ["ok", "degraded"]},
            "version": TEXT,
            "worker": record({"alive": FLAG, "pid": maybe(WHOLE)}),
            "detail": TEXT,
        }
    ),
    "Flow": record(FLOW),
    "FlowDetail": record(
        {
            **FLOW,
            "language": TEXT,
            "kernel": maybe(TEXT),
            "schema": FREE,
            "parameters": {"type": "array", "items": record(PARAMETER)},
            "versions": many("Flow"),
            "drift": {"type": "array", "items": record(FINDING)},
        }
    ),
    "Flows": record({"flows": many("Flow")}),
    "Versions": record({"versions": many("Flow")}),
    "Notebook": record(
        {"flow": TEXT, "path": TEXT, "notebook_hash": TEXT, "schema": FREE, "parameters": {"type": "array"}}
    ),
    "Schema": FREE,
    "Limits": record({"limits": {"type": "object", "additionalProperties": WHOLE}}),
    "Checked": record({"parameters": FREE}),
    "Run": record(RUN),
    "RunDetail": record({**RUN, "tries": {"type": "array", "items": record(ATTEMPT)}}),
    "Runs": record({"runs": many("Run"), "next": maybe(TEXT)}),
    "RunColumns": record({"columns": FREE, "next": maybe(TEXT)}),
    "Hooks": record({"hooks": {"type": "array", "items": FREE}}),
    "RunTree": record({"runs": many("Run")}),
    "RunCounts": record({"counts": {"type": "object", "additionalProperties": WHOLE}, "total": WHOLE}),
    "Events": record({"events": {"type": "array", "items": record(EVENT)}, "next": maybe(TEXT), "ended": FLAG}),
    "Log": record({"lines": {"type": "array", "items": record(LINE)}, "next": maybe(TEXT), "ended": FLAG}),
    "Backfill": record(BACKFILL),
    "Backfills": record({"backfills": many("Backfill")}),
    "Plan": record({"flow": TEXT, "axes": TEXTS, "total": WHOLE, "runs": WHOLE, "decisions": FREE, "message": TEXT}),
    "Grid": record({"axes": TEXTS, "cells": {"type": "array", "items": {"type": "array"}}}),
    "Schedule": record(SCHEDULE),
    "Schedules": record({"schedules": many("Schedule")}),
    "FireTimes": record({"next_times": {"type": "array", "items": record({"time": TIME, "parameters": FREE})}}),
    "Pairs": record({"pairs": FREE}),
    "Pair": record({"key": TEXT, "value": ANY}),
}
