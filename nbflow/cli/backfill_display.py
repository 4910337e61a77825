"""How backfills look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.summary import show_value
from nbflow.cli.table import format_time, paint, write_facts, write_table

if TYPE_CHECKING:
    from nbflow.backfilling import BackfillPlan, Snapshot
    from nbflow.errors import RowError
    from nbflow.lifecycle import RunRecord
    from nbflow.project import Project

SHOWN_FAILURES = 5
STATE_COLOURS = {
    "completed": "green",
    "completed_with_failures": "red",
    "stopped": "red",
    "interrupted": "yellow",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "paused": "yellow",
    "running": "cyan",
}


def write_row_error(error: RowError) -> None:
    """Which rows are wrong, a line each: more than the three lines of other errors."""
    first, *lines = str(error).splitlines()
    write_line(f"error: {clean_line(first)}", error=True)
    for line in lines:
        write_line(f"  {clean_line(line)}", error=True)


def write_plan(plan: BackfillPlan, *, as_json: bool) -> None:
    """How many rows, what would become of them, the first and the last."""
    if as_json:
        from nbflow.records import plan_to_json

        write_json(plan_to_json(plan))
        return
    excluded = f", {plan.excluded:,} excluded" if plan.excluded else ""
    write_line(f"{plan.total:,} rows of {plan.flow}{excluded}")
    write_facts([(decision.replace("_", " "), f"{count:,}") for decision, count in plan.counts.items()], indent="  ")
    if plan.message:
        write_line(plan.message)
    names = plan.axes
    shown = (
        [*plan.first, None, *plan.last] if plan.total > len(plan.first) + len(plan.last) else [*plan.first, *plan.last]
    )
    rows = [
        ("…", *("" for _ in names), "")
        if row is None
        else (
            str(row.number),
            *(show_value(row.parameters[name], limit=40) if name in row.parameters else "" for name in names),
            row.decision.replace("_", " "),
        )
        for row in shown
    ]
    write_line()
    write_table(("row", *names, ""), rows)


def describe_counts(snapshot: Snapshot) -> str:
    """``5 completed, 1 failed of 6``."""
    told = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in sorted(snapshot.counts.items()))
    return f"{told or 'nothing'} of {snapshot.total:,}"


def write_backfill(project: Project, snapshot: Snapshot) -> None:
    """Everything about one."""
    backfill = snapshot.backfill
    version = f" version {backfill.flow_version}" if backfill.flow_version else ""
    worker = None if snapshot.state.is_resting else project.backfills.backfiller.find_worker(backfill)
    facts = [
        ("backfill", backfill.id),
        ("name", clean_line(backfill.name)),
        ("flow", f"{backfill.flow}{version}"),
        ("state", show_state(snapshot)),
        ("runs", describe_counts(snapshot)),
        ("left alone", f"{backfill.left_alone:,} rows that had run before" if backfill.left_alone else ""),
        ("axes", ", ".join(backfill.axes)),
        ("at once", str(backfill.max_active_runs)),
        ("max failures", str(backfill.max_failures or "")),
        ("order", "backwards" if backfill.run_backwards else ""),
        ("priority", str(backfill.priority or "")),
        ("tags", ", ".join(backfill.tags)),
        ("output", backfill.options.output or ""),
        ("created", format_time(backfill.created)),
        ("worked on", f"by process {worker.pid} on {worker.host}" if worker else ""),
        ("note", backfill.note),
    ]
    write_facts([(name, value) for name, value in facts if value])
    values = [(clean_line(name), show_value(value)) for name, value in backfill.parameters.items()]
    if values:
        write_line("\nvalues of all rows")
        write_facts(values, indent="  ")
    failed = list_failed(project, snapshot)
    if failed:
        write_line(
            f"\nrows that did not complete{f' (the first {len(failed)})' if len(failed) < snapshot.failed else ''}"
        )
        write_failures(snapshot, failed)
    hint = suggest(snapshot)
    if hint:
        write_line()
        write_line(hint)


def show_state(snapshot: Snapshot, *, error: bool = False) -> str:
    return paint(snapshot.state.replace("_", " "), STATE_COLOURS.get(snapshot.state.value), error=error)


def list_failed(project: Project, snapshot: Snapshot, limit: int = SHOWN_FAILURES) -> list[RunRecord]:
    """The first rows that ended otherwise than completed."""
    from nbflow.lifecycle import TERMINAL
    from nbflow.ports import RunFilter

    if not snapshot.failed:
        return []
    states = tuple(state for state in TERMINAL if not state.is_success)
    wanted = RunFilter(backfill_id=snapshot.backfill.id, states=states, limit=limit, oldest_first=True)
    return project.list_runs(wanted)


def write_failures(snapshot: Snapshot, failed: Sequence[RunRecord], *, error: bool = False) -> None:
    """Each with its values and what went wrong."""
    for run in failed:
        values = " ".join(
            f"{name}={show_value(run.parameters[name], limit=30)}"
            for name in snapshot.backfill.axes
            if name in run.parameters
        )
        why = run.message or (run.failure.message if run.failure else "")
        state = paint(run.state.replace("_", " "), "red", error=error)
        write_line(
            f"  row {run.backfill_row}  {run.id}  {clean_line(values)}  {state}: {clean_line(why, limit=120)}",
            error=error,
        )


def suggest(snapshot: Snapshot) -> str:
    """What a person can do next; empty where there is nothing to do."""
    from nbflow.backfilling import BackfillState

    one = snapshot.backfill.id
    match snapshot.state:
        case BackfillState.PAUSED:
            return f"go on: nbflow backfill unpause {one}"
        case BackfillState.COMPLETED | BackfillState.RUNNING | BackfillState.CANCELLING | BackfillState.PREPARING:
            return ""
        case _:
            left = snapshot.total - snapshot.succeeded
            return f"run what is missing ({left:,} {'row' if left == 1 else 'rows'}): nbflow backfill resume {one}"


def write_backfills(snapshots: Sequence[Snapshot]) -> None:
    """One row each."""
    rows = [
        (
            snapshot.backfill.id,
            snapshot.backfill.name,
            snapshot.backfill.flow,
            snapshot.state.replace("_", " "),
            f"{snapshot.succeeded:,}/{snapshot.total:,}",
            f"{snapshot.failed:,}" if snapshot.failed else "",
            format_time(snapshot.backfill.created),
            ", ".join(snapshot.backfill.axes),
        )
        for snapshot in snapshots
    ]
    write_table(("backfill", "name", "flow", "state", "completed", "failed", "created", "axes"), rows)


def write_end(project: Project, snapshot: Snapshot, *, began: datetime | None = None) -> None:
    """How it ended, what failed first, and what to do about it; on standard error unless all is well."""
    from nbflow.backfilling import BackfillState
    from nbflow.cli.summary import format_duration

    error = snapshot.state is not BackfillState.COMPLETED
    took = f" in {format_duration((datetime.now(UTC) - began).total_seconds())}" if began else ""
    name = f"{clean_line(snapshot.backfill.name)} (backfill {snapshot.backfill.id})"
    write_line(f"{show_state(snapshot, error=error)}{took}: {name}: {describe_counts(snapshot)}", error=error)
    failed = list_failed(project, snapshot)
    write_failures(snapshot, failed, error=error)
    if snapshot.failed > len(failed):
        write_line(
            f"  … and {snapshot.failed - len(failed):,} more: nbflow backfill frame {snapshot.backfill.id}", error=error
        )
    hint = suggest(snapshot)
    if hint:
        write_line(hint, error=error)


def write_outcome(snapshot: Snapshot, *, as_json: bool) -> None:
    """What became of a backfill that was held back, let go on or ended, and what may be done next."""
    if as_json:
        from nbflow.records import backfill_to_json

        write_json(backfill_to_json(snapshot))
        return
    write_line(f"{snapshot.backfill.id}  {show_state(snapshot)}  {describe_counts(snapshot)}")
    hint = suggest(snapshot)
    if hint:
        write_line(hint, error=True)
