"""Runs, schedules, flows and findings as JSON: the contract of ``--json`` and of the HTTP API. A name, once here, stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.backfilling import BackfillPlan, Snapshot
    from nbflow.backfilling.plans import PlannedRow
    from nbflow.flows import FlowVersion
    from nbflow.lifecycle import AttemptRecord, RunRecord
    from nbflow.parameters import Finding, Parameter
    from nbflow.scheduling import ScheduleRecord


def _moment(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def run_to_json(run: RunRecord) -> dict[str, Any]:
    """A run with everything a caller may act on; times are ISO 8601 in UTC, durations seconds."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state.value,
        "message": run.message,
        "flow": run.flow,
        "flow_version": run.flow_version,
        "source_path": run.source_path,
        "notebook_hash": run.notebook_hash,
        "parameters": dict(run.parameters),
        "values": dict(run.values) if run.values is not None else None,
        "results": dict(run.results),
        "tags": list(run.tags),
        "output_path": run.output_path,
        "created": _moment(run.created),
        "started": _moment(run.started),
        "ended": _moment(run.ended),
        "duration": run.duration,
        "attempts": run.attempts,
        "failure": run.failure.to_json() if run.failure else None,
        "cancel_reason": run.cancel_reason,
        "log_lines": run.log_lines,
        "last_line": run.last_line,
        "options": asdict(run.options),
        "parent_id": run.parent_id,
        "root_id": run.root_id,
        "depth": run.depth,
        "sequence": run.sequence,
        "reused_run_id": run.reused_run_id,
        "scheduled_time": _moment(run.scheduled_time),
        "schedule_id": run.schedule_id,
        "backfill_id": run.backfill_id,
        "backfill_row": run.backfill_row,
    }


def attempt_to_json(attempt: AttemptRecord) -> dict[str, Any]:
    """One try at a run."""
    return {
        "number": attempt.number,
        "state": attempt.state.value,
        "engine": attempt.engine,
        "pid": attempt.pid,
        "started": _moment(attempt.started),
        "ended": _moment(attempt.ended),
        "why": attempt.why,
    }


def schedule_to_json(schedule: ScheduleRecord, *, runs: Sequence[RunRecord] = ()) -> dict[str, Any]:
    """A schedule, its next five times with the offset of its own clock, and its newest runs."""
    from nbflow.scheduling import Every, next_times

    when = schedule.when
    following = [] if schedule.paused else next_times(schedule, datetime.now(UTC), 5)
    return {
        "id": schedule.id,
        "name": schedule.name,
        "flow": schedule.flow,
        "flow_version": schedule.flow_version,
        "cron": None if isinstance(when, Every) else when.expression,
        "every": when.seconds if isinstance(when, Every) else None,
        "anchor": _moment(schedule.anchor) if isinstance(when, Every) else None,
        "timezone": schedule.timezone,
        "starts": _moment(schedule.starts),
        "ends": _moment(schedule.ends),
        "next_times": [time.astimezone(schedule.zone).isoformat() for time in following],
        "parameters": dict(schedule.parameters),
        "run_name": schedule.run_name,
        "tags": list(schedule.tags),
        "options": asdict(schedule.options),
        "catchup": schedule.catchup.value,
        "catchup_limit": schedule.catchup_limit,
        "overlap": schedule.overlap.value,
        "misfire_grace": schedule.misfire_grace,
        "paused": schedule.paused,
        "created": _moment(schedule.created),
        "note": schedule.note,
        "runs": [
            {
                "id": run.id,
                "state": run.state.value,
                "message": run.message,
                "scheduled_time": _moment(run.scheduled_time),
            }
            for run in runs
        ],
    }


def backfill_to_json(snapshot: Snapshot, *, message: str | None = None) -> dict[str, Any]:
    """A backfill, its state, and how many of its runs are in each state. *message*: what a call did with it."""
    backfill = snapshot.backfill
    told = {} if message is None else {"message": message}
    return told | {
        "id": backfill.id,
        "name": backfill.name,
        "state": snapshot.state.value,
        "counts": {state.value: count for state, count in sorted(snapshot.counts.items())},
        "total": snapshot.total,
        "done": snapshot.done,
        "succeeded": snapshot.succeeded,
        "failed": snapshot.failed,
        "active": snapshot.active,
        "waiting": snapshot.waiting,
        "left_alone": backfill.left_alone,
        "flow": backfill.flow,
        "flow_version": backfill.flow_version,
        "notebook_hash": backfill.notebook_hash,
        "axes": list(backfill.axes),
        "parameters": dict(backfill.parameters),
        "run_name": backfill.run_name,
        "tags": list(backfill.tags),
        "options": asdict(backfill.options),
        "priority": backfill.priority,
        "max_active_runs": backfill.max_active_runs,
        "max_failures": backfill.max_failures,
        "run_backwards": backfill.run_backwards,
        "reprocess_behavior": backfill.reprocess_behavior.value,
        "skip_completed": backfill.skip_completed,
        "created": _moment(backfill.created),
        "paused": backfill.paused,
        "ended_by": backfill.ended_by,
        "note": backfill.note,
    }


def plan_to_json(plan: BackfillPlan) -> dict[str, Any]:
    """What a dry run tells: the rows by what would become of them, and the first and last of them."""
    return {
        "flow": plan.flow,
        "axes": list(plan.axes),
        "total": plan.total,
        "excluded": plan.excluded,
        "runs": plan.runs,
        "decisions": {decision.value: count for decision, count in plan.counts.items()},
        "first": [_row_to_json(row) for row in plan.first],
        "last": [_row_to_json(row) for row in plan.last],
        "same_as": plan.same_as,
        "message": plan.message,
    }


def _row_to_json(row: PlannedRow) -> dict[str, Any]:
    return {"row": row.number, "decision": row.decision.value, "parameters": dict(row.parameters)}


def flow_to_json(version: FlowVersion) -> dict[str, Any]:
    """A registered version of a flow."""
    return {
        "flow": version.full_name,
        "project": version.project,
        "name": version.name,
        "version": version.number,
        "notebook_hash": version.notebook_hash,
        "source_path": version.source_path,
        "registered": _moment(version.registered),
    }


def finding_to_json(finding: Finding, path: str) -> dict[str, Any]:
    """What ``check`` has to say about one place of one notebook; cells count from 0 as in the file."""
    return {
        "path": path,
        "cell": finding.cell_index,
        "line": finding.line,
        "rule": finding.rule,
        "severity": finding.severity,
        "parameter": finding.parameter,
        "message": finding.message,
    }


def parameter_to_json(parameter: Parameter) -> dict[str, Any]:
    """A parameter as a program wants it; its default as it is written (as a value it is in the JSON Schema)."""
    from nbflow.parameters.records import ComputedDefault

    default = parameter.default
    return {
        "name": parameter.name,
        "type": parameter.type_text,
        "annotation": parameter.annotation,
        "required": parameter.required,
        "computed": isinstance(default, ComputedDefault),
        "default_source": show_default(parameter) or None,
        "choices": list(parameter.choices),
        "secret": parameter.secret,
        "help": parameter.help,
    }


def show_default(parameter: Parameter) -> str:
    """The default as it is written in the notebook; empty where there is none, masked for a secret."""
    from nbflow.parameters.records import ComputedDefault, LiteralDefault

    default = parameter.default
    if isinstance(default, ComputedDefault):
        return "********" if parameter.secret else default.source
    if isinstance(default, LiteralDefault):
        return "********" if parameter.secret else default.source or repr(default.value)
    return ""
