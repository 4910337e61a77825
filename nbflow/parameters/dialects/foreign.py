"""Declarations in notebooks of other languages than Python: the literals that their parameters cell assigns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nbflow.parameters.defaults import infer_type
from nbflow.parameters.dialects.literals import NotLiteral, read_literal
from nbflow.parameters.dialects.shell import shell_assignments
from nbflow.parameters.dialects.statements import Assignment, assignments
from nbflow.parameters.dialects.syntaxes import SYNTAXES
from nbflow.parameters.dialects.types import DoesNotFit, conform, read_type
from nbflow.parameters.reading import describe
from nbflow.parameters.records import ComputedDefault, Default, LiteralDefault, Parameter

_LANGUAGES: Mapping[str, str] = {
    "c#": "csharp",
    "f#": "fsharp",
    "pwsh": "powershell",
    ".net-csharp": "csharp",
    ".net-fsharp": "fsharp",
    ".net-powershell": "powershell",
    "sparkkernel": "scala",
    "sparkrkernel": "r",
    "shell": "bash",
    "sh": "bash",
}
"""Names that a language goes by, in lower case, where that is not its own."""

_FAILURES = (NotLiteral, DoesNotFit, ValueError, TypeError, ArithmeticError, RecursionError)


def can_read(language: str) -> bool:
    """Whether the declarations of cells in *language* can be read."""
    name = _LANGUAGES.get(language.lower(), language.lower())
    return name == "bash" or name in SYNTAXES


def read_foreign(source: str, language: str) -> list[Parameter]:
    """Parameters that a cell of *language* declares by assigning at its top level. Never raises.

    A literal is the default; of anything else the source is kept, for the kernel to compute. Types come from the
    declaration where the language has them, else from the literal. In R and MATLAB a number is a float, as it is
    there (``3L`` in R is an integer); in bash everything is text. ``Parameter.annotation`` also holds the word that
    declares: ``var Int`` in Scala, ``mutable int`` in F#.
    """
    name = _LANGUAGES.get(language.lower(), language.lower())
    try:
        parameters = list(_read_shell(source) if name == "bash" else _read_typed(source, name))
    except _FAILURES:
        return []
    # The last assignment counts; the first one has the place.
    return list({parameter.name: parameter for parameter in parameters}.values())


def _read_typed(source: str, language: str) -> Iterator[Parameter]:
    for found in assignments(source, language):
        declared = "" if found.annotation in ("var", "val", "auto") else found.annotation
        hint = read_type(declared) if declared else Any
        default = _default(found, language, hint)
        if not declared and isinstance(default, LiteralDefault):
            hint = _infer(default.value, found.value, language)
        keyword = "" if found.keyword in ("val", "const", "global") else found.keyword
        yield describe(
            Parameter(
                name=found.name,
                annotation=f"{keyword} {found.annotation}".strip() or None,
                python_type=hint,
                default=default,
                help=found.comment,
                inferred=not declared,
                line=found.line,
            )
        )


def _default(found: Assignment, language: str, hint: Any) -> Default:
    try:
        return LiteralDefault(conform(read_literal(found.value, language), hint), found.value)
    except _FAILURES:
        return ComputedDefault(found.value)


def _infer(value: Any, source: str, language: str) -> Any:
    """The type that a literal stands for; a vector of R or MATLAB has items of one kind, other lists are free."""
    is_vector = re.match(r"c\(" if language == "r" else r"\[", source) and language in ("r", "matlab", "octave")
    if is_vector and isinstance(value, list | dict) and value:
        kind: Any = type(next(iter(value.values() if isinstance(value, dict) else value)))
        return dict[str, kind] if isinstance(value, dict) else list[kind]
    return infer_type(value)


def _read_shell(source: str) -> Iterator[Parameter]:
    for found in shell_assignments(source):
        default: Default
        try:
            default = LiteralDefault(found.read(), found.value)
        except _FAILURES:
            default = ComputedDefault(found.value)
        yield describe(
            Parameter(
                name=found.name,
                python_type=found.kind,
                default=default,
                help=found.comment,
                inferred=True,
                line=found.line,
            )
        )
