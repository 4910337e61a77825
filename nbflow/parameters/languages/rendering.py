"""The injected cell of a notebook whose language is not Python."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbflow.errors import Fault, ParameterError
from nbflow.parameters.records import Parameter

if TYPE_CHECKING:
    from nbflow.parameters.declaration import Declaration
    from nbflow.parameters.languages.repairs import Repairs
    from nbflow.parameters.values import Values

_WRITERS: Mapping[str, str] = {
    "bash": "bash:Bash",
    "c#": "dotnet:CSharp",
    "csharp": "dotnet:CSharp",
    "f#": "dotnet:FSharp",
    "fsharp": "dotnet:FSharp",
    ".net-csharp": "dotnet:CSharp",
    ".net-fsharp": "dotnet:FSharp",
    ".net-powershell": "dotnet:PowerShell",
    "julia": "julia:Julia",
    "matlab": "matlab:Matlab",
    "octave": "matlab:Octave",
    "powershell": "dotnet:PowerShell",
    "pwsh": "dotnet:PowerShell",
    "r": "r:R",
    "scala": "scala:Scala",
    "sparkkernel": "scala:Scala",
    "sparkrkernel": "r:R",
}
"""By kernel name or language, in lower case: the module and class that write its literals."""


def can_render(language: str, kernel_name: str = "") -> bool:
    """Whether values can be injected into notebooks of that kernel or language (Python is not among them)."""
    return _entry(language, kernel_name) is not None


def name_fault(language: str, kernel_name: str, name: str) -> str | None:
    """Why *name* can't be a variable in that language; None when it can. Raises ParameterError as ``render`` does."""
    return _writer(language, kernel_name, (name,)).name_fault(name)


def render(
    declaration: Declaration, values: Values, *, kernel_name: str, language: str, comment: str = "Parameters"
) -> str:
    """The cell that assigns *values* in the order of *declaration*, secrets left out. Raises ParameterError."""
    names = [name for name in declaration.names if name in values.typed]
    names += [name for name in values.typed if name not in names]
    chosen = {name: values.typed[name] for name in names if name not in values.secrets}
    declared = {parameter.name: parameter for parameter in declaration.parameters}
    return render_values(language, kernel_name, chosen, comment, declared)


def render_values(
    language: str,
    kernel_name: str,
    values: Mapping[str, Any],
    comment: str = "Parameters",
    declared: Mapping[str, Parameter] = MappingProxyType({}),
) -> str:
    """The source of a cell that assigns *values*, exactly and without running any part of them.

    *values* are of JSON's types or typed (dates, ``Decimal`` …). The forms of *declared* parameters are kept where they
    matter, such as ``var`` in Scala and ``c(…)`` in R. Raises ParameterError with every value that the language can't
    hold.
    """
    from nbflow.parameters.languages.repairs import Unwritable, check_shape

    writer = _writer(language, kernel_name, tuple(values))
    lines, faults, bound = [writer.comment_line(comment)], [], set[str]()
    for name, value in values.items():
        wrong = writer.name_fault(name)
        if wrong is None and writer.binding(name) in bound:
            wrong = f"is the same variable in {writer.LANGUAGE} as another parameter: rename one"
        if wrong is not None:
            faults.append(Fault(parameter=name, rule="name", message=wrong))
            continue
        bound.add(writer.binding(name))
        try:
            check_shape(value)
            lines.append(writer.bind(name, value, declared.get(name)))
        except Unwritable as error:
            faults.append(Fault(parameter=name, rule="unrepresentable", message=str(error)))
    if faults:
        raise ParameterError(faults)
    return "\n".join(lines) + "\n"


def _entry(language: str, kernel_name: str) -> str | None:
    return _WRITERS.get(kernel_name.lower()) or _WRITERS.get(language.lower())


def _writer(language: str, kernel_name: str, names: tuple[str, ...]) -> type[Repairs]:
    """The kernel's name goes first, as in papermill: ``sparkkernel`` is Scala whatever its language is said to be."""
    entry = _entry(language, kernel_name)
    if entry is None:
        message = f"can't be passed to a notebook in {language or kernel_name or 'an unknown language'}"
        hint = "Parameters reach Python, R, Julia, Scala, MATLAB, Octave, C#, F#, PowerShell and bash."
        raise ParameterError(
            [Fault(parameter=name, rule="unrepresentable", message=message) for name in names], hint=hint
        )
    module, _, name = entry.partition(":")
    found: type[Repairs] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return found
