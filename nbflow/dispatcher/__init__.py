"""The dispatcher: claims waiting runs, hands them to the engine, and brings every attempt to its end.

Any number may live at once, in one process or in many. What one leaves behind when it dies, another one (or the next
process that opens the store) adopts and ends truthfully: see :func:`nbflow.dispatcher.attempts.recover`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nbflow.dispatcher.attempts import FolderOf, finish, mark_started, recover
from nbflow.dispatcher.process import GONE, describe_process
from nbflow.errors import NbflowError, NotFoundError, StoreError
from nbflow.lifecycle import AttemptRecord, AttemptState, Failure, FailureKind, Outcome, RunRecord, RunState
from nbflow.ports import Engine, Launch, Progress, Report, RunFilter, Store

ACTIVE_PAUSE = 0.05
IDLE_PAUSE = 0.25
CANCEL_PAUSE = 0.25
CLAIM_PAUSE = 0.1
"""Seconds until waiting runs are looked for again, where nothing has happened here that would free a slot."""
FULL_PAUSE = 0.5
"""The same while this dispatcher's attempts hold all slots: one is free again once a run waits for its children."""
PATIENCE = 30.0
"""Seconds that a store or an engine which fails is tried again before the dispatcher gives up."""

LOOKED_AT = 50
"""How many waiting runs are looked at in one turn."""

FindSecrets = Callable[[RunRecord], Mapping[str, str]]
Tell = Callable[[RunRecord, RunState | None], None]


