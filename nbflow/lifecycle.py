"""The life of a run: what was asked for, the attempts at it, and the states between.

(Not called ``runs``, since ``nbflow.runs(...)`` is the call that lists them.)

States of a run::

    scheduled → pending → running → completed | failed | cancelled | crashed | timed_out
                             ↓
                        cancelling → cancelled | (any terminal state that was reached first)

and ``skipped`` for a run whose identity had already completed. Terminal states are final. A retry is a new
attempt of the same run, which waits as ``scheduled`` until its ``not_before``.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from nbflow.parameters.values import dumps_exact


class RunState(StrEnum):
    """The state of a run. The words are a contract: they are shown, stored and filtered by."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    RUNNING = "running"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"

    @property
    def is_terminal(self) -> bool:
        """Whether it is final."""
        return self in TERMINAL

    @property
    def is_success(self) -> bool:
        """Whether what was wanted is there."""
        return self in (RunState.COMPLETED, RunState.SKIPPED)


TERMINAL = frozenset(
    {
        RunState.COMPLETED,
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.CRASHED,
        RunState.TIMED_OUT,
        RunState.SKIPPED,
    }
)
WAITING = frozenset({RunState.SCHEDULED, RunState.PENDING})
ACTIVE = frozenset({RunState.RUNNING, RunState.CANCELLING})


class AttemptState(StrEnum):
    """The state of an attempt; ``claimed`` and ``started`` are open, the others closed for good."""

    CLAIMED = "claimed"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"


class Priority(IntEnum):
    """Who goes first when slots are few; higher first."""

    BACKFILL = 10
    SCHEDULED = 20
    INTERACTIVE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is executed. Never mixed with the notebook's parameters. Times are in seconds."""

    kernel: str | None = None
    cwd: str | None = None
    output: str | None = None
    """Where the executed notebook goes; None: into the attempt's folder."""
    engine: str = "local"
    start_timeout: float = 60.0
    timeout: float | None = None
    cell_timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    retry_backoff: float = 1.0
    """Each further retry waits this many times longer than the one before."""
    retries_on_loss: int = 0
    report: str | None = None
    """``"html"``: a report beside the executed notebook when the run ends."""
    report_mode: bool = False
    """Hide the cells' inputs, papermill's ``--report-mode``."""


