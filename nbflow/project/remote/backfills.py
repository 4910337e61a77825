"""The backfills of a server: checked here as they are there, then asked for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbflow.backfilling import BackfillRecord, Reprocess, Snapshot
from nbflow.backfilling.axes import split_axes
from nbflow.backfilling.plans import BackfillPlan
from nbflow.errors import ParameterError, WaitTimeout
from nbflow.lifecycle import RunOptions
from nbflow.parameters import Text
from nbflow.project.backfills import Backfills, Started
from nbflow.project.loading import LoadedFlow
from nbflow.project.remote.reading import read_plan, read_snapshot
from nbflow.project.remote.requests import drop_missing, write_options, write_registered
from nbflow.project.remote.store import quote
from nbflow.project.rows import Exclude, RowReader
from nbflow.project.tables import read_rows
from nbflow.project.templates import keep_references

if TYPE_CHECKING:
    from nbflow.project.remote import RemoteProject

PAUSE = 0.5
MANY = 500
_SETTINGS = (
    *("name", "run_name", "priority", "max_active_runs", "max_failures"),
    *("run_backwards", "reprocess_behavior", "skip_completed"),
)


class RemoteBackfills(Backfills):
    """What can be done with the backfills of a server."""

    def __init__(self, project: RemoteProject) -> None:
        super().__init__(project)
        self._remote = project
        self._connection = project.connection
        self._own: set[str] = set()

    @property
    def backfiller(self) -> Any:
        return self

    def find_worker(self, backfill: BackfillRecord) -> None:
        """The server, which needs no naming."""

    # -- finding --------------------------------------------------------------------------------------------------

    def get(self, backfill_id: str) -> BackfillRecord:
        return self.look(backfill_id).backfill

    def find(self, flow: str | None = None, *, limit: int | None = None) -> list[BackfillRecord]:
        return [snapshot.backfill for snapshot in self.look_all(flow, limit=limit)]

    def look(self, backfill_id: str) -> Snapshot:
        return read_snapshot(self._connection.get(f"backfills/{quote(backfill_id)}"))

    def look_all(self, flow: str | None = None, *, limit: int | None = None) -> list[Snapshot]:
        name = os.path.basename(flow) if flow and os.path.isfile(flow) else flow
        told = self._connection.get("backfills", flow=name, limit=min(limit or MANY, MANY))
        return [read_snapshot(each) for each in told["backfills"]]

    # -- making ---------------------------------------------------------------------------------------------------

    def plan(
        self, flow: LoadedFlow, values: Mapping[str, Any], *, rows: Any = None, exclude: Exclude = None, **settings: Any
    ) -> BackfillPlan:
        body = {**self._write(flow, values, rows, exclude, settings), "dry_run": True}
        return read_plan(self._connection.post("backfills", body, is_safe=True))

    def create(
        self,
        flow: LoadedFlow,
        values: Mapping[str, Any],
        *,
        rows: Any = None,
        exclude: Exclude = None,
        detach: bool = False,
        **settings: Any,
    ) -> Started:
        body = self._write(flow, values, rows, exclude, settings)
        # The same rows are one backfill, however often they are sent, unless all are to be run again.
        is_safe = body.get("reprocess_behavior") != Reprocess.COMPLETED and not body.get("skip_completed")
        return self._take(self._connection.post("backfills", body, is_safe=is_safe))

    def _take(self, told: Mapping[str, Any]) -> Started:
        snapshot = read_snapshot(told)
        self._own.add(snapshot.backfill.id)
        goes_on = bool(told.get("goes_on", not snapshot.state.is_resting))
        return Started(backfill=snapshot.backfill, message=told["message"], goes_on=goes_on)

    def _write(
        self, flow: LoadedFlow, values: Mapping[str, Any], rows: Any, exclude: Exclude, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Raises what ``Backfills.create`` raises for the values."""
        options: RunOptions = settings.get("options") or RunOptions()
        body = {
            **write_registered(flow, "backfill"),
            **{name: settings[name] for name in _SETTINGS if settings.get(name) is not None},
            "tags": list(settings.get("tags", ())),
            "parent_id": self._remote.find_known_parent(settings.get("parent")),
            "options": write_options(options),
        }
        return drop_missing({**body, **_write_rows(flow, values, rows, exclude)})

    # -- afterwards -----------------------------------------------------------------------------------------------

    def resume(
        self,
        backfill_id: str,
        *,
        reprocess_behavior: str = Reprocess.FAILED,
        detach: bool = False,
        max_active_runs: int | None = None,
        max_failures: int | None = None,
    ) -> Started:
        body = {
            "reprocess_behavior": str(reprocess_behavior),
            "max_active_runs": max_active_runs,
            "max_failures": max_failures,
        }
        return self._take(self._connection.post(f"backfills/{quote(backfill_id)}/resume", drop_missing(body)))

    def wait(self, backfill_id: str, *, timeout: float | None = None) -> Snapshot:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (snapshot := self.look(backfill_id)).state.is_resting:
            left = PAUSE if deadline is None else min(PAUSE, deadline - time.monotonic())
            if left <= 0:
                raise WaitTimeout(f"backfill {backfill_id} is not finished after {timeout:g} s; it goes on")
            threading.Event().wait(left)
        return snapshot

    def watch(self, backfill_id: str, *, every: float = 0.5) -> Iterator[Snapshot]:
        while True:
            snapshot = self.look(backfill_id)
            yield snapshot
            if snapshot.state.is_resting:
                return
            threading.Event().wait(max(every, PAUSE))

    def pause(self, backfill_id: str) -> BackfillRecord:
        return self._act(backfill_id, "pause").backfill

    def unpause(self, backfill_id: str) -> BackfillRecord:
        return self._act(backfill_id, "unpause").backfill

    def cancel(self, backfill_id: str, *, hurry: bool = False) -> Snapshot:
        return self._act(backfill_id, "cancel", {"hurry": hurry})

    def interrupt(self, backfill_id: str, *, reason: str, hurry: bool = False) -> Snapshot:
        """What this process asked for is ended, and can be resumed; what others asked for goes on."""
        body = {"reason": reason, "hurry": hurry}
        return self._act(backfill_id, "cancel", body) if backfill_id in self._own else self.look(backfill_id)

    def _act(self, backfill_id: str, what: str, body: Mapping[str, Any] | None = None) -> Snapshot:
        return read_snapshot(self._connection.post(f"backfills/{quote(backfill_id)}/{what}", body, is_safe=True))


