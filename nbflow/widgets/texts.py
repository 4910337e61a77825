"""Values as the text of a field, and back: whatever is shown is read again as what it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nbflow.errors import ParameterError
from nbflow.parameters import Declaration, Parameter, Text
from nbflow.parameters.adapters import fits
from nbflow.parameters.coercion import read_text
from nbflow.parameters.values import TooDeep, dumps_exact, loads_exact
from nbflow.widgets.kinds import Kind, bare_type, find_kind, item_types


def read_field(parameter: Parameter, text: str) -> Any:
    """What is passed for the text of a field: read by the type as on a command line, and items one a line."""
    if find_kind(parameter) is not Kind.LINES or text.lstrip().startswith("["):
        return Text(text)
    kinds = item_types(parameter)
    fixed = bare_type(parameter) is tuple and len(kinds) > 1
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    hints = [kinds[min(place, len(kinds) - 1)] if fixed else kinds[0] for place in range(len(lines))]
    try:
        return [read_text(line, hint, fits) for line, hint in zip(lines, hints, strict=True)]
    except TooDeep:
        return Text(text)


def write_field(declaration: Declaration, parameter: Parameter, form: Any) -> str:
    """The text that stands for a value in JSON form."""
    candidates = list(_write(parameter, form))
    for text in candidates:
        try:
            read = declaration.validate({parameter.name: read_field(parameter, text)}, partial=True)
        except ParameterError:
            continue
        if dumps_exact(read.json[parameter.name]) == dumps_exact(form):
            return text
    return candidates[0]


def find_json_error(parameter: Parameter, text: str) -> str:
    """Where a text that was meant as JSON is none; empty where nothing was meant so."""
    meant = find_kind(parameter) is Kind.JSON or text.lstrip()[:1] in ("{", "[")
    if not meant:
        return ""
    import json

    try:
        loads_exact(text)
    except json.JSONDecodeError as error:
        return f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return f"not JSON: {error}"
    return ""


def _write(parameter: Parameter, form: Any) -> Iterator[str]:
    kind = find_kind(parameter)
    if kind is Kind.LINES and isinstance(form, list):
        yield "\n".join(item if isinstance(item, str) else dumps_exact(item) for item in form)
    if isinstance(form, str):
        yield form
    yield _pretty(form) if kind is Kind.JSON else _plain(form)


def _plain(form: Any) -> str:
    import json

    try:
        return json.dumps(form, ensure_ascii=False)
    except ValueError:
        return dumps_exact(form)


def _pretty(form: Any) -> str:
    """Like a person would write it: short ones on a line."""
    import json

    line = _plain(form)
    if len(line) <= 60:
        return line
    try:
        return json.dumps(form, ensure_ascii=False, indent=2)
    except ValueError:
        return line
