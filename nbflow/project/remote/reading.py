"""Records from their JSON, which nbflow.records writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from nbflow.backfilling import BackfillRecord, BackfillState, Reprocess, Snapshot
from nbflow.backfilling.plans import BackfillPlan, Decision, PlannedRow
from nbflow.events import Event, EventKind, parse_token
from nbflow.flows import FlowVersion
from nbflow.lifecycle import AttemptRecord, AttemptState, Failure, RunOptions, RunRecord, RunState
from nbflow.parameters import Finding
from nbflow.project.remote.answers import explain_unread
from nbflow.scheduling import Catchup, Cron, Every, Overlap, ScheduleRecord

Json = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


def _understood(read: Callable[P, T]) -> Callable[P, T]:
    """Tell what *read* stumbles over for what it is: a server that says things in another way."""

    @functools.wraps(read)
    def understand(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except KeyError as error:
            raise explain_unread(f"no {error} in it") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise explain_unread(error) from None

    return understand


def read_moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _require_moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _read_options(told: Json) -> RunOptions:
    """A newer server may know of more."""
    known = {field.name for field in fields(RunOptions)}
    return RunOptions(**{name: value for name, value in told.items() if name in known})


_SAME = (
    *("id", "name", "notebook_hash", "source_path", "flow", "flow_version", "parameters", "values", "attempts"),
    *("message", "results", "output_path", "log_lines", "last_line", "cancel_reason", "parent_id", "root_id", "depth"),
    *("schedule_id", "backfill_id", "backfill_row", "reused_run_id", "sequence"),
)


@_understood
def read_run(told: Json) -> RunRecord:
    return RunRecord(
        **{name: told[name] for name in _SAME},
        state=RunState(told["state"]),
        options=_read_options(told["options"]),
        tags=tuple(told["tags"]),
        created=_require_moment(told["created"]),
        started=read_moment(told["started"]),
        ended=read_moment(told["ended"]),
        failure=Failure.from_json(told["failure"]) if told["failure"] else None,
        scheduled_time=read_moment(told["scheduled_time"]),
    )


@_understood
def read_attempt(run_id: str, told: Json) -> AttemptRecord:
    """What only its owner needs is left out."""
    started = read_moment(told["started"])
    moment = started or datetime.fromtimestamp(0, UTC)
    return AttemptRecord(
        run_id=run_id,
        number=told["number"],
        state=AttemptState(told["state"]),
        engine=told["engine"],
        owner="",
        nonce="",
        lease=moment,
        claimed=moment,
        pid=told["pid"],
        started=started,
        ended=read_moment(told["ended"]),
        why=told["why"],
    )


@_understood
def read_event(told: Json) -> Event:
    attempt, offset = parse_token(told["token"]) if told["token"] else (told["attempt"], 0)
    return Event(
        number=told["number"],
        kind=EventKind(told["kind"]),
        time=_require_moment(told["time"]),
        data=told["data"],
        attempt=attempt,
        offset=offset,
    )


@_understood
def read_version(told: Json) -> FlowVersion:
    return FlowVersion(
        project=told["project"],
        name=told["name"],
        number=told["version"],
        notebook_hash=told["notebook_hash"],
        schema=told.get("schema", {}),
        source_path=told["source_path"],
        registered=_require_moment(told["registered"]),
    )


@_understood
def read_finding(told: Json) -> Finding:
    return Finding(
        rule=told["rule"],
        severity=told["severity"],
        message=told["message"],
        cell_index=told["cell"],
        line=told["line"],
        parameter=told["parameter"],
    )


@_understood
def read_schedule(told: Json) -> ScheduleRecord:
    anchor = read_moment(told["anchor"])
    when = Cron(told["cron"]) if told["cron"] is not None else Every(told["every"], anchor)
    same = (
        "id",
        "name",
        "flow",
        "flow_version",
        "timezone",
        "parameters",
        "run_name",
        "catchup_limit",
        "misfire_grace",
    )
    return ScheduleRecord(
        **{name: told[name] for name in (*same, "paused", "note")},
        when=when,
        starts=read_moment(told["starts"]),
        ends=read_moment(told["ends"]),
        tags=tuple(told["tags"]),
        options=_read_options(told["options"]),
        catchup=Catchup(told["catchup"]),
        overlap=Overlap(told["overlap"]),
        created=_require_moment(told["created"]),
    )


@_understood
def read_snapshot(told: Json) -> Snapshot:
    """A backfill and how it stands."""
    same = ("id", "name", "flow", "flow_version", "notebook_hash", "parameters", "left_alone", "run_name", "priority")
    more = ("max_active_runs", "max_failures", "run_backwards", "skip_completed", "paused", "ended_by", "note")
    backfill = BackfillRecord(
        **{name: told[name] for name in (*same, *more)},
        axes=tuple(told["axes"]),
        rows=told["total"],
        options=_read_options(told["options"]),
        tags=tuple(told["tags"]),
        reprocess_behavior=Reprocess(told["reprocess_behavior"]),
        created=_require_moment(told["created"]),
        ready=told["state"] != BackfillState.PREPARING,
    )
    counts = {RunState(state): count for state, count in told["counts"].items()}
    return Snapshot(backfill=backfill, state=BackfillState(told["state"]), counts=counts)


@_understood
def read_plan(told: Json) -> BackfillPlan:
    return BackfillPlan(
        flow=told["flow"],
        axes=tuple(told["axes"]),
        total=told["total"],
        excluded=told["excluded"],
        counts={Decision(word): count for word, count in told["decisions"].items()},
        first=tuple(map(_read_row, told["first"])),
        last=tuple(map(_read_row, told["last"])),
        same_as=told["same_as"],
        message=told["message"],
    )


def _read_row(told: Json) -> PlannedRow:
    return PlannedRow(number=told["row"], parameters=told["parameters"], decision=Decision(told["decision"]))
