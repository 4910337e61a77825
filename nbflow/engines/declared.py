"""What a runner is told about its notebook's parameters: found out where runs are launched, once for all of a notebook.

A runner that read the declaration and validated for itself would carry pydantic, and so would every kernel beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbflow.errors import NbflowError

if TYPE_CHECKING:
    from nbflow.notebooks import Notebook
    from nbflow.parameters import Declaration
    from nbflow.ports import Launch

KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """How the values of one run get into its kernel, and back."""

    source: str | None = None
    """Of the cell to inject; None for none."""
    secrets_source: str = field(default="", repr=False)
    """Code that assigns the secrets, for a silent execution."""
    readback: str = ""
    """A Python expression for the values really used; empty: nothing is read back."""
    hidden: tuple[str, ...] = ()
    """Secret parameters that were not given: the kernel finds their values."""
    has_secrets: bool = False
    """Whether the notebook declares any, or was given one."""


class Declarations:
    """Those of the notebooks that were launched last."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Notebook, Declaration]] = {}

    def inject(self, launch: Launch) -> Injection:
        """Raises NotebookError, and ParameterError for values that the notebook does not take."""
        from nbflow.parameters.injection import render_injection, render_secrets
        from nbflow.parameters.readback import readback_expression

        run, secrets = launch.run, launch.secrets
        notebook, declaration = self._find(run.notebook_hash, launch.notebook)
        values = declaration.restore(run.parameters, secrets)
        secret = [parameter.name for parameter in declaration.parameters if parameter.secret]
        names = [name for name in declaration.names if name not in secret]
        is_python = notebook.language == "python"
        source = None
        if set(values.typed) - set(secrets):
            kernel = run.options.kernel or notebook.kernel_name or "python3"
            source = render_injection(declaration, values, kernel_name=kernel, language=notebook.language)
        return Injection(
            source=source,
            secrets_source=render_secrets(secrets) if secrets else "",
            readback=readback_expression(names) if is_python and names else "",
            hidden=tuple(name for name in secret if name not in secrets) if is_python else (),
            has_secrets=bool(secret or secrets),
        )

    def _find(self, notebook_hash: str, content: bytes) -> tuple[Notebook, Declaration]:
        known = self._known.get(notebook_hash)
        if known is None:
            known = _read(content)
            while len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[notebook_hash] = known
        return known


def _read(content: bytes) -> tuple[Notebook, Declaration]:
    from nbflow.notebooks import read_notebook
    from nbflow.parameters import read_declaration

    notebook = read_notebook(content)
    return notebook, read_declaration(notebook.cells, language=notebook.language)


def render_name(template: str, notebook: bytes, used: Mapping[str, Any]) -> str:
    """A run's name over the values really used; what can't be filled in leaves the template as it is."""
    from nbflow.notebooks import render_path

    try:
        return render_path(template, _read(notebook)[1].restore(used).typed)
    except NbflowError:
        return template
