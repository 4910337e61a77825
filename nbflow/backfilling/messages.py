"""What a call did with a backfill, in one line for people."""

from __future__ import annotations

from collections.abc import Mapping

from nbflow.backfilling.plans import Decision
from nbflow.backfilling.records import BackfillRecord, BackfillState, Snapshot


def show_state(state: BackfillState) -> str:
    return state.value.replace("_", " ")


def count_rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def say_made(backfill: BackfillRecord, counts: Mapping[Decision, int]) -> str:
    """``31 rows; 3 completed before and are left alone``."""
    said = [count_rows(backfill.rows)] if backfill.rows else ["nothing to do"]
    if counts.get(Decision.RERUN):
        said.append(f"{counts[Decision.RERUN]:,} of them ran before")
    if counts.get(Decision.REUSE):
        said.append(f"{counts[Decision.REUSE]:,} skipped, since they completed with this notebook")
    if counts.get(Decision.COMPLETED_BEFORE):
        said.append(f"{counts[Decision.COMPLETED_BEFORE]:,} completed before and left alone")
    if counts.get(Decision.FAILED_BEFORE):
        said.append(
            f"{counts[Decision.FAILED_BEFORE]:,} failed before and left alone (reprocess behavior 'failed' runs them)"
        )
    if counts.get(Decision.GOES_ON):
        said.append(f"{counts[Decision.GOES_ON]:,} left to runs that wait or run already")
    return "; ".join(said)


def say_same(snapshot: Snapshot) -> str:
    """Why nothing new is made, and what can be done."""
    one = snapshot.backfill.id
    left = snapshot.total - snapshot.succeeded
    match snapshot.state:
        case BackfillState.COMPLETED:
            return f"nothing to do: backfill {one} completed all {count_rows(snapshot.total)}; reprocess behavior 'completed' runs them again"
        case BackfillState.COMPLETED_WITH_FAILURES:
            return f"nothing to do: backfill {one} ran these rows, {left:,} did not complete; run those again: nbflow backfill resume {one}"
        case BackfillState.PAUSED:
            return f"backfill {one} has these rows and is paused: nbflow backfill unpause {one}"
        case BackfillState.STOPPED | BackfillState.CANCELLED | BackfillState.INTERRUPTED:
            return f"backfill {one} has these rows and is {show_state(snapshot.state)}, {left:,} are left: nbflow backfill resume {one}"
        case _:
            return f"backfill {one} has these rows and is {show_state(snapshot.state)}"
