"""Where the names of parameters are used and bound in a cell, told from its text alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from nbflow.parameters.records import SourceCell
from nbflow.parameters.source import ParsedCell, Unreadable, parse_cell, parse_python

_MAGIC_LINE = re.compile(r"(\s*)(?:[%!?]|.*\?\s*$)")
_MAGIC_VALUE = re.compile(r"(\s*[^\s=#'\"%!][^=#'\"]*=)\s*(?:%|!)")
_CELL_MAGIC_LINE = re.compile(r"\s*%%[^\n]*")
_SHARES_NAMESPACE = re.compile(r"^\s*%(?:run|load|recall|rerun|macro)\b", re.MULTILINE)
_TEMPLATE = re.compile(r"[{$@]|%\(")
_WORD = re.compile(r"\w+")
_DOTTED_WORD = re.compile(r"[\w.]+")
_NAMESPACES = frozenset({"globals", "locals", "vars", "dir"})
_EVALUATES = frozenset({"eval", "exec"})
_READS_TEXT = frozenset(
    {
        *_EVALUATES,
        *("compile", "query", "evaluate", "sql", "execute", "timeit", "repeat", "parse_expr", "sympify"),
        *("run_line_magic", "run_cell_magic", "run_cell", "ev", "ex", "system", "getoutput", "getattr"),
    }
)
"""Functions whose text arguments are code of some kind: every word in them may be a name."""


class Kind(Enum):
    USE = "use"
    """The value is read."""
    TEXT = "text"
    """A text that may be code or a template holds the name: that counts as a use."""
    BIND = "bind"
    """The name is bound anew, whatever else happens in the cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One place where a name occurs."""

    name: str
    kind: Kind
    line: int | None = None


@dataclass(slots=True, kw_only=True)
class CellNames:
    """What a cell does with certain names, in the order in which it happens."""

    index: int
    mentions: list[Mention] = field(default_factory=list)
    everything: bool = False
    """The cell reaches names in ways that can't be followed: all of them count as used."""
    unreadable: tuple[Unreadable, ...] = ()

    def of(self, name: str) -> list[Mention]:
        """The mentions of *name*, in order."""
        return [mention for mention in self.mentions if mention.name == name]


def find_names(cell: SourceCell, names: frozenset[str]) -> CellNames:
    """Where *cell*, of a Python notebook, uses and binds *names*. Errs towards use; never raises."""
    found = CellNames(index=cell.index)
    parsed, magics = _parse(cell.source)
    found.unreadable = parsed.unreadable
    found.everything = bool(_SHARES_NAMESPACE.search(magics))
    texts = [magics]
    if parsed.magic is not None or parsed.unreadable:
        texts.append(cell.source)
    found.mentions += [
        Mention(name=name, kind=Kind.TEXT) for text in texts for name in sorted(_find_words(text, names))
    ]
    walker = _Walker(names=names, found=found)
    for statement in parsed.body:
        try:
            walker.visit(statement)
        except RecursionError:
            words = _find_words(cell.source, names)
            found.mentions += [Mention(name=name, kind=Kind.TEXT, line=statement.lineno) for name in sorted(words)]
    return found


def find_words(cell: SourceCell, names: frozenset[str]) -> CellNames:
    """The same for a cell of another language: every word counts as a use."""
    # In R, a dot is a letter of names.
    words = sorted(_find_words(cell.source, names) | names.intersection(_DOTTED_WORD.findall(cell.source)))
    return CellNames(index=cell.index, mentions=[Mention(name=name, kind=Kind.TEXT) for name in words])


def _find_words(text: str, names: frozenset[str]) -> frozenset[str]:
    return names.intersection(_WORD.findall(text))


def _parse(source: str) -> tuple[ParsedCell, str]:
    """The cell's statements, and the text of its magics.

    Magics that stand on lines of their own are blanked out here, which is quick; for the rest IPython itself is asked.
    """
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    head = _CELL_MAGIC_LINE.match(text)
    magics = head[0] if head else ""
    parsed = parse_cell(text, transform=False)
    if not parsed.unreadable:
        return parsed, magics
    blanked, lines = _blank_magics(parsed.text)
    tree = parse_python(blanked)
    if tree is not None:
        return ParsedCell(text=blanked, body=tuple(tree.body)), "\n".join([magics, *lines])
    return parse_cell(text, transform=True), "\n".join([magics, *lines])


def _blank_magics(text: str) -> tuple[str, list[str]]:
    """*text* with Python in place of the lines of magics and shell commands, and those lines."""
    kept: list[str] = []
    magics: list[str] = []
    goes_on = False
    for line in text.split("\n"):
        value = _MAGIC_VALUE.match(line)
        magic = _MAGIC_LINE.match(line) if not line.lstrip().startswith("#") else None
        if goes_on or value or magic:
            magics.append(line[value.end() - 1 :] if value else line)
            kept.append("" if goes_on else f"{value[1]} None" if value else f"{magic[1] if magic else ''}pass")
            goes_on = line.rstrip().endswith("\\")
        else:
            kept.append(line)
    return "\n".join(kept), magics


