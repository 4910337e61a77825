"""Notebook files: reading, hashing, making ready for execution, and saving.

Nothing here imports Jupyter's packages until ``to_nbformat`` or ``insert_parameters`` is called.
"""

from __future__ import annotations

from nbflow.notebooks.nodes import insert_parameters, to_nbformat
from nbflow.notebooks.paths import check_output_path, find_inside, render_path
from nbflow.notebooks.reading import Notebook, read_notebook
from nbflow.notebooks.saving import save_notebook, write_atomically
from nbflow.notebooks.writer import NotebookWriter

__all__ = [
    "Notebook",
    "NotebookWriter",
    "check_output_path",
    "find_inside",
    "insert_parameters",
    "read_notebook",
    "render_path",
    "save_notebook",
    "to_nbformat",
    "write_atomically",
]
