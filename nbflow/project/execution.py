"""What executing takes: the engine and the hooks that the configuration asks for, the service for runs tied to nobody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nbflow.config import Config, to_environment
from nbflow.errors import NbflowError
from nbflow.lifecycle import RunRecord
from nbflow.ports import Engine, RunFilter

if TYPE_CHECKING:
    from nbflow.notifications.notifier import Notifier
    from nbflow.project import Project


def make_engine(config: Config) -> Engine:
    """An engine of this process's own."""
    from nbflow.engines.local import LocalEngine
    from nbflow.kernels.preload import RUNNER_MODULES
    from nbflow.kernels.spawner import Spawner

    settings = {
        "grace": config.grace,
        "output_limit": config.output_limit,
        "environment": to_environment(config),
    }
    spawner = Spawner(
        fork=None if config.fork_server else False,
        preload=config.preload,
        warm=("nbflow.engines.warm", "nbflow.engines.attempt", *RUNNER_MODULES),
    )
    return LocalEngine(spawner, slots=config.slots, settings=settings)


def make_notifier(project: Project) -> Notifier:
    """What tells the hooks: those of the configuration, and those of installed packages."""
    from nbflow.notifications.notifier import Notifier, find_installed_hooks

    config = project.config
    return Notifier(
        [*config.hooks, *find_installed_hooks()],
        folder_of=lambda run_id: project.get_attempt_folder(run_id, 1).parent,
        children_of=lambda run_id: project.store.list_runs(RunFilter(parent_id=run_id, limit=None)),
        environment=to_environment(config),
        path=str(config.source.parent) if config.source else None,
    )


class Service:
    """Makes the runs of schedules, and executes what is tied to nobody. Its runs outlive it: another one takes them up."""

    def __init__(self, project: Project, *, tell: Callable[[RunRecord], None] | None = None) -> None:
        """*tell* hears of every run that a schedule makes here; it must neither raise nor wait."""
        from nbflow.dispatcher import Dispatcher
        from nbflow.project.templates import find_secrets
        from nbflow.scheduler import Scheduler

        config = project.config
        self._project = project
        self._hear = tell or (lambda run: None)
        self.dispatcher = Dispatcher(
            project.store,
            make_engine(config),
            folder_of=project.get_attempt_folder,
            lease=config.lease,
            grace=config.grace,
            serves_all=True,
            tell=project.notifier.tell,
            find_secrets=partial(find_secrets, project.store),
        )
        self.scheduler = Scheduler(project.store, project.schedules.prepare, tell=self._tell)

    def _tell(self, run: RunRecord) -> None:
        self._project.notifier.tell(run, None)
        self.dispatcher.wake()
        self._hear(run)

    @property
    def error(self) -> NbflowError | None:
        """Why it gave up."""
        return self.dispatcher.error

    def start(self) -> None:
        self.dispatcher.start()
        self.scheduler.start()

    def close(self) -> None:
        """Make and begin no more runs. Those that are executed go on."""
        self.scheduler.close()
        self.dispatcher.close()
