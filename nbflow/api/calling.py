"""The process in which one hook is called: ``python -m nbflow.api.calling``, told by JSON on standard input.

What it prints last is recorded when it fails.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.errors import NbflowError, UsageError
from nbflow.hooks import Hook, read_hook
from nbflow.lifecycle import RunRecord, RunState
from nbflow.project import Project

MARGIN = 5.0


def main() -> int:
    told = json.load(sys.stdin)
    hook = read_hook({key: value for key, value in told["hook"].items() if value is not None})
    old = RunState(told["old"]) if told["old"] else None
    _end_after(hook.timeout + MARGIN)
    if told["path"]:
        sys.path.insert(0, told["path"])
    try:
        with Project.open_local() as project:
            call_hook(hook, project, told["run_id"], old, RunState(told["new"]))
    except NbflowError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_after(seconds: float) -> None:
    """Whoever waits for the hook ends it, but may be killed before."""
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), os._exit, [1])
    timer.daemon = True
    timer.start()


def call_hook(hook: Hook, project: Project, run_id: str, old: RunState | None, new: RunState) -> None:
    """Call the function, or tell the address. Whatever it raises goes on."""
    record = project.get_run(run_id)
    if hook.call is not None:
        flow = Flow(project.load_run(run_id), project)
        find_callable(hook.call)(flow, Run(record, project), old, new)
        return
    from nbflow.notifications.urls import send

    facts = list_facts(record, old, new)
    send(hook.url or "", render_message(hook.template, facts), facts, timeout=hook.timeout)


def find_callable(path: str) -> Any:
    """The function that a dotted path ``package.module:function`` names. Raises UsageError."""
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"hook {path}: {error}; put its module beside nbflow.toml, or install it") from None
    if not callable(found):
        raise UsageError(f"hook {path}: it is a {type(found).__name__}, not a function")
    return found


def list_facts(run: RunRecord, old: RunState | None, new: RunState) -> dict[str, Any]:
    """What a template and a webhook are told; secrets are masked in it as everywhere."""
    return {
        "id": run.id,
        "name": run.name,
        "flow": run.flow or run.source_path,
        "state": new.value,
        "old_state": old.value if old else None,
        "message": run.message,
        "parameters": dict(run.parameters if run.values is None else {**run.parameters, **run.values}),
        "tags": list(run.tags),
        "duration": run.duration,
        "output_path": run.output_path,
    }


def render_message(template: str, facts: Mapping[str, Any]) -> str:
    """Fill ``{name}``, ``{parameters[region]}`` and so on; never reaches attributes of objects."""
    from nbflow.notebooks import render_path

    return render_path(template, {**facts, "colon": ":" if facts["message"] else ""}).strip()


if __name__ == "__main__":
    sys.exit(main())
