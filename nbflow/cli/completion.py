"""What the shell may complete: flows, run ids, a notebook's parameters and their choices. Never raises, never prints."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _quiet(complete: Completer) -> Completer:
    """A completion that fails is no completion: the shell is in the middle of a line."""

    @wraps(complete)
    def attempt(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return complete(context, parameter, incomplete)
        except Exception:
            return []

    return attempt


@_quiet
def complete_flow(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Registered names, and the notebooks and folders that begin so; any file where nothing does."""
    found = [*_list_notebooks(incomplete), *_list_registered(incomplete)]
    if all(name.endswith(os.sep) for name in found):  # the shell goes into folders better than a list of them does
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(name) for name in found]


@_quiet
def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the newest runs."""
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    with Project.open() as project:
        runs = project.list_runs(RunFilter(limit=100))
    return [CompletionItem(run.id, help=f"{run.state} {run.name}") for run in runs if run.id.startswith(incomplete)]


@_quiet
def complete_schedule(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the schedules."""
    from nbflow.project import Project

    with Project.open() as project:
        schedules = project.schedules.find()
    return [
        CompletionItem(one.name, help=f"{one.when} {one.flow}") for one in schedules if one.name.startswith(incomplete)
    ]


@_quiet
def complete_backfill(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the newest backfills."""
    from nbflow.project import Project

    with Project.open() as project:
        backfills = project.backfills.find(limit=100)
    return [CompletionItem(one.id, help=f"{one.name} {one.flow}") for one in backfills if one.id.startswith(incomplete)]


@_quiet
def complete_key(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The keys of the key-value store."""
    from nbflow.project import Project

    with Project.open() as project:
        return [CompletionItem(key) for key in project.kv.list(incomplete)]


@_quiet
def complete_parameter(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """After ``-p``: the parameters of the flow, run or schedule, then the choices of the one that was named."""
    from nbflow.project import Project

    flow, run_id, schedule = (context.params.get(name) for name in ("flow", "run_id", "schedule_id"))
    if not (flow or run_id or schedule):
        return []
    with Project.open() as project:
        if schedule:
            declaration = project.schedules.load(project.schedules.get(schedule)).declaration
        else:
            declaration = (project.load(flow) if flow else project.load_run(str(run_id))).declaration
    typed = context.meta.get("nbflow.args", [])
    if len(typed) >= 2 and typed[-2] in ("-p", "--parameter", "--parameters"):
        named = declaration.get(typed[-1])
        values = _list_choices(named) if named else []
        return [CompletionItem(value) for value in values if value.startswith(incomplete)]
    return [
        CompletionItem(one.name, help=one.help or None)
        for one in declaration.parameters
        if one.name.startswith(incomplete)
    ]


def _list_choices(parameter: Any) -> list[str]:
    if parameter.type_text == "bool":
        return ["true", "false"]
    return [str(choice) for choice in parameter.choices or ()]


def _list_notebooks(incomplete: str) -> list[str]:
    folder, separator, start = incomplete.rpartition(os.sep)
    prefix = folder + separator
    if not Path(prefix or ".").is_dir():
        return []
    found = []
    for entry in sorted(Path(prefix or ".").iterdir()):
        if entry.name.startswith(start) and (start or not entry.name.startswith(".")):
            if entry.is_dir():
                found.append(f"{prefix}{entry.name}{os.sep}")
            elif entry.suffix == ".ipynb":
                found.append(prefix + entry.name)
    return found


def _list_registered(incomplete: str) -> list[str]:
    from nbflow.project import Project

    with Project.open() as project:
        return [flow.full_name for flow in project.list_flows() if flow.full_name.startswith(incomplete)]
