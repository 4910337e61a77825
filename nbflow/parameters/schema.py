"""JSON Schema of a declaration, draft 2020-12, made without pydantic so that showing a flow stays quick."""

from __future__ import annotations

import datetime
import decimal
import pathlib
import typing
import uuid
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from nbflow.parameters import hints
from nbflow.parameters.forms import NoForm, enum_form, json_form
from nbflow.parameters.markers import Bounds, Choice, Constraint, PandasTimedelta, PandasTimestamp, Secret
from nbflow.parameters.records import ComputedDefault, LiteralDefault, Parameter
from nbflow.parameters.values import MASK, strict_form

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: Mapping[Any, Mapping[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    NoneType: {"type": "null"},
    Any: {},
    datetime.date: {"type": "string", "format": "date"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    datetime.time: {"type": "string", "format": "time"},
    datetime.timedelta: {"type": "string", "format": "duration"},
    decimal.Decimal: {"type": ["number", "string"], "format": "decimal"},
    pathlib.Path: {"type": "string", "format": "path"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    PandasTimestamp: {"type": "string", "format": "date-time"},
    PandasTimedelta: {"type": "string", "format": "duration"},
    Secret: {"type": "string", "format": "password", "writeOnly": True},
}
_JSON_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null"}


def json_schema(
    parameters: Sequence[Parameter], *, language: str = "python", accepts_undeclared: bool = False
) -> dict[str, Any]:
    """An object schema with a property for each parameter, in order."""
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {parameter.name: property_schema(parameter) for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": accepts_undeclared,
        "x-nbflow": {"language": language},
    }


def property_schema(parameter: Parameter) -> dict[str, Any]:
    """One parameter: its type's schema, default and help, and under ``x-nbflow`` what JSON Schema has no word for."""
    schema = type_schema(parameter.python_type)
    if parameter.help:
        schema["description"] = parameter.help
    extra: dict[str, Any] = {"type": parameter.type_text}
    if parameter.inferred:
        extra["inferred"] = True
    match parameter.default:
        case ComputedDefault(source=source):
            extra["computed"] = MASK if parameter.secret else source  # which may hold the secret itself
        case LiteralDefault() as default if not parameter.secret:
            _add_default(schema, extra, default)
        case _:
            pass
    hints_for_control = {word: hint for word, hint in parameter.widget.items() if hint is not None}
    if hints_for_control:
        extra["widget"] = _shown(hints_for_control)
    return {**schema, "x-nbflow": extra}


def type_schema(hint: Any) -> dict[str, Any]:
    """The schema of a type with its conditions."""
    bare, metadata = hints.split_annotated(hint)
    schema = _bare_schema(bare)
    for item in metadata:
        if isinstance(item, Constraint):
            schema = _constrain(schema, item)
    return schema


def _bare_schema(bare: Any) -> dict[str, Any]:
    if hints.is_literal(bare):
        return _enum_schema(typing.get_args(bare))
    if hints.is_enum(bare):
        return _enum_schema(tuple(enum_form(member) for member in bare))
    if hints.is_union(bare):
        return {"anyOf": [type_schema(member) for member in typing.get_args(bare)]}
    container = hints.container_of(bare)
    if container is not None:
        return _container_schema(container, typing.get_args(bare))
    return dict(_SCALARS.get(bare, {}))


def _container_schema(container: type, arguments: tuple[Any, ...]) -> dict[str, Any]:
    if container is dict:
        schema: dict[str, Any] = {"type": "object"}
        inner = type_schema(arguments[1]) if len(arguments) == 2 else {}
        return {**schema, "additionalProperties": inner} if inner else schema
    if container is tuple and arguments and Ellipsis not in arguments:
        items = [type_schema(part) for part in arguments]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    schema = {"type": "array"}
    inner = type_schema(arguments[0]) if arguments else {}
    if inner:
        schema["items"] = inner
    if container in (set, frozenset):
        schema["uniqueItems"] = True
    return schema


def _enum_schema(values: tuple[Any, ...]) -> dict[str, Any]:
    kinds = list(dict.fromkeys(_JSON_TYPES[type(value)] for value in values if type(value) in _JSON_TYPES))
    schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    return {**schema, "enum": [_shown(value) for value in values]}


def _constrain(schema: dict[str, Any], condition: Constraint) -> dict[str, Any]:
    """Adds a condition where the words of JSON Schema mean the same as it does."""
    if "anyOf" in schema:
        null = {"type": "null"}
        members = [member if member == null else _constrain(member, condition) for member in schema["anyOf"]]
        return {**schema, "anyOf": members}
    if isinstance(condition, Choice):
        choices = _enum_schema(condition.values)["enum"]
        if schema.get("type") == "array":
            return {**schema, "items": {**(schema.get("items") or {}), "enum": choices}}
        return {**schema, "enum": choices}
    words = dict(condition.keywords())
    if isinstance(condition, Bounds):
        suffix = {"string": "Length", "array": "Items", "object": "Properties"}.get(str(schema.get("type")))
        for end, limit in (("min", condition.min_length), ("max", condition.max_length)):
            if suffix and limit is not None:
                words[end + suffix] = limit
    return {**schema, **words}


def _add_default(schema: dict[str, Any], extra: dict[str, Any], default: LiteralDefault) -> None:
    try:
        form = json_form(default.value)
    except (NoForm, ValueError, RecursionError):
        extra["default_text"] = default.source
        return
    if strict_form(form) == form:
        schema["default"] = form
    else:
        extra["default_text"] = default.source


def _shown(value: Any) -> Any:
    """*value* in strict JSON, as text where it has no form of its own."""
    try:
        return strict_form(json_form(value))
    except (NoForm, ValueError, RecursionError):
        return str(value)
