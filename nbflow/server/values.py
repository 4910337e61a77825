"""From the parameters of a request to the values of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbflow.parameters import Text
from nbflow.project.loading import LoadedFlow


def take_values(flow: LoadedFlow, given: Mapping[str, Any], *, refers: bool = True) -> dict[str, Any]:
    """JSON values as they are; a secret may be a reference, ``env:NAME`` or ``file:PATH``, which the server reads.

    *refers*: whether it may; where not, such a secret is the text that it is.
    """
    secret = {parameter.name for parameter in flow.declaration.parameters if parameter.secret and refers}
    schemas = flow.declaration.json_schema()["properties"]
    return {
        name: Text(value) if name in secret and isinstance(value, str) else align(value, schemas.get(name, {}))
        for name, value in given.items()
    }


def align(value: Any, schema: Mapping[str, Any]) -> Any:
    """JSON has one kind of numbers: where the schema asks for an integer, 3.0 is one."""
    if isinstance(value, float):
        kinds = [schema.get("type"), *(member.get("type") for member in schema.get("anyOf", ()))]
        return int(value) if value.is_integer() and "integer" in kinds and "number" not in kinds else value
    if isinstance(value, list):
        first = schema.get("prefixItems", ())
        rest = schema.get("items") or {}
        return [align(item, first[at] if at < len(first) else rest) for at, item in enumerate(value)]
    if isinstance(value, dict):
        inner = schema.get("additionalProperties")
        return {key: align(item, inner if isinstance(inner, Mapping) else {}) for key, item in value.items()}
    return value
