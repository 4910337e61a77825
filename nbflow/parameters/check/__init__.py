"""``nbflow check``: what the author of a notebook should know about its parameters. Nothing is executed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nbflow.parameters.check.declared import check_declaration, find_frozen_dates
from nbflow.parameters.check.drift import describe_drift
from nbflow.parameters.check.placement import check_placement
from nbflow.parameters.check.usage import check_usage
from nbflow.parameters.declaration import Declaration
from nbflow.parameters.reading import read_declaration
from nbflow.parameters.records import Finding, SourceCell

__all__ = ["check_cells", "check_notebook", "describe_drift", "find_frozen_dates"]


class Source(Protocol):
    """A notebook as far as a check is concerned: ``notebooks.Notebook`` is one."""

    @property
    def cells(self) -> Sequence[SourceCell]: ...

    @property
    def language(self) -> str: ...


def check_notebook(notebook: Source) -> list[Finding]:
    """Every finding that needs neither a schedule nor a registered version, in the order of the cells. Never raises."""
    return check_cells(notebook.cells, read_declaration(notebook.cells, language=notebook.language))


def check_cells(cells: Sequence[SourceCell], declaration: Declaration) -> list[Finding]:
    """The same for cells whose declaration was read already."""
    found = [
        *declaration.findings,
        *check_placement(cells, declaration),
        *check_declaration(cells, declaration),
        *check_usage(cells, declaration),
    ]
    return sorted(
        found, key=lambda finding: (-1 if finding.cell_index is None else finding.cell_index, finding.line or 0)
    )