class FailureKind(StrEnum):
    """Why an attempt did not succeed."""

    EXCEPTION = "exception"
    EXIT = "exit"
    """``sys.exit`` with a status other than 0."""
    KERNEL_DIED = "kernel_died"
    KERNEL_START = "kernel_start"
    OUT_OF_MEMORY = "out_of_memory"
    CELL_TIMEOUT = "cell_timeout"
    RUN_TIMEOUT = "run_timeout"
    SAVE = "save"
    """The executed notebook could not be written."""
    CANCELLED = "cancelled"
    LOST = "lost"
    """The runner or its machine died without an end record."""
    SETUP = "setup"
    """The attempt could not even be prepared: cwd gone, notebook unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What ended an attempt, for people and for programs."""

    kind: FailureKind
    message: str
    """One or two lines: what happened, where, and what to do about it where that is known."""
    ename: str | None = None
    evalue: str | None = None
    traceback: str | None = None
    """Without terminal colours; at most 20,000 characters."""
    cell_index: int | None = None
    """In the executed notebook, from 0."""
    signal: str | None = None
    """``SIGKILL`` and so on, where a signal ended the kernel."""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "message": self.message,
            "ename": self.ename,
            "evalue": self.evalue,
            "traceback": self.traceback,
            "cell_index": self.cell_index,
            "signal": self.signal,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Failure:
        return cls(**{**record, "kind": FailureKind(record["kind"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One execution that was asked for, as the store keeps it. Times are UTC; ``parameters`` never holds a secret."""

    id: str
    state: RunState
    name: str
    notebook_hash: str
    source_path: str
    """Absolute path of the notebook file, or of the registered version's source."""
    flow: str | None = None
    """``project/name`` for a registered flow."""
    flow_version: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The values passed, validated, in their JSON form; secrets as ``"********"``."""
    values: Mapping[str, Any] | None = None
    """The values really used, computed defaults included; known once the parameters cell ran."""
    options: RunOptions = RunOptions()
    tags: tuple[str, ...] = ()
    identity: str = ""
    priority: Priority = Priority.INTERACTIVE
    created: datetime
    not_before: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    """How many attempts were begun."""
    failure: Failure | None = None
    message: str = ""
    """Why the run is in this state, in one line, where that is not plain."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """What the notebook recorded, in JSON: tables as ``{"$table": …}`` (pandas' ``orient="table"``), images as
    ``{"$image": base64 of a PNG}``, floats that JSON lacks as ``{"$float": "nan"}``; ``api.results`` restores them."""
    output_path: str | None = None
    log_lines: int = 0
    last_line: str = ""
    cancel_reason: str | None = None
    """Who asked for the end: ``user``, ``SIGINT``, ``SIGTERM``, ``parent``; None while nobody did."""
    parent_id: str | None = None
    root_id: str = ""
    """The top of the run's tree; its own id when it has no parent."""
    depth: int = 0
    tied_to: str | None = None
    """The dispatcher that alone may claim it and whose end is its end; None: any server's dispatcher.
    :func:`hold_for` of a schedule: nobody, until the scheduler lets it go. :func:`lane_of` of a backfill: its owner."""
    scheduled_time: datetime | None = None
    schedule_id: str | None = None
    backfill_id: str | None = None
    backfill_row: int | None = None
    reused_run_id: str | None = None
    """For ``skipped``: the completed run that stands for this one."""
    sequence: int = 0
    """Order of submission within the store; 0 until stored."""

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None until the run ended."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One try at a run: an owner, a lease and a nonce."""

    run_id: str
    number: int
    """From 1 within its run."""
    state: AttemptState
    engine: str
    owner: str
    """Id of the dispatcher that looks after it."""
    nonce: str
    """Fencing token: a word about the attempt without it is refused."""
    lease: datetime
    """Until when the owner is believed to live; past it another dispatcher may adopt, never simply end it."""
    claimed: datetime
    pid: int | None = None
    waiting: bool = False
    """The notebook waits for its children and holds no slot meanwhile."""
    started: datetime | None = None
    ended: datetime | None = None
    why: str = ""

    @property
    def id(self) -> str:
        return f"{self.run_id}.{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatcherRecord:
    """A process that hands runs to engines."""

    id: str
    host: str
    pid: int
    process_started: float
    """The process's start in the clock of its host (``/proc``), so that a reused pid is not mistaken for it."""
    started: datetime
    heartbeat: datetime
    serves_all: bool = False
    """True in a server: it claims every run that is tied to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended, on its own word (its end record) or on its dispatcher's."""

    state: AttemptState
    failure: Failure | None = None
    values: Mapping[str, Any] | None = None
    results: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    """The run's new name where the notebook renamed it."""
    output_path: str | None = None
    log_lines: int = 0
    last_line: str = ""
    ended: datetime | None = None
    """When, on the attempt's own word: it may have ended long before anybody looked. None: now."""


LONGEST_DELAY = 30 * 86400.0
HELD = "schedule:"


def hold_for(schedule_id: str) -> str:
    """What a run is tied to that waits for the earlier runs of its schedule."""
    return f"{HELD}{schedule_id}"


LANE = "backfill:"


def lane_of(backfill_id: str) -> str:
    """What the runs of a backfill are tied to: a queue of their own, which the backfill's owner claims from."""
    return f"{LANE}{backfill_id}"


def new_run_id() -> str:
    """Sixteen hexadecimal digits; any unique beginning of it names the run."""
    return secrets.token_hex(8)


def find_retry_delay(options: RunOptions, tries: int) -> float:
    """Seconds between the end of an attempt, the *tries*-th that counts, and the next one; a month at the most."""
    try:
        return min(options.retry_delay * options.retry_backoff ** max(tries - 1, 0), LONGEST_DELAY)
    except OverflowError:
        return LONGEST_DELAY


def decide(run: RunRecord, past: Sequence[AttemptState], outcome: Outcome, now: datetime) -> RunRecord:
    """The run after one of its attempts closed with *outcome*; *past* holds how the earlier attempts ended.

    A cancel that somebody asked for wins over a loss, never over an end that the attempt reported first
    as succeeded, failed or timed out.
    """
    seen = [*past, outcome.state]
    closed = replace(
        run,
        name=outcome.name or run.name,
        values=outcome.values if outcome.values is not None else run.values,
        results=dict(outcome.results) or run.results,
        output_path=outcome.output_path or run.output_path,
        log_lines=outcome.log_lines or run.log_lines,
        last_line=outcome.last_line or run.last_line,
        failure=outcome.failure,
        message=outcome.failure.message if outcome.failure else "",
    )
    asked = run.cancel_reason is not None

    def end(state: RunState, message: str | None = None) -> RunRecord:
        text = closed.message if message is None else message
        return replace(closed, state=state, ended=outcome.ended or now, message=text, not_before=None)

    def again(tries: int) -> RunRecord:
        wait = find_retry_delay(run.options, tries)
        return replace(closed, state=RunState.SCHEDULED, not_before=now + timedelta(seconds=wait))

    match outcome.state:
        case AttemptState.SUCCEEDED:
            return end(RunState.COMPLETED)
        case AttemptState.CANCELLED if asked:
            return end(RunState.CANCELLED, f"cancelled ({run.cancel_reason})")
        case AttemptState.NOT_STARTED:
            return end(RunState.CANCELLED, f"cancelled ({run.cancel_reason})") if asked else again(0)
        case AttemptState.FAILED | AttemptState.TIMED_OUT:
            tries = seen.count(AttemptState.FAILED) + seen.count(AttemptState.TIMED_OUT)
            if tries <= run.options.retries and not asked:
                return again(tries)
            return end(RunState.FAILED if outcome.state is AttemptState.FAILED else RunState.TIMED_OUT)
        case AttemptState.LOST | AttemptState.CANCELLED:  # a SIGTERM that nobody asked for is a loss
            if asked:
                return end(RunState.CANCELLED, f"cancelled ({run.cancel_reason})")
            losses = seen.count(AttemptState.LOST) + seen.count(AttemptState.CANCELLED)
            return again(losses) if losses <= run.options.retries_on_loss else end(RunState.CRASHED)
        case _:
            raise ValueError(f"an attempt does not end as {outcome.state}")


def identity(notebook_hash: str, values: Mapping[str, Any], kernel: str) -> str:
    """Hash of what would be executed: equal identities mean that a completed run may stand for this one."""
    text = dumps_exact([notebook_hash, kernel, dict(values)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def call_key(reference: str, parameters: Mapping[str, Any]) -> str:
    """Hash of what was asked for, whatever the notebook holds: equal for the same values given to the same flow."""
    text = dumps_exact([reference, dict(parameters)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_FIELD = re.compile(r"\{([^{}]*)\}")


def find_template_fields(template: str) -> list[str]:
    """Names of the parameters that a run-name template mentions: ``"sales-{day:%Y-%m}"`` → ``["day"]``."""
    return [re.split(r"[.:!\[]", text, maxsplit=1)[0] for text in _FIELD.findall(template)]
