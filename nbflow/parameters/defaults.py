"""What a default is, told from its source: a value known now, or the type of what the kernel will compute."""

from __future__ import annotations

import ast
import datetime
import decimal
import enum
import math
import operator
import pathlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbflow.parameters.markers import PandasTimedelta, PandasTimestamp
from nbflow.parameters.scope import Scope

_CONSTANTS: Mapping[str, Any] = {
    "math.inf": math.inf,
    "math.nan": math.nan,
    "math.pi": math.pi,
    "math.e": math.e,
    "numpy.inf": math.inf,
    "numpy.nan": math.nan,
    "numpy.pi": math.pi,
    "datetime.timezone.utc": datetime.UTC,
    "datetime.UTC": datetime.UTC,
}
_CONSTRUCTORS: Mapping[str, Callable[..., Any]] = {
    "datetime.date": datetime.date,
    "datetime.date.fromisoformat": datetime.date.fromisoformat,
    "datetime.datetime": datetime.datetime,
    "datetime.datetime.fromisoformat": datetime.datetime.fromisoformat,
    "datetime.time": datetime.time,
    "datetime.timedelta": datetime.timedelta,
    "datetime.timezone": datetime.timezone,
    "decimal.Decimal": decimal.Decimal,
    "pathlib.Path": pathlib.Path,
    "uuid.UUID": uuid.UUID,
}
"""Called while reading, with literal arguments only: they compute nothing and touch nothing."""

