"""What a run tells, as HTML: its state, its progress, its results. Everything that came from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from typing import Any

from nbflow.api.display import MARKS
from nbflow.api.results import describe_result
from nbflow.events import Event, EventKind
from nbflow.lifecycle import RunRecord
from nbflow.parameters.values import MASK

ROWS, COLUMNS = 20, 12
"""Of a table that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, by its own events."""

    cells: int = 0
    done: int = 0
    number: int = 0
    title: str = ""

    def after(self, events: Sequence[Event]) -> Progress:
        """The progress once these events happened; a new attempt begins anew."""
        progress = self
        for event in events:
            match event.kind:
                case EventKind.STARTED:
                    progress = Progress(cells=event.data.get("cells", 0))
                case EventKind.CELL_STARTED:
                    title = str(event.data.get("title", ""))
                    progress = replace(progress, number=event.data.get("number", 0), title=title)
                case EventKind.CELL_FINISHED if event.data.get("status") != "failed":
                    progress = replace(progress, done=event.data.get("number", 0))
                case _:
                    pass
        return progress


def show_state(run: RunRecord) -> str:
    """The state in a line: a sign, the word, why, and which run."""
    sign = MARKS[run.state][0]
    word = escape(run.state.replace("_", " "))
    seconds = "" if run.duration is None else f" in {show_seconds(run.duration)}"
    why = f"<span class='nbflow-why'>{escape(run.message)}</span>" if run.message else ""
    name = f"<span class='nbflow-run-name'>{escape(run.name)} <code>{escape(run.id[:8])}</code></span>"
    mark = f"<span class='nbflow-state nbflow-state-{run.state}'><span aria-hidden='true'>{sign}</span> {word}</span>"
    return f"{mark}{seconds} {name} {why}"


def show_progress(run: RunRecord, progress: Progress, now: datetime) -> str:
    """A bar of cells, and the one at work."""
    if run.state.is_terminal and not progress.cells:
        return ""
    total, done = progress.cells, progress.done
    share = 100 * done / total if total else 0
    bar = (
        f"<div class='nbflow-bar' role='progressbar' aria-label='cells' aria-valuemin='0' aria-valuemax='{total}' "
        f"aria-valuenow='{done}'><div style='width:{share:.1f}%'></div></div>"
    )
    since = (
        ""
        if run.started is None or run.state.is_terminal
        else f" · {show_seconds((now - run.started).total_seconds())}"
    )
    if run.state.is_terminal:
        text = f"{done} of {total} cells"
    elif total:
        title = f" · {escape(progress.title)}" if progress.title else ""
        text = f"cell {progress.number} of {total}{title}{since}"
    else:
        text = f"starting{since}"
    return f"{bar}<span class='nbflow-progress-text'>{text}</span>"


def show_error(run: RunRecord) -> str:
    """The traceback, folded."""
    if run.failure is None or not run.failure.traceback:
        return ""
    trace = escape(run.failure.traceback)
    return f"<details class='nbflow-trace'><summary>Traceback</summary><pre tabindex='0'>{trace}</pre></details>"


def show_results(results: Mapping[str, Any]) -> str:
    """What the notebook recorded."""
    if not results:
        return ""
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{_show_result(name, value)}</td></tr>"
        for name, value in results.items()
    )
    return f"<table class='nbflow-results'><caption>Results</caption><tbody>{rows}</tbody></table>"


def _show_result(name: str, value: Any) -> str:
    match value:
        case {"$table": {"schema": {"fields": list(fields)}, "data": list(data)}, **others} if not others:
            return _show_table(name, [str(field.get("name")) for field in fields], data)
        case {"$image": str(data), **others} if not others:
            return f"<img src='data:image/png;base64,{escape(data, quote=True)}' alt='{escape(name, quote=True)}'>"
    return escape(describe_result(value))


def _show_table(name: str, fields: Sequence[str], data: Sequence[Mapping[str, Any]]) -> str:
    # pandas' own counter of rows says nothing.
    names = [field for field in fields if field != "index"][:COLUMNS]
    head = "".join(f"<th scope='col'>{escape(field)}</th>" for field in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_show_cell(row.get(field)))}</td>" for field in names) + "</tr>"
        for row in data[:ROWS]
    )
    more = f"<div class='nbflow-about'>{len(data):,} rows, the first {ROWS} shown</div>" if len(data) > ROWS else ""
    label = escape(name, quote=True)
    return (
        f"<div class='nbflow-table' tabindex='0' role='region' aria-label='{label}'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{more}"
    )


def _show_cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def show_values(run: RunRecord) -> str:
    """The values that a run used, those that were passed first."""
    used = dict(run.parameters if run.values is None else {**run.parameters, **run.values})
    rows = []
    for name in sorted(used, key=lambda name: name not in run.parameters):
        value = used[name]
        text = MASK if run.parameters.get(name) == MASK else describe_result(value)
        mark = "" if name in run.parameters else " <span class='nbflow-about'>default</span>"
        rows.append(f"<tr><th scope='row'>{escape(name)}</th><td><code>{escape(text)}</code>{mark}</td></tr>")
    return (
        f"<table class='nbflow-results'><caption>Values</caption><tbody>{''.join(rows)}</tbody></table>" if rows else ""
    )


def show_details(run: RunRecord) -> str:
    """A run of the history: state, values, results."""
    return f"<div class='nbflow-details'>{show_state(run)}{show_values(run)}{show_results(run.results)}</div>"


def show_message(text: str) -> str:
    """What went wrong, line by line."""
    lines = "<br>".join(escape(line) for line in text.splitlines())
    return f"<div class='nbflow-message' role='alert'>{lines}</div>"


def show_seconds(seconds: float) -> str:
    """``3.2 s``, ``4 min 10 s``, ``2 h 5 min``."""
    whole = int(seconds)
    if seconds < 60:
        return f"{max(seconds, 0):.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def summarize(run: RunRecord) -> str:
    """A run in a line of plain text, for a list."""
    local = run.created.astimezone()
    seconds = "" if run.duration is None else f" · {show_seconds(run.duration)}"
    return f"{MARKS[run.state][0]} {run.state.replace('_', ' ')} · {run.name} · {local:%Y-%m-%d %H:%M:%S}{seconds}"


def is_over(run: RunRecord | None) -> bool:
    return run is None or run.state.is_terminal


def utc_now() -> datetime:
    return datetime.now(UTC)
