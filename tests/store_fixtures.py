"""Stores for the tests, of every kind, and what fills them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nbflow.lifecycle import AttemptRecord, AttemptState, Outcome, RunRecord, RunState, new_run_id
from nbflow.ports import Store
from nbflow.stores import SqlStore, open_store
from nbflow.testing import MemoryStore
from tests.postgres import PostgresServer, run_postgres

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = NOW + timedelta(seconds=15)
SUCCEEDED = Outcome(state=AttemptState.SUCCEEDED)

StoreOpener = Callable[[], SqlStore]


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_run(**fields: Any) -> RunRecord:
    """A pending run; *fields* over the defaults."""
    run_id = fields.pop("id", None) or new_run_id()
    defaults: dict[str, Any] = {
        "state": RunState.PENDING,
        "name": f"run {run_id}",
        "notebook_hash": "hash",
        "source_path": "/notebooks/report.ipynb",
        "created": NOW,
        "root_id": run_id,
    }
    return RunRecord(id=run_id, **{**defaults, **fields})


def add_run(store: Store, **fields: Any) -> RunRecord:
    """Record a run; as the store has it then."""
    made = make_run(**fields)
    store.add_runs([made])
    return store.get_run(made.id)


def claim_all(store: Store, limit: int = 100, **given: Any) -> list[tuple[RunRecord, AttemptRecord]]:
    options: dict[str, Any] = {"dispatcher_id": "d1", "lease": LEASE, "now": NOW, "serves_all": True}
    return store.claim(**{**options, **given}, limit=limit)


def start_run(store: Store, **fields: Any) -> tuple[RunRecord, AttemptRecord]:
    """Record a run, claim it and start its attempt, tied to a dispatcher of its own lest another run is claimed."""
    run = add_run(store, **{"tied_to": "starter", **fields})
    ((claimed, attempt),) = claim_all(store, dispatcher_id="starter", serves_all=False)
    assert claimed.id == run.id
    assert store.start_attempt(attempt, pid=1, now=NOW)
    return claimed, store.list_attempts(run.id)[-1]


_UNDO = {
    "0003": (
        "DROP INDEX run_call",
        "DROP INDEX run_backfill_state",
        "DROP TABLE backfill",
        "ALTER TABLE run DROP COLUMN call_key",
    ),
    "0002": ("DROP INDEX run_schedule", "DROP TABLE schedule"),
}


def undo_schema(version: str) -> list[str]:
    """What makes a store's schema that of an earlier version again, as far as migrations and tests look."""
    undone = [statement for number, statements in _UNDO.items() if number > version for statement in statements]
    return [*undone, f"UPDATE nbflow_version SET version_num = '{version}'"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with run_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreOpener]:
    """Opens one and the same shared store, as often as wanted; of each kind that processes can share."""
    url = request.getfixturevalue("postgres_server").clean_database() if request.param == "postgres" else None
    opened: list[SqlStore] = []

    def open_it() -> SqlStore:
        opened.append(open_store(url, home=tmp_path / "home"))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """An empty store of every kind: the contract's."""
    if request.param == "memory":
        opened: SqlStore = MemoryStore()
    else:
        url = request.getfixturevalue("postgres_server").clean_database() if request.param == "postgres" else None
        opened = open_store(url, home=tmp_path / "home")
    yield opened
    opened.close()
