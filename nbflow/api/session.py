"""The project that calls without one are made on, and the run inside whose notebook they are made."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.config import Config, load_config
from nbflow.project import Project

if TYPE_CHECKING:
    from nbflow.project.submission import Parent


def get_project() -> Project:
    """One per configuration and process; it is closed when the process ends."""
    return _open(load_config(os.environ, Path.cwd()), os.getpid())


@cache
def _open(config: Config, pid: int) -> Project:
    parent = find_parent()
    project = Project.make(config, root_id=parent.root_id if parent else None)
    atexit.register(_close, project, pid)
    return project


def _close(project: Project, pid: int) -> None:
    # A fork inherits the hook, but neither the threads nor the runs.
    if os.getpid() == pid:
        project.close()


def read_context() -> dict[str, Any] | None:
    """What the runner told this kernel about its run; None where a person runs the cells."""
    from nbflow.parameters.values import loads_exact

    path = os.environ.get("NBFLOW_RUN_CONTEXT")
    if not path:
        return None
    try:
        context: dict[str, Any] = loads_exact(Path(path).read_text(encoding="ascii"))
        return context
    except (OSError, ValueError):
        return None


def find_parent() -> Parent | None:
    """The run inside whose notebook this process is the kernel."""
    from nbflow.project.submission import Parent

    context = read_context()
    if context is None:
        return None
    return Parent(id=context["id"], root_id=context["root_id"], depth=context["depth"])


def wait_for_children() -> None:
    """At the end of a notebook: until the runs have ended that it submitted and did not wait for; they would end with it."""
    from nbflow.lifecycle import ACTIVE, WAITING
    from nbflow.ports import RunFilter

    context = read_context()
    if context is None:
        return
    project = get_project()
    going_on = RunFilter(parent_id=context["id"], states=(*WAITING, *ACTIVE), limit=None)
    for child in project.list_runs(going_on):
        with slot_released(project):
            project.wait(child.id)


class _Waiting:
    """How many waits go on in this process: the notebook's slot is free while there is one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0


@cache
def _waiting(pid: int) -> _Waiting:
    return _Waiting()


@contextmanager
def slot_released(project: Project) -> Iterator[None]:
    """Inside, the run whose kernel this is waits for others and holds no slot: no depth of nesting can block itself."""
    context = read_context()
    if context is None:
        yield
        return
    attempt, waiting = f"{context['id']}.{context['attempt']}", _waiting(os.getpid())
    with waiting.lock:
        waiting.count += 1
        if waiting.count == 1:
            project.store.set_waiting(attempt, True)
    try:
        yield
    finally:
        with waiting.lock:
            waiting.count -= 1
            if waiting.count == 0:
                project.store.set_waiting(attempt, False)
