"""Backfills: many runs of one flow, one for each row of values. Frozen records and pure functions.

(Not called ``backfills``, since ``nbflow.backfills(...)`` is the call that lists them.)
"""

from nbflow.backfilling.plans import BackfillPlan, Decision
from nbflow.backfilling.records import BackfillRecord, BackfillState, Reprocess, Snapshot, derive_state
from nbflow.backfilling.spans import date_range

__all__ = [
    "BackfillPlan",
    "BackfillRecord",
    "BackfillState",
    "Decision",
    "Reprocess",
    "Snapshot",
    "date_range",
    "derive_state",
]
