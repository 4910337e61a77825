"""The seams: what services ask of a store and of an engine. One adapter a file, in ``stores/`` and ``engines/``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from nbflow.backfilling import BackfillRecord
from nbflow.flows import FlowVersion
from nbflow.lifecycle import AttemptRecord, DispatcherRecord, Outcome, RunRecord, RunState
from nbflow.scheduling import ScheduleRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; every given condition must hold. Newest first unless ``oldest_first``."""

    states: tuple[RunState, ...] = ()
    flow: str | None = None
    """``project/name``, or a notebook's absolute path."""
    tags: tuple[str, ...] = ()
    """All of them."""
    name: str | None = None
    """A part of the run's name, case-insensitive."""
    values: tuple[tuple[str, str], ...] = ()
    """Names of parameters and the values that they had, given or not: as JSON, or the text itself."""
    parent_id: str | None = None
    root_id: str | None = None
    backfill_id: str | None = None
    schedule_id: str | None = None
    identity: str | None = None
    sequences: tuple[int, ...] | None = None
    """Only these; at most some thousands."""
    created_after: datetime | None = None
    created_before: datetime | None = None
    after_sequence: int | None = None
    """Cursor: only runs behind this one in the listing's order."""
    limit: int | None = 50
    """At most so many; None for all."""
    oldest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What an attempt has told so far, for the store's copy of it."""

    log_lines: int = 0
    last_line: str = ""
    values: Mapping[str, Any] | None = None
    results: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """The newest run that had the values of a row."""

    id: str
    state: RunState
    backfill_id: str | None


