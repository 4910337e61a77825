"""What the names of a parameters cell mean: imports, enumerations and type aliases of the cells up to it."""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_DATETIME_NAMES = ("date", "datetime", "time", "timedelta", "timezone")
WELL_KNOWN = {
    "pd": "pandas",
    "np": "numpy",
    "dt": "datetime",
    **{name: f"datetime.{name}" for name in _DATETIME_NAMES},
    **{name: f"typing.{name}" for name in ("Annotated", "Any", "Literal", "Optional", "Union")},
    **{
        name: f"typing.{name}" for name in ("Dict", "Final", "FrozenSet", "List", "Mapping", "Sequence", "Set", "Tuple")
    },
    **{name: f"nbflow.{name}" for name in ("Secret", "Range", "Choice", "Pattern")},
    **{
        name: f"annotated_types.{name}"
        for name in ("Ge", "Gt", "Interval", "Le", "Len", "Lt", "MaxLen", "MinLen", "MultipleOf")
    },
    **{name: f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum")},
    "Field": "pydantic.Field",
    "Decimal": "decimal.Decimal",
    "Path": "pathlib.Path",
    "UUID": "uuid.UUID",
    "Timestamp": "pandas.Timestamp",
    "Timedelta": "pandas.Timedelta",
    "nbflow": "nbflow",
    "pandas": "pandas",
    "numpy": "numpy",
    "math": "math",
}
"""What a name means when no cell binds it: an annotation is often written before its import."""

_FOLDED = (
    ("typing_extensions.", "typing."),
    ("collections.abc.", "typing."),
    ("nbflow.parameters.", "nbflow."),
    ("pandas._libs.tslibs.", "pandas."),
)
_ENUM_BASES = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum"})
_MAX_HOPS = 20


@dataclass(slots=True)
class Scope:
    """Bindings in order of execution. A name is a dotted path (import), an expression (alias) or an enumeration."""

    read: Callable[[], Iterable[ast.stmt]]
    """Gives the statements to learn from; called at the first name that is looked up."""
    _paths: dict[str, str] = field(default_factory=dict)
    _aliases: dict[str, ast.expr] = field(default_factory=dict)
    _enums: dict[str, type[enum.Enum]] = field(default_factory=dict)
    _ready: bool = False

    def path(self, node: ast.expr) -> str | None:
        """The dotted path that *node*, a name or attribute, leads to: ``pd.Timestamp`` → ``pandas.Timestamp``."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or len(parts) > _MAX_HOPS:
            return None
        self._learn()
        root = self._root(node.id)
        if root is None:
            return None
        path = ".".join([root, *reversed(parts)])
        if node.id not in self._paths and root == "datetime.datetime" and parts and parts[-1] in _DATETIME_NAMES:
            # Nothing imports it: ``datetime.date`` is then meant as the module's.
            path = path.removeprefix("datetime.")
        for prefix, folded in _FOLDED:
            if path.startswith(prefix):
                return folded + path.removeprefix(prefix)
        return path

    def alias(self, name: str) -> ast.expr | None:
        """The expression that *name* was assigned, where it may be a type."""
        self._learn()
        return self._aliases.get(name)

    def enumeration(self, name: str) -> type[enum.Enum] | None:
        """The enumeration that a class statement of the notebook gives *name*."""
        self._learn()
        return self._enums.get(name)

    def _root(self, name: str) -> str | None:
        if name in self._paths:
            return self._paths[name]
        if name in self._aliases or name in self._enums:
            return None
        return WELL_KNOWN.get(name)

    def _learn(self) -> None:
        if self._ready:
            return
        self._ready = True
        for statement in _flatten(self.read()):
            self._bind(statement)

    def _bind(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Import(names=names):
                for item in names:
                    name = item.asname or item.name.partition(".")[0]
                    self._set_path(name, item.name if item.asname else name)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for item in names:
                    self._set_path(item.asname or item.name, f"{module}.{item.name}")
            case ast.ClassDef(name=name):
                self._forget(name)
                made = self._make_enum(statement)
                if made is not None:
                    self._enums[name] = made
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if may_be_type(value):
                self._forget(name)
                self._aliases[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=ast.expr() as value):
                if ast.unparse(kind).endswith("TypeAlias"):
                    self._forget(name)
                    self._aliases[name] = value
            case _ if type(statement).__name__ == "TypeAlias":  # a statement of Python 3.12, unknown to 3.11's ast
                alias: Any = statement
                self._forget(alias.name.id)
                self._aliases[alias.name.id] = alias.value
            case _:
                pass

    def _set_path(self, name: str, path: str) -> None:
        if name == "*":
            return
        self._forget(name)
        self._paths[name] = path

    def _forget(self, name: str) -> None:
        for bindings in (self._paths, self._aliases, self._enums):
            bindings.pop(name, None)

    def _make_enum(self, statement: ast.ClassDef) -> type[enum.Enum] | None:
        bases = {self.path(base) for base in statement.bases}
        if not bases & _ENUM_BASES:
            return None
        members = list(_read_members(statement, lowercase="enum.StrEnum" in bases))
        make: Any = enum.Enum
        try:
            return make(statement.name, members, module="__main__") if members else None
        except (TypeError, ValueError, AttributeError):
            return None


def may_be_type(value: ast.expr) -> bool:
    """Whether an assignment of *value* could name a type. ``date = date.today()`` must not hide the import."""
    match value:
        case ast.Subscript() | ast.Name() | ast.Attribute() | ast.BinOp(op=ast.BitOr()):
            return True
        case ast.Call(func=ast.Name(id="NewType") | ast.Attribute(attr="NewType")):
            return True
    return False


def _flatten(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, those inside of ``if``, ``try`` and ``with`` included: imports often stand there."""
    for statement in statements:
        match statement:
            case ast.If(body=body, orelse=rest):
                yield from _flatten([*rest, *body])
            case ast.Try(body=body, handlers=handlers):
                # The body last: what it imports is what the notebook means, the handlers are the makeshift.
                yield from _flatten([inner for handler in handlers for inner in handler.body])
                yield from _flatten(body)
            case ast.With(body=body):
                yield from _flatten(body)
            case _:
                yield statement


def _read_members(statement: ast.ClassDef, *, lowercase: bool) -> Iterator[tuple[str, Any]]:
    """Names and values of an enumeration; a value that only the kernel can know is replaced by the member's name."""
    number = 0
    for inner in statement.body:
        match inner:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not name.startswith("_"):
                pass
            case _:
                continue
        if isinstance(value, ast.Call) and ast.unparse(value.func) in ("auto", "enum.auto"):
            number += 1
            yield name, name.lower() if lowercase else number
            continue
        try:
            literal = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            literal = name
        number = literal if isinstance(literal, int) else number
        yield name, literal
