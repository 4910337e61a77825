"""From an annotation's syntax tree to a type, through a list of what is known; nothing is imported or evaluated."""

from __future__ import annotations

import ast
import datetime
import decimal
import pathlib
import re
import typing
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal

from nbflow.parameters.defaults import Evaluator, NotKnown
from nbflow.parameters.forms import NoForm, json_form
from nbflow.parameters.hints import annotate, join
from nbflow.parameters.markers import (
    Bounds,
    Choice,
    Constraint,
    PandasTimedelta,
    PandasTimestamp,
    Pattern,
    Range,
    Secret,
)
from nbflow.parameters.source import parse_python

_BUILTINS: Mapping[str, Any] = {
    "bool": bool,
    "dict": dict,
    "float": float,
    "frozenset": frozenset,
    "int": int,
    "list": list,
    "object": Any,
    "set": set,
    "str": str,
    "tuple": tuple,
}
_NAMED: Mapping[str, Any] = {
    "datetime.date": datetime.date,
    "datetime.datetime": datetime.datetime,
    "datetime.time": datetime.time,
    "datetime.timedelta": datetime.timedelta,
    "decimal.Decimal": decimal.Decimal,
    "pathlib.Path": pathlib.Path,
    "pathlib.PosixPath": pathlib.Path,
    "pathlib.PurePath": pathlib.Path,
    "uuid.UUID": uuid.UUID,
    "pandas.Timestamp": PandasTimestamp,
    "pandas.Timedelta": PandasTimedelta,
    "nbflow.Secret": Secret,
    "pydantic.SecretStr": Secret,
    "numbers.Integral": int,
    "numbers.Number": int | float,
    "numbers.Real": int | float,
    "typing.Any": Any,
    "typing.AnyStr": str,
    "typing.LiteralString": str,
    "typing.Text": str,
    "pydantic.JsonValue": Any,
    "pydantic.PositiveInt": annotate(int, (Bounds(gt=0),)),
    "pydantic.NonNegativeInt": annotate(int, (Bounds(ge=0),)),
    "pydantic.NegativeInt": annotate(int, (Bounds(lt=0),)),
    "pydantic.NonPositiveInt": annotate(int, (Bounds(le=0),)),
    "pydantic.PositiveFloat": annotate(float, (Bounds(gt=0),)),
    "pydantic.NonNegativeFloat": annotate(float, (Bounds(ge=0),)),
    "pydantic.NegativeFloat": annotate(float, (Bounds(lt=0),)),
    "pydantic.NonPositiveFloat": annotate(float, (Bounds(le=0),)),
    "builtins.bool": bool,
    "builtins.float": float,
    "builtins.int": int,
    "builtins.str": str,
}
_GENERIC: Mapping[str, type] = {
    "typing.List": list,
    "typing.Sequence": list,
    "typing.MutableSequence": list,
    "typing.Iterable": list,
    "typing.Collection": list,
    "typing.Tuple": tuple,
    "typing.Set": set,
    "typing.AbstractSet": set,
    "typing.MutableSet": set,
    "typing.FrozenSet": frozenset,
    "typing.Dict": dict,
    "typing.Mapping": dict,
    "typing.MutableMapping": dict,
}
_BOUND_NAMES = {
    "Gt": "gt",
    "Ge": "ge",
    "Lt": "lt",
    "Le": "le",
    "MultipleOf": "multiple_of",
    "MinLen": "min_length",
    "MaxLen": "max_length",
}
_FIELD_NAMES = {**{name: name for name in _BOUND_NAMES.values()}, "pattern": "search"}
_MARKERS: Mapping[str, type[Constraint]] = {"Choice": Choice, "Pattern": Pattern, "Range": Range}
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What an annotation says."""

    hint: Any
    help: str = ""
    unknown: tuple[str, ...] = ()
    """Parts that are not known; each is ``Any`` in the hint."""


@dataclass(slots=True)
class _Reader:
    evaluator: Evaluator
    unknown: list[str] = field(default_factory=list)
    helps: list[str] = field(default_factory=list)

    def read(self, node: ast.expr, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            return self._unknown(node)
        match node:
            case ast.Constant(value=None):
                return NoneType
            case ast.Constant(value=str(text)):
                return self._quoted(text, node, depth)
            case ast.Name() | ast.Attribute():
                return self._named(node, depth)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return join([self.read(left, depth + 1), self.read(right, depth + 1)])
            case ast.Subscript(value=origin, slice=inner):
                return self._subscript(node, origin, inner, depth)
            case ast.Call(func=ast.Name(id="NewType") | ast.Attribute(attr="NewType"), args=[_, kind]):
                return self.read(kind, depth + 1)
        return self._unknown(node)

    def _unknown(self, node: ast.expr) -> Any:
        self.unknown.append(ast.unparse(node))
        return Any

    def _quoted(self, text: str, node: ast.expr, depth: int) -> Any:
        tree = parse_python(text.strip())
        if tree is not None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            return self.read(tree.body[0].value, depth + 1)
        return self._unknown(node)

    def _named(self, node: ast.expr, depth: int) -> Any:
        scope = self.evaluator.scope
        if isinstance(node, ast.Name):
            # Before the scope is asked, which then reads all earlier cells.
            if node.id in _BUILTINS:
                return _BUILTINS[node.id]
            kind = scope.enumeration(node.id)
            if kind is not None:
                return kind
            alias = scope.alias(node.id)
            if alias is not None:
                return self.read(alias, depth + 1)
        path = scope.path(node)
        if path is not None and path in _GENERIC:
            return _GENERIC[path]
        return self._unknown(node) if path is None or path not in _NAMED else _NAMED[path]

    def _subscript(self, node: ast.expr, origin: ast.expr, inner: ast.expr, depth: int) -> Any:
        builtin = _BUILTINS.get(origin.id) if isinstance(origin, ast.Name) else None
        path = None if builtin is not None else self.evaluator.scope.path(origin)
        parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        if path == "typing.Literal":
            return self._literal(node, parts)
        if path == "typing.Annotated" and parts:
            return self._annotated(parts, depth)
        if path in ("typing.Optional", "typing.Union"):
            members = [self.read(part, depth + 1) for part in parts]
            return join([*members, NoneType] if path == "typing.Optional" else members)
        if path in ("typing.Final", "typing.ClassVar", "typing.Required"):
            return self.read(inner, depth + 1)
        container = builtin if builtin in (list, tuple, set, frozenset, dict) else _GENERIC.get(path or "")
        return self._unknown(node) if container is None else self._container(node, container, parts, depth)

    def _container(self, node: ast.expr, container: type, parts: list[ast.expr], depth: int) -> Any:
        open_ended = len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is Ellipsis
        if container is tuple:
            if open_ended:
                return tuple[self.read(parts[0], depth + 1), ...]  # type: ignore[misc]
            return tuple[tuple(self.read(part, depth + 1) for part in parts)]  # type: ignore[misc]
        if len(parts) != (2 if container is dict else 1):
            return self._unknown(node)
        inner = tuple(self.read(part, depth + 1) for part in parts)
        return typing.cast(Any, container)[inner]

    def _literal(self, node: ast.expr, parts: list[ast.expr]) -> Any:
        values: list[Any] = []
        for part in parts:
            try:
                value = self.evaluator.value(part)
            except NotKnown:
                return self._unknown(node)
            if value is not None and type(value) not in (bool, int, float, str):
                return self._unknown(node)
            values.append(value)
        return Literal[tuple(values)] if values else self._unknown(node)

    def _annotated(self, parts: list[ast.expr], depth: int) -> Any:
        hint = self.read(parts[0], depth + 1)
        metadata: list[Any] = []
        for part in parts[1:]:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.helps.append(part.value.strip())
            elif isinstance(part, ast.Call):
                metadata.extend(self._condition(part))
            else:
                self.unknown.append(ast.unparse(part))
        return annotate(hint, tuple(metadata))

    def _condition(self, call: ast.Call) -> list[Any]:
        path = self.evaluator.scope.path(call.func) or ""
        package, _, name = path.rpartition(".")
        try:
            arguments = [self.evaluator.value(item) for item in call.args]
            named = {item.arg: self.evaluator.value(item.value) for item in call.keywords if item.arg}
            if package == "nbflow" and name in _MARKERS:
                return [_make_marker(name, arguments, named)]
            if package == "annotated_types":
                return [_from_annotated_types(name, arguments, named)]
            if path in ("pydantic.Field", "pydantic.StringConstraints", "pydantic.fields.Field"):
                return self._field(named)
        except (NotKnown, NoForm, TypeError, ValueError, KeyError, re.error):
            pass
        self.unknown.append(ast.unparse(call))
        return []

    def _field(self, named: Mapping[str, Any]) -> list[Any]:
        help_text = named.get("description") or named.get("title")
        if isinstance(help_text, str):
            self.helps.append(help_text.strip())
        limits = {_FIELD_NAMES[name]: limit for name, limit in named.items() if name in _FIELD_NAMES}
        return [Bounds(**limits)] if limits else []


def read_annotation(node: ast.expr, evaluator: Evaluator) -> Annotation:
    """What *node* says, its unknown parts as ``Any``. Never raises."""
    reader = _Reader(evaluator)
    try:
        hint = reader.read(node)
    except (TypeError, ValueError, RecursionError):
        # typing itself refuses some forms, such as Literal of an unhashable value.
        hint = reader._unknown(node)
    return Annotation(hint=hint, help=" ".join(reader.helps), unknown=tuple(reader.unknown))


def is_type_expression(node: ast.expr, evaluator: Evaluator) -> bool:
    """Whether an assigned expression is a type: ``Region = Literal["EU", "US"]`` is an alias, no parameter."""
    if not isinstance(node, ast.Subscript | ast.BinOp | ast.Call):
        return False
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.BitOr):
        return False
    try:
        reader = _Reader(evaluator)
        return reader.read(node) is not Any and not reader.unknown
    except (TypeError, ValueError, RecursionError):
        return False


def _make_marker(name: str, arguments: list[Any], named: Mapping[str, Any]) -> Constraint:
    marker = _MARKERS[name](*arguments, **named)
    if isinstance(marker, Choice):
        for value in marker.values:
            json_form(value)
    if isinstance(marker, Pattern):
        re.compile(marker.regex)
    return marker


def _from_annotated_types(name: str, arguments: list[Any], named: Mapping[str, Any]) -> Bounds:
    if name in _BOUND_NAMES:
        limit = arguments[0] if arguments else next(iter(named.values()))
        return Bounds(**{_BOUND_NAMES[name]: limit})
    if name == "Interval":
        return Bounds(**{key: named[key] for key in named})
    if name == "Len":
        ends = dict(zip(("min_length", "max_length"), arguments, strict=False)) | dict(named)
        return Bounds(**ends)
    raise KeyError(name)
