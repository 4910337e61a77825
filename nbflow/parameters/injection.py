"""The source that gives a kernel its values: exact, and safe because every value is written as a literal of its type."""

from __future__ import annotations

from collections.abc import Mapping

from nbflow.parameters.declaration import Declaration
from nbflow.parameters.literals import quote, wrapped_literal
from nbflow.parameters.markers import Secret
from nbflow.parameters.values import Values


def render_injection(
    declaration: Declaration, values: Values, *, kernel_name: str, language: str, comment: str = "Parameters"
) -> str:
    """The cell that assigns *values* in the kernel's language; secrets are left out.

    Raises ParameterError for a value that the language can't hold.
    """
    if language.lower().startswith(("python", "ipython")):
        return render_python(declaration, values, comment=comment)
    from nbflow.parameters import languages

    return languages.render(declaration, values, kernel_name=kernel_name, language=language, comment=comment)


def render_python(declaration: Declaration, values: Values, comment: str = "Parameters") -> str:
    """A Python cell, in the order of the declaration; it leaves no name behind but the parameters'."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"{name} = {wrapped_literal(values.typed[name])}" for name in _ordered_names(declaration, values)]
    return "\n".join(lines) + "\n"


def render_secrets(secrets: Mapping[str, str]) -> str:
    """Python for a silent execution that sets the secrets, as plain strings."""
    return "".join(f"{name} = {quote(secret)}\n" for name, secret in secrets.items())


def _ordered_names(declaration: Declaration, values: Values) -> list[str]:
    """What a cell may show, in the order of the declaration."""
    names = [name for name in declaration.names if name in values.typed]
    names += [name for name in values.typed if declaration.get(name) is None]
    return [name for name in names if not isinstance(values.typed[name], Secret)]
