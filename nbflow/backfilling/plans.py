"""What a backfill would do with each of its rows, before it does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nbflow.backfilling.records import Reprocess
from nbflow.lifecycle import RunState


class Decision(StrEnum):
    """What becomes of a row, and why."""

    RUN = "run"
    RERUN = "rerun"
    """It ran before, and is run again."""
    REUSE = "reuse"
    """A completed run with the same notebook, values and kernel stands for it: ``skipped``."""
    COMPLETED_BEFORE = "completed_before"
    FAILED_BEFORE = "failed_before"
    GOES_ON = "goes_on"
    """A run with these values waits or runs already."""

    @property
    def makes_run(self) -> bool:
        """Whether the backfill gets a run for the row."""
        return self in (Decision.RUN, Decision.RERUN, Decision.REUSE)


def decide_row(earlier: RunState | None, behavior: Reprocess, *, is_reusable: bool, reuses: bool) -> Decision:
    """By the state of the newest run with the row's values. *reuses*: completed runs count by their identity alone."""
    if earlier is not None and not earlier.is_terminal:
        return Decision.GOES_ON
    if is_reusable and behavior is not Reprocess.COMPLETED:
        return Decision.REUSE
    if earlier is None:
        return Decision.RUN
    if earlier.is_success:
        again = reuses or behavior is Reprocess.COMPLETED
        return Decision.RERUN if again else Decision.COMPLETED_BEFORE
    return Decision.FAILED_BEFORE if behavior is Reprocess.NONE else Decision.RERUN


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """One row, and what would become of it."""

    number: int
    parameters: Mapping[str, Any]
    decision: Decision
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillPlan:
    """What a dry run tells."""

    flow: str
    axes: tuple[str, ...]
    total: int
    """Rows that were asked for, without the excluded ones."""
    excluded: int = 0
    counts: Mapping[Decision, int] = field(default_factory=dict)
    first: tuple[PlannedRow, ...] = ()
    last: tuple[PlannedRow, ...] = ()
    """In the order of the rows; not those that are among the first."""
    same_as: str | None = None
    """The newest backfill with the same rows of the same flow."""
    message: str = ""

    @property
    def runs(self) -> int:
        """How many rows would be run."""
        return self.counts.get(Decision.RUN, 0) + self.counts.get(Decision.RERUN, 0)

    def __str__(self) -> str:
        told = ", ".join(f"{count:,} {decision.replace('_', ' ')}" for decision, count in self.counts.items())
        return f"{self.total:,} rows of {self.flow}: {told or 'nothing to do'}"
