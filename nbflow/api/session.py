"""The project that calls without one are made on: that of the environment and the working directory."""

from __future__ import annotations

import atexit
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbflow.config import Config, load_config
from nbflow.parameters.values import loads_exact
from nbflow.project import Project

if TYPE_CHECKING:
    from nbflow.project.submission import Parent


def get_project() -> Project:
    """One per configuration and process; it is closed when the process ends."""
    return _open(load_config(os.environ, Path.cwd()), os.getpid())


@cache
def _open(config: Config, pid: int) -> Project:
    project = Project(config)
    atexit.register(_close, project, pid)
    return project


def _close(project: Project, pid: int) -> None:
    # A fork inherits the hook, but neither the threads nor the runs.
    if os.getpid() == pid:
        project.close()


def find_parent() -> Parent | None:
    """The run inside whose notebook this process is the kernel."""
    from nbflow.project.submission import Parent

    path = os.environ.get("NBFLOW_RUN_CONTEXT")
    if not path:
        return None
    try:
        context = loads_exact(Path(path).read_text(encoding="ascii"))
        return Parent(id=context["id"], root_id=context["root_id"], depth=context["depth"])
    except (OSError, ValueError, KeyError):
        return None
