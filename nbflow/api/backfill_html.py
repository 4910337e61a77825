"""How backfills look in a cell: a bar, how many rows are in which state, and the grid."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from nbflow.api.grid import LOOKS, Cells, read_cells
from nbflow.api.grid_html import show_grid, show_key, state_styles
from nbflow.backfilling import BackfillState, Snapshot

if TYPE_CHECKING:
    from nbflow.api.backfills import Backfill

CELL_FIELDS = ("output_path", "failure", "name")
_HINTS = frozenset(
    {
        BackfillState.INTERRUPTED,
        BackfillState.STOPPED,
        BackfillState.COMPLETED_WITH_FAILURES,
        BackfillState.CANCELLED,
    }
)


def show_backfill(backfill: Backfill) -> str:
    cells = read_cells(backfill.project.store, backfill.id, backfill.axes, extra=CELL_FIELDS)
    return show_snapshot(backfill.look(), cells)


def show_snapshot(snapshot: Snapshot, cells: Cells | None, *, pace: str = "") -> str:
    """*pace*: how fast it goes and how long it will take; *cells*: for the grid, which is left out without them."""
    record = snapshot.backfill
    state = escape(snapshot.state.replace("_", " "))
    title = f"<b>{escape(record.name)}</b> <small>{record.id}</small> {escape(record.flow)}: <b>{state}</b>"
    told = f"{snapshot.done:,} of {snapshot.total:,} done" + (
        f", {snapshot.failed:,} failed" if snapshot.failed else ""
    )
    told += f", {snapshot.active:,} running" if snapshot.active else ""
    line = f"<div>{title} · {told}{f' · {escape(pace)}' if pace else ''}</div>"
    hint = ""
    if snapshot.state in _HINTS and snapshot.succeeded < snapshot.total:
        left = snapshot.total - snapshot.succeeded
        hint = f"<div><small>{left:,} left: <code>.resume()</code> runs what is missing</small></div>"
    grid = show_grid(cells) if cells is not None else show_key(snapshot.counts)
    return f"<style>{state_styles()}</style><div>{line}{_show_bar(snapshot)}{grid}{hint}</div>"


def _show_bar(snapshot: Snapshot) -> str:
    total = snapshot.total or 1
    parts = "".join(
        f"<i class='nbflow-{state.value}' style='flex:{count} 0 0'></i>"
        for state in reversed(list(LOOKS))
        if (count := snapshot.counts.get(state, 0))
    )
    percent = 100 * snapshot.done // total
    return (
        f"<div role='progressbar' aria-label='rows that have ended' aria-valuemin='0' aria-valuemax='{snapshot.total}' "
        f"aria-valuenow='{snapshot.done}' title='{percent}%' style='display:flex;height:8px;max-width:640px;margin:4px 0;"
        f"border-radius:4px;overflow:hidden'>{parts}</div>"
    )


def show_backfills(backfills: Sequence[Backfill]) -> str:
    from nbflow.api.display import show_table

    rows = []
    for backfill in backfills:
        snapshot = backfill.look()
        record = snapshot.backfill
        counts = f"{snapshot.succeeded:,} of {snapshot.total:,}"
        rows.append(
            (
                f"<code>{record.id}</code>",
                escape(record.name),
                escape(record.flow),
                escape(snapshot.state.replace("_", " ")),
                counts,
                f"{snapshot.failed:,}" if snapshot.failed else "",
                record.created.strftime("%Y-%m-%d %H:%M"),
                escape(", ".join(record.axes)),
            )
        )
    return show_table(("id", "name", "flow", "state", "completed", "failed", "created (UTC)", "axes"), rows)