@dataclass(slots=True)
class _Walker(ast.NodeVisitor):
    """Goes through statements in the order of evaluation."""

    names: frozenset[str]
    found: CellNames
    scopes: list[frozenset[str]] = field(default_factory=list)
    """The local names of the functions, classes and comprehensions around the current place."""
    branches: int = 0
    """How many conditions, loops and the like are around it: what is bound there may not be bound at all."""

    def _note(self, name: str, kind: Kind, node: ast.AST) -> None:
        if name not in self.names or any(name in scope for scope in self.scopes):
            return
        if kind is Kind.BIND and (self.scopes or self.branches):
            return
        self.found.mentions.append(Mention(name=name, kind=kind, line=getattr(node, "lineno", 0)))

    def _note_words(self, text: str, node: ast.AST) -> None:
        for name in sorted(_find_words(text, self.names)):
            self._note(name, Kind.TEXT, node)

    def _visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    @contextmanager
    def _scope(self, local: Iterable[str] = ()) -> Iterator[None]:
        self.scopes.append(frozenset(local))
        yield
        self.scopes.pop()

    def _visit_branch(self, nodes: Iterable[ast.AST]) -> None:
        self.branches += 1
        self._visit_all(nodes)
        self.branches -= 1

    # names and texts

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Del):
            self._note(node.id, Kind.USE if isinstance(node.ctx, ast.Load) else Kind.BIND, node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            if node.value in self.names:
                self._note(node.value, Kind.TEXT, node)
            elif _TEMPLATE.search(node.value):
                self._note_words(node.value, node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node.func, ast.Name) and name in _NAMESPACES and not node.args:
            self.found.everything = True
        if isinstance(node.func, ast.Name) and name in _EVALUATES and not _is_text(node.args[:1]):
            self.found.everything = True
        if name in _READS_TEXT:
            for text in _find_texts(arguments):
                self._note_words(text, node)
                self.found.everything |= bool(_SHARES_NAMESPACE.match(f"%{text}")) and name == "run_line_magic"
        if name in ("get", "pop") and _is_namespace(getattr(node.func, "value", None)) and _is_text(node.args[:1]):
            self._visit_all(arguments)
            return
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (_is_namespace(node.value) and isinstance(node.slice, ast.Constant)):
            self.visit(node.value)
        self.visit(node.slice)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        for operator, other in zip(node.ops, node.comparators, strict=True):
            asks_for_name = isinstance(operator, ast.In | ast.NotIn) and _is_text([node.left])
            if not (asks_for_name and _is_namespace(other)):
                self.visit(other)

    # statements that bind

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_all([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_all([node.annotation, node.value])
        if node.value is not None:
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._note(node.target.id, Kind.USE, node)
        self._visit_all([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit_all([node.value, node.target])

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._note(alias.asname or alias.name.partition(".")[0], Kind.BIND, node)

    visit_ImportFrom = visit_Import

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit_all([node.iter, node.target])
        self._visit_branch([*node.body, *node.orelse])

    visit_AsyncFor = visit_For

    def visit_If(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self._visit_branch([*node.body, *node.orelse])

    visit_While = visit_If

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._visit_all([node.test, node.body, node.orelse])

    def visit_Try(self, node: ast.Try) -> None:
        self._visit_branch(node.body)
        self._visit_branch([*node.handlers, *node.orelse, *node.finalbody])

    def visit_TryStar(self, node: ast.AST) -> None:
        self._visit_branch(ast.iter_child_nodes(node))

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._visit_branch(node.cases)

    # scopes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults, node.returns])
        self._note(node.name, Kind.BIND, node)
        with self._scope(_find_locals(node.args, node.body)):
            self._visit_all(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_all([*node.args.defaults, *node.args.kw_defaults])
        with self._scope(_find_locals(node.args, [])):
            self.visit(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all([*node.decorator_list, *node.bases, *node.keywords])
        self._note(node.name, Kind.BIND, node)
        with self._scope():
            self._visit_all(node.body)

    def _visit_comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        first = node.generators[0].iter
        self.visit(first)
        targets = [generator.target for generator in node.generators]
        with self._scope(inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)):
            for child in ast.iter_child_nodes(node):
                if child is not node.generators[0]:
                    self.visit(child)
            self._visit_all(node.generators[0].ifs)

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _visit_comprehension


def _is_text(nodes: list[ast.expr]) -> bool:
    return bool(nodes) and isinstance(nodes[0], ast.Constant) and isinstance(nodes[0].value, str)


def _is_namespace(node: ast.AST | None) -> bool:
    """``globals()`` and its like."""
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMESPACES and not node.args
    )


def _find_texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield inner.value


def _find_locals(arguments: ast.arguments, body: list[ast.stmt]) -> set[str]:
    """The names that belong to a function: its arguments and what it assigns, unless declared global."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    local = {argument.arg for argument in listed if argument is not None}
    elsewhere: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                local.add(name)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                elsewhere.update(names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                local.add(name)
                continue
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                local.update(alias.asname or alias.name.partition(".")[0] for alias in aliases)
        waiting.extend(ast.iter_child_nodes(node))
    return local - elsewhere
