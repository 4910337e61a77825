"""Reading a flow's declaration from its cells: the assignments of the first code cell tagged ``parameters``."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from nbflow.parameters import hints
from nbflow.parameters.annotations import Annotation, is_type_expression, read_annotation
from nbflow.parameters.declaration import Declaration
from nbflow.parameters.defaults import Evaluator, NotKnown
from nbflow.parameters.markers import Range, Secret
from nbflow.parameters.records import (
    NO_DEFAULT,
    ComputedDefault,
    Default,
    Finding,
    LiteralDefault,
    Parameter,
    SourceCell,
)
from nbflow.parameters.scope import Scope
from nbflow.parameters.source import ParsedCell, parse_cell, parse_python

TAG = "parameters"

_TYPE_COMMENT = re.compile(r"#\s*type:\s*(?P<rest>.*)", re.DOTALL)
_NOT_HELP = re.compile(r"#\s*(@\w+|noqa\b|fmt:|isort:|pylint:|pyright:|mypy:|pragma:|type:\s*ignore\b)")


def is_python(language: str) -> bool:
    """Whether *language*, as notebooks name it, is Python: ``python``, ``python3``, ``ipython`` …"""
    return language.lower().startswith(("python", "ipython"))


def find_parameters_cell(cells: Sequence[SourceCell]) -> SourceCell | None:
    """The first code cell tagged ``parameters``."""
    return next((cell for cell in cells if cell.kind == "code" and TAG in cell.tags), None)


def read_declaration(cells: Sequence[SourceCell], *, language: str = "python") -> Declaration:
    """What the notebook declares. Executes nothing and never raises; what could not be read is in ``findings``."""
    cell = find_parameters_cell(cells)
    if cell is None:
        return Declaration(language=language)
    if not is_python(language):
        return _read_foreign_cell(cell, language)
    parsed = parse_cell(cell.source, transform=True)

    def statements() -> Iterator[ast.stmt]:
        for other in cells:
            if other is cell:
                break
            if other.kind == "code":
                yield from parse_cell(other.source, transform=False).body
        yield from parsed.body

    reader = _CellReader(cell=cell, parsed=parsed, evaluator=Evaluator(Scope(statements)))
    reader.read()
    return Declaration(
        language=language,
        cell_index=cell.index,
        parameters=tuple(_with_dialects(cell, parsed, list(reader.found.values()))),
        findings=tuple(reader.findings),
    )


def _read_foreign_cell(cell: SourceCell, language: str) -> Declaration:
    from nbflow.parameters.dialects import can_read, read_foreign

    return Declaration(
        language=language,
        cell_index=cell.index,
        parameters=tuple(read_foreign(cell.source, language)),
        accepts_undeclared=not can_read(language),
    )


def _with_dialects(cell: SourceCell, parsed: ParsedCell, parameters: list[Parameter]) -> list[Parameter]:
    if "dbutils" in cell.source:
        from nbflow.parameters.dialects import read_dbutils

        tree = ast.Module(body=list(parsed.body), type_ignores=[])
        widgets = {parameter.name: parameter for parameter in read_dbutils(tree, parsed.text)}
        kept = [widgets.pop(parameter.name, parameter) for parameter in parameters]
        parameters = [*kept, *widgets.values()]
    if "@param" in cell.source:
        from nbflow.parameters.dialects import read_colab

        parameters = read_colab(parsed.text, parameters)
    return parameters


@dataclass(slots=True)
class _CellReader:
    """Goes through the statements of one cell and gathers parameters and findings."""

    cell: SourceCell
    parsed: ParsedCell
    evaluator: Evaluator
    found: dict[str, Parameter] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def read(self) -> None:
        self._note_unreadable()
        body = self.parsed.body
        for statement, following in zip_longest(body, body[1:]):
            try:
                self._read_statement(statement, following)
            except RecursionError:
                self._note("syntax", "warning", "nested too deeply to be read", statement)

    def _note(
        self, rule: str, severity: Any, message: str, node: ast.stmt | None = None, parameter: str | None = None
    ) -> None:
        line = None if node is None else node.lineno
        self.findings.append(
            Finding(
                rule=rule,
                severity=severity,
                message=message,
                cell_index=self.cell.index,
                line=line,
                parameter=parameter,
            )
        )

    def _note_unreadable(self) -> None:
        if self.parsed.magic is not None:
            self._note("magic", "warning", f"a %%{self.parsed.magic} cell declares no parameters of this kernel")
        for place in self.parsed.unreadable:
            self.findings.append(
                Finding(
                    rule="syntax",
                    severity="error",
                    message=f"line {place.line} is not Python ({place.message}); no parameter is read from it",
                    cell_index=self.cell.index,
                    line=place.line,
                )
            )

    def _read_statement(self, statement: ast.stmt, following: ast.stmt | None) -> None:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                if not ast.unparse(annotation).endswith("TypeAlias"):
                    text = self.parsed.segment(annotation) or ast.unparse(annotation)
                    help_text = self._help(statement, following)
                    self._add(statement, name, self._unquoted(annotation, text), annotation, value, help_text)
            case ast.Assign(targets=targets, value=value):
                if not is_type_expression(value, self.evaluator):
                    self._read_assignment(statement, targets, value, following)
            case _:
                pass

    def _unquoted(self, annotation: ast.expr, text: str) -> str:
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return annotation.value
        return text

    def _read_assignment(
        self, statement: ast.Assign, targets: list[ast.expr], value: ast.expr, following: ast.stmt | None
    ) -> None:
        text, annotation, help_text = self._type_comment(statement)
        help_text = help_text if annotation is not None else self._help(statement, following)
        for target in targets:
            for name, part in _pair(target, value):
                self._add(statement, name, text, annotation, part, help_text)

    def _type_comment(self, statement: ast.stmt) -> tuple[str | None, ast.expr | None, str]:
        """The type and help of ``x = 1  # type: int  help``, as papermill's notebooks have them."""
        comment = self._comment(statement)
        match = _TYPE_COMMENT.match(comment)
        if match is None or _NOT_HELP.match(comment):
            return None, None, ""
        rest = match["rest"]
        for end in [found.start() for found in re.finditer(r"\s|$", rest)]:
            tree = parse_python(rest[:end])
            if rest[:end].strip() and tree is not None and tree.body and isinstance(tree.body[0], ast.Expr):
                return rest[:end].strip(), tree.body[0].value, rest[end:].strip().lstrip("#").strip()
        return None, None, ""

    def _comment(self, statement: ast.stmt) -> str:
        return self.parsed.comments.get(statement.end_lineno or statement.lineno, "")

    def _help(self, statement: ast.stmt, following: ast.stmt | None) -> str:
        """The comment behind the statement, or else a string literal on the line below."""
        comment = self._comment(statement)
        if comment and not _NOT_HELP.match(comment):
            return comment.lstrip("#:").strip()
        match following:
            case ast.Expr(value=ast.Constant(value=str(text))) if following.lineno == (statement.end_lineno or 0) + 1:
                return inspect.cleandoc(text).strip()
        return ""

    def _add(
        self,
        statement: ast.stmt,
        name: str,
        text: str | None,
        annotation: ast.expr | None,
        value: ast.expr | None,
        help_text: str,
    ) -> None:
        earlier = self.found.get(name)
        default = NO_DEFAULT if value is None else self._default(value)
        if annotation is not None:
            said = read_annotation(annotation, self.evaluator)
            made = self._annotated(name, text, said, default)
            self._note_unknown(statement, name, said)
        elif earlier is not None and not earlier.inferred:
            made = replace(earlier, default=default)
        else:
            hint = Any if value is None else self.evaluator.infer(value)
            made = describe(Parameter(name=name, python_type=hint, inferred=True, default=default))
        if earlier is not None:
            # A declaration without a value is completed by a later assignment; a second value replaces the first.
            if not earlier.required:
                self._note("reassigned", "info", f"{name} is assigned twice; the last one counts", statement, name)
            help_text = help_text or earlier.help
            made = replace(made, default=earlier.default) if value is None else made
        self.found[name] = replace(made, help=help_text or made.help, line=statement.lineno)
        self.evaluator.types[name] = made.python_type

    def _annotated(self, name: str, text: str | None, said: Annotation, default: Default) -> Parameter:
        partly_secret = hints.is_secret(said.hint) and not hints.is_whole_secret(said.hint)
        hint = Secret if partly_secret else said.hint
        return describe(Parameter(name=name, annotation=text, python_type=hint, default=default, help=said.help))

    def _note_unknown(self, statement: ast.stmt, name: str, said: Annotation) -> None:
        for part in said.unknown:
            message = f"the type {part} of {name} is not known here; any JSON value is accepted in its place"
            self._note("annotation", "warning", message, statement, name)
        if hints.is_secret(said.hint) and not hints.is_whole_secret(said.hint):
            message = f"{name}: Secret is only for a whole value, not for a part of one; all of it is treated as secret"
            self._note("secret", "warning", message, statement, name)

    def _default(self, value: ast.expr) -> Default:
        source = self.parsed.segment(value) or ast.unparse(value)
        try:
            known = self.evaluator.value(value)
        except NotKnown:
            return ComputedDefault(source)
        return NO_DEFAULT if known is Ellipsis else LiteralDefault(known, source)


