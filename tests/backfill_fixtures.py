"""Backfills for the tests of the store, and their rows."""

from __future__ import annotations

from typing import Any

from nbflow.backfilling import BackfillRecord
from nbflow.lifecycle import Priority, RunRecord, lane_of
from nbflow.ports import Store
from tests.store_fixtures import NOW, make_run


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
