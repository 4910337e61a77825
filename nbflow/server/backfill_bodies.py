"""What requests about backfills may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from nbflow.lifecycle import RunState
from nbflow.server.bodies import Body, Options
from nbflow.server.fields import (
    ABSENT,
    Arguments,
    Name,
    RunId,
    Tags,
    Template,
    Text,
    Values,
    read_whole,
    shown,
)
from nbflow.server.queries import Cursor, Query

MAX_ROWS = 100_000
Behavior = Literal["none", "failed", "completed"]
Active = Annotated[int, Field(ge=1, le=1000), BeforeValidator(read_whole)]
Failures = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(read_whole)]


class Span(Body):
    """Every value from the first to the last, by a step such as ``1D``, ``MS``, ``6h`` or ``5``."""

    first: str | int | float
    last: str | int | float
    step: Name | None = None


Axis = str | list[Any] | Span
Axes = Annotated[dict[str, Axis], shown(maxProperties=0)]
Rows = Annotated[list[Values], Field(max_length=MAX_ROWS), shown(maxItems=0)]
Table = Annotated[
    str,
    Field(max_length=64 * 1024 * 1024),
    shown(
        description="The rows as CSV: the first line names the parameters; commas, semicolons or tabs between the cells. "
        "An empty cell is a value that is not given.",
    ),
]


class BackfillRequest(Body):
    """Runs of one flow: for the product of the axes, for each of the rows, or for both combined.

    Rows are a list of objects, or a table. An axis is a list of values, a span, or a text as the command line takes it (``EU,US``, ``2026-01-01..2026-01-31``).
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["flow"]}, {"required": ["path"]}]})

    flow: Text = ABSENT
    path: Text = ABSENT
    parameters: Arguments = Field(default_factory=dict)
    axes: Axes = Field(default_factory=dict)
    rows: Rows | None = None
    table: Table | None = None
    exclude: Rows = Field(default_factory=list)
    dry_run: bool = False
    name: Annotated[Name, Field(max_length=100)] | None = None
    run_name: Template | None = None
    tags: Tags = Field(default_factory=list)
    priority: Annotated[int, Field(ge=-1000, le=1000), BeforeValidator(read_whole)] = 0
    max_active_runs: Active = 4
    max_failures: Failures | None = None
    run_backwards: bool = False
    reprocess_behavior: Behavior = "none"
    skip_completed: bool = False
    parent_id: RunId | None = None
    options: Options = Field(default_factory=Options)


class CancelBackfillRequest(Body):
    """A signal that ended the client leaves the rows that wait for a resume."""

    reason: Literal["user", "SIGINT", "SIGTERM", "SIGHUP"] = "user"
    hurry: bool = False


class ResumeRequest(Body):
    """What of a backfill is run again."""

    reprocess_behavior: Behavior = "failed"
    max_active_runs: Active | None = None
    max_failures: Failures | None = None


class BackfillsQuery(Query):
    """Which backfills are listed."""

    flow: Text | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class BackfillRunsQuery(Query):
    """Which runs of a backfill are listed."""

    state: list[RunState] = Field(default_factory=list)
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Cursor | None = None


class BackfillQuery(Query):
    """How much of a backfill is shown."""

    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 10_000
