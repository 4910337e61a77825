"""The contract of every store: fields of many runs, column by column."""

from __future__ import annotations

import math
from datetime import timedelta

from nbflow.lifecycle import Failure, FailureKind, RunRecord, RunState
from nbflow.ports import RunFilter, Store
from tests.store_fixtures import NOW, add_run, later, make_run
from tests.test_store_runs import NASTY_VALUES

ALL = RunFilter(limit=None, oldest_first=True)


def to_microseconds(run: RunRecord, name: str) -> int | None:
    time = getattr(run, name)
    return time and (time - NOW) // timedelta(microseconds=1) + int(NOW.timestamp()) * 1_000_000


def test_columns_hold_what_the_records_hold(store: Store) -> None:
    failure = Failure(kind=FailureKind.EXCEPTION, message='cell 3, "evalue": "x"', ename="ValueError", evalue="x" * 99)
    add_run(store, tags=("daily",), flow="p/sales", parameters={"n": 1}, backfill_id="b1", backfill_row=3)
    add_run(store, state=RunState.FAILED, failure=failure, started=later(1.000001), ended=later(2), attempts=2)
    add_run(store, state=RunState.COMPLETED, name="\x00\x1a\udfff", values=NASTY_VALUES, results=NASTY_VALUES)
    runs = store.list_runs(ALL)
    plain = ["sequence", "id", "name", "flow", "source_path", "attempts", "output_path", "backfill_row", "message"]
    columns = store.list_columns(
        ALL, [*plain, "state", "parameters", "values", "results", "tags", "created", "started"]
    )
    for name in (*plain, "state", "parameters", "values", "results"):
        assert columns[name] == [getattr(run, name) for run in runs], name
    assert columns["tags"] == [list(run.tags) for run in runs]
    for name in ("created", "started"):
        assert columns[name] == [to_microseconds(run, name) for run in runs]
    (record,) = filter(None, store.list_columns(ALL, ["failure"])["failure"])
    assert record == {"kind": "exception", "message": failure.message, "ename": "ValueError"}


def test_columns_come_in_the_order_of_the_listing(store: Store) -> None:
    store.add_runs([make_run(name=f"r{index}", tags=("odd",) if index % 2 else ()) for index in range(5000)])
    runs = store.list_runs(RunFilter(limit=None))
    for wanted in (
        RunFilter(limit=None),
        RunFilter(limit=3, oldest_first=True),
        RunFilter(tags=("odd",), limit=10),
        RunFilter(after_sequence=runs[2500].sequence, limit=None),
        RunFilter(name="r49", limit=None, oldest_first=True),
    ):
        assert store.list_columns(wanted, ["id"]) == {"id": [run.id for run in store.list_runs(wanted)]}
    assert store.list_columns(RunFilter(name="nobody"), ["id", "values"]) == {"id": [], "values": []}


def test_runs_are_found_by_their_numbers(store: Store) -> None:
    first, second, third = (add_run(store) for _ in range(3))
    wanted = RunFilter(sequences=(third.sequence, first.sequence, 10**9), limit=None)
    assert [run.id for run in store.list_runs(wanted)] == [third.id, first.id]
    assert store.list_columns(wanted, ["id"])["id"] == [third.id, first.id]
    assert store.list_runs(RunFilter(sequences=())) == []
    assert second.id not in store.list_columns(wanted, ["id"])["id"]


def test_values_as_deep_as_can_be_read_come_back(store: Store) -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    made = [make_run(parameters={"x": deep}), make_run(parameters={"x": math.inf}), make_run()]
    store.add_runs(made)
    expected = [run.parameters for run in made]
    assert store.list_columns(ALL, ["parameters"])["parameters"] == expected
    assert [run.parameters for run in store.list_runs(ALL)] == expected