def _write_rows(flow: LoadedFlow, values: Mapping[str, Any], rows: Any, exclude: Exclude) -> dict[str, Any]:
    """Constants, axes, table and exclusions in JSON form. Raises RowError, ParameterError, UsageError."""
    constants, axes = split_axes(values)
    kept, faults = keep_references(flow.declaration, constants, keeper="backfill")
    if faults:
        raise ParameterError(faults)
    secret = {one.name for one in flow.declaration.parameters if one.secret and one.name in kept}
    table = None if rows is None else list(read_rows(rows))
    conditions = exclude if exclude is None or callable(exclude) else list(exclude)
    reader = RowReader(
        flow.declaration,
        flow.reference,
        constants={name: Text(value) if name in secret else value for name, value in kept.items()},
        axes=axes,
        table=table,
        exclude=conditions,
        render=lambda typed: (None, None),
    )
    found = reader.read()
    try:
        fixed = {**reader.constants.json, **{name: str(constants[name]) for name in secret}}
        if callable(conditions):  # a function stays here: the rows that it leaves are sent
            left = [row.parameters for batch in found.read() for row in batch]
            return {"parameters": fixed, "rows": [_pick(row, found.axes) for row in left]}
    finally:
        found.close()
    told: dict[str, Any] = {
        "parameters": fixed,
        "axes": {name: [reader.write({name: value})[name] for value in given] for name, given in axes.items()},
    }
    if table is not None:
        told["rows"] = [reader.write(row) for row in table]
    if conditions:
        told["exclude"] = [_write_condition(reader, condition) for condition in conditions]
    return told


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def _write_condition(reader: RowReader, condition: Mapping[str, Any]) -> dict[str, Any]:
    several = (list, tuple, set, frozenset, range)
    return {
        name: [reader.write({name: one})[name] for one in (value if isinstance(value, several) else [value])]
        for name, value in condition.items()
    }
