"""The reads that surfaces make of a store, asked of a server."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn

from nbflow.backfilling import BackfillRecord
from nbflow.errors import ConflictError, NotFoundError, UsageError
from nbflow.flows import FlowVersion
from nbflow.lifecycle import AttemptRecord, RunRecord, RunState
from nbflow.ports import RunFilter
from nbflow.project.remote.answers import ChangedMeanwhile
from nbflow.project.remote.connection import Connection, encode
from nbflow.project.remote.reading import read_attempt, read_moment, read_run, read_snapshot, read_version

PAGE = 500
WIDE_PAGE = 10_000
"""Runs at once where only some of their fields are asked for."""
SEQUENCES = 500
ATTEMPTS_AT_A_PAIR = 50


class RemoteStore:
    """The part of a Store that a server gives away. Everything else is an error that says so."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._places: dict[str, str] = {}

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        refuse(self.connection, name.replace("_", " "))

    def close(self) -> None:
        """Nothing is held."""

    # -- flows ----------------------------------------------------------------------------------------------------

    def get_flow(self, project: str, name: str, *, number: int | None = None) -> FlowVersion:
        place = f"flows/{quote(project)}/{quote(name)}"
        found = read_version(self.connection.get(place, version=number))
        self.remember(found.notebook_hash, f"{place}/notebook?version={found.number}")
        return found

    def remember(self, notebook_hash: str, place: str) -> None:
        """Where the notebook with this hash is."""
        self._places[notebook_hash] = place

    def get_notebook(self, notebook_hash: str) -> bytes:
        return self.connection.ask("GET", self._places[notebook_hash]).body

    def list_flows(self, project: str | None = None) -> list[FlowVersion]:
        return [read_version(each) for each in self.connection.get("flows", project=project)["flows"]]

    def list_versions(self, project: str, name: str) -> list[FlowVersion]:
        try:
            told = self.connection.get(f"flows/{quote(project)}/{quote(name)}/versions")
        except NotFoundError:
            return []
        return [read_version(each) for each in told["versions"]]

    # -- runs -----------------------------------------------------------------------------------------------------

    def get_run(self, run_id: str) -> RunRecord:
        return read_run(self.connection.get(f"runs/{quote(run_id)}"))

    def list_attempts(self, run_id: str) -> list[AttemptRecord]:
        told = self.connection.get(f"runs/{quote(run_id)}")
        return [read_attempt(run_id, each) for each in told["tries"]]

    def list_runs(self, wanted: RunFilter) -> list[RunRecord]:
        return [read_run(each) for told in self._page("runs", wanted, PAGE) for each in told["runs"]]

    def list_columns(self, wanted: RunFilter, names: Sequence[str]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for told in self._page("runs/columns", wanted, WIDE_PAGE, field=list(names)):
            for name, values in told["columns"].items():
                columns[name] += values
        return columns

    def count_runs(self, wanted: RunFilter) -> dict[RunState, int]:
        counts = self.connection.get("runs/counts", **_to_query(wanted))["counts"]
        return {RunState(state): count for state, count in counts.items() if count}

    def _page(self, path: str, wanted: RunFilter, size: int, **more: Any) -> Iterator[Mapping[str, Any]]:
        """Page after page of what *wanted* finds."""
        if wanted.sequences is not None:
            order = sorted(wanted.sequences, reverse=not wanted.oldest_first)
            for start in range(0, len(order), SEQUENCES):
                part = order[start : start + SEQUENCES]
                yield self.connection.get(path, **_to_query(wanted), **more, sequence=part, limit=SEQUENCES)
            return
        left, cursor = wanted.limit, wanted.after_sequence
        while left is None or left > 0:
            limit = size if left is None else min(size, left)
            told = self.connection.get(path, **_to_query(wanted), **more, limit=limit, cursor=cursor)
            yield told
            cursor = told["next"]
            left = None if left is None else left - limit
            if cursor is None:
                return

    def set_waiting(self, attempt_id: str, waiting: bool) -> None:
        """A notebook that this server does not execute holds none of its slots."""
        run_id, _, number = attempt_id.partition(".")
        with suppress(NotFoundError):
            self.connection.post(f"runs/{run_id}/waiting", {"attempt": int(number), "waiting": waiting}, is_safe=True)

    # -- schedules and backfills ----------------------------------------------------------------------------------

    def find_last_success(self, schedule_id: str) -> datetime | None:
        told = self.connection.get("runs", schedule_id=schedule_id, state=["completed"], limit=1)["runs"]
        return read_moment(told[0]["scheduled_time"]) if told else None

    def get_backfill(self, backfill_id: str) -> BackfillRecord:
        return read_snapshot(self.connection.get(f"backfills/{quote(backfill_id)}")).backfill

    # -- key-value pairs ------------------------------------------------------------------------------------------

    def kv_get(self, key: str) -> Any:
        return self._read_pair(key)[0]

    def _read_pair(self, key: str) -> tuple[Any, str]:
        """The value, and the tag of its state."""
        try:
            reply = self.connection.ask("GET", f"kv/{quote(key)}")
        except NotFoundError:
            raise NotFoundError(f"key {key!r}: the store holds no such key; nbflow kv ls lists them") from None
        return reply.json["value"], reply.headers["etag"]

    def kv_set(self, key: str, value: Any, *, now: datetime) -> None:
        self.connection.ask("PUT", f"kv/{quote(key)}", content=encode(value))

    def kv_update(self, key: str, change: Callable[[Any], Any], *, default: Any, now: datetime) -> Any:
        """Once more, where another writer was faster."""
        for _ in range(ATTEMPTS_AT_A_PAIR):
            try:
                known, tag = self._read_pair(key)
                headers = {"If-Match": tag}
            except NotFoundError:
                known, headers = default, {"If-None-Match": "*"}
            value = change(known)
            try:
                content = encode(value)
                self.connection.ask("PUT", f"kv/{quote(key)}", content=content, headers=headers, is_safe=False)
            except ChangedMeanwhile:
                continue
            return value
        raise ConflictError(f"key {key!r}: others change it all the time; try again")

    def kv_delete(self, key: str) -> bool:
        try:
            self.connection.ask("DELETE", f"kv/{quote(key)}")
        except NotFoundError:
            return False
        return True

    def kv_list(self, prefix: str = "") -> dict[str, Any]:
        pairs: dict[str, Any] = self.connection.get("kv", prefix=prefix)["pairs"]
        return pairs


def refuse(connection: Connection, what: str) -> NoReturn:
    """Raises UsageError."""
    raise UsageError(
        f"{what}: can't be done through {connection.server}\n"
        "do it on the server's machine, without NBFLOW_API_URL and --server"
    )


def quote(text: str) -> str:
    """Text as one step of a path."""
    return urllib.parse.quote(text, safe="") or "-"


def _to_query(wanted: RunFilter) -> dict[str, Any]:
    if wanted.identity is not None:
        raise UsageError("runs can't be found by their identity on a server")
    flow = wanted.flow
    if flow is not None and os.path.isfile(flow):  # as it is called on the server once it was sent there
        flow = os.path.basename(flow)
    return {
        "state": [state.value for state in wanted.states],
        "flow": flow,
        "tag": list(wanted.tags),
        "name": wanted.name,
        "parameter": [f"{name}={text}" for name, text in wanted.values],
        "parent_id": wanted.parent_id,
        "root_id": wanted.root_id,
        "schedule_id": wanted.schedule_id,
        "backfill_id": wanted.backfill_id,
        "since": wanted.created_after.isoformat() if wanted.created_after else None,
        "until": wanted.created_before.isoformat() if wanted.created_before else None,
        "order": "oldest" if wanted.oldest_first else "newest",
    }
