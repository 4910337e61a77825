"""The project: where configuration, store, engine and dispatcher come together. Every surface goes through it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.config import Config, load_config
from nbflow.errors import UsageError
from nbflow.events import Event
from nbflow.flows import FlowVersion
from nbflow.lifecycle import RunOptions, RunRecord, RunState
from nbflow.parameters import Finding, Values
from nbflow.ports import Engine, RunFilter, Store
from nbflow.project.executor import Executor
from nbflow.project.loading import LoadedFlow, load_file, load_flow, load_run, register
from nbflow.project.pairs import KeyValues

if TYPE_CHECKING:
    from nbflow.dispatcher import Dispatcher
    from nbflow.notifications.notifier import Notifier
    from nbflow.project.backfills import Backfills
    from nbflow.project.execution import Service
    from nbflow.project.handover import Handover
    from nbflow.project.schedules import Schedules
    from nbflow.project.submission import Order, Parent, Request

__all__ = ["KeyValues", "LoadedFlow", "Project"]


class Project:
    """A store and what can be done with it. Nothing is opened before it is needed; safe to use from several threads."""

    look_pause = 0.02
    """Seconds between two looks at what happens."""
    tell: Callable[[str], None] | None = None
    """Hears, in one line, of what keeps a call waiting; None: standard error does."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store | None = None,
        engine: Engine | None = None,
        root_id: str | None = None,
        handover: Handover | None = None,
        confined_to: Path | None = None,
    ) -> None:
        """*root_id*: the tree of runs that this process is a kernel in.

        With a *handover* nothing is executed by this process: what is submitted is left to the one behind it. Runs may
        have their output and working directory only below *confined_to*.
        """
        self.config = config
        self.confined_to = confined_to
        self.handover = handover
        self.kv = KeyValues(lambda: self.store)
        self._store = store
        self._executor = Executor(self, engine=engine, root_id=root_id)
        self._notifier: Notifier | None = None
        self._lock = threading.RLock()

    @classmethod
    def open(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Project:
        """The project that the environment and the working directory name: here, or on a server. Raises ConfigError."""
        return cls.make(load_config(os.environ if environ is None else environ, cwd or Path.cwd()))

    @classmethod
    def open_local(cls) -> Project:
        """The same on this machine, whatever is said of a server: for who does a server's work. Raises ConfigError."""
        return cls(replace(load_config(os.environ, Path.cwd()), server=None))

    @classmethod
    def make(cls, config: Config, *, root_id: str | None = None) -> Project:
        """The project of *config*: on the server that it names, else here. *root_id*: as for the class."""
        if config.server is not None:
            from nbflow.project.remote import RemoteProject

            return RemoteProject(config)
        return cls(config, root_id=root_id)

    @property
    def store(self) -> Store:
        """Opened at its first use; what dead processes left behind is brought to its end then."""
        with self._lock:
            if self._store is None:
                from nbflow.stores import open_store

                self._store = open_store(self.config.database, home=self.config.home)
                self.settle()
            return self._store

    @cached_property
    def schedules(self) -> Schedules:
        """When flows run by themselves."""
        from nbflow.project.schedules import Schedules

        return Schedules(self)

    @cached_property
    def backfills(self) -> Backfills:
        """Many runs of one flow."""
        from nbflow.project.backfills import Backfills

        return Backfills(self)

    @property
    def notifier(self) -> Notifier:
        """What tells the hooks of every change of a state."""
        with self._lock:
            if self._notifier is None:
                from nbflow.project.execution import make_notifier

                self._notifier = make_notifier(self)
            return self._notifier

    def close(self) -> None:
        """Stop executing (what still runs here is ended), have the hooks told, and let the store go."""
        self._executor.close()
        with self._lock:
            notifier, self._notifier = self._notifier, None
        if notifier is not None:
            notifier.close()
        with self._lock:  # only now: the hooks look into it
            store, self._store = self._store, None
        if store is not None:
            self._executor.sign_off(store)
            store.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- flows ----------------------------------------------------------------------------------------------------

    def load(self, reference: str | os.PathLike[str], *, version: int | None = None) -> LoadedFlow:
        """A flow by path or registered name. Raises NotebookError or NotFoundError."""
        return load_flow(reference, lambda: self.store, version=version)

    def register(
        self, path: str | os.PathLike[str], *, project: str, name: str | None = None
    ) -> tuple[FlowVersion, bool]:
        """Keep the notebook as a version of ``project/name``; whether that is a new one."""
        flow = load_file(path)
        return register(flow, self.store, project=project, name=flow.label if name is None else name)

    def find_drift(self, version: FlowVersion) -> list[Finding]:
        """How the file that was registered differs from its version now."""
        from nbflow.project.recovery import find_drift

        return find_drift(version)

    def list_flows(self, project: str | None = None) -> list[FlowVersion]:
        return self.store.list_flows(project)

    def list_versions(self, project: str, name: str) -> list[FlowVersion]:
        return self.store.list_versions(project, name)

    def remove_flow(self, project: str, name: str) -> None:
        self.store.remove_flow(project, name)

    def list_flow_limits(self) -> dict[str, int]:
        """How many runs of a flow may go on at once, by its full name or path, where that is limited."""
        return self.store.list_flow_limits()

    def set_flow_limit(self, flow: str, limit: int | None) -> None:
        """At most *limit* runs of the flow (full name or absolute path) at once; None lifts it. Raises UsageError."""
        self.store.set_flow_limit(flow, limit)

    # -- runs -----------------------------------------------------------------------------------------------------

    def submit(
        self,
        flow: LoadedFlow,
        values: Mapping[str, Any],
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        skip_completed: bool = False,
        detach: bool = False,
        parent: Parent | None = None,
        run_id: str | None = None,
    ) -> RunRecord:
        """Check everything, record a run, and have it executed: by this process, or, *detach*\\ ed, by one of its own.

        *run_id*: the new run's, where somebody has chosen it. Durable when it returns. Raises ParameterError, OutputError,
        KernelError, UsageError; nothing is recorded then.
        """
        from nbflow.project.submission import Order

        order = Order(
            options=options,
            name=name,
            tags=tuple(tags),
            skip_completed=skip_completed,
            detach=detach,
            parent=parent,
            run_id=run_id,
        )
        return self._submit(flow, flow.declaration.validate(values), order)

    def _submit(self, flow: LoadedFlow, values: Values, order: Order) -> RunRecord:
        from nbflow.project.submission import prepare_run, reuse_run

        now = datetime.now(UTC)
        request = prepare_run(flow, values, order, get_run=self.get_run, now=now, confined_to=self.confined_to)
        run = request.run
        if order.skip_completed and run.identity:
            done = self.store.list_runs(RunFilter(states=(RunState.COMPLETED,), identity=run.identity, limit=1))
            if done:
                self._record(reuse_run(run, done[0]), flow)
                return self.store.get_run(run.id)
        return self.begin(request, flow, detach=order.detach)

    def begin(self, request: Request, flow: LoadedFlow, *, detach: bool = False) -> RunRecord:
        """Record a run that was checked, and have it executed: by this process, or, *detach*\\ ed, by one of its own."""
        self._executor.begin(request.run, request.secrets, partial(self._record, flow=flow), detach=detach)
        return self.store.get_run(request.run.id)

    def _record(self, run: RunRecord, flow: LoadedFlow) -> None:
        self.store.put_notebook(run.notebook_hash, flow.notebook.content)
        self.store.add_runs([run])
        self.notifier.tell(run, None)

    def start_dispatcher(self) -> Dispatcher:
        """The dispatcher of this process: a background thread, started once, that executes what is submitted here."""
        return self._executor.start()

    def find_owner(self) -> str:
        """The dispatcher that stands for this process in the store; it dispatches nothing where there is a handover."""
        return self._executor.find_owner()

    def serve(self, *, tell: Callable[[RunRecord], None] | None = None) -> Service:
        """What a server does beside answering: make the runs of schedules, and execute what is tied to nobody.

        To be started and closed; *tell* hears of every run that a schedule makes.
        """
        from nbflow.project.execution import Service

        return Service(self, tell=tell)

    def get_attempt_folder(self, run_id: str, number: int) -> Path:
        from nbflow.engines.journal import get_attempt_folder

        return get_attempt_folder(self.config.home, run_id, number)

    def get_run(self, run_id: str) -> RunRecord:
        """By id, or an unambiguous beginning of it. Raises NotFoundError."""
        return self.store.get_run(run_id)

    def list_runs(self, wanted: RunFilter) -> list[RunRecord]:
        return self.store.list_runs(wanted)

    def read_events(self, run_id: str, *, after: str | None = None) -> list[Event]:
        """What happened so far, behind token *after*."""
        from nbflow.project.watching import read_events

        return list(read_events(self.config.home, self.store.get_run(run_id), after=after))

    def read_journal(self, run: RunRecord, *, after: str | None = None) -> Iterator[Event]:
        """:meth:`read_events` of a run that was looked at just now."""
        from nbflow.project.watching import read_events

        return read_events(self.config.home, run, after=after)

    def read_hooks(self, run_id: str) -> list[dict[str, Any]]:
        """What was recorded of the hooks that were told of a run."""
        from nbflow.notifications.notifier import read_hook_records

        return read_hook_records(self.get_attempt_folder(run_id, 1).parent)

    def find_output(self, run: RunRecord) -> Path | None:
        """The executed notebook, as a file of this machine; None where there is none, or none any more."""
        path = Path(run.output_path) if run.output_path else None
        return path if path is not None and path.exists() else None

    def watch(self, run_id: str, *, after: str | None = None) -> Iterator[Event]:
        """What happens, as it happens; ends with the STATE event of the run's terminal state."""
        from nbflow.project.watching import watch

        run_id = self.store.get_run(run_id).id
        return watch(self.config.home, self.store, run_id, after=after, pause=partial(self._executor.pause, run_id))

    def wait(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        """The run in its terminal state. Raises WaitTimeout when it is not there after *timeout* seconds."""
        from nbflow.project.watching import wait_for_end

        return wait_for_end(lambda: self.store.get_run(run_id), self._executor.rest, timeout=timeout)

    def cancel(self, run_id: str, *, reason: str = "user", hurry: bool = False) -> RunRecord:
        """Ask for the end of a run and of its descendants. *hurry*: leave its kernel no time to clean up."""
        run = self.store.get_run(run_id)
        if run.state.is_terminal:
            return run
        for asked in self.store.request_cancel([run.id], reason=reason, now=datetime.now(UTC)):
            if asked.state is RunState.CANCELLING:
                self.notifier.tell(asked, RunState.RUNNING)
            elif asked.state is RunState.CANCELLED and asked.started is None:
                self.notifier.tell(asked, RunState.PENDING)
        self._executor.cancel_soon(run.id, hurry=hurry)
        return self.store.get_run(run.id)

    @property
    def dispatcher(self) -> Dispatcher | None:
        """That of this process, where it was started."""
        return self._executor.dispatcher

    def settle(self) -> None:
        """End what dead processes of this host left behind."""
        from nbflow.project.recovery import settle

        for run, old in settle(self.store, self.config):
            self.notifier.tell(run, old)

    def rename(self, run_id: str, name: str) -> RunRecord:
        """Give a run another name."""
        from nbflow.project.submission import clean_name

        run = self.store.get_run(run_id)
        self.store.rename_run(run.id, clean_name(name))
        return self.store.get_run(run.id)

    def retry(self, run_id: str, *, detach: bool = False) -> RunRecord:
        """One more attempt at a run that ended otherwise than completed. Raises ConflictError."""
        from nbflow.project.templates import find_secrets_again

        run = self.store.get_run(run_id)
        secrets = find_secrets_again(self.store, run, self.load_run(run.id).declaration)
        old, run = run.state, self.store.retry_run(run.id, now=datetime.now(UTC))
        self.notifier.tell(run, old)
        self._executor.begin_again(run, secrets, detach=detach)
        return self.store.get_run(run.id)

    def execute(self, run_id: str, secrets: Mapping[str, str]) -> None:
        """Have this process execute a recorded run. Raises ConflictError when somebody else does."""
        self._executor.take(self.store.get_run(run_id), secrets)

    def rerun(
        self,
        run_id: str,
        values: Mapping[str, Any] | None = None,
        *,
        options: RunOptions | None = None,
        name: str | None = None,
        tags: Sequence[str] | None = None,
        detach: bool = False,
        parent: Parent | None = None,
        new_id: str | None = None,
    ) -> RunRecord:
        """A new run of the same notebook with the same values, some of them replaced."""
        from nbflow.project.submission import keep_values

        run = self.store.get_run(run_id)
        flow = self.load_run(run_id)
        given = dict(values or {})
        kept = flow.declaration.restore(keep_values(run, flow.declaration, given)).typed
        return self.submit(
            flow,
            {**kept, **given},
            options or replace(run.options, output=None),
            name=name,
            tags=run.tags if tags is None else tags,
            detach=detach,
            parent=parent,
            run_id=new_id,
        )

    def load_run(self, run_id: str) -> LoadedFlow:
        """The flow of a run, as it was when the run was submitted."""
        return load_run(self.store.get_run(run_id), self.store)

    def write_report(self, run_id: str, path: Path | None = None) -> Path:
        """The executed notebook as an HTML page. Raises MissingExtraError without nbconvert."""
        from nbflow.engines.report import write_report

        run = self.store.get_run(run_id)
        if run.output_path is None or not Path(run.output_path).exists():
            raise UsageError(f"run {run.id} left no executed notebook to report on")
        executed = Path(run.output_path)
        return write_report(executed, path or executed.with_suffix(".html"))

    def prune(self, *, before: datetime) -> int:
        """Forget the runs that ended before then, with their folders; how many."""
        import shutil

        def remove(run_ids: list[str]) -> None:
            # At once: a prune that is interrupted leaves few folders of which nobody knows any more.
            for run_id in run_ids:
                shutil.rmtree(self.get_attempt_folder(run_id, 1).parent, ignore_errors=True)

        pruned = self.store.prune(before=before, tell=remove)
        self.kv.prune(before=before)
        return len(pruned)
