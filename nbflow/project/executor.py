"""Who executes the runs that are submitted here: this process, one of their own, or the one behind a handover."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from nbflow.errors import StoreError
from nbflow.lifecycle import DispatcherRecord, RunRecord
from nbflow.ports import Engine, Store

if TYPE_CHECKING:
    from nbflow.dispatcher import Dispatcher
    from nbflow.project import Project

POLL = 0.1
LONG_POLL = 1.0


class Executor:
    """Has runs executed. The dispatcher of this process is started when it is needed first."""

    def __init__(self, project: Project, *, engine: Engine | None, root_id: str | None) -> None:
        """*engine*: None for the one of the configuration. *root_id*: the tree of runs this process is a kernel in."""
        self._project = project
        self._engine = engine
        self._root_id = root_id
        self.dispatcher: Dispatcher | None = None
        self._recorder: DispatcherRecord | None = None
        self._lock = threading.Lock()

    def start(self) -> Dispatcher:
        """The dispatcher of this process: started once."""
        from nbflow.dispatcher import Dispatcher
        from nbflow.project.execution import make_engine
        from nbflow.project.templates import find_secrets

        project = self._project
        with self._lock:
            if self.dispatcher is None:
                config = project.config
                dispatcher = Dispatcher(
                    project.store,
                    self._engine or make_engine(config),
                    folder_of=project.get_attempt_folder,
                    lease=config.lease,
                    grace=config.grace,
                    root_id=self._root_id,
                    tell=project.notifier.tell,
                    find_secrets=partial(find_secrets, project.store),
                )
                dispatcher.start()
                self.dispatcher = dispatcher
            return self.dispatcher

    def find_owner(self) -> str:
        """The dispatcher that stands for this process in the store; it dispatches nothing where there is a handover."""
        if self._project.handover is None:
            return self.start().id
        from nbflow.dispatcher.process import describe_process

        with self._lock:
            if self._recorder is None:
                recorder = describe_process(serves_all=False, now=datetime.now(UTC))
                self._project.store.add_dispatcher(recorder)
                self._recorder = recorder
            return self._recorder.id

    def begin(
        self, run: RunRecord, secrets: Mapping[str, str], record: Callable[[RunRecord], None], *, detach: bool
    ) -> None:
        """Have a new run executed, which is given to *record* with the name of who does it."""
        handover = self._project.handover
        if handover is not None:
            with handover.announced(run.id, secrets) as owner:
                record(replace(run, tied_to=owner))
        elif detach:
            # A server may take the run before its worker does; it has no secrets for it.
            record(replace(run, tied_to=f"worker:{run.id}" if secrets else None))
            self._spawn_worker(run, secrets)
        else:
            dispatcher = self.start()
            with _expecting(dispatcher, run, secrets):
                record(replace(run, tied_to=dispatcher.id))

    def begin_again(self, run: RunRecord, secrets: Mapping[str, str], *, detach: bool) -> None:
        """Have a recorded run executed, which waits for anybody."""
        handover = self._project.handover
        if handover is not None:
            handover.wake()
        elif detach:
            self._spawn_worker(run, secrets)
        else:
            self.take(run, secrets)

    def take(self, run: RunRecord, secrets: Mapping[str, str]) -> None:
        """Have this process execute a recorded run. Raises ConflictError when somebody else does."""
        dispatcher = self.start()
        with _expecting(dispatcher, run, secrets):
            self._project.store.tie_run(run.id, dispatcher.id)

    def _spawn_worker(self, run: RunRecord, secrets: Mapping[str, str]) -> None:
        from nbflow.project.worker import spawn_worker

        spawn_worker(self._project.config, [run.id], secrets)

    def cancel_soon(self, run_id: str, *, hurry: bool) -> None:
        """A cancel is in the store: see to it now. *hurry*: leave the kernel no time to clean up."""
        if self.dispatcher is not None:
            self.dispatcher.cancel_soon(run_id, hurry=hurry)
            return
        if self._project.handover is not None:
            self._project.handover.cancel_soon(run_id, hurry=hurry)
        self._project.settle()  # a run that outlived its server has nobody else to end it

    def rest(self, run_id: str, longest: float) -> None:
        """A moment of waiting for the run: what ends here is told at once; elsewhere it has to be looked for."""
        is_ours = self.dispatcher is not None and self.dispatcher.expects(run_id)
        self.pause(run_id, min(LONG_POLL if is_ours else POLL, longest))

    def pause(self, run_id: str, seconds: float) -> None:
        """For so long at the most, or until the run has ended here. Raises what the dispatcher has given up for."""
        dispatcher = self.dispatcher
        if dispatcher is not None and dispatcher.expects(run_id):
            dispatcher.wait_for_change(run_id, seconds)
        else:
            threading.Event().wait(seconds)
        if dispatcher is not None and dispatcher.error is not None:
            raise dispatcher.error

    def close(self) -> None:
        """End what still runs here."""
        with self._lock:
            dispatcher, self.dispatcher = self.dispatcher, None
        if dispatcher is not None:
            dispatcher.close()

    def sign_off(self, store: Store) -> None:
        """Nothing is recorded in this process's name any more."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            with suppress(StoreError):
                store.remove_dispatcher(recorder.id, now=datetime.now(UTC))


@contextmanager
def _expecting(dispatcher: Dispatcher, run: RunRecord, secrets: Mapping[str, str]) -> Iterator[None]:
    """The dispatcher learns of the run, and of its secrets, before it can claim it; inside, it is recorded or tied."""
    dispatcher.expect(run.id, secrets)
    try:
        yield
    except BaseException:
        dispatcher.forget(run.id)
        raise
    dispatcher.wake()
