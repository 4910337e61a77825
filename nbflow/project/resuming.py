"""Taking a backfill up again: with the notebook as it is now, and only what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nbflow.backfiller import CANCELLED_BY_USER, Backfiller
from nbflow.backfilling import BackfillRecord, BackfillState, Reprocess, Snapshot
from nbflow.backfilling.records import FAILURES
from nbflow.errors import ConflictError, ParameterError, RowError, RowFault
from nbflow.lifecycle import WAITING, RunState
from nbflow.parameters import Text
from nbflow.parameters.values import MASK
from nbflow.project.loading import LoadedFlow
from nbflow.project.making import RunMaker

if TYPE_CHECKING:
    from nbflow.project import Project

KEPT_FAULTS = 100
_FAILED = frozenset({RunState.FAILED, RunState.CRASHED, RunState.TIMED_OUT, RunState.CANCELLED})


class Resumption:
    """What is to be done to take up one backfill, as it stands now."""

    def __init__(self, project: Project, backfiller: Backfiller, snapshot: Snapshot) -> None:
        """Raises ConflictError while a living process works on it."""
        self.snapshot = snapshot
        self.message = ""
        self._project = project
        self._backfiller = backfiller
        self._states: frozenset[RunState] = WAITING
        backfill = snapshot.backfill
        if snapshot.state is BackfillState.PREPARING:
            raise ConflictError(f"backfill {backfill.id} is still being prepared")
        worker = backfiller.find_worker(backfill)
        busy = snapshot.state in (BackfillState.RUNNING, BackfillState.CANCELLING)
        if busy or (snapshot.state is BackfillState.PAUSED and worker is not None):
            who = f"process {worker.pid} on {worker.host}" if worker else "a process that ended"
            advice = "unpause" if snapshot.state is BackfillState.PAUSED else "show"
            raise ConflictError(
                f"backfill {backfill.id} is {snapshot.state}: {who} works on it\nnbflow backfill {advice} {backfill.id}"
            )

    @cached_property
    def flow(self) -> LoadedFlow:
        """The flow as it is now."""
        return self._project.load(self.snapshot.backfill.reference)

    @property
    def is_needed(self) -> bool:
        return any(self.snapshot.counts.get(state, 0) for state in self._states)

    def check(self, behavior: Reprocess, max_failures: int | None) -> None:
        """Which rows are to run, and whether the notebook still takes their values.

        Raises RowError, and ConflictError where the failures that are left alone would let none begin.
        """
        # Rows that a signal ended were not refused by anybody: they are among what is missing.
        interrupted = self.snapshot.backfill.ended_by not in (None, CANCELLED_BY_USER)
        self._states = WAITING | (_FAILED if behavior is Reprocess.FAILED else frozenset())
        if interrupted:
            self._states |= {RunState.CANCELLED}
        if self.is_needed:
            self._check_limit(max_failures)
        if self.is_needed and self.flow.notebook.hash != self.snapshot.backfill.notebook_hash:
            self._check_values()

    def _check_limit(self, changed: int | None) -> None:
        backfill, counts = self.snapshot.backfill, self.snapshot.counts
        limit = changed or backfill.max_failures
        failed = sum(counts.get(state, 0) for state in FAILURES - self._states)
        if limit is not None and failed >= limit:
            raise ConflictError(
                f"backfill {backfill.id} stops at {limit} failures, and {failed:,} rows that failed are left alone: no row would begin\n"
                "reprocess behavior 'failed' runs those again; a higher max failures lets the others begin"
            )

    def _check_values(self) -> None:
        faults: list[RowFault] = []
        refused = total = 0
        for runs in self._backfiller.read_rows(self.snapshot.backfill, self._states):
            for run in runs:
                total += 1
                given = {name: value for name, value in run.parameters.items() if value != MASK}
                try:
                    declaration = self.flow.declaration
                    hidden = {name: MASK for name in run.parameters if name not in given}
                    declaration.validate({**declaration.restore(given).typed, **hidden})
                except ParameterError as error:
                    refused += 1
                    faults += [RowFault(row=run.backfill_row or 0, fault=fault) for fault in error.faults]
                    del faults[KEPT_FAULTS:]
        if refused:
            raise RowError(faults, count=refused, total=total)

    def carry_out(self, owner: str, changes: Mapping[str, Any]) -> BackfillRecord:
        """Queue the rows, and let *owner* begin them."""
        backfill, flow = self.snapshot.backfill, self.flow
        project = self._project
        maker = RunMaker.prepare(
            flow,
            backfill.options,
            has_secrets=any(one.secret and one.name in backfill.parameters for one in flow.declaration.parameters),
            parent=None,
            get_run=project.get_run,
        )
        project.store.put_notebook(flow.notebook.hash, flow.notebook.content)
        taken = self._backfiller.take_over(backfill, owner)
        changed = flow.notebook.hash != backfill.notebook_hash
        states = self._states if changed else self._states - WAITING
        count = self._backfiller.requeue(taken, states, maker.renew)
        count += 0 if changed else sum(self.snapshot.counts.get(state, 0) for state in WAITING)
        self.message = f"{count:,} of {self.snapshot.total:,} rows run, " + (
            "with the notebook as it is now: it has changed" if changed else "with the same notebook"
        )
        note = f"resumed {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {self.message}"

        def open_lane(known: BackfillRecord) -> BackfillRecord:
            hash_now = flow.notebook.hash
            return replace(known, ended_by=None, paused=False, notebook_hash=hash_now, note=note, **changes)

        return project.store.update_backfill(backfill.id, open_lane)

    # -- all rows once more ---------------------------------------------------------------------------------------

    def read_constants(self) -> dict[str, Any]:
        """The values that all rows share; of secrets where to read them."""
        declaration = self.flow.declaration
        secret = {one.name for one in declaration.parameters if one.secret}
        kept = self.snapshot.backfill.parameters
        plain = declaration.restore({name: value for name, value in kept.items() if name not in secret}).typed
        return {**plain, **{name: Text(value) for name, value in kept.items() if name in secret}}

    def read_parameters(self) -> Iterator[dict[str, Any]]:
        """The values of each row beside those that all share."""
        shared = self.snapshot.backfill.parameters
        for runs in self._backfiller.read_rows(self.snapshot.backfill, RunState):
            for run in runs:
                own = {name: value for name, value in run.parameters.items() if name not in shared}
                yield dict(self.flow.declaration.restore(own).typed)
