"""Reading what requests hold: bodies and queries as pydantic models, with a message for each fault."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nbflow.parameters.values import EXACT_TYPE, TooDeep, loads_exact
from nbflow.server.problems import Problem

M = TypeVar("M", bound=BaseModel)
ELSEWHERE = ("token", "_xsrf")
"""Of every query: Jupyter reads them."""
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
        if kind != EXACT_TYPE and ("NaN" in text or "Infinity" in text):
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
        errors = collect_errors(error, model)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is refused: " + _join(errors), errors=errors) from None


def read_query(model: type[M], arguments: Mapping[str, list[str]]) -> M:
    """The query of a request as *model*; a field that is no list is given once. Raises Problem.

    A name that is not known is refused: a misspelt filter that were left out would let through what it was to keep back.
    """
    value: dict[str, Any] = {}
    errors = {name: _miss(name, model) for name in arguments if name not in (*model.model_fields, *ELSEWHERE)}
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
        errors = {place.partition(".")[0]: message for place, message in collect_errors(error, model).items()}
    raise Problem(HTTPStatus.BAD_REQUEST, "the query is refused: " + _join(errors), errors=errors)


def _join(errors: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {message}" for name, message in list(errors.items())[:3])[:500]


def _miss(name: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    return "there is no such field" + (f"; did you mean {near[0]}?" if near else "")


def collect_errors(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """One message for each field of *model*, by its dotted path."""
    errors: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in one["loc"]) or "body"
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = _miss(place, model) if len(one["loc"]) == 1 else "there is no such field"
        errors.setdefault(place, message)
    return errors


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
