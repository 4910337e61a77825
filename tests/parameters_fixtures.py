"""Short ways to a declaration, for the tests of parameters."""

from __future__ import annotations

from typing import Any

from nbflow.errors import Fault, ParameterError
from nbflow.parameters import Declaration, Parameter, SourceCell, read_declaration


def declare(source: str, *earlier: str, language: str = "python") -> Declaration:
    """The declaration of a notebook with *earlier* code cells and then a parameters cell."""
    cells = [SourceCell(source=text, index=index) for index, text in enumerate(earlier)]
    cells.append(SourceCell(source=source, index=len(earlier), tags=("parameters",)))
    return read_declaration(cells, language=language)


def declare_one(source: str, *earlier: str) -> Parameter:
    (parameter,) = declare(source, *earlier).parameters
    return parameter


def find_faults(declaration: Declaration, values: dict[str, Any], **options: Any) -> tuple[Fault, ...]:
    """The faults of a call that must be refused."""
    try:
        accepted = declaration.validate(values, **options)
    except ParameterError as error:
        return error.faults
    raise AssertionError(f"accepted: {accepted}")
