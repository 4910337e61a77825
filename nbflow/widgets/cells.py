"""Which panels stand in which cell: a cell that is run again replaces its own."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.widgets.panel import Panel


@dataclass(slots=True)
class Cell:
    """The panels that one execution of a cell made."""

    execution: str
    panels: list[Panel] = field(default_factory=list)


class OpenPanels:
    """The panels of this process, by cell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: dict[str, Cell] = {}

    def add(self, panel: Panel) -> list[Panel]:
        """The panels that an earlier execution of the same cell made: they are the caller's to close."""
        found = find_cell()
        if found is None:
            return []
        name, execution = found
        with self._lock:
            cell = self._cells.get(name)
            old: list[Panel] = []
            if cell is None or cell.execution != execution:
                old = cell.panels if cell else []
                cell = self._cells[name] = Cell(execution)
            cell.panels.append(panel)
            return old


@cache
def _open_panels(pid: int) -> OpenPanels:
    return OpenPanels()


def get_open_panels() -> OpenPanels:
    return _open_panels(os.getpid())


def find_cell() -> tuple[str, str] | None:
    """``(cell, execution)`` of the cell that runs now; None where no cell does."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    shell: Any = get_ipython()
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    parent = shell.get_parent() or {}
    header, content = parent.get("header", {}), parent.get("content", {})
    if header.get("msg_type") != "execute_request":
        return None
    # JupyterLab tells the cell's id; without it the same source is taken for the same cell.
    metadata = parent.get("metadata", {})
    name = metadata.get("cellId") or metadata.get("cell_id") or str(content.get("code", ""))
    return name, str(header.get("msg_id", ""))
