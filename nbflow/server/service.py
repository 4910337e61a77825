"""What the handlers work with: the project, the worker beside it, threads, and the feeds of events."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from nbflow.config import load_config
from nbflow.errors import NotFoundError, UsageError
from nbflow.lifecycle import RunOptions
from nbflow.notebooks import find_inside
from nbflow.notebooks.files import show_path
from nbflow.project import Project
from nbflow.server.bodies import Options
from nbflow.server.feeds import Feeds
from nbflow.server.line import Line
from nbflow.server.problems import Problem
from nbflow.server.scope import AppScope
from nbflow.server.supervisor import Supervisor

THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is configured by traitlets."""

    folder: Path
    """The server's folder: what is not below it is out of reach."""
    works: bool = True
    """Whether the server keeps a worker."""
    allow_hidden: bool = False
    scope: AppScope | None = None
    """Where the server is the app of one flow: all that it offers."""


class Service:
    """Made with the server and closed with it. Nothing is opened before it is needed."""

    def __init__(self, settings: Settings, log: logging.Logger) -> None:
        config = replace(load_config(os.environ, settings.folder), server=None)
        self.settings = settings
        self.line = Line(config.home)
        self.project = Project(config, handover=self.line, confined_to=settings.folder)
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nbflow")
        self.feeds = Feeds(config.home, lambda run_id: self.project.get_run(run_id), self.call)
        self.supervisor = Supervisor(config, settings.folder, log) if settings.works else None

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(function, *args))

    def start(self) -> None:
        if self.supervisor is not None:
            self.supervisor.start()

    def close(self) -> None:
        """What is executed goes on."""
        if self.supervisor is not None:
            self.supervisor.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.project.close()

    def find_notebook(self, path: str) -> Path:
        """A notebook below the server's folder. Raises NotFoundError, which does not tell what is elsewhere."""
        scope = self.settings.scope
        try:
            if scope is not None and path != scope.reference:
                raise UsageError(f"the app serves {scope.reference} only")
            found = find_inside(self.settings.folder, path, "path")
            if found.suffix == ".ipynb" and found.is_file():
                return found
        except (UsageError, OSError, ValueError):
            pass
        raise NotFoundError(f"path {show_path(path)}: there is no notebook of that name below the server's folder")

    def take_options(self, options: Options, before: RunOptions) -> RunOptions:
        """*before* with what is given. Raises Problem where the working directory is not there."""
        if options.cwd is not None and not os.path.isdir(self.settings.folder / options.cwd):
            message = "there is no such folder below the server's"
            raise Problem(
                HTTPStatus.CONFLICT, f"working directory {options.cwd!r}: {message}", errors={"options.cwd": message}
            )
        given: dict[str, Any] = options.model_dump(exclude_none=True)
        for name in {"cwd", "output"} & given.keys():
            given[name] = str(self.settings.folder / given[name])
        return replace(before, **given)
