"""What requests may hold: bodies and queries as pydantic models, from which the OpenAPI description is made too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nbflow.lifecycle import RunState
from nbflow.parameters.values import TooDeep, loads_exact
from nbflow.server.problems import Problem

M = TypeVar("M", bound=BaseModel)
ABSENT: Any = None
"""Of fields that are left out or given, but never null; ``model_fields_set`` tells which."""

LONGEST = 10 * 365 * 86400.0
"""Seconds: more than anybody waits."""
MAX_TAGS = 100
JSON_TYPES = (
    "application/json",
    "application/x-ipynb+json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
)


def parse_json(body: bytes, content_type: str = "") -> Any:
    """Raises Problem for what is not JSON: curl's ``-d`` without a content type is taken for it."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in JSON_TYPES and not kind.endswith("+json"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type {kind}: send application/json",
            headers={"Accept": "application/json"},
        )
    try:
        text = body.decode("utf-8")
        value = loads_exact(text)
        if "NaN" in text or "Infinity" in text:
            json.loads(text, parse_constant=_refuse_constant)
    except TooDeep:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is nested too deeply") from None
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}"[:300]) from None
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f'{name} is not JSON; write "{name}"')


def read(model: type[M], value: Any) -> M:
    """*value* as *model*. Raises Problem with one message for each field that is wrong."""
    if not isinstance(value, Mapping):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"expected a JSON object, got {_kind(value)}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = collect_errors(error)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is refused: " + _join(errors), errors=errors) from None


def read_query(model: type[M], arguments: Mapping[str, list[str]]) -> M:
    """The query of a request as *model*; a field that is no list is given once. Raises Problem."""
    value: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, field in model.model_fields.items():
        given = arguments.get(name, [])
        if "list" in str(field.annotation):
            value[name] = given
        elif len(given) > 1:
            errors[name] = "given more than once"
        elif given:
            value[name] = given[0]
    try:
        if not errors:
            return model.model_validate(value)
    except ValidationError as error:
        errors = {place.partition(".")[0]: message for place, message in collect_errors(error).items()}
    raise Problem(HTTPStatus.BAD_REQUEST, "the query is refused: " + _join(errors), errors=errors)


def _join(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {message}" for name, message in list(errors.items())[:3])[:500]


def collect_errors(error: ValidationError) -> dict[str, str]:
    """One message for each field, by its dotted path."""
    errors: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in one["loc"]) or "body"
        message = one["msg"].removeprefix("Value error, ")
        errors.setdefault(place, message)
    return errors


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def read_whole(value: Any) -> Any:
    """JSON has one kind of numbers: 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_time(value: Any) -> Any:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a time such as 2026-01-31T07:00:00Z")
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a time such as 2026-01-31T07:00:00Z") from None


NO_NUL = r"^[^\x00]+$"
_STEP = r"[^\x00/.][^\x00/]*"
PATH_PATTERN = rf"^{_STEP}(/{_STEP})*$"


def shown(**schema: Any) -> Any:
    """What the description says of a field, where that is narrower than what is taken: no pattern could say it all."""
    return Field(json_schema_extra=schema)


PLAIN_KEY = "^[!-~]([ -~]{0,60}[!-~])?$"
PLAIN_TAG = "^[!-+--~]+$"
PLAIN_NAME = "^[!-z|~]+$"
PLAIN_PATH = PATH_PATTERN.replace("/]", "/{}]").replace("/.]", "/.{}]")
PLAIN_CRON = r"^[0-5]?[0-9] (\*|1?[0-9]|2[0-3]) (\*|[1-9]|1[0-9]|2[0-8]) (\*|[1-9]|1[0-2]) (\*|[0-6])$"
PLAIN_INTERVAL = r"^[1-9][0-9]{0,4}(s|min|h)$"


def _show_timezones(schema: dict[str, Any]) -> None:
    from zoneinfo import available_timezones

    schema["enum"] = sorted(available_timezones() - {"localtime"})


def _check_printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("expected printable characters")
    return text


def _check_tag(text: str) -> str:
    if "," in text:
        raise ValueError("a tag holds no comma")
    return _check_printable(text)


Whole = Annotated[int, BeforeValidator(read_whole)]
Count = Annotated[int, Field(ge=0, le=1000), BeforeValidator(read_whole)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Limit = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
Time = Annotated[datetime, BeforeValidator(_read_time)]
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=NO_NUL)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_printable), shown(pattern="^[!-~]+$")]
Timezone = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra=_show_timezones),
    AfterValidator(_check_printable),
]
Template = Annotated[
    str,
    Field(min_length=1, max_length=200),
    AfterValidator(_check_printable),
    shown(pattern=PLAIN_NAME, description="May hold {parameter} and {parameter:format}."),
]
RelativePath = Annotated[str, Field(min_length=1, max_length=1000, pattern=PATH_PATTERN)]
PathTemplate = Annotated[
    str,
    Field(min_length=1, max_length=1000, pattern=PATH_PATTERN),
    shown(pattern=PLAIN_PATH, description="Below the server's folder; may hold {parameter} and {parameter:format}."),
]
Tag = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_tag), shown(pattern=PLAIN_TAG)]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]
Values = dict[str, Any]
Arguments = Annotated[
    Values,
    shown(
        maxProperties=0,
        description="Values of parameters, by name. What a flow takes is described at its own path, "
        "/flows/PROJECT/NAME/runs; where the flow is not known, nothing can be promised but the empty object.",
    ),
]


RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{4,32}$")]


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


PROJECT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FlowName = Annotated[str, Field(pattern=PROJECT_PATTERN)]
FullName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


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


class RunsQuery(Query):
    """Which runs are listed."""

    state: list[RunState] = Field(default_factory=list)
    flow: Text | None = None
    tag: Tags = Field(default_factory=list)
    name: Name | None = None
    parent_id: Name | None = None
    root_id: Name | None = None
    schedule_id: Name | None = None
    backfill_id: Name | None = None
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
