"""What is asked for here, as the body of a request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from nbflow.errors import UsageError
from nbflow.lifecycle import RunOptions
from nbflow.parameters import Values
from nbflow.parameters.values import loads_exact
from nbflow.project.loading import LoadedFlow
from nbflow.project.submission import check_options


def write_options(options: RunOptions, *, before: RunOptions | None = None) -> dict[str, Any]:
    """The options that differ from *before*, or from what is so anyway. Raises UsageError."""
    check_options(replace(options, report=None))  # whether a report can be made is the server's to say
    known = before or RunOptions()
    if options.cwd is not None and options.cwd != known.cwd and os.path.isabs(options.cwd):
        raise UsageError(f"working directory {options.cwd}: on a server it is a folder below the server's: name it so")
    names = [field.name for field in fields(RunOptions) if field.name != "engine"]
    return {name: getattr(options, name) for name in names if getattr(options, name) != getattr(known, name)}


def write_values(values: Values) -> dict[str, Any]:
    """In JSON form, the secrets as they are: they travel in the body and nowhere else."""
    return {**values.json, **{name: str(text) for name, text in values.secrets.items()}}


def write_flow(flow: LoadedFlow) -> dict[str, Any]:
    """A registered version by its name, a file as it is. Raises UsageError."""
    if flow.version is not None:
        return {"flow": f"{flow.version.full_name}@{flow.version.number}"}
    notebook = loads_exact(flow.notebook.content)
    if not isinstance(notebook, Mapping) or notebook.get("nbformat") != 4:
        raise UsageError(
            f"{flow.source_path}: a server takes notebooks of format 4; convert it: jupyter nbconvert --to notebook"
        )
    return {"notebook": notebook, "label": flow.label}


def write_registered(flow: LoadedFlow, what: str) -> dict[str, Any]:
    """Of what outlives the call: the name alone, or with the version where that was asked for. Raises UsageError."""
    if flow.version is None:
        raise UsageError(
            f"{flow.source_path.name}: a server keeps a {what} of a registered flow only\n"
            f"register it: nbflow register {flow.source_path.name} --project NAME"
        )
    number = f"@{flow.version.number}" if flow.pinned else ""
    return {"flow": f"{flow.version.full_name}{number}"}


def drop_missing(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not given."""
    return {name: value for name, value in body.items() if value is not None}
