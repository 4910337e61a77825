"""A backfill as HTML: what it would do, and how it stands. Everything that came from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nbflow.api.display import MARKS
from nbflow.api.results import describe_result
from nbflow.backfilling import BackfillPlan, Snapshot
from nbflow.backfilling.plans import Decision, PlannedRow
from nbflow.lifecycle import RunRecord, RunState

WORDS: Mapping[Decision, str] = {
    Decision.RUN: "to run",
    Decision.RERUN: "to run again",
    Decision.REUSE: "to reuse",
    Decision.COMPLETED_BEFORE: "completed before",
    Decision.FAILED_BEFORE: "failed before",
    Decision.GOES_ON: "at work already",
}
CELLS = 600
"""Runs that are drawn one by one."""


def show_plan(plan: BackfillPlan) -> str:
    """The counts of a dry run, and its first and last rows."""
    told = "".join(f"<li>{count:,} {WORDS[decision]}</li>" for decision, count in plan.counts.items())
    excluded = f"<li>{plan.excluded:,} excluded</li>" if plan.excluded else ""
    message = f"<div class='nbflow-about'>{escape(plan.message)}</div>" if plan.message else ""
    return f"<ul class='nbflow-counts'>{told}{excluded}</ul>{message}{_show_rows(plan)}"


def _show_rows(plan: BackfillPlan) -> str:
    names = plan.axes
    if not names or not plan.first:
        return ""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in ("row", *names, "decision"))
    body = "".join(_show_row(row, names) for row in plan.first)
    if plan.last:
        left = plan.total - len(plan.first) - len(plan.last)
        body += f"<tr><td colspan='{len(names) + 2}'>… {left:,} more …</td></tr>" if left > 0 else ""
        body += "".join(_show_row(row, names) for row in plan.last)
    return (
        "<div class='nbflow-table' tabindex='0' role='region' aria-label='Rows of the dry run'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _show_row(row: PlannedRow, names: Sequence[str]) -> str:
    cells = [str(row.number), *(_write(row.parameters.get(name)) for name in names), WORDS[row.decision]]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _write(value: Any) -> str:
    return value if isinstance(value, str) else describe_result(value)


def show_snapshot(snapshot: Snapshot) -> str:
    """The state, a bar of all rows, and how many are in each state."""
    backfill = snapshot.backfill
    state = escape(snapshot.state.replace("_", " "))
    parts = "".join(
        f"<div class='nbflow-fill-{run_state}' style='width:{100 * count / max(snapshot.total, 1):.2f}%'></div>"
        for run_state, count in _order(snapshot.counts)
    )
    bar = (
        f"<div class='nbflow-bar' role='progressbar' aria-label='rows' aria-valuemin='0' "
        f"aria-valuemax='{snapshot.total}' aria-valuenow='{snapshot.done}'>{parts}</div>"
    )
    told = " · ".join(
        f"<span class='nbflow-state-{run_state}'>{MARKS[run_state][0]} {count:,} {run_state.replace('_', ' ')}</span>"
        for run_state, count in _order(snapshot.counts)
    )
    note = f"<div class='nbflow-about'>{escape(backfill.note)}</div>" if backfill.note else ""
    name = f"<span class='nbflow-run-name'>{escape(backfill.name)} <code>{escape(backfill.id)}</code></span>"
    head = f"<span class='nbflow-state'>{state}</span> {snapshot.done:,} of {snapshot.total:,} rows {name}"
    return f"{head}{bar}<div class='nbflow-progress-text'>{told}</div>{note}"


def show_grid(runs: Sequence[RunRecord], total: int) -> str:
    """One cell for each run: a sign and a colour for its state, its values behind it."""
    if not runs:
        return ""
    cells = "".join(_show_cell(run) for run in runs[:CELLS])
    more = f"<div class='nbflow-about'>the first {CELLS} of {total:,} rows</div>" if total > CELLS else ""
    return f"<div class='nbflow-grid' role='list' aria-label='Rows by state'>{cells}</div>{more}"


def _show_cell(run: RunRecord) -> str:
    values = ", ".join(f"{name}={_write(value)}" for name, value in run.parameters.items())
    text = f"{run.state.replace('_', ' ')}: {values[:200] or run.name}"
    label = escape(text, quote=True)
    return (
        f"<span role='listitem' class='nbflow-cell nbflow-state-{run.state}' title=\"{label}\" "
        f'aria-label="{label}">{MARKS[run.state][0]}</span>'
    )


def _order(counts: Mapping[RunState, int]) -> list[tuple[RunState, int]]:
    """Ended well, ended badly, at work, waiting."""
    order = [RunState.COMPLETED, RunState.SKIPPED, RunState.FAILED, RunState.CRASHED, RunState.TIMED_OUT]
    order += [RunState.CANCELLED, RunState.CANCELLING, RunState.RUNNING, RunState.PENDING, RunState.SCHEDULED]
    return [(state, counts[state]) for state in order if counts.get(state)]
