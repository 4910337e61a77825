"""What every test file may use: notebooks made on the spot."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.browser_fixtures import (  # noqa: F401 - fixtures and hooks for every test
    browser,
    check_accessibility,
    open_page,
    page,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_runtest_makereport,
)
from tests.cli_fixtures import cli  # noqa: F401 - a fixture for every test
from tests.installed_fixtures import installed  # noqa: F401 - a fixture for every test
from tests.jupyter_fixtures import jupyter_server, open_notebook  # noqa: F401 - fixtures for every test
from tests.kernels_fixtures import kernel_folder  # noqa: F401 - a fixture for every test
from tests.project_fixtures import flow, home, open_project, project  # noqa: F401 - fixtures for every test
from tests.server_fixtures import api_server, served  # noqa: F401 - fixtures for every test
from tests.store_fixtures import opener, postgres_server, store  # noqa: F401  (fixtures for every file)
from tests.web_fixtures import visit, web_server  # noqa: F401 - fixtures for every test

# A shell that runs the tests in the background has them, and every process that they start, ignore the terminal's Ctrl-C;
# nohup does the same for SIGHUP.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

CellLike = str | Mapping[str, Any]
NotebookFactory = Callable[..., Path]


def notebook_cell(cell: CellLike, index: int) -> dict[str, Any]:
    """A code cell for a string; for a mapping, its fields over the defaults, with ``tags`` as a short cut."""
    fields: dict[str, Any] = {"source": cell} if isinstance(cell, str) else dict(cell)
    metadata = dict(fields.pop("metadata", {}))
    if "tags" in fields:
        metadata["tags"] = list(fields.pop("tags"))
    made = {"cell_type": "code", "id": f"cell-{index}", "metadata": metadata, "source": "", **fields}
    if made["cell_type"] == "code":
        made = {"execution_count": None, "outputs": [], **made}
    return made


def notebook_content(
    cells: Sequence[CellLike] = (),
    *,
    parameters: str | None = None,
    kernel: str | None = "python3",
    language: str | None = "python",
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An nbformat 4.5 notebook. *parameters*: the source of a tagged cell that goes on top."""
    tagged: list[CellLike] = [] if parameters is None else [{"source": parameters, "tags": ["parameters"]}]
    whole: dict[str, Any] = {}
    if kernel is not None:
        whole["kernelspec"] = {"name": kernel, "display_name": kernel, "language": language or ""}
    if language is not None:
        whole["language_info"] = {"name": language}
    return {
        "cells": [notebook_cell(cell, index) for index, cell in enumerate([*tagged, *cells])],
        "metadata": {**whole, **(metadata or {})},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def jp_asyncio_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Of pytest-jupyter, which has one around every test and would close it: the browser's runs on, beside its tests."""
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop(prefer_selector_loop=True)
    yield loop
    if not loop.is_running():
        loop.close()


@pytest.fixture
def make_notebook(tmp_path: Path) -> NotebookFactory:
    """``make_notebook(cells, parameters="x = 1", name="report.ipynb")`` writes a notebook and returns its path.

    A cell is a string (code) or a mapping such as ``{"source": "x = 1", "tags": ["parameters"]}`` or
    ``{"source": "# Title", "cell_type": "markdown"}``. ``name`` may hold folders; they are made.
    Further options: ``kernel``, ``language`` (None leaves them out) and ``metadata``.
    """

    def make(cells: Sequence[CellLike] = (), *, name: str = "notebook.ipynb", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook_content(cells, **options), indent=1), encoding="utf-8")
        return path

    return make
