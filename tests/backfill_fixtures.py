"""Backfills for the tests of the store, and their rows."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbflow.backfilling import BackfillRecord
from nbflow.lifecycle import (
    AttemptRecord,
    AttemptState,
    Failure,
    FailureKind,
    Outcome,
    Priority,
    RunRecord,
    lane_of,
)
from nbflow.ports import Launch, Report, Store
from tests.store_fixtures import NOW, SUCCEEDED, make_run


def make_backfill(backfill_id: str = "b1b1b1b1", **fields: Any) -> BackfillRecord:
    """One that is not ready yet; *fields* over the defaults."""
    defaults: dict[str, Any] = {
        "name": f"backfill-{backfill_id}",
        "flow": "/notebooks/report.ipynb",
        "notebook_hash": "hash",
        "rows_hash": backfill_id,
        "created": NOW,
        "owner": "d1",
    }
    return BackfillRecord(id=backfill_id, **{**defaults, **fields})


def make_row(backfill_id: str, number: int, **fields: Any) -> RunRecord:
    """A run of a backfill, for its row of this number."""
    defaults: dict[str, Any] = {
        "priority": Priority.BACKFILL,
        "tied_to": lane_of(backfill_id),
        "backfill_id": backfill_id,
        "backfill_row": number,
        "parameters": {"n": number},
    }
    return make_run(id=f"{backfill_id}{number:08d}", **{**defaults, **fields})


def add_backfill(store: Store, backfill_id: str = "b1b1b1b1", rows: int = 5, **fields: Any) -> BackfillRecord:
    """Record one with its rows and open it."""
    store.add_backfill(make_backfill(backfill_id, **fields))
    store.add_runs([make_row(backfill_id, number) for number in range(1, rows + 1)])
    return store.open_backfill(backfill_id)


class ScriptedEngine:
    """Ends each attempt at once as *script* says of its run; where that says None, when it is told to, or killed."""

    name = "local"

    def __init__(self, script: Callable[[RunRecord], Outcome | None], *, slots: int = 4) -> None:
        self.launched: list[Launch] = []
        self._script = script
        self._slots = slots
        self._open: dict[str, Outcome | None] = {}
        self._lock = threading.Lock()

    def capacity(self) -> int:
        return self._slots

    def launch(self, launch: Launch) -> None:
        with self._lock:
            self.launched.append(launch)
            self._open[launch.attempt.id] = self._script(launch.run)

    def adopt(self, attempt: AttemptRecord, folder: Path) -> None:
        with self._lock:
            self._open.setdefault(attempt.id, Outcome(state=AttemptState.LOST))

    def kill(self, attempt_id: str, *, grace: float) -> None:
        self._end(attempt_id, Outcome(state=AttemptState.CANCELLED))

    def release(self, outcome: Outcome = SUCCEEDED) -> None:
        """End whatever still runs, and from now on whatever is launched."""
        self._script = lambda run: outcome
        for attempt_id in list(self._open):
            self._end(attempt_id, outcome)

    def _end(self, attempt_id: str, outcome: Outcome) -> None:
        with self._lock:
            if attempt_id in self._open:
                self._open[attempt_id] = outcome

    def poll(self) -> list[Report]:
        with self._lock:
            ended = [attempt_id for attempt_id, outcome in self._open.items() if outcome is not None]
            return [
                Report(
                    attempt_id=attempt_id,
                    started=True,
                    pid=1,
                    outcome=self._open.pop(attempt_id) if attempt_id in ended else None,
                )
                for attempt_id in list(self._open)
            ]

    def wait(self, timeout: float, *, wake: int) -> None:
        select.select([wake], [], [], min(timeout, 0.02))

    def close(self) -> None:
        """Nothing is held."""


def complete(run: RunRecord) -> Outcome | None:
    """A script: every row completes."""
    return Outcome(state=AttemptState.SUCCEEDED, results={"square": run.parameters.get("n", 0) ** 2})


def fail(why: str = "bad") -> Outcome:
    """How an attempt ends whose notebook raised."""
    return Outcome(
        state=AttemptState.FAILED,
        failure=Failure(kind=FailureKind.EXCEPTION, message=f"ValueError: {why}", ename="ValueError", evalue=why),
    )
