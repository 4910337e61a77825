"""The backfills of a project: planned, recorded, worked on, and taken up again."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbflow.backfiller import Backfiller
from nbflow.backfilling import BackfillRecord, BackfillState, Reprocess, Snapshot
from nbflow.backfilling.messages import say_made, say_same, show_state
from nbflow.backfilling.plans import BackfillPlan, Decision, PlannedRow
from nbflow.errors import ConflictError, WaitTimeout
from nbflow.lifecycle import ACTIVE, RunRecord
from nbflow.project.asking import Asked, ask, choose_behavior
from nbflow.project.loading import LoadedFlow
from nbflow.project.making import skip
from nbflow.project.resuming import Resumption
from nbflow.project.rows import Exclude, Row

if TYPE_CHECKING:
    from nbflow.project import Project

SHOWN_ROWS = 5
OUR_PAUSE = 0.05
OTHER_PAUSE = 0.25
WORKER_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A backfill that a call made or found, and what the call did."""

    backfill: BackfillRecord
    message: str
    """One line."""
    goes_on: bool
    """Whether rows are begun because of the call."""


class Backfills:
    """What can be done with backfills. Each is named by its id, a beginning of it, or its name."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @property
    def backfiller(self) -> Backfiller:
        """The service behind all this."""
        project = self._project
        tell = project.notifier.tell if project.notifier.is_needed else None
        return Backfiller(project.store, lease=project.config.lease, tell=tell)

    # -- finding --------------------------------------------------------------------------------------------------

    def get(self, backfill_id: str) -> BackfillRecord:
        """Raises NotFoundError."""
        return self._project.store.get_backfill(backfill_id)

    def find(self, flow: str | None = None, *, limit: int | None = None) -> list[BackfillRecord]:
        """Newest first: all, or those of a flow (its full name, or an absolute path)."""
        return self._project.store.list_backfills(flow=flow, limit=limit)

    def look(self, backfill_id: str) -> Snapshot:
        """How it stands."""
        (snapshot,) = self.backfiller.look([self.get(backfill_id)])
        return snapshot

    def look_all(self, flow: str | None = None, *, limit: int | None = None) -> list[Snapshot]:
        """How each stands, newest first."""
        return self.backfiller.look(self.find(flow, limit=limit))

    # -- making ---------------------------------------------------------------------------------------------------

    def plan(
        self, flow: LoadedFlow, values: Mapping[str, Any], *, rows: Any = None, exclude: Exclude = None, **settings: Any
    ) -> BackfillPlan:
        """What :meth:`create` would do with each row. Raises as it does; records nothing."""
        asked = ask(self._project, flow, values, rows, exclude, settings)
        try:
            return self._plan(asked)
        finally:
            asked.rows.close()

    def create(
        self,
        flow: LoadedFlow,
        values: Mapping[str, Any],
        *,
        rows: Any = None,
        exclude: Exclude = None,
        detach: bool = False,
        **settings: Any,
    ) -> Started:
        """Check every row, record a run for each, and have them executed: by this process, or, *detach*\\ ed, by another.

        *values*: lists are axes, of which the rows are the product; anything else is a value of all rows. *rows*: a table
        (a file, a DataFrame or mappings), each row of which is combined with all of these.
        *settings*: ``name``, ``tags``, ``priority``, ``max_active_runs``, ``max_failures``, ``run_backwards``,
        ``reprocess_behavior``, ``skip_completed`` as in BackfillRecord; ``options``, ``run_name`` and ``parent`` of its runs.
        A backfill with the same rows of the same flow is not made twice: the earlier one is found, and goes on where it can.
        Raises RowError with the faults of all rows, ParameterError, OutputError, KernelError, UsageError.
        """
        asked = ask(self._project, flow, values, rows, exclude, settings)
        try:
            same = self._find_same(asked)
            if same is not None:
                return self._go_on(same, asked, detach=detach)
            return self._record(asked, detach=detach)
        finally:
            asked.rows.close()

    def _plan(self, asked: Asked) -> BackfillPlan:
        counts: Counter[Decision] = Counter()
        first: list[PlannedRow] = []
        last: list[PlannedRow] = []
        for batch, _ in asked.decide(self._project.store):
            counts.update(decision for _, decision in batch)
            shown = batch[: SHOWN_ROWS - len(first)]
            first += [_show(row, decision) for row, decision in shown]
            last = [*last, *(_show(row, decision) for row, decision in batch[len(shown) :][-SHOWN_ROWS:])][-SHOWN_ROWS:]
        same = self._find_same(asked)
        return BackfillPlan(
            flow=asked.backfill.flow,
            axes=asked.backfill.axes,
            total=asked.rows.total,
            excluded=asked.rows.excluded,
            counts={decision: counts[decision] for decision in Decision if counts[decision]},
            first=tuple(first),
            last=tuple(last),
            same_as=same.backfill.id if same else None,
            message=say_same(same) if same else "",
        )

    def _record(self, asked: Asked, *, detach: bool) -> Started:
        project = self._project
        owner = project.find_owner()
        now = datetime.now(UTC)
        counts: Counter[Decision] = Counter()
        flow = asked.maker.flow
        project.store.put_notebook(flow.notebook.hash, flow.notebook.content)
        backfill = replace(asked.backfill, created=now, owner=owner)
        made = self.backfiller.record(backfill, self._make_runs(asked, backfill, counts))
        left = sum(count for decision, count in counts.items() if not decision.makes_run)
        if left:
            made = project.store.update_backfill(made.id, lambda known: replace(known, left_alone=left))
        goes_on = bool(counts[Decision.RUN] or counts[Decision.RERUN])
        started = self._start(made, detach=detach) if goes_on else made
        return Started(backfill=started, message=say_made(started, counts), goes_on=goes_on)

    def _make_runs(
        self, asked: Asked, backfill: BackfillRecord, counts: Counter[Decision]
    ) -> Iterator[list[RunRecord]]:
        for batch, done in asked.decide(self._project.store):
            runs = []
            for row, decision in batch:
                counts[decision] += 1
                if decision.makes_run:
                    run = asked.maker.make(row, backfill, backfill.created, asked.parent)
                    runs.append(skip(run, done[run.identity]) if decision is Decision.REUSE else run)
            if runs:
                yield runs

    # -- the same rows again --------------------------------------------------------------------------------------

    def _find_same(self, asked: Asked) -> Snapshot | None:
        """The newest backfill with these rows, unless all of them are to be run again."""
        known = self._project.store.list_backfills(
            flow=asked.backfill.flow, rows_hash=asked.backfill.rows_hash, limit=1
        )
        if not known:
            return None
        (snapshot,) = self.backfiller.look(known)
        is_over = snapshot.done == snapshot.total
        again = asked.backfill.reprocess_behavior is Reprocess.COMPLETED or asked.backfill.skip_completed
        # It may have left failures alone that belong to others.
        again = again or (asked.backfill.reprocess_behavior is Reprocess.FAILED and snapshot.backfill.left_alone > 0)
        return None if is_over and again else snapshot

    def _go_on(self, same: Snapshot, asked: Asked, *, detach: bool) -> Started:
        backfill, behavior = same.backfill, asked.backfill.reprocess_behavior
        resumes = same.state is BackfillState.INTERRUPTED or (
            behavior is Reprocess.FAILED
            and same.state in (BackfillState.COMPLETED_WITH_FAILURES, BackfillState.CANCELLED, BackfillState.STOPPED)
        )
        if resumes and behavior is not Reprocess.COMPLETED:
            return self.resume(backfill.id, reprocess_behavior=behavior, detach=detach)
        if behavior is Reprocess.COMPLETED:
            raise ConflictError(
                f"backfill {backfill.id} has the same rows and is {show_state(same.state)}\n"
                f"end it first: nbflow backfill cancel {backfill.id}"
            )
        message = say_same(same)
        if same.state is BackfillState.COMPLETED and asked.maker.flow.notebook.hash != backfill.notebook_hash:
            message = f"{message} (the notebook has changed since)"
        return Started(backfill=backfill, message=message, goes_on=not same.state.is_resting)

    # -- taking up again ------------------------------------------------------------------------------------------

    def resume(
        self,
        backfill_id: str,
        *,
        reprocess_behavior: str = Reprocess.FAILED,
        detach: bool = False,
        max_active_runs: int | None = None,
        max_failures: int | None = None,
    ) -> Started:
        """Run what is missing with the notebook as it is now: the rows that never ran, and those that did not complete.

        ``none`` leaves those alone that failed; ``completed`` makes a new backfill of all rows. Raises ConflictError while
        a process works on it, RowError when the notebook refuses values that it took before.
        """
        behavior = choose_behavior(reprocess_behavior)
        known = self.get(backfill_id)
        if known.owner is not None and self.backfiller.find_worker(known) is None:
            self._project.settle()  # its rows may still seem to run
        resumption = Resumption(self._project, self.backfiller, self.look(known.id))
        if behavior is Reprocess.COMPLETED:
            return self._repeat(resumption, detach=detach)
        resumption.check(behavior, max_failures)
        if not resumption.is_needed:
            snapshot = resumption.snapshot
            return Started(backfill=snapshot.backfill, message=say_same(snapshot), goes_on=False)
        changes = {"max_active_runs": max_active_runs, "max_failures": max_failures}
        owner = self._project.find_owner()
        resumed = resumption.carry_out(owner, {key: value for key, value in changes.items() if value is not None})
        return Started(backfill=self._start(resumed, detach=detach), message=resumption.message, goes_on=True)

    def _repeat(self, resumption: Resumption, *, detach: bool) -> Started:
        """A new backfill with the rows of an old one."""
        old = resumption.snapshot.backfill
        flow = resumption.flow
        return self.create(
            flow,
            {
                name: [value] if isinstance(value, list) else value
                for name, value in resumption.read_constants().items()
            },
            rows=resumption.read_parameters(),
            detach=detach,
            options=old.options,
            run_name=old.run_name,
            tags=old.tags,
            priority=old.priority,
            max_active_runs=old.max_active_runs,
            max_failures=old.max_failures,
            run_backwards=old.run_backwards,
            reprocess_behavior=Reprocess.COMPLETED,
        )

    # -- working --------------------------------------------------------------------------------------------------

    def _start(self, backfill: BackfillRecord, *, detach: bool) -> BackfillRecord:
        """Have its rows begun: here, by a server, or by a process of their own."""
        project = self._project
        if project.handover is not None:
            started = project.store.update_backfill(backfill.id, lambda known: replace(known, owner=None))
            project.handover.wake()
            return started
        if not detach:
            project.start_dispatcher().take_up(backfill.id)
            return backfill
        if self.backfiller.has_server():
            return project.store.update_backfill(backfill.id, lambda known: replace(known, owner=None))
        from nbflow.project.worker import spawn_worker

        owner = f"worker:{secrets.token_hex(4)}"
        project.store.update_backfill(backfill.id, lambda known: replace(known, owner=owner))
        spawn_worker(project.config, ["--backfill", backfill.id, owner], {})
        self._await_worker(backfill.id, owner)
        return self.get(backfill.id)

    def _await_worker(self, backfill_id: str, owner: str) -> None:
        """Until the worker is there: before, the backfill would look as if nobody worked on it."""
        import time

        deadline = time.monotonic() + WORKER_PATIENCE
        while self.get(backfill_id).owner == owner and time.monotonic() < deadline:
            threading.Event().wait(OUR_PAUSE)

    def adopt(self, backfill_id: str, owner: str) -> None:
        """Work on a backfill that waits for a worker under the name *owner*. Raises ConflictError when it no longer does."""
        dispatcher = self._project.start_dispatcher()

        def change(known: BackfillRecord) -> BackfillRecord:
            if known.owner != owner:
                raise ConflictError(f"backfill {known.id}: another process works on it")
            return replace(known, owner=dispatcher.id)

        self._project.store.update_backfill(backfill_id, change)
        dispatcher.take_up(backfill_id)

    def wait(self, backfill_id: str, *, timeout: float | None = None) -> Snapshot:
        """How it stands when nothing more happens by itself. Raises WaitTimeout after *timeout* seconds."""
        if not self.backfiller.wait(backfill_id, lambda: self._pause(backfill_id), timeout):
            raise WaitTimeout(f"backfill {backfill_id} is not finished after {timeout:g} s; it goes on")
        return self.look(backfill_id)

    def watch(self, backfill_id: str, *, every: float = 0.5) -> Iterator[Snapshot]:
        """How it stands, again and again, until nothing more happens by itself; the last one is told too."""
        while True:
            snapshot = self.look(backfill_id)
            yield snapshot
            if snapshot.state.is_resting:
                return
            self.backfiller.wait(backfill_id, lambda: self._pause(backfill_id), every)

    def _pause(self, backfill_id: str) -> None:
        dispatcher = self._project.dispatcher
        if dispatcher is not None and dispatcher.error is not None:
            raise dispatcher.error
        if dispatcher is not None and dispatcher.works_on(backfill_id):
            dispatcher.wait_for_any_change(OUR_PAUSE)
        else:
            threading.Event().wait(OTHER_PAUSE)

    def pause(self, backfill_id: str) -> BackfillRecord:
        """Begin no further row. Raises ConflictError when there is none left."""
        snapshot = self.look(backfill_id)
        if snapshot.state.is_resting and snapshot.state is not BackfillState.INTERRUPTED:
            raise ConflictError(
                f"backfill {snapshot.backfill.id} is {show_state(snapshot.state)}: no row is left to hold back"
            )
        return self._project.store.update_backfill(snapshot.backfill.id, lambda known: replace(known, paused=True))

    def unpause(self, backfill_id: str) -> BackfillRecord:
        """Begin rows again."""
        backfill = self._project.store.update_backfill(
            self.get(backfill_id).id, lambda known: replace(known, paused=False)
        )
        waker = self._project.dispatcher or self._project.handover
        if waker is not None:
            waker.wake()
        return backfill

    def cancel(self, backfill_id: str, *, hurry: bool = False) -> Snapshot:
        """End the rows that run, and begin no other. *hurry*: leave their kernels no time to clean up."""
        snapshot = self.look(backfill_id)
        if snapshot.done == snapshot.total:
            return snapshot
        self._end(self.backfiller.cancel(snapshot.backfill.id), hurry=hurry)
        return self.look(snapshot.backfill.id)

    def interrupt(self, backfill_id: str, *, reason: str, hurry: bool = False) -> Snapshot:
        """This process stops working on it: the rows that run are ended, those that wait are left for a resume.

        A server does so for whoever asked for the backfill, and does not wait. Nothing happens where another process
        works on it.
        """
        dispatcher = self._project.dispatcher
        backfill = self.get(backfill_id)
        backfill_id = backfill.id
        if self._project.handover is not None and backfill.owner is None:
            self._end(self.backfiller.interrupt(backfill_id, reason=reason), hurry=hurry)
        elif dispatcher is not None and backfill.owner == dispatcher.id:
            self._end(self.backfiller.interrupt(backfill_id, reason=reason), hurry=hurry)
            while self._project.store.count_rows([backfill_id])[backfill_id].keys() & ACTIVE:
                self._pause(backfill_id)
        return self.look(backfill_id)

    def _end(self, runs: Sequence[RunRecord], *, hurry: bool) -> None:
        canceller = self._project.dispatcher or self._project.handover
        if canceller is not None:
            for run in runs:
                canceller.cancel_soon(run.id, hurry=hurry)
        if self._project.dispatcher is None:
            self._project.settle()  # what outlived its server has nobody else to end it


def _show(row: Row, decision: Decision) -> PlannedRow:
    return PlannedRow(number=row.number, parameters=row.parameters, decision=decision, name=row.name or "")
