"""What the bodies of requests may hold, as pydantic models, from which the OpenAPI description is made too."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nbflow.server.fields import (
    ABSENT,
    LONGEST,
    PLAIN_CRON,
    PLAIN_INTERVAL,
    Arguments,
    Count,
    FlowName,
    FullName,
    Limit,
    Name,
    PathTemplate,
    RelativePath,
    RunId,
    Seconds,
    Tags,
    Template,
    Text,
    Time,
    Timezone,
    Values,
    read_whole,
    shown,
)


class Body(BaseModel):
    """A JSON object without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Options(Body):
    """How a run is executed; times in seconds, paths relative to the server's folder."""

    kernel: Name | None = None
    cwd: RelativePath | None = None
    output: PathTemplate | None = None
    timeout: Limit | None = None
    cell_timeout: Limit | None = None
    start_timeout: Limit | None = None
    retries: Count | None = None
    retry_delay: Seconds | None = None
    retry_backoff: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] | None = None
    retries_on_loss: Count | None = None
    report: Literal["html"] | None = None
    report_mode: bool | None = None


class Cell(BaseModel):
    """A cell of a notebook, as far as it is read."""

    model_config = ConfigDict(extra="allow", strict=True)

    cell_type: Literal["code", "markdown", "raw"]
    source: str | list[str]
    metadata: Values = Field(default_factory=dict)


class NotebookBody(BaseModel):
    """A notebook of format 4, as it is in its file."""

    model_config = ConfigDict(extra="allow", strict=True)

    nbformat: Literal[4]
    nbformat_minor: Annotated[int, Field(ge=0, le=100), BeforeValidator(read_whole)]
    metadata: Values
    cells: list[Cell]


class RunRequest(Body):
    """A run that is asked for."""

    parameters: Arguments = Field(default_factory=dict)
    name: Template | None = None
    tags: Tags = Field(default_factory=list)
    skip_completed: bool = False
    parent_id: RunId | None = None
    options: Options = Field(default_factory=Options)


class StartRequest(RunRequest):
    """A run of a registered flow, of a notebook below the server's folder, or of one that is sent along: exactly one of them."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("flow", "path", "notebook")]}
    )

    flow: Text = ABSENT
    path: Text = ABSENT
    notebook: NotebookBody = ABSENT
    label: RelativePath | None = None


class RerunRequest(Body):
    """A run like another one, with changes."""

    parameters: Arguments = Field(default_factory=dict)
    name: Template | None = None
    tags: Tags | None = None
    parent_id: RunId | None = None
    options: Options | None = None


class RenameRequest(Body):
    name: Name


class CancelRequest(Body):
    reason: Literal["user", "SIGINT", "SIGTERM", "SIGHUP", "parent"] = "user"
    hurry: bool = False


class WaitingRequest(Body):
    """Whether an attempt of a run waits for others, and holds no slot meanwhile."""

    attempt: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(read_whole)]
    waiting: bool


class CheckRequest(Body):
    parameters: Arguments = Field(default_factory=dict)


class ScheduleChange(Body):
    """What of a schedule is to be another; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["cron", "every"]}})

    cron: Annotated[str, Field(min_length=1, max_length=200), shown(pattern=PLAIN_CRON)] = ABSENT
    every: (
        Annotated[str, Field(min_length=1, max_length=100), shown(pattern=PLAIN_INTERVAL)]
        | Annotated[float, Field(ge=1, le=LONGEST, allow_inf_nan=False)]
    ) = ABSENT
    timezone: Timezone | None = None
    name: Annotated[Name, Field(max_length=100)] | None = None
    parameters: Arguments = Field(default_factory=dict)
    unset: list[Name] = Field(default_factory=list)
    starts: Time | None = None
    ends: Time | None = None
    catchup: Literal["none", "latest", "all"] | None = None
    catchup_limit: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(read_whole)] | None = None
    overlap: Literal["skip", "queue", "allow"] | None = None
    misfire_grace: Seconds | None = None
    run_name: Template | None = None
    tags: Tags | None = None
    options: Options | None = None
    paused: bool | None = None


class ScheduleRequest(ScheduleChange):
    """A schedule: of a registered flow or of a notebook below the server's folder, by cron or by interval."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"oneOf": [{"required": ["flow"]}, {"required": ["path"]}]},
                {"oneOf": [{"required": ["cron"]}, {"required": ["every"]}]},
            ]
        }
    )

    flow: Text = ABSENT
    path: Text = ABSENT


class LimitRequest(Body):
    """How many runs of a flow may go on at once; null lifts the limit."""

    flow: FullName
    limit: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(read_whole)] | None


class RegisterRequest(Body):
    """A notebook to register: below the server's folder, or sent along."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["path"], "not": {"required": ["notebook"]}},
                {"required": ["notebook", "name"], "not": {"required": ["path"]}},
            ]
        }
    )

    project: FlowName
    name: FlowName = ABSENT
    path: Text = ABSENT
    notebook: NotebookBody = ABSENT