def describe(parameter: Parameter) -> Parameter:
    """*parameter* with all that follows from its type: text, choices, secrecy, and the limits as hints for a control."""
    hint = parameter.python_type
    limits: dict[str, Any] = {}
    for item in hints.conditions_of(hint):
        if isinstance(item, Range):
            ends = {"minimum": item.lo, "maximum": item.hi, "step": item.step}
            limits.update({word: end for word, end in ends.items() if end is not None})
    return replace(
        parameter,
        type_text=hints.type_text(hint),
        secret=hints.is_secret(hint),
        choices=hints.choices_of(hint),
        widget=MappingProxyType({**limits, **parameter.widget}),
    )


def _pair(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Names and what they are assigned: ``a, b = 1, 2`` pairs up, other unpacking leaves the whole to the kernel."""
    match target:
        case ast.Name(id=name):
            yield name, value
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            starred = any(isinstance(part, ast.Starred) for part in [*targets, *parts])
            if len(parts) == len(targets) and not starred:
                for inner, part in zip(targets, parts, strict=True):
                    yield from _pair(inner, part)
            else:
                whole = ast.copy_location(ast.Starred(value=value, ctx=ast.Load()), value)
                for inner in targets:
                    yield from _pair(inner.value if isinstance(inner, ast.Starred) else inner, whole)
        case _:
            return
