"""Loading a flow: from a notebook file, or from the store by its registered name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from nbflow.errors import NotFoundError
from nbflow.flows import FlowVersion, check_name, is_flow_name, split_name
from nbflow.lifecycle import RunRecord
from nbflow.notebooks import Notebook, read_notebook
from nbflow.parameters import Declaration, read_declaration
from nbflow.ports import Store
from nbflow.records import parameter_to_json


@dataclass(frozen=True, kw_only=True)
class LoadedFlow:
    """A flow that was read: its notebook, and what that declares."""

    label: str
    """``report`` for ``…/report.ipynb``, ``community/report`` for a registered flow."""
    notebook: Notebook
    source_path: Path
    """Absolute; of a registered flow, the file as it was registered."""
    version: FlowVersion | None = None
    pinned: bool = False
    """Whether this version was asked for, not just the newest."""

    @cached_property
    def declaration(self) -> Declaration:
        return read_declaration(self.notebook.code_cells, language=self.notebook.language)

    @property
    def reference(self) -> str:
        """What runs of this flow are filed under: its full name, or its path."""
        return self.version.full_name if self.version else str(self.source_path)


def load_flow(
    reference: str | os.PathLike[str], get_store: Callable[[], Store], *, version: int | None = None
) -> LoadedFlow:
    """A path wins where a file is there; else ``project/name``, or ``project/name@3`` for its third version."""
    text = os.fspath(reference)
    name, _, number = text.partition("@")
    looks_registered = isinstance(reference, str) and is_flow_name(name) and (not number or number.isdigit())
    if not looks_registered or os.path.isfile(text):
        return load_file(text)
    return load_registered(name, get_store(), version=int(number) if number else version)


def load_file(path: str | os.PathLike[str]) -> LoadedFlow:
    """Raises NotebookError."""
    notebook = read_notebook(path)
    absolute = Path(os.path.abspath(path))
    return LoadedFlow(label=absolute.stem, notebook=notebook, source_path=absolute)


def load_registered(full_name: str, store: Store, *, version: int | None = None) -> LoadedFlow:
    """Raises NotFoundError, which names what is there."""
    project, name = split_name(full_name)
    try:
        found = store.get_flow(project, name, number=version)
    except NotFoundError:
        raise NotFoundError(_say_missing(full_name, store, version)) from None
    notebook = read_notebook(store.get_notebook(found.notebook_hash))
    return LoadedFlow(
        label=found.full_name,
        notebook=notebook,
        source_path=Path(found.source_path),
        version=found,
        pinned=version is not None,
    )


def load_run(run: RunRecord, store: Store) -> LoadedFlow:
    """The flow of a run, as it was when the run was submitted. Raises NotFoundError for a run that was never made."""
    if not run.notebook_hash:
        raise NotFoundError(f"run {run.id} was never made, so it has no notebook: {run.message}")
    notebook = read_notebook(store.get_notebook(run.notebook_hash))
    version = None
    if run.flow is not None:
        versions = store.list_versions(*split_name(run.flow))
        version = next((found for found in versions if found.number == run.flow_version), None)
    source = Path(run.source_path)
    return LoadedFlow(label=run.flow or source.stem, notebook=notebook, source_path=source, version=version)


def register(flow: LoadedFlow, store: Store, *, project: str, name: str) -> tuple[FlowVersion, bool]:
    """Keep the notebook as a version of ``project/name``; whether that is a new one. Raises UsageError."""
    check_name(name, "flow name")
    check_name(project, "project")
    before = [version.number for version in store.list_versions(project, name)]
    store.put_notebook(flow.notebook.hash, flow.notebook.content)
    version = store.register_flow(
        project=project,
        name=name,
        notebook_hash=flow.notebook.hash,
        schema=flow.declaration.json_schema(),
        source_path=str(flow.source_path),
        now=datetime.now(UTC),
    )
    return version, version.number not in before


def _say_missing(full_name: str, store: Store, version: int | None) -> str:
    project, name = split_name(full_name)
    numbers = [found.number for found in store.list_versions(project, name)]
    if numbers and version is not None:
        return f"flow {full_name} has no version {version}; it has {min(numbers)} to {max(numbers)}"
    known = [flow.full_name for flow in store.list_flows()]
    near = difflib.get_close_matches(full_name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; nbflow flows ls shows what is" if known else ""
    return f"{full_name}: there is no such file, and no flow of that name is registered{hint}"


def notebook_to_json(loaded: LoadedFlow) -> dict[str, Any]:
    """The flow and its parameters, one object each."""
    version = loaded.version
    return {
        "flow": loaded.label,
        "version": version.number if version else None,
        "path": str(loaded.source_path),
        "language": loaded.notebook.language,
        "kernel": loaded.notebook.kernel_name,
        "notebook_hash": loaded.notebook.hash,
        "parameters": [parameter_to_json(parameter) for parameter in loaded.declaration.parameters],
        "json_schema": loaded.declaration.json_schema(),
    }
