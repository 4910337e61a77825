"""What the queries of addresses may hold, as pydantic models, from which the OpenAPI description is made too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nbflow.lifecycle import RunState
from nbflow.server.fields import MAX_TAGS, NO_NUL, FlowName, Text, Time, shown


class Query(BaseModel):
    """The query of an address: texts, read by what they are to be."""

    model_config = ConfigDict(extra="ignore")


Cursor = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
Token = Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,18}$")]
Column = Literal[
    "id",
    "name",
    "state",
    "sequence",
    "flow",
    "flow_version",
    "source_path",
    "parameters",
    "values",
    "results",
    "tags",
    "created",
    "started",
    "ended",
    "attempts",
    "failure",
    "message",
    "output_path",
    "log_lines",
    "last_line",
    "parent_id",
    "root_id",
    "depth",
    "schedule_id",
    "scheduled_time",
    "backfill_id",
    "backfill_row",
]
"""Fields of a run that are listed by themselves."""


def _check_assignment(text: str) -> str:
    if not text.partition("=")[0] or "=" not in text or "\0" in text:
        raise ValueError("expected NAME=VALUE, such as region=EU")
    return text


Assignment = Annotated[
    str, Field(max_length=1000), AfterValidator(_check_assignment), shown(pattern="^[a-z]+=[!-%'-~]*$")
]


class RunsQuery(Query):
    """Which runs are listed."""

    state: list[RunState] = Field(default_factory=list)
    flow: Text | None = None
    tag: Annotated[list[Text], Field(max_length=MAX_TAGS)] = Field(default_factory=list)
    name: Text | None = None
    parameter: Annotated[list[Assignment], Field(max_length=20)] = Field(default_factory=list)
    parent_id: Text | None = None
    root_id: Text | None = None
    schedule_id: Text | None = None
    backfill_id: Text | None = None
    sequence: Annotated[list[Annotated[int, Field(ge=0, le=10**15)]], Field(max_length=500)] = Field(
        default_factory=list
    )
    since: Time | None = None
    until: Time | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Cursor | None = None


class ColumnsQuery(RunsQuery):
    """Which fields are listed, of which runs."""

    field: Annotated[list[Column], Field(min_length=1, max_length=40)]
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


class SchedulesQuery(Query):
    """Which schedules are listed."""

    flow: Text | None = None


class VersionQuery(Query):
    version: Annotated[int, Field(ge=1, le=10**9)] | None = None


class FlowsQuery(Query):
    project: FlowName | None = None


class EventsQuery(Query):
    after: Token | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


class LogsQuery(EventsQuery):
    format: Literal["text", "json"] = "text"


class PairsQuery(Query):
    prefix: Annotated[str, Field(max_length=500, pattern=NO_NUL.replace("+", "*"))] = ""


class PathQuery(Query):
    path: Text