class Dispatcher:
    """A background thread that executes the runs tied to it, and, where it *serves_all*, those tied to nobody."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        folder_of: FolderOf,
        lease: float = 15.0,
        grace: float = 5.0,
        serves_all: bool = False,
        root_id: str | None = None,
        tell: Tell | None = None,
        find_secrets: FindSecrets | None = None,
    ) -> None:
        """*root_id*: the tree that this process is a kernel in, with which it shares its slots.

        *tell* hears of every change that is made here, with the state before it; it must neither raise nor wait.
        *find_secrets* gives the secrets of a run that was submitted elsewhere.
        """
        self._tell: Tell = tell or (lambda run, old: None)
        self._find_secrets: FindSecrets = find_secrets or (lambda run: {})
        self.record = describe_process(serves_all=serves_all, now=datetime.now(UTC))
        self.error: NbflowError | None = None
        self._store = store
        self._engine = engine
        self._folder_of = folder_of
        self._root_id = root_id
        self._lease = timedelta(seconds=lease)
        self._grace = grace
        self._secrets: dict[str, Mapping[str, str]] = {}
        self._expected: set[str] = set()
        self._backfills: set[str] = set()
        self._active: dict[str, AttemptRecord] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._killed: dict[str, float] = {}
        self._hurried: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._run, name="nbflow-dispatcher", daemon=True)
        self._renewed = self._looked_for_cancels = self._looked_for_runs = self._recovered = 0.0
        self._notebook: tuple[str, bytes] = ("", b"")

    @property
    def id(self) -> str:
        return self.record.id

    def start(self) -> None:
        self._store.add_dispatcher(self.record)
        self._thread.start()

    def expect(self, run_id: str, secret_values: Mapping[str, str]) -> None:
        """A run that is about to be tied to this dispatcher: to be executed once :meth:`wake` was called.

        Told before the run is recorded, since it may be claimed at once. Its secrets are kept here, in memory alone.
        """
        with self._changed:
            self._expected.add(run_id)
            if secret_values:
                self._secrets[run_id] = secret_values

    def forget(self, run_id: str) -> None:
        """The run is not to be expected after all."""
        with self._changed:
            self._expected.discard(run_id)
            self._secrets.pop(run_id, None)
            self._hurried.discard(run_id)
            self._changed.notify_all()

    def take_up(self, backfill_id: str) -> None:
        """Begin the rows of a backfill, whose owner this dispatcher was made, until none is left."""
        with self._changed:
            self._backfills.add(backfill_id)
        self.wake()

    def works_on(self, backfill_id: str) -> bool:
        """Whether rows of the backfill are begun here."""
        with self._changed:
            return backfill_id in self._backfills and self.error is None

    def wait_for_any_change(self, timeout: float) -> None:
        """Until some run has ended here, for *timeout* seconds at the most."""
        with self._changed:
            self._changed.wait(timeout)

    def wake(self) -> None:
        """Look at the store now rather than at the next turn."""
        self._looked_for_runs = 0.0
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"x")

    def wait_for_change(self, run_id: str, timeout: float) -> None:
        """Until *run_id* reaches a terminal state here, for *timeout* seconds at the most."""
        with self._changed:
            self._changed.wait_for(lambda: run_id not in self._expected or self.error is not None, timeout)

    def expects(self, run_id: str) -> bool:
        """Whether the run is still to be brought to its end here."""
        with self._changed:
            return run_id in self._expected and self.error is None

    def cancel_soon(self, run_id: str, *, hurry: bool = False) -> None:
        """A cancel was asked for in the store: see to it now. *hurry*: kill, with no time to clean up."""
        with self._changed:
            if hurry:
                self._hurried.add(run_id)
            self._looked_for_cancels = 0.0
        self.wake()

    def close(self) -> None:
        """Stop. Attempts that still run are tied to this process and end with it."""
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    # -- the loop -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        failing_since: float | None = None
        while not self._closing.is_set():
            try:
                self._turn()
                failing_since = None
            except Exception as error:
                # Whoever waits must get an answer in the end, whatever goes wrong here.
                failing_since = failing_since or time.monotonic()
                if time.monotonic() - failing_since > PATIENCE:
                    self._give_up(error)
                    break
            pause = ACTIVE_PAUSE if self._active and failing_since is None else IDLE_PAUSE
            self._engine.wait(pause, wake=self._wake_read)
            with suppress(BlockingIOError):
                os.set_blocking(self._wake_read, False)
                os.read(self._wake_read, 4096)
        self._leave()

    def _turn(self) -> None:
        """One look at everything; the order lets a slot that an attempt frees be filled in the same turn."""
        for report in self._engine.poll():
            self._take(report)
        self._settle_outcomes()
        self._claim()
        clock = time.monotonic()
        if self._active and clock - self._looked_for_cancels > CANCEL_PAUSE:
            self._looked_for_cancels = clock
            self._carry_out_cancels()
        if clock - self._renewed > self._lease.total_seconds() / 3:
            self._renewed = clock
            self._renew()
        if clock - self._recovered > self._lease.total_seconds() / 3:
            self._recovered = clock
            self._recover()

    def _claim(self) -> None:
        with self._changed:
            waiting = self._expected - {attempt.run_id for attempt in self._active.values()}
        clock, now, slots = time.monotonic(), datetime.now(UTC), self._engine.capacity()
        pause = CLAIM_PAUSE if len(self._active) < slots else FULL_PAUSE
        if not (waiting or self._backfills or self.record.serves_all) or clock - self._looked_for_runs < pause:
            return
        self._looked_for_runs = clock
        claimed = self._store.claim(
            dispatcher_id=self.id,
            limit=slots,
            lease=now + self._lease,
            now=now,
            serves_all=self.record.serves_all,
            slots=slots,
            root_id=self._root_id,
        )
        for run, attempt in claimed:
            self._active[attempt.id] = attempt
            self._tell(run, RunState.PENDING)
            try:
                self._launch(run, attempt)
            except Exception as error:
                # Nothing was started: whoever waits for the run is told so.
                logging.getLogger(__name__).exception("attempt %s could not be prepared", attempt.id)
                failure = Failure(kind=FailureKind.SETUP, message=f"the run could not be prepared: {error}"[:500])
                self._outcomes[attempt.id] = Outcome(state=AttemptState.FAILED, failure=failure)

    def _launch(self, run: RunRecord, attempt: AttemptRecord) -> None:
        launch = Launch(
            run=run,
            attempt=attempt,
            folder=self._folder_of(run.id, attempt.number),
            notebook=self._get_notebook(run.notebook_hash),
            secrets=self._secrets.get(run.id) or self._find_secrets(run),
            tied=not self.record.serves_all,
        )
        self._engine.launch(launch)

    def _get_notebook(self, notebook_hash: str) -> bytes:
        """Many runs in a row are runs of one notebook."""
        if self._notebook[0] != notebook_hash:
            self._notebook = (notebook_hash, self._store.get_notebook(notebook_hash))
        return self._notebook[1]

    def _take(self, report: Report) -> None:
        """Bring what the engine knows about an attempt into the store."""
        attempt = self._active.get(report.attempt_id)
        if attempt is None:
            return
        now = datetime.now(UTC)
        self._progress[attempt.id] = report.progress
        if report.outcome is not None:
            self._outcomes[attempt.id] = report.outcome
        if report.started and attempt.state is AttemptState.CLAIMED:
            if not self._store.start_attempt(attempt, pid=report.pid, now=now) and report.outcome is None:
                self._engine.kill(attempt.id, grace=0.0)
            self._active[attempt.id] = attempt = mark_started(attempt, report.pid)

    def _settle_outcomes(self) -> None:
        """The engine tells an outcome once: it is kept until the store has it."""
        for attempt_id, outcome in list(self._outcomes.items()):
            attempt = self._active[attempt_id]
            run = finish(self._store, attempt, outcome, now=datetime.now(UTC))
            if run is not None:
                self._tell(run, RunState.CANCELLING if run.cancel_reason else RunState.RUNNING)
            self._forget(attempt, run)
            if run is not None and run.state is not RunState.COMPLETED:
                self._recovered = 0.0  # its kernel may have been the owner of children

    def _forget(self, attempt: AttemptRecord, run: RunRecord | None) -> None:
        self._active.pop(attempt.id, None)
        self._progress.pop(attempt.id, None)
        self._killed.pop(attempt.id, None)
        self._outcomes.pop(attempt.id, None)
        self._looked_for_runs = 0.0
        # Where somebody else ended the attempt, the run may wait for us again: `_forget_ended` looks at what became of it.
        if run is not None and run.state.is_terminal:
            self.forget(attempt.run_id)

    def _carry_out_cancels(self) -> None:
        wanted = RunFilter(states=(RunState.CANCELLING,), limit=None)
        cancelling = {run.id: run for run in self._store.list_runs(wanted)}
        for attempt in list(self._active.values()):
            grace = 0.0 if attempt.run_id in self._hurried else self._grace
            if attempt.run_id in cancelling and grace < self._killed.get(attempt.id, float("inf")):
                self._killed[attempt.id] = grace
                self._engine.kill(attempt.id, grace=grace)

    def _renew(self) -> None:
        now = datetime.now(UTC)
        progress = {attempt_id: self._progress.get(attempt_id, Progress()) for attempt_id in self._active}
        owned = self._store.renew(self.id, progress, lease=now + self._lease, now=now)
        for attempt_id in set(self._active) - owned:
            self._forget(self._active[attempt_id], None)
        self._forget_ended()

    def _forget_ended(self) -> None:
        """A waiting run may have been cancelled by another process: then it is not ours to expect."""
        with self._changed:
            waiting = self._expected - {attempt.run_id for attempt in self._active.values()}
        for run_id in list(waiting)[:LOOKED_AT]:
            with suppress(NotFoundError):  # announced, and not yet recorded
                if self._store.get_run(run_id).state.is_terminal:
                    self.forget(run_id)

    def _recover(self) -> None:
        now = datetime.now(UTC)
        for attempt, _ in recover(
            self._store, self._engine, folder_of=self._folder_of, owner=self.record, lease=self._lease, now=now
        ):
            self._active[attempt.id] = attempt

    def _give_up(self, error: Exception) -> None:
        logging.getLogger(__name__).error("the dispatcher gives up", exc_info=error)
        with self._changed:
            self.error = error if isinstance(error, NbflowError) else StoreError(f"the dispatcher failed: {error!r}")
            self._expected.clear()
            self._changed.notify_all()

    def _leave(self) -> None:
        """End what is tied to us, and say goodbye."""
        with suppress(NbflowError):
            if not self.record.serves_all:
                if self._root_id is not None:
                    self._cancel_children()
                self._end_active()
                self._recover()
                self._end_active()
            now = datetime.now(UTC)
            self._store.remove_dispatcher(self.id, now=now)
            if self._active:
                # Who takes up what goes on must know where it was to begin: an attempt that had not, begins anew only then.
                self._store.add_dispatcher(replace(self.record, process_started=GONE, heartbeat=now - self._lease))
        self._engine.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _cancel_children(self) -> None:
        """The notebook whose kernel this is ends before them: that is no crash of theirs."""
        with self._changed:
            left = sorted(self._expected)
        if left:
            self._store.request_cancel(left, reason="parent", now=datetime.now(UTC))

    def _end_active(self) -> None:
        for attempt in self._active.values():
            self._engine.kill(attempt.id, grace=min(self._grace, 1.0))
        deadline = time.monotonic() + self._grace + 5.0
        while self._active and time.monotonic() < deadline:
            for report in self._engine.poll():
                self._take(report)
            self._settle_outcomes()
            self._engine.wait(ACTIVE_PAUSE, wake=self._wake_read)
