"""Every operation of the API, as the OpenAPI description tells it; a test compares this table with the handlers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from nbflow.server import backfill_bodies, bodies, queries

JSON = "application/json"
NOTEBOOK = "application/x-ipynb+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method at one path. *answers*: status to the name of a shape, to a content type, or to nothing."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, str | None]
    body: type[BaseModel] | None = None
    takes: str = JSON
    """The content type of the body; of other than JSON objects that a model describes, any is taken."""
    needs_body: bool = True
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name of a shape in HEADERS, by header."""


IDEMPOTENCY: Mapping[str, str] = {
    "Idempotency-Key": "The same key and request make one run, however often they are sent."
}
TEXT = "text/plain"
FLOW = "/flows/{project}/{name}"
RUN = "/runs/{run_id}"
BACKFILL = "/backfills/{backfill_id}"
SCHEDULE = "/schedules/{schedule_id}"
RUN_ANSWERS: Mapping[int, str | None] = {200: "Run", 201: "Run"}


def _op(method: str, path: str, summary: str, answer: str | None, **more: Any) -> Operation:
    answers = more.pop("answers", None) or {200 if answer else 204: answer}
    return Operation(method=method, path=path, summary=summary, answers=answers, **more)


OPERATIONS: tuple[Operation, ...] = (
    _op("get", "/health", "How the server is", "Health"),
    _op("get", "/metrics", "Counts, for Prometheus", TEXT),
    _op("get", "/openapi.json", "This description", "Schema"),
    _op("get", "/flows", "All flows", "Flows", query=queries.FlowsQuery),
    _op(
        "post",
        "/flows",
        "Register a notebook",
        None,
        body=bodies.RegisterRequest,
        answers={200: "FlowDetail", 201: "FlowDetail"},
    ),
    _op("get", FLOW, "A flow", "FlowDetail", query=queries.VersionQuery),
    _op(
        "put",
        FLOW,
        "Register the notebook in the body",
        None,
        takes=NOTEBOOK,
        answers={200: "FlowDetail", 201: "FlowDetail"},
    ),
    _op("delete", FLOW, "Forget a flow; its runs stay", None),
    _op("get", f"{FLOW}/schema", "JSON Schema of the parameters", "Schema", query=queries.VersionQuery),
    _op("get", f"{FLOW}/versions", "The versions, oldest first", "Versions"),
    _op("get", f"{FLOW}/notebook", "The notebook of a version", NOTEBOOK, query=queries.VersionQuery),
    _op(
        "post",
        f"{FLOW}/validate",
        "Whether values would do",
        "Checked",
        query=queries.VersionQuery,
        body=bodies.CheckRequest,
        needs_body=False,
    ),
    _op(
        "post",
        f"{FLOW}/runs",
        "Run a flow",
        None,
        query=queries.VersionQuery,
        body=bodies.RunRequest,
        needs_body=False,
        answers=RUN_ANSWERS,
        headers=IDEMPOTENCY,
    ),
    _op("get", "/limits", "How many runs of flows may go on at once", "Limits"),
    _op("put", "/limits", "Limit the runs of a flow", "Limits", body=bodies.LimitRequest),
    _op("get", "/notebooks", "A notebook below the server's folder", "Notebook", query=queries.PathQuery),
    _op("get", "/runs", "Runs, newest first", "Runs", query=queries.RunsQuery),
    _op(
        "post",
        "/runs",
        "Run a flow or a notebook",
        None,
        body=bodies.StartRequest,
        answers=RUN_ANSWERS,
        headers=IDEMPOTENCY,
    ),
    _op("get", "/runs/counts", "How many runs there are, by state", "RunCounts", query=queries.RunsQuery),
    _op("get", "/runs/columns", "Some fields of many runs", "RunColumns", query=queries.ColumnsQuery),
    _op("get", RUN, "A run and its attempts", "RunDetail"),
    _op("patch", RUN, "Give a run another name", "Run", body=bodies.RenameRequest),
    _op("get", f"{RUN}/tree", "The tree of runs that a run belongs to", "RunTree"),
    _op(
        "post",
        f"{RUN}/cancel",
        "Ask for the end of a run and of those below it",
        None,
        body=bodies.CancelRequest,
        needs_body=False,
        answers={202: "Run"},
    ),
    _op("post", f"{RUN}/retry", "One more attempt", None, answers={202: "Run"}),
    _op(
        "post",
        f"{RUN}/rerun",
        "The same once more, with changes",
        None,
        body=bodies.RerunRequest,
        needs_body=False,
        answers=RUN_ANSWERS,
        headers=IDEMPOTENCY,
    ),
    _op("post", f"{RUN}/waiting", "Its notebook waits for others", None, body=bodies.WaitingRequest),
    _op("get", f"{RUN}/hooks", "What was recorded of its hooks", "Hooks"),
    _op("get", f"{RUN}/source", "The notebook that it executes", NOTEBOOK),
    _op("get", f"{RUN}/logs", "What the notebook printed", TEXT, query=queries.LogsQuery),
    _op("get", f"{RUN}/events", "What happens, as it happens", "text/event-stream", query=queries.EventsQuery),
    _op("get", f"{RUN}/notebook", "The executed notebook", NOTEBOOK),
    _op("get", f"{RUN}/report", "The executed notebook as a page", "text/html"),
    _op("get", "/backfills", "Backfills, newest first", "Backfills", query=backfill_bodies.BackfillsQuery),
    _op(
        "post",
        "/backfills",
        "Run a flow for many rows, or, with dry_run, tell what would be done",
        None,
        body=backfill_bodies.BackfillRequest,
        answers={200: "Plan", 201: "Backfill"},
    ),
    _op("get", BACKFILL, "A backfill, its state and counts", "Backfill"),
    _op("post", f"{BACKFILL}/pause", "Begin no further row", "Backfill"),
    _op("post", f"{BACKFILL}/unpause", "Begin rows again", "Backfill"),
    _op(
        "post",
        f"{BACKFILL}/cancel",
        "End it",
        None,
        body=backfill_bodies.CancelBackfillRequest,
        needs_body=False,
        answers={202: "Backfill"},
    ),
    _op(
        "post",
        f"{BACKFILL}/resume",
        "Run what is missing",
        None,
        body=backfill_bodies.ResumeRequest,
        needs_body=False,
        answers={202: "Backfill"},
    ),
    _op("get", f"{BACKFILL}/runs", "Its runs, by row", "Runs", query=backfill_bodies.BackfillRunsQuery),
    _op("get", f"{BACKFILL}/grid", "Every row in few words", "Grid", query=backfill_bodies.BackfillQuery),
    _op("get", f"{BACKFILL}/frame", "The table of results", "text/csv"),
    _op("get", "/schedules", "All schedules", "Schedules", query=queries.SchedulesQuery),
    _op(
        "post", "/schedules", "Have a flow run by itself", None, body=bodies.ScheduleRequest, answers={201: "Schedule"}
    ),
    _op("post", "/schedules/preview", "When a schedule would fire", "FireTimes", body=bodies.ScheduleRequest),
    _op("get", SCHEDULE, "A schedule", "Schedule"),
    _op("patch", SCHEDULE, "Change a schedule", "Schedule", body=bodies.ScheduleChange),
    _op("delete", SCHEDULE, "Forget a schedule; its runs stay", None),
    _op(
        "post",
        f"{SCHEDULE}/preview",
        "When it fires next, with changes or without",
        "FireTimes",
        body=bodies.ScheduleChange,
        needs_body=False,
    ),
    _op("post", f"{SCHEDULE}/pause", "Fire no more", "Schedule"),
    _op("post", f"{SCHEDULE}/unpause", "Fire again", "Schedule"),
    _op("post", f"{SCHEDULE}/run", "Run it now", None, answers={201: "Run"}),
    _op("get", "/kv", "Key-value pairs", "Pairs", query=queries.PairsQuery),
    _op("get", "/kv/{key}", "A pair", "Pair"),
    _op("put", "/kv/{key}", "Store a JSON value", "Pair", takes=JSON),
    _op("delete", "/kv/{key}", "Forget a pair", None),
)
