"""The backfiller: records backfills with all their runs, tells how they stand, and ends or takes up what is left of them.

Any process may do any of this at any time; what keeps them apart is the row of the backfill in the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from nbflow.backfilling import BackfillRecord, Snapshot, derive_state
from nbflow.dispatcher.process import is_alive
from nbflow.errors import ConflictError
from nbflow.lifecycle import ACTIVE, WAITING, DispatcherRecord, RunRecord, RunState, lane_of
from nbflow.ports import RunFilter, Store

BATCH = 5_000
RESUMING = "resume"
"""``ended_by`` while rows are made ready for a resume: no row is begun, and a process that dies leaves it interrupted."""
CANCELLED_BY_USER = "user"

Tell = Callable[[RunRecord, RunState | None], None]


class Backfiller:
    """What is done with backfills in a store."""

    def __init__(self, store: Store, *, lease: float, tell: Tell | None = None) -> None:
        """*tell* hears of every change of a run that is made here, with the state before it."""
        self._store = store
        self._lease = lease
        self._tell: Tell = tell or (lambda run, old: None)
        self._tells = tell is not None

    # -- how it stands --------------------------------------------------------------------------------------------

    def look(self, backfills: Sequence[BackfillRecord]) -> list[Snapshot]:
        """Each with its counts and its state."""
        counts = self._store.count_rows([backfill.id for backfill in backfills])
        living = self._list_living()
        return [
            Snapshot(
                backfill=backfill,
                counts=counts[backfill.id],
                state=derive_state(backfill, counts[backfill.id], is_served=_find_worker(backfill, living) is not None),
            )
            for backfill in backfills
        ]

    def find_worker(self, backfill: BackfillRecord) -> DispatcherRecord | None:
        """The living process that begins its rows."""
        return _find_worker(backfill, self._list_living())

    def has_server(self) -> bool:
        """Whether a living process begins what is tied to nobody."""
        return any(dispatcher.serves_all for dispatcher in self._list_living())

    def _list_living(self) -> list[DispatcherRecord]:
        now = datetime.now(UTC)
        return [one for one in self._store.list_dispatchers() if is_alive(one, lease=self._lease, now=now)]

    # -- recording ------------------------------------------------------------------------------------------------

    def record(self, backfill: BackfillRecord, batches: Iterable[Sequence[RunRecord]]) -> BackfillRecord:
        """Record it with all its runs, or nothing; nobody sees it, and nothing runs, before all are there."""
        self.forget_dead()
        self._store.add_backfill(backfill)
        try:
            for runs in batches:
                self._store.add_runs(runs)
                for run in runs if self._tells else ():
                    self._tell(run, None)
            return self._store.open_backfill(backfill.id)
        except BaseException:
            self._store.remove_backfill(backfill.id)
            raise

    def forget_dead(self) -> None:
        """Remove what processes left behind that died while they recorded a backfill."""
        unfinished = self._store.list_backfills(ready=False)
        living = {dispatcher.id for dispatcher in self._list_living()} if unfinished else set()
        for backfill in unfinished:
            if backfill.owner not in living:
                self._store.remove_backfill(backfill.id)

    # -- ending ---------------------------------------------------------------------------------------------------

    def cancel(self, backfill_id: str) -> list[RunRecord]:
        """Begin no more rows, end those that wait, and ask for the end of those that run; these are returned."""
        now = datetime.now(UTC)
        self._store.update_backfill(backfill_id, lambda known: replace(known, ended_by=CANCELLED_BY_USER))
        for sequences in self._store.cancel_waiting(backfill_id, reason=CANCELLED_BY_USER, now=now):
            for run in self._store.list_runs(RunFilter(sequences=tuple(sequences), limit=None)) if self._tells else ():
                self._tell(run, RunState.PENDING)
        return self.end_active(backfill_id, reason=CANCELLED_BY_USER)

    def interrupt(self, backfill_id: str, *, reason: str) -> list[RunRecord]:
        """Begin no more rows, and ask for the end of those that run, which are returned. What waits goes on waiting."""
        if not self._store.goes_on(backfill_id):
            return []
        self._store.update_backfill(backfill_id, lambda known: replace(known, ended_by=known.ended_by or reason))
        return self.end_active(backfill_id, reason=reason)

    def end_active(self, backfill_id: str, *, reason: str) -> list[RunRecord]:
        active = self._store.list_runs(RunFilter(backfill_id=backfill_id, states=tuple(ACTIVE), limit=None))
        asked = self._store.request_cancel([run.id for run in active], reason=reason, now=datetime.now(UTC))
        for run in asked:
            if run.state is RunState.CANCELLING:
                self._tell(run, RunState.RUNNING)
        return [run for run in asked if not run.state.is_terminal]

    # -- taking up again ------------------------------------------------------------------------------------------

    def read_rows(self, backfill: BackfillRecord, states: Iterable[RunState]) -> Iterator[list[RunRecord]]:
        """Its runs in these states, in the order of the rows, in batches."""
        after: int | None = None
        chosen = tuple(states)
        while chosen:  # a filter without states would be one for all of them
            wanted = RunFilter(
                backfill_id=backfill.id, states=chosen, after_sequence=after, limit=BATCH, oldest_first=True
            )
            runs = self._store.list_runs(wanted)
            if runs:
                yield runs
            if len(runs) < BATCH:
                return
            after = runs[-1].sequence

    def take_over(self, backfill: BackfillRecord, owner: str | None) -> BackfillRecord:
        """Make *owner* the one that works on it, with no row begun yet.

        Raises ConflictError when somebody else did, or changed it, since *backfill* was read.
        """

        def change(known: BackfillRecord) -> BackfillRecord:
            if (known.owner, known.ended_by, known.paused) != (backfill.owner, backfill.ended_by, backfill.paused):
                raise ConflictError(f"backfill {known.id} was changed by another process just now\nlook at it again")
            return replace(known, owner=owner, ended_by=RESUMING)

        return self._store.update_backfill(backfill.id, change)

    def requeue(
        self, backfill: BackfillRecord, states: Iterable[RunState], renew: Callable[[RunRecord], RunRecord]
    ) -> int:
        """Have its rows in these states run once more, each as *renew* makes it; how many that was."""
        wanted = frozenset(states)
        fresh: dict[str, Any] = {"started": None, "ended": None, "not_before": None}
        requeued = 0
        for runs in self.read_rows(backfill, wanted):
            again = [
                replace(renew(run), **fresh, state=RunState.PENDING, tied_to=lane_of(backfill.id), message="")
                for run in runs
            ]
            requeued += self._store.requeue_rows(again)
            for old, run in zip(runs, again, strict=True) if self._tells else ():
                if old.state not in WAITING:
                    self._tell(run, old.state)
        return requeued

    def wait(self, backfill_id: str, pause: Callable[[], None], timeout: float | None = None) -> bool:
        """Until nothing more happens by itself; False when *timeout* seconds passed before."""
        deadline = None if timeout is None else time.monotonic() + timeout
        looked = 0.0
        while self._store.goes_on(backfill_id):
            # What is left may be left for good: nobody works on it any more, or too many rows failed.
            if time.monotonic() - looked > 1.0:
                looked = time.monotonic()
                (snapshot,) = self.look([self._store.get_backfill(backfill_id)])
                if snapshot.state.is_resting:
                    return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            pause()
        return True


def _find_worker(backfill: BackfillRecord, living: Sequence[DispatcherRecord]) -> DispatcherRecord | None:
    for dispatcher in living:
        if dispatcher.id == backfill.owner or (backfill.owner is None and dispatcher.serves_all):
            return dispatcher
    return None
