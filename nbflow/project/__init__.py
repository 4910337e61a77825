"""The project: where configuration, store, engine and dispatcher come together. Every surface goes through it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.config import Config, load_config, to_environment
from nbflow.errors import ConflictError, NotFoundError, StoreError, UsageError, WaitTimeout
from nbflow.events import Event
from nbflow.flows import FlowVersion, check_name
from nbflow.lifecycle import DispatcherRecord, RunOptions, RunRecord, RunState
from nbflow.parameters import Finding, Values
from nbflow.ports import Engine, RunFilter, Store
from nbflow.project.loading import LoadedFlow, load_file, load_flow
from nbflow.project.pairs import KeyValues

if TYPE_CHECKING:
    from nbflow.dispatcher import Dispatcher
    from nbflow.notifications.notifier import Notifier
    from nbflow.project.backfills import Backfills
    from nbflow.project.execution import Service
    from nbflow.project.handover import Handover
    from nbflow.project.schedules import Schedules
    from nbflow.project.submission import Parent, Request

__all__ = ["KeyValues", "LoadedFlow", "Project"]

POLL = 0.1
LONG_POLL = 1.0


@contextmanager
def expecting(dispatcher: Dispatcher, run: RunRecord, secrets: Mapping[str, str]) -> Iterator[None]:
    """The dispatcher learns of the run, and of its secrets, before it can claim it; inside, it is recorded or tied."""
    dispatcher.expect(run.id, secrets)
    try:
        yield
    except BaseException:
        dispatcher.forget(run.id)
        raise
    dispatcher.wake()


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
        self._root_id = root_id
        self.handover = handover
        self._recorder: DispatcherRecord | None = None
        self.kv = KeyValues(lambda: self.store)
        self._store = store
        self._engine = engine
        self._dispatcher: Dispatcher | None = None
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
                from nbflow.notifications.notifier import Notifier, find_installed_hooks

                config = self.config
                self._notifier = Notifier(
                    [*config.hooks, *find_installed_hooks()],
                    folder_of=lambda run_id: self.get_attempt_folder(run_id, 1).parent,
                    children_of=lambda run_id: self.store.list_runs(RunFilter(parent_id=run_id, limit=None)),
                    environment=to_environment(config),
                    path=str(config.source.parent) if config.source else None,
                )
            return self._notifier

    def close(self) -> None:
        """Stop executing (what still runs here is ended), have the hooks told, and let the store go."""
        with self._lock:
            dispatcher, self._dispatcher = self._dispatcher, None
            notifier, self._notifier = self._notifier, None
        if dispatcher is not None:
            dispatcher.close()
        if notifier is not None:
            notifier.close()
        with self._lock:  # only now: the hooks look into it
            store, self._store = self._store, None
        if store is not None:
            if self._recorder is not None:
                with suppress(StoreError):
                    store.remove_dispatcher(self._recorder.id, now=datetime.now(UTC))
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
        name = check_name(flow.label if name is None else name, "flow name")
        check_name(project, "project")
        before = [version.number for version in self.store.list_versions(project, name)]
        self.store.put_notebook(flow.notebook.hash, flow.notebook.content)
        version = self.store.register_flow(
            project=project,
            name=name,
            notebook_hash=flow.notebook.hash,
            schema=flow.declaration.json_schema(),
            source_path=str(flow.source_path),
            now=datetime.now(UTC),
        )
        return version, version.number not in before

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

        *run_id*: the new run's, where somebody has chosen it. Durable when it returns. Raises ParameterError, OutputError, KernelError, UsageError; nothing is recorded then.
        """
        return self._submit(
            flow, flow.declaration.validate(values), options, name, tags, skip_completed, detach, parent, run_id
        )

    def _submit(
        self,
        flow: LoadedFlow,
        values: Values,
        options: RunOptions,
        name: str | None,
        tags: Sequence[str],
        skip_completed: bool,
        detach: bool,
        parent: Parent | None,
        run_id: str | None,
    ) -> RunRecord:
        from nbflow.project.submission import prepare_run

        request = prepare_run(
            flow,
            values,
            options,
            name=name,
            tags=tags,
            parent=parent,
            get_run=self.get_run,
            now=datetime.now(UTC),
            confined_to=self.confined_to,
            run_id=run_id,
        )
        run = request.run
        if skip_completed and run.identity:
            done = self.store.list_runs(RunFilter(states=(RunState.COMPLETED,), identity=run.identity, limit=1))
            if done:
                return self._skip(run, done[0], flow)
        return self.begin(request, flow, detach=detach)

    def begin(self, request: Request, flow: LoadedFlow, *, detach: bool = False) -> RunRecord:
        """Record a run that was checked, and have it executed: by this process, or, *detach*\\ ed, by one of its own."""
        run = request.run
        self.store.put_notebook(run.notebook_hash, flow.notebook.content)
        if self.handover is not None:
            with self.handover.announced(run.id, request.secrets) as owner:
                self.store.add_runs([replace(run, tied_to=owner)])
            self.notifier.tell(run, None)
            return self.store.get_run(run.id)
        if detach:
            # A server may take the run before its worker does; it has no secrets for it.
            self.store.add_runs([replace(run, tied_to=f"worker:{run.id}" if request.secrets else None)])
            self.notifier.tell(run, None)
            self._spawn_worker(run.id, request.secrets)
            return self.store.get_run(run.id)
        dispatcher = self.start_dispatcher()
        with expecting(dispatcher, run, request.secrets):
            self.store.add_runs([replace(run, tied_to=dispatcher.id)])
            self.notifier.tell(run, None)
        return self.store.get_run(run.id)

    def _skip(self, run: RunRecord, done: RunRecord, flow: LoadedFlow) -> RunRecord:
        self.store.put_notebook(run.notebook_hash, flow.notebook.content)
        skipped = replace(
            run,
            state=RunState.SKIPPED,
            ended=run.created,
            reused_run_id=done.id,
            values=done.values,
            results=done.results,
            output_path=done.output_path,
            message=f"run {done.id} completed with the same notebook, values and kernel",
        )
        self.store.add_runs([skipped])
        self.notifier.tell(skipped, None)
        return self.store.get_run(run.id)

    def start_dispatcher(self) -> Dispatcher:
        """The dispatcher of this process: a background thread, started once, that executes what is submitted here."""
        from nbflow.dispatcher import Dispatcher
        from nbflow.project.execution import make_engine
        from nbflow.project.templates import find_secrets

        with self._lock:
            if self._dispatcher is None:
                config = self.config
                dispatcher = Dispatcher(
                    self.store,
                    self._engine or make_engine(config),
                    folder_of=self.get_attempt_folder,
                    lease=config.lease,
                    grace=config.grace,
                    root_id=self._root_id,
                    tell=self.notifier.tell,
                    find_secrets=partial(find_secrets, self.store),
                )
                dispatcher.start()
                self._dispatcher = dispatcher
            return self._dispatcher

    def find_owner(self) -> str:
        """The dispatcher that stands for this process in the store; it dispatches nothing where there is a handover."""
        if self.handover is None:
            return self.start_dispatcher().id
        from nbflow.dispatcher.process import describe_process

        with self._lock:
            if self._recorder is None:
                recorder = describe_process(serves_all=False, now=datetime.now(UTC))
                self.store.add_dispatcher(recorder)
                self._recorder = recorder
            return self._recorder.id

    def serve(self, *, tell: Callable[[RunRecord], None] | None = None) -> Service:
        """What a server does beside answering: make the runs of schedules, and execute what is tied to nobody.

        To be started and closed; *tell* hears of every run that a schedule makes.
        """
        from nbflow.project.execution import Service

        return Service(self, tell=tell)

    def get_attempt_folder(self, run_id: str, number: int) -> Path:
        from nbflow.engines.journal import get_attempt_folder

        return get_attempt_folder(self.config.home, run_id, number)

    def _spawn_worker(self, run_id: str, secrets: Mapping[str, str]) -> int:
        from nbflow.project.worker import spawn_worker

        return spawn_worker(self.config, [run_id], secrets)

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
        return watch(self.config.home, self.store, run_id, after=after, pause=partial(self._pause, run_id))

    def _pause(self, run_id: str, seconds: float) -> None:
        dispatcher = self._dispatcher
        if dispatcher is not None and dispatcher.expects(run_id):
            dispatcher.wait_for_change(run_id, seconds)
        else:
            threading.Event().wait(seconds)
        if dispatcher is not None and dispatcher.error is not None:
            raise dispatcher.error

    def wait(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        """The run in its terminal state. Raises WaitTimeout when it is not there after *timeout* seconds."""
        import time

        deadline = None if timeout is None else time.monotonic() + timeout
        while not (run := self.store.get_run(run_id)).state.is_terminal:
            # What ends here is told at once; elsewhere it has to be looked for.
            is_ours = self._dispatcher is not None and self._dispatcher.expects(run.id)
            pause = LONG_POLL if is_ours else POLL
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0:
                raise WaitTimeout(f"run {run.id} is still {run.state} after {timeout:g} s; it goes on", run_id=run.id)
            self._pause(run.id, left)
        return run

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
        if self._dispatcher is not None:
            self._dispatcher.cancel_soon(run.id, hurry=hurry)
        else:
            if self.handover is not None:
                self.handover.cancel_soon(run.id, hurry=hurry)
            self.settle()  # a run that outlived its server has nobody else to end it
        return self.store.get_run(run.id)

    @property
    def dispatcher(self) -> Dispatcher | None:
        """That of this process, where it was started."""
        return self._dispatcher

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
        run = self.store.get_run(run_id)
        secrets = self._find_secrets(run)
        old, run = run.state, self.store.retry_run(run.id, now=datetime.now(UTC))
        self.notifier.tell(run, old)
        if self.handover is not None:
            self.handover.wake()
            return run
        if detach:
            self._spawn_worker(run.id, secrets)
            return run
        dispatcher = self.start_dispatcher()
        with expecting(dispatcher, run, secrets):
            self.store.tie_run(run.id, dispatcher.id)
        return self.store.get_run(run.id)

    def _find_secrets(self, run: RunRecord) -> Mapping[str, str]:
        """What a run is to be given once more: a schedule knows where its secrets are. Raises ConflictError."""
        from nbflow.project.templates import find_secrets

        parameters = self.load_run(run.id).declaration.parameters
        names = {parameter.name for parameter in parameters if parameter.secret and parameter.name in run.parameters}
        found = find_secrets(self.store, run) if names else {}
        if names - found.keys():
            raise ConflictError(f"run {run.id} had secrets, which are kept nowhere; use rerun and give them again")
        return found

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
        run = self.store.get_run(run_id)
        flow = self.load_run(run_id)
        secret = {parameter.name for parameter in flow.declaration.parameters if parameter.secret}
        same = {key: value for key, value in run.parameters.items() if key not in secret and key not in (values or {})}
        kept = dict(flow.declaration.restore(same).typed)
        options = options or replace(run.options, output=None)
        return self.submit(
            flow,
            {**kept, **(values or {})},
            options,
            name=name,
            tags=run.tags if tags is None else tags,
            detach=detach,
            parent=parent,
            run_id=new_id,
        )

    def load_run(self, run_id: str) -> LoadedFlow:
        """The flow of a run, as it was when the run was submitted."""
        from nbflow.flows import split_name
        from nbflow.notebooks import read_notebook

        run = self.store.get_run(run_id)
        if not run.notebook_hash:
            raise NotFoundError(f"run {run.id} was never made, so it has no notebook: {run.message}")
        notebook = read_notebook(self.store.get_notebook(run.notebook_hash))
        version = None
        if run.flow is not None:
            versions = self.store.list_versions(*split_name(run.flow))
            version = next((found for found in versions if found.number == run.flow_version), None)
        source = Path(run.source_path)
        return LoadedFlow(label=run.flow or source.stem, notebook=notebook, source_path=source, version=version)

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
