"""Reading a notebook: its cells, language and kernel, without running or importing anything of Jupyter's."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbflow.notebooks import files, formats
from nbflow.parameters.records import SourceCell


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A notebook as it was read."""

    path: Path | None
    """None when it came as bytes."""
    content: bytes = field(repr=False)
    """Exactly as read."""
    raw: Mapping[str, Any] = field(repr=False)
    """Its JSON, in the format version of the file."""
    cells: tuple[SourceCell, ...] = field(repr=False)
    language: str
    """``python`` where the notebook does not tell."""
    kernel_name: str | None
    hash: str
    """SHA-256 of what would execute: cells in their order with kind, source and tags, language and kernel.

    Outputs, execution counts, ids, other metadata and the format version do not count.
    """

    @property
    def code_cells(self) -> tuple[SourceCell, ...]:
        """The code cells; each knows its index among all cells."""
        return tuple(cell for cell in self.cells if cell.kind == "code")


def read_notebook(source: str | os.PathLike[str] | bytes) -> Notebook:
    """Read a notebook from a file, or from the bytes of one.

    Whatever nbformat opens is read, formats 1 to 4. Anything else raises NotebookError, which says why and what to do.
    """
    path = None if isinstance(source, bytes) else Path(source)
    content = source if isinstance(source, bytes) else files.read_content(source)
    raw = files.parse_content(content, "notebook" if path is None else path)
    cells = tuple(
        SourceCell(source=cell["source"], index=index, kind=cell["cell_type"], tags=formats.find_tags(cell))
        for index, cell in enumerate(formats.upgrade_cells(raw))
    )
    language, kernel = formats.find_language(raw), formats.find_kernel(raw)
    return Notebook(
        path=path,
        content=content,
        raw=raw,
        cells=cells,
        language=language,
        kernel_name=kernel,
        hash=_hash(cells, language, kernel),
    )


def _hash(cells: Sequence[SourceCell], language: str, kernel: str | None) -> str:
    what = [language.lower(), kernel, [[cell.kind, cell.source, sorted(cell.tags)] for cell in cells]]
    return hashlib.sha256(json.dumps(what, separators=(",", ":")).encode("ascii")).hexdigest()
