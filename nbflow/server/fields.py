"""What bodies and queries are made of: what each takes, and what the OpenAPI description says of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

ABSENT: Any = None
"""Of fields that are left out or given, but never null; ``model_fields_set`` tells which."""
LONGEST = 10 * 365 * 86400.0
"""Seconds: more than anybody waits."""
MAX_TAGS = 100


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
PLAIN_INTERVAL = r"^[1-9][0-9]{0,3}([0-9]?(s|min)|h)$"


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
PROJECT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FlowName = Annotated[str, Field(pattern=PROJECT_PATTERN)]
FullName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