class Store(Protocol):
    """The queue and the truth: flows, notebooks, runs, attempts, dispatchers, schedules and key-value pairs.

    Every method is one short transaction: durable when it returns, safe between threads and processes, and refused
    with StoreError when the database can't do it. Times are timezone-aware UTC and always come from the caller.
    """

    def close(self) -> None: ...

    # notebooks, by content hash
    def put_notebook(self, notebook_hash: str, content: bytes) -> None:
        """Keep *content* under its hash; nothing happens when it is there already. Prune leaves it until a run mentioned it."""

    def get_notebook(self, notebook_hash: str) -> bytes:
        """Raises NotFoundError."""

    # flows
    def register_flow(
        self, *, project: str, name: str, notebook_hash: str, schema: Mapping[str, Any], source_path: str, now: datetime
    ) -> FlowVersion:
        """The new version, or the newest one unchanged when it has the same hash and source path."""

    def get_flow(self, project: str, name: str, *, number: int | None = None) -> FlowVersion:
        """The newest version, or the one with that number. Raises NotFoundError."""

    def list_flows(self, project: str | None = None) -> list[FlowVersion]:
        """The newest version of each flow, by full name."""

    def list_versions(self, project: str, name: str) -> list[FlowVersion]:
        """All versions, oldest first; empty when there is no such flow."""

    def remove_flow(self, project: str, name: str) -> None:
        """Forget the flow and its versions; its runs stay. Raises NotFoundError."""

    # runs
    def add_runs(self, runs: Sequence[RunRecord]) -> None:
        """Record runs in their order, all or none, at the cost of rows and not of transactions.

        The ``sequence`` of each is assigned by the store. Raises ConflictError when an id is taken. A waiting child whose
        parent is being ended, or was, is recorded as ``cancelled``; ``scheduled`` without ``not_before`` as ``pending``.
        """

    def get_run(self, run_id: str) -> RunRecord:
        """By whole id or by an unambiguous beginning of it (4 characters or more); NotFoundError says what fits instead."""

    def list_runs(self, wanted: RunFilter) -> list[RunRecord]: ...

    def list_columns(self, wanted: RunFilter, names: Sequence[str]) -> dict[str, list[Any]]:
        """Fields of runs, each as one list in the listing's order: for tables of many, at a fraction of what records cost.

        Named as in RunRecord. Times are microseconds since 1970 in UTC, states their words, and JSON is decoded, a failure
        without its traceback and evalue.
        """

    def count_runs(self, wanted: RunFilter) -> dict[RunState, int]:
        """How many runs fit, by state; limit and cursor are ignored."""

    def rename_run(self, run_id: str, name: str) -> None: ...

    def request_cancel(self, run_ids: Sequence[str], *, reason: str, now: datetime) -> list[RunRecord]:
        """Ask for the end of runs and of all their descendants; the records after it.

        Waiting runs become ``cancelled`` at once, running ones ``cancelling``; terminal ones stay as they are. The reason of
        descendants is ``parent``, and the first reason stays. Each tree is one transaction. Raises NotFoundError.
        """

    def retry_run(self, run_id: str, *, now: datetime) -> RunRecord:
        """Make a failed, crashed, timed-out or cancelled run ``pending`` once more, for a further attempt.

        The cancel request, failure and end are cleared and it is tied to nobody. Raises ConflictError for any other state.
        """

    def tie_run(self, run_id: str, dispatcher_id: str | None) -> None:
        """Let only this dispatcher claim the run (None: any that serves all). Only while it waits."""

    # attempts: compare-and-set only
    def claim(
        self,
        *,
        dispatcher_id: str,
        limit: int,
        lease: datetime,
        now: datetime,
        serves_all: bool = False,
        slots: int | None = None,
        root_id: str | None = None,
    ) -> list[tuple[RunRecord, AttemptRecord]]:
        """Claim up to *limit* waiting runs in one transaction and open an attempt for each; the runs become ``running``.

        Candidates are ``pending``, or ``scheduled`` with ``not_before <= now``; tied to this dispatcher, or, where
        *serves_all*, to nobody. Order: priority (higher first), then sequence. ``started`` of a run is set by its first claim.
        Behind all these come the runs tied to the lanes of backfills whose ``owner`` is this dispatcher, or nobody where
        *serves_all*: by the backfills' priority, at most ``max_active_runs`` of one at once, none of one that is paused,
        ended, not ready, or has ``max_failures``; what waits in lanes costs nobody else anything.
        Per-flow concurrency limits are honoured inside the same transaction (see ``set_flow_limit``), and so are *slots*:
        no more attempts than that are open and not ``waiting`` in the trees of this dispatcher's attempts and of *root_id*.
        In the tree of *root_id* one may be claimed beside its own parents, where they alone would keep it from a slot.
        """

    def set_flow_limit(self, flow: str, limit: int | None) -> None:
        """At most *limit* runs of *flow* (full name or source path) in ``running`` or ``cancelling`` at once; None lifts it."""

    def list_flow_limits(self) -> dict[str, int]:
        """The limits there are, by full name or source path."""

    def start_attempt(self, attempt: AttemptRecord, *, pid: int | None, now: datetime) -> bool:
        """claimed → started, when the nonce still fits; False otherwise (the attempt must not go on)."""

    def finish_attempt(self, attempt: AttemptRecord, outcome: Outcome, *, now: datetime) -> RunRecord | None:
        """open → closed, and the run's next state by ``lifecycle.decide``, in one transaction.

        None when the attempt was closed already or its nonce is another one: a late word changes nothing.
        """

    def renew(
        self, dispatcher_id: str, attempts: Mapping[str, Progress], *, lease: datetime, now: datetime
    ) -> set[str]:
        """Heartbeat: renew the leases of these open attempts (by id) and store their progress; the ids still owned.

        Also renews the dispatcher's own heartbeat.
        """

    def list_open_attempts(self, *, owner: str | None = None) -> list[AttemptRecord]:
        """Attempts in ``claimed`` or ``started``, of one owner or of all."""

    def list_attempts(self, run_id: str) -> list[AttemptRecord]:
        """All attempts of a run, in order."""

    def adopt(self, attempt: AttemptRecord, *, owner: str, lease: datetime, now: datetime) -> AttemptRecord | None:
        """Take over an open attempt whose owner and lease are still those of *attempt*; None when somebody was faster."""

    def set_waiting(self, attempt_id: str, waiting: bool) -> None:
        """The attempt's notebook waits for children (and holds no slot), or no longer does."""

    # dispatchers
    def add_dispatcher(self, dispatcher: DispatcherRecord) -> None: ...

    def list_dispatchers(self) -> list[DispatcherRecord]: ...

    def remove_dispatcher(self, dispatcher_id: str, *, now: datetime) -> None:
        """Forget it. Runs still waiting for it alone end as ``crashed``, with a message that says why."""

    # schedules
    def add_schedule(self, schedule: ScheduleRecord) -> None:
        """Raises ConflictError when its flow has a schedule of that name."""

    def get_schedule(self, schedule_id: str) -> ScheduleRecord:
        """By id, by an unambiguous beginning of it (4 characters or more), or by a name that only one schedule has.

        Raises NotFoundError.
        """

    def list_schedules(
        self, *, flows: Sequence[str] | None = None, due_by: datetime | None = None
    ) -> list[ScheduleRecord]:
        """Of these flows or of all, by flow and name; *due_by*: those not paused whose ``next_due`` has come."""

    def find_next_due(self) -> datetime | None:
        """The first ``next_due`` of all schedules that are not paused."""

    def update_schedule(self, schedule_id: str, change: Callable[[ScheduleRecord], ScheduleRecord]) -> ScheduleRecord:
        """Store ``change(schedule)`` as its next revision and return it, with no other writer in between.

        *change* runs inside the write transaction: it must be quick and must not touch the store.
        Raises NotFoundError, and ConflictError when the new name is taken.
        """

    def remove_schedule(self, schedule_id: str, *, now: datetime) -> None:
        """Forget it. Its runs stay; those held behind others end as ``cancelled``. Raises NotFoundError."""

    def fire(
        self, schedule: ScheduleRecord, runs: Sequence[RunRecord], *, next_due: datetime | None, note: str = ""
    ) -> list[RunRecord] | None:
        """Record the runs of fire times that are due and set the next one, in one transaction: all or nothing.

        None, and nothing is changed, when the schedule is no longer what *schedule* says: another scheduler was faster,
        or it was edited, paused or removed. A fire time that has a run already gets no second one, and the overlap policy
        decides which runs are recorded; those are returned. A *note* replaces the schedule's.
        """

    def release_held(self) -> list[str]:
        """Let the oldest held run go of each schedule of which nothing else waits or runs; the runs' ids."""

    def find_last_success(self, schedule_id: str) -> datetime | None:
        """The scheduled time of the newest run of the schedule that completed, pruned ones included."""

    # backfills
    def add_backfill(self, backfill: BackfillRecord) -> None:
        """Record it, not ready: its runs, tied to its lane, are added then, in any number of calls, and show to nobody."""

    def open_backfill(self, backfill_id: str) -> BackfillRecord:
        """All its runs are recorded: make it ready, and count them.

        Raises ConflictError while another backfill with the same rows of the same flow has not finished.
        """

    def get_backfill(self, backfill_id: str) -> BackfillRecord:
        """By id, by an unambiguous beginning of it (4 characters or more), or by a name that only one backfill has.

        Raises NotFoundError.
        """

    def list_backfills(
        self, *, flow: str | None = None, rows_hash: str | None = None, ready: bool = True, limit: int | None = None
    ) -> list[BackfillRecord]:
        """Newest first: those that are ready, or those that are not."""

    def count_rows(self, backfill_ids: Sequence[str]) -> dict[str, dict[RunState, int]]:
        """How many runs of each backfill are in each state."""

    def goes_on(self, backfill_id: str) -> bool:
        """Whether a run of it waits or is active. Costs the same for any number of runs."""

    def update_backfill(self, backfill_id: str, change: Callable[[BackfillRecord], BackfillRecord]) -> BackfillRecord:
        """Store ``change(backfill)`` and return it, with no other writer and no claim from its lane in between.

        *change* runs inside the write transaction: it must be quick and must not touch the store. Raises NotFoundError.
        """

    def remove_backfill(self, backfill_id: str) -> None:
        """Forget it and all its runs, as if they had never been recorded."""

    def requeue_rows(self, runs: Sequence[RunRecord]) -> int:
        """Give these runs, which wait or ended otherwise than completed, a further attempt; how many it was.

        Stored of each are its state, notebook, identity, flow version and what it is tied to; its times, failure and
        cancel request are as given or cleared. One that became active or completed meanwhile is left alone.
        """

    def cancel_waiting(self, backfill_id: str, *, reason: str, now: datetime) -> Iterator[list[int]]:
        """End all runs of it that wait as ``cancelled``, batch by batch; yields the sequences of each."""

    def find_earlier(self, call_keys: Collection[str]) -> dict[str, EarlierRun]:
        """The newest run with each of these ``lifecycle.call_key``; keys that no run had are left out."""

    def find_completed(self, identities: Collection[str]) -> dict[str, RunRecord]:
        """The newest completed run of each of these identities."""

    # key-value pairs
    def kv_get(self, key: str) -> Any:
        """The JSON value. Raises NotFoundError."""

    def kv_set(self, key: str, value: Any, *, now: datetime) -> None: ...

    def kv_update(self, key: str, change: Callable[[Any], Any], *, default: Any, now: datetime) -> Any:
        """Store ``change(current value, or default)`` and return it, with no other writer in between.

        *change* runs inside the write transaction: it must be quick and must not touch the store.
        """

    def kv_delete(self, key: str) -> bool:
        """Whether it was there."""

    def kv_list(self, prefix: str = "") -> dict[str, Any]:
        """Pairs whose key begins with *prefix*, by key."""

    def prune(self, *, before: datetime, tell: Callable[[list[str]], object] | None = None) -> list[str]:
        """Delete terminal runs that ended before then, with their attempts and the notebooks nothing mentions any more.

        In short transactions; *tell* hears of the runs of each once they are gone. The ids of all are returned: their
        folders are the caller's to remove.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything an engine needs to start an attempt."""

    run: RunRecord
    attempt: AttemptRecord
    folder: Path
    """The attempt's own folder: absolute, not yet made."""
    notebook: bytes
    """The notebook file as it was when the run was submitted."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values of the ``Secret`` parameters; only ever passed on by a pipe."""
    tied: bool = True
    """The attempt ends when this process does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an engine knows about one attempt now."""

    attempt_id: str
    started: bool = False
    pid: int | None = None
    progress: Progress = Progress()
    outcome: Outcome | None = None
    """Set once: by the attempt's end record, or ``lost`` / ``not_started`` with proof that nothing runs any more."""


class Engine(Protocol):
    """Where attempts execute. It holds no backlog: an attempt is handed over only when a slot is free."""

    name: str

    def capacity(self) -> int:
        """How many attempts it can run at once."""

    def launch(self, launch: Launch) -> None:
        """Begin the attempt and return at once. A failure to begin is told by the next poll as ``not_started``."""

    def adopt(self, attempt: AttemptRecord, folder: Path) -> None:
        """Look after an attempt that another process launched: poll tells its fate from now on.

        One in state ``claimed`` that has not begun is kept from it for good, and told as ``not_started``.
        """

    def kill(self, attempt_id: str, *, grace: float) -> None:
        """Ask it to end: the kernel may clean up for *grace* seconds, then everything it started is killed. Returns at once."""

    def poll(self) -> list[Report]:
        """What is known now about every attempt looked after; an attempt whose outcome was told is forgotten."""

    def wait(self, timeout: float, *, wake: int) -> None:
        """Sleep until a poll may tell something new or descriptor *wake* is readable; *timeout* seconds at the most."""

    def close(self) -> None:
        """Release what the engine holds; tied attempts end."""
