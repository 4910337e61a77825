"""Databricks widgets: ``dbutils.widgets.dropdown("region", "EU", ["EU", "US"], "Sales region")``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any

from nbflow.parameters import hints
from nbflow.parameters.dialects.texts import AsText, SeveralOf
from nbflow.parameters.markers import Choice
from nbflow.parameters.reading import describe
from nbflow.parameters.records import NO_DEFAULT, ComputedDefault, Default, LiteralDefault, Parameter
from nbflow.parameters.source import read_comments

_KINDS: Mapping[str, tuple[str, ...]] = {
    "text": ("name", "defaultValue", "label"),
    "dropdown": ("name", "defaultValue", "choices", "label"),
    "combobox": ("name", "defaultValue", "choices", "label"),
    "multiselect": ("name", "defaultValue", "choices", "label"),
}
"""By kind of widget: its arguments in order."""

_SPELLINGS = {"default": "defaultValue", "default_value": "defaultValue"}
_CONVERSIONS: Mapping[str, Any] = {"int": int, "float": float, "str": str}
_FAILURES = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One widget, as far as its call says it in literals."""

    kind: str
    name: str
    default: str | None = None
    """None when it is computed, or when the cell reads a widget that it doesn't make."""
    choices: tuple[str, ...] = ()
    label: str = ""
    line: int = 1


def read_dbutils(tree: ast.Module, source: str) -> list[Parameter]:
    """Parameters that a Python cell declares by calls of ``dbutils.widgets``. Never raises.

    A notebook meets a parameter as a variable: nbflow assigns it after this cell, and it can't set the widget itself,
    which exists on Databricks only. So ``region = dbutils.widgets.get("sales_region")`` makes the parameter
    ``region``, with the widget's default, choices and label; ``int(dbutils.widgets.get("n"))`` makes an integer. A
    widget that this cell doesn't assign is a parameter of the widget's own name, if that is an identifier: a notebook
    that reads the variable ``n`` gets the value, one that calls ``dbutils.widgets.get("n")`` gets the widget's.
    Values are text, as on Databricks; numbers are taken as their text.
    """
    constants: dict[str, ast.expr] = {}
    widgets: dict[str, Widget] = {}
    reads: list[tuple[str, str, Any, int]] = []
    for statement in _statements(tree.body):
        if isinstance(statement, ast.Expr):
            widget = _widget(statement.value, constants)
            if widget is not None:
                widgets.setdefault(widget.name, widget)
        for name, value in _assigned(statement):
            constants[name] = value
            read = _read(value)
            if read is not None:
                reads.append((name, *read, statement.lineno))
    comments = read_comments(source)
    made = [
        _parameter(name, widgets.get(widget, Widget(kind="text", name=widget)), kind, line, comments)
        for name, widget, kind, line in reads
    ]
    taken = {widget for _, widget, _, _ in reads} | {parameter.name for parameter in made}
    made += [
        _parameter(widget.name, widget, str, widget.line, comments)
        for widget in widgets.values()
        if widget.name.isidentifier() and widget.name not in taken
    ]
    return list({parameter.name: parameter for parameter in made}.values())


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of the cell's top level, those under ``if``, ``try`` and ``with`` included."""
    for statement in body:
        yield statement
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.With):
                yield from _statements(getattr(statement, part, []))


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value


def _method(node: ast.expr) -> tuple[str, ast.Call] | None:
    """The method's name and the call, of ``dbutils.widgets.method(…)``."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="dbutils"), attr="widgets"), attr=name)):
            return name, node
    return None


def _widget(node: ast.expr, constants: Mapping[str, ast.expr]) -> Widget | None:
    found = _method(node)
    if found is None or found[0] not in _KINDS:
        return None
    kind, call = found
    given = dict(zip(_KINDS[kind], call.args, strict=False))
    given |= {_SPELLINGS.get(item.arg, item.arg): item.value for item in call.keywords if item.arg is not None}
    values = {word: _literal(value, constants) for word, value in given.items()}
    name, default, choices = values.get("name"), values.get("defaultValue"), values.get("choices")
    if not isinstance(name, str):
        return None
    return Widget(
        kind=kind,
        name=name,
        default=None if default is None else str(default),
        choices=tuple(map(str, choices)) if isinstance(choices, list | tuple) else (),
        label=str(values.get("label") or ""),
        line=call.lineno,
    )


def _literal(node: ast.expr, constants: Mapping[str, ast.expr]) -> Any:
    """The value of a literal or of a name that the cell gives one; None for what is computed."""
    if isinstance(node, ast.Name):
        node = constants.get(node.id, node)
    try:
        return ast.literal_eval(node)
    except _FAILURES:
        return None


def _read(node: ast.expr) -> tuple[str, Any] | None:
    """The widget that an expression reads, and the type that it makes of its text."""
    match node:
        case ast.Call(func=ast.Name(id=conversion), args=[inner], keywords=[]) if conversion in _CONVERSIONS:
            read = _read(inner)
            return None if read is None else (read[0], _CONVERSIONS[conversion])
    found = _method(node)
    if found is None or found[0] not in ("get", "getArgument"):
        return None
    given = [*found[1].args, *(item.value for item in found[1].keywords if item.arg == "name")]
    name = _literal(given[0], {}) if given else None
    return (name, str) if isinstance(name, str) else None


def _parameter(name: str, widget: Widget, kind: Any, line: int, comments: Mapping[int, str]) -> Parameter:
    hint, default = _typed(widget, kind)
    control: dict[str, Any] = {"kind": widget.kind}
    control |= {"label": widget.label} if widget.label else {}
    control |= {"allow_input": True} if widget.kind == "combobox" else {}
    control |= {"choices": list(widget.choices)} if widget.kind in ("combobox", "multiselect") else {}
    made = describe(
        Parameter(
            name=name,
            python_type=hint,
            default=default,
            help=widget.label or inspect.cleandoc(comments.get(line, "").lstrip("#")).strip(),
            widget=MappingProxyType(control),
            line=line,
        )
    )
    choices: tuple[Any, ...] = () if kind is not str else widget.choices
    return made if made.choices else replace(made, choices=choices)


def _typed(widget: Widget, kind: Any) -> tuple[Any, Default]:
    """The type of the variable and its default, as far as the widget's text can be converted."""
    computed = ComputedDefault(f"dbutils.widgets.get({widget.name!r})")
    default: Default = computed if widget.default is None else LiteralDefault(widget.default, repr(widget.default))
    try:
        if kind is not str:
            choices = tuple(kind(choice) for choice in widget.choices)
            default = computed if widget.default is None else LiteralDefault(kind(widget.default), widget.default)
            return hints.annotate(kind, (Choice(*choices),) if choices and widget.kind == "dropdown" else ()), default
    except ValueError:
        # int("") of a widget without a value fails in the notebook too: a call must give one.
        return kind, NO_DEFAULT
    conditions: tuple[Any, ...] = ()
    if widget.choices and widget.kind == "dropdown":
        conditions = (Choice(*widget.choices),)
    elif widget.choices and widget.kind == "multiselect":
        conditions = (SeveralOf(widget.choices),)
    return Annotated[(str, AsText(), *conditions)], default  # type: ignore[return-value,unused-ignore]
