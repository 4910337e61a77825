"""How a notebook differs from the version that was registered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from nbflow.parameters.records import Finding

_NOT_COMPARED = ("description", "title", "default", "examples", "x-nbflow")


def describe_drift(
    old_schema: Mapping[str, Any], new_schema: Mapping[str, Any], old_hash: str, new_hash: str
) -> list[Finding]:
    """What changed from the registered version (*old*) to the file (*new*); empty when nothing did."""
    found = list(_compare(old_schema, new_schema))
    if not found and old_hash != new_hash:
        message = "the notebook's cells changed since it was registered, its parameters did not; register it again"
        found.append(Finding(rule="drift", severity="warning", message=message))
    return found


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    before: Mapping[str, Any] = old.get("properties") or {}
    after: Mapping[str, Any] = new.get("properties") or {}
    needed_before, needed_after = set(old.get("required") or ()), set(new.get("required") or ())
    for name in before:
        if name not in after:
            yield _note(
                name, "warning", "was removed since the registration: calls and schedules that set it will be refused"
            )
    for name in after:
        if name not in before:
            needed = name in needed_after
            what = "required: calls and schedules must set it" if needed else "with a default"
            yield _note(name, "warning" if needed else "info", f"was added since the registration, {what}")
            continue
        if name in needed_after - needed_before:
            yield _note(name, "warning", "lost its default since the registration: calls and schedules must set it")
        elif name in needed_before - needed_after:
            yield _note(name, "info", f"has a default since the registration: {_show_default(after[name])}")
        elif _default_of(before[name]) != _default_of(after[name]):
            change = f"{_show_default(before[name])} to {_show_default(after[name])}"
            yield _note(name, "warning", f"has another default than was registered: {change}")
        if _rules_of(before[name]) != _rules_of(after[name]):
            kinds = [_show_type(before[name]), _show_type(after[name])]
            change = "limits" if kinds[0] == kinds[1] else "type"
            detail = "" if change == "limits" else f": {kinds[0]} to {kinds[1]}"
            yield _note(name, "warning", f"has another {change} than was registered{detail}")


def _note(name: str, severity: Literal["warning", "info"], message: str) -> Finding:
    return Finding(rule="drift", severity=severity, message=f"{name} {message}", parameter=name)


def _extra(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = schema.get("x-nbflow")
    return extra if isinstance(extra, Mapping) else {}


def _default_of(schema: Mapping[str, Any]) -> str:
    """Comparable: 1, 1.0 and true are three defaults."""
    extra = _extra(schema)
    return json.dumps([schema.get("default"), extra.get("computed"), extra.get("default_text")], sort_keys=True)


def _show_default(schema: Mapping[str, Any]) -> str:
    extra = _extra(schema)
    text = extra.get("computed") or extra.get("default_text") or json.dumps(schema.get("default"), ensure_ascii=False)
    return _shorten(str(text))


def _rules_of(schema: Mapping[str, Any]) -> str:
    rules = {key: value for key, value in schema.items() if key not in _NOT_COMPARED}
    return json.dumps([rules, _extra(schema).get("type")], sort_keys=True)


def _show_type(schema: Mapping[str, Any]) -> str:
    return _shorten(str(_extra(schema).get("type") or schema.get("type") or "any"))


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"