_BUILTIN_CONSTRUCTORS: Mapping[str, Callable[..., Any]] = {
    "bool": bool,
    "dict": dict,
    "float": float,
    "frozenset": frozenset,
    "int": int,
    "list": list,
    "set": set,
    "str": str,
    "tuple": tuple,
}
_RESULTS: Mapping[str, Any] = {
    **{f"datetime.date.{name}": datetime.date for name in ("today", "fromisoformat", "fromtimestamp")},
    **{
        f"datetime.datetime.{name}": datetime.datetime
        for name in ("now", "utcnow", "today", "strptime", "fromisoformat", "fromtimestamp", "combine")
    },
    "pathlib.Path.home": pathlib.Path,
    "pathlib.Path.cwd": pathlib.Path,
    "uuid.uuid1": uuid.UUID,
    "uuid.uuid4": uuid.UUID,
    "os.getcwd": str,
    "os.path.join": str,
    "pandas.Timestamp": PandasTimestamp,
    "pandas.to_datetime": PandasTimestamp,
    **{f"pandas.Timestamp.{name}": PandasTimestamp for name in ("now", "today", "utcnow")},
    "pandas.Timedelta": PandasTimedelta,
    "pandas.to_timedelta": PandasTimedelta,
    "time.time": float,
}
_METHODS: Mapping[str, Any] = {
    "isoformat": str,
    "strftime": str,
    "format": str,
    "join": str,
    "date": datetime.date,
    "time": datetime.time,
    "resolve": pathlib.Path,
    "expanduser": pathlib.Path,
    "absolute": pathlib.Path,
}
_KEPT_METHODS = frozenset({"replace", "astimezone", "strip", "lower", "upper", "normalize", "floor", "ceil"})
"""Methods whose result has the type of their object, for the types that a parameter can have."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_MOMENTS = (datetime.date, datetime.datetime, PandasTimestamp)
_SPANS = (datetime.timedelta, PandasTimedelta)
_FAILURES = (ValueError, TypeError, ArithmeticError, AttributeError, KeyError, RecursionError, MemoryError, SyntaxError)


class NotKnown(Exception):
    """The expression has no value before the kernel computes it."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Reads expressions of one cell. It runs no code of the notebook."""

    scope: Scope
    types: dict[str, Any] = field(default_factory=dict)
    """Types of the cell's parameters so far: ``end = start`` has the type of ``start``."""

    def value(self, node: ast.expr) -> Any:
        """The value of a literal, or of a constructor with literal arguments; NotKnown for everything else."""
        try:
            return self._value(node)
        except _FAILURES as error:
            raise NotKnown(str(error)) from error

    def infer(self, node: ast.expr) -> Any:
        """The type that the kernel's value is going to have; ``Any`` where that can't be told."""
        try:
            return infer_type(self.value(node))
        except NotKnown:
            pass
        try:
            return self._infer(node)
        except _FAILURES:
            return Any

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value if type(value) is not int else _number(value)
            case ast.Call():
                return self._call(node)
            case ast.Attribute() | ast.Name():
                return self._named(node)
            case ast.BinOp(left=left, op=op, right=right):
                return _combine(op, self._value(left), self._value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -_number(self._value(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return +_number(self._value(operand))
            case ast.List(elts=items):
                return [self._value(item) for item in items]
            case ast.Tuple(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.Set(elts=items):
                return {self._value(item) for item in items}
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return {self._value(_present(key)): self._value(value) for key, value in pairs}
        raise NotKnown

    def _call(self, node: ast.Call) -> Any:
        function = self._function(node)
        arguments = [self._value(item) for item in node.args]
        named = {_present(item.arg): self._value(item.value) for item in node.keywords}
        if function is str and arguments and not isinstance(arguments[0], str | int | float):
            raise NotKnown
        return function(*arguments, **named)

    def _function(self, node: ast.Call) -> Callable[..., Any]:
        # The builtins first: to know the others, the scope reads all earlier cells.
        if isinstance(node.func, ast.Name) and node.func.id in _BUILTIN_CONSTRUCTORS:
            return _BUILTIN_CONSTRUCTORS[node.func.id]
        path = self.scope.path(node.func) or ""
        if path in _CONSTRUCTORS:
            return _CONSTRUCTORS[path]
        raise NotKnown

    def _named(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            kind = self.scope.enumeration(node.value.id)
            if kind is not None:
                return kind[node.attr]
        path = self.scope.path(node) or ""
        if path not in _CONSTANTS:
            raise NotKnown
        return _CONSTANTS[path]

    def _infer(self, node: ast.expr) -> Any:
        match node:
            case ast.JoinedStr():
                return str
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return bool
            case ast.List() | ast.ListComp():
                return list
            case ast.Set() | ast.SetComp():
                return set
            case ast.Dict() | ast.DictComp():
                return dict
            case ast.Tuple():
                return tuple
            case ast.Name(id=name):
                return self.types.get(name, Any)
            case ast.BinOp(left=left, op=op, right=right):
                return _combine_types(op, self.infer(left), self.infer(right))
            case ast.IfExp(body=body, orelse=rest):
                kind = self.infer(body)
                return kind if kind is self.infer(rest) else Any
            case ast.Subscript(value=value) if self.scope.path(value) == "os.environ":
                return str
            case ast.Call():
                return self._infer_call(node)
        return Any

    def _infer_call(self, node: ast.Call) -> Any:
        path = self.scope.path(node.func) or ""
        if path in _RESULTS:
            return _RESULTS[path]
        if path in ("os.environ.get", "os.getenv") and len(node.args) == 2:
            return self.infer(node.args[1])
        if path in _CONSTRUCTORS and isinstance(_CONSTRUCTORS[path], type):
            return _CONSTRUCTORS[path]
        match node.func:
            case ast.Name(id=name) if not path and name in _BUILTIN_CONSTRUCTORS:
                return _BUILTIN_CONSTRUCTORS[name]
            case ast.Name(id="len" | "round") if not path and len(node.args) == 1:
                return int
            case ast.Name(id="sorted") if not path:
                return list
            case ast.Attribute(value=value, attr=name) if name in _KEPT_METHODS:
                return self.infer(value)
            case ast.Attribute(value=value, attr=name) if name in _METHODS and self.infer(value) is not Any:
                return _METHODS[name]
        return Any


def infer_type(value: Any) -> Any:
    """The type that an un-annotated default stands for. None says nothing; keys other than text are kept apart."""
    if value is None or value is Ellipsis:
        return Any
    if isinstance(value, enum.Enum):
        return type(value)
    for kind in (pathlib.PurePath, datetime.datetime):
        if isinstance(value, kind):
            return pathlib.Path if kind is pathlib.PurePath else kind
    if type(value) is dict:
        kinds = {type(key) for key in value}
        generic: Any = dict
        return generic[kinds.pop(), Any] if len(kinds) == 1 and kinds != {str} else dict
    known = (bool, int, float, str, list, tuple, set, frozenset, datetime.date, datetime.time, datetime.timedelta)
    return type(value) if type(value) in (*known, decimal.Decimal, uuid.UUID) else Any


def _combine(op: ast.operator, left: Any, right: Any) -> Any:
    """Arithmetic on numbers and on dates, adding of texts; bounded, because reading must not be made to compute."""
    if isinstance(op, ast.Pow) and not (abs(_number(left)) <= 2**16 and abs(_number(right)) <= 64):
        raise NotKnown
    if isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(op, ast.Div) and isinstance(left, pathlib.PurePath) and isinstance(right, str):
        return left / right
    times = (datetime.date, datetime.timedelta)
    if isinstance(op, ast.Add | ast.Sub) and isinstance(left, times) and isinstance(right, times):
        return _OPERATORS[type(op)](left, right)
    apply = _OPERATORS.get(type(op))
    if apply is None:
        raise NotKnown
    return apply(_number(left), _number(right))


def _combine_types(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Mod) and left is str:
        return str
    if left is pathlib.Path and isinstance(op, ast.Div):
        return pathlib.Path
    if left in _MOMENTS and right in _SPANS:
        return left
    if isinstance(op, ast.Sub) and left in _MOMENTS and right in _MOMENTS:
        return PandasTimedelta if PandasTimestamp in (left, right) else datetime.timedelta
    if left in (int, float) and right in (int, float):
        return float if float in (left, right) or isinstance(op, ast.Div) else int
    return left if left is right and isinstance(op, ast.Add) else Any


def _number(value: Any) -> Any:
    if type(value) is float or (type(value) is int and value.bit_length() <= 10_000):
        return value
    raise NotKnown


def _present(part: Any) -> Any:
    """``{**other}`` and ``f(**other)`` have a None where the name would be."""
    if part is None:
        raise NotKnown
    return part
