"""The words of backfills: the record that the store keeps, and the state that is derived from its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from nbflow.lifecycle import ACTIVE, WAITING, RunOptions, RunState

MAX_ACTIVE_RUNS = 4
FAILURES = frozenset({RunState.FAILED, RunState.CRASHED, RunState.TIMED_OUT})
"""What ``max_failures`` counts."""


class Reprocess(StrEnum):
    """What becomes of rows that ran before: Airflow's ``reprocess_behavior``."""

    NONE = "none"
    """They are left alone."""
    FAILED = "failed"
    """Those that did not complete are run again."""
    COMPLETED = "completed"
    """All of them are run again."""


class BackfillState(StrEnum):
    """What a backfill does, derived from its runs. The words are a contract."""

    PREPARING = "preparing"
    """Its rows are still being recorded; none is run before all are there."""
    RUNNING = "running"
    PAUSED = "paused"
    """No further row is begun until it is unpaused; those that run go on."""
    STOPPED = "stopped"
    """``max_failures`` was reached: no further row is begun."""
    INTERRUPTED = "interrupted"
    """Rows are left, and the process that worked on them is gone."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    """No row is left, and some did not complete."""

    @property
    def is_resting(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in _RESTING


_RESTING = frozenset(
    {
        BackfillState.STOPPED,
        BackfillState.INTERRUPTED,
        BackfillState.CANCELLED,
        BackfillState.COMPLETED,
        BackfillState.COMPLETED_WITH_FAILURES,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRecord:
    """Many runs of one flow, as the store keeps them: what was asked for. How it goes is told by the runs."""

    id: str
    name: str
    flow: str
    """``project/name``, or the absolute path of a notebook."""
    flow_version: int | None = None
    """The registered version that was asked for; None: the newest, at creation and at each resume."""
    notebook_hash: str
    """The content that rows begun from now on execute; that of each run is in its own record."""
    axes: tuple[str, ...] = ()
    """The parameters that differ between rows, in their order."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The values that all rows share, in JSON form; a secret is a reference (``env:NAME``)."""
    rows: int = 0
    """How many runs it has."""
    left_alone: int = 0
    """How many further rows were asked for that had run before."""
    rows_hash: str = ""
    """Of all rows that were asked for: the same for the same rows of the same flow."""
    options: RunOptions = RunOptions()  # noqa: RUF009 - frozen
    run_name: str | None = None
    """Template of the runs' names."""
    tags: tuple[str, ...] = ()
    priority: int = 0
    """Among backfills; higher first."""
    max_active_runs: int = MAX_ACTIVE_RUNS
    max_failures: int | None = None
    """No further row is begun once so many failed, crashed or timed out."""
    run_backwards: bool = False
    """The last row first."""
    reprocess_behavior: Reprocess = Reprocess.NONE
    skip_completed: bool = False
    created: datetime
    ready: bool = False
    """All rows are recorded."""
    paused: bool = False
    ended_by: str | None = None
    """Who ended it before its time: ``user``, who cancelled it, or the signal that interrupted its process."""
    owner: str | None = None
    """The dispatcher that alone begins its rows; None: any that serves all."""
    note: str = ""
    """What happened to it beside its runs: that it was resumed, and with which notebook."""

    @property
    def reference(self) -> str:
        """The flow as ``Project.load`` takes it."""
        return self.flow if self.flow_version is None else f"{self.flow}@{self.flow_version}"


def derive_state(backfill: BackfillRecord, counts: Mapping[RunState, int], *, is_served: bool) -> BackfillState:
    """The state of a backfill from how many of its runs are in each state.

    *is_served*: a living process begins its rows.
    """
    if not backfill.ready:
        return BackfillState.PREPARING
    active = sum(counts.get(state, 0) for state in ACTIVE)
    waiting = sum(counts.get(state, 0) for state in WAITING)
    if backfill.ended_by is not None and active:
        return BackfillState.CANCELLING
    if backfill.ended_by is not None and (waiting or counts.get(RunState.CANCELLED, 0)):
        return BackfillState.CANCELLED if backfill.ended_by == "user" else BackfillState.INTERRUPTED
    if waiting:
        return _derive_waiting(backfill, counts, active=active, is_served=is_served)
    if active:
        return BackfillState.RUNNING
    unfinished = any(count for state, count in counts.items() if not state.is_success)
    return BackfillState.COMPLETED_WITH_FAILURES if unfinished else BackfillState.COMPLETED


def _derive_waiting(
    backfill: BackfillRecord, counts: Mapping[RunState, int], *, active: int, is_served: bool
) -> BackfillState:
    failures = sum(counts.get(state, 0) for state in FAILURES)
    if not active and backfill.max_failures is not None and failures >= backfill.max_failures:
        return BackfillState.STOPPED
    if backfill.paused:
        return BackfillState.PAUSED
    return BackfillState.RUNNING if active or is_served else BackfillState.INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How a backfill stands at one moment."""

    backfill: BackfillRecord
    state: BackfillState
    counts: Mapping[RunState, int]
    """Of its runs, by state; states that none is in are left out."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Runs that have ended, however."""
        return sum(count for state, count in self.counts.items() if state.is_terminal)

    @property
    def succeeded(self) -> int:
        """Completed or skipped."""
        return sum(count for state, count in self.counts.items() if state.is_success)

    @property
    def failed(self) -> int:
        """Ended otherwise than completed or skipped."""
        return self.done - self.succeeded

    @property
    def active(self) -> int:
        return sum(self.counts.get(state, 0) for state in ACTIVE)

    @property
    def waiting(self) -> int:
        return self.total - self.done - self.active
