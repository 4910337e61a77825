"""How flows, runs and schedules look in a cell: small HTML with its own few styles, readable in light and dark themes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from nbflow.api.results import describe_result
from nbflow.lifecycle import RunState
from nbflow.parameters import ComputedDefault, LiteralDefault, Parameter

if TYPE_CHECKING:
    from nbflow.api.flow import Flow
    from nbflow.api.run import Run
    from nbflow.api.schedules import Schedule

# A sign besides the colour: colour alone is not for everybody.
MARKS = {
    RunState.SCHEDULED: ("◷", "#5a6b7b"),
    RunState.PENDING: ("◌", "#5a6b7b"),
    RunState.RUNNING: ("▶", "#1f6feb"),
    RunState.CANCELLING: ("◼", "#9a6700"),
    RunState.COMPLETED: ("✔", "#1a7f37"),
    RunState.FAILED: ("✘", "#cf222e"),
    RunState.CANCELLED: ("◼", "#6e7781"),
    RunState.CRASHED: ("⚡", "#a40e26"),
    RunState.TIMED_OUT: ("⌛", "#bc4c00"),
    RunState.SKIPPED: ("⤳", "#57606a"),
}
CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"


def show_flow(flow: Flow) -> str:
    version = f" · version {flow.version}" if flow.version else ""
    rows = [(_code(p.name), _code(p.type_text), _show_default(p), escape(p.help)) for p in flow.parameters]
    table = show_table(("parameter", "type", "default", "help"), rows) if rows else "<p>no parameters</p>"
    return f"<div><b>{escape(flow.name)}</b>{version} <small>{escape(str(flow.path))}</small>{table}</div>"


def show_run(run: Run) -> str:
    record = run.record
    rows = [("state", _badge(record.state, record.message))]
    if record.duration is not None:
        rows.append(("duration", f"{record.duration:.2f} s"))
    given = run.given
    for name, value in run.parameters.items():
        mark = "" if name in given else " <small>(default)</small>"
        rows.append((_code(name), f"{_code(_shorten(value))}{mark}"))
    rows.extend((f"result {_code(name)}", escape(describe_result(value))) for name, value in record.results.items())
    if record.output_path:
        rows.append(("notebook", f"<small>{escape(record.output_path)}</small>"))
    if record.failure and record.failure.traceback:
        trace = escape(record.failure.traceback)
        rows.append(("error", f"<details><summary>traceback</summary><pre>{trace}</pre></details>"))
    tree = _show_tree(run)
    if tree:
        rows.append(("children", tree))
    return f"<div><b>{escape(record.name)}</b> <small>{record.id}</small>{show_table((), rows)}</div>"


def _show_tree(run: Run) -> str:
    """The runs below this one; empty where there are none."""
    from nbflow.api.tree import grow
    from nbflow.ports import RunFilter

    if not run.children:
        return ""
    wanted = RunFilter(root_id=run.record.root_id, limit=None, oldest_first=True)
    lines, top = [], None
    for branch in grow(run.project.list_runs(wanted)):
        if branch.run.id == run.id:
            top = branch.depth
        elif top is not None and branch.depth <= top:
            break
        elif top is not None:
            lead = escape(branch.lead[3 * top :]).replace(" ", "&nbsp;")
            name = f"{escape(branch.run.name)} <small>{branch.run.id}</small>"
            lines.append(f"<div><code>{lead}</code>{_badge(branch.run.state, '')} {name}</div>")
    return "".join(lines)


def show_runs(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        record = run.record
        seconds = "" if record.duration is None else f"{record.duration:.2f} s"
        values = ", ".join(f"{name}={_shorten(value)}" for name, value in run.parameters.items())
        created = record.created.strftime("%Y-%m-%d %H:%M:%S")
        state = _badge(record.state, "")
        rows.append((_code(record.id[:8]), escape(record.name), state, created, seconds, escape(values[:200])))
    return show_table(("id", "name", "state", "created (UTC)", "duration", "parameters"), rows)


def show_schedule(schedule: Schedule) -> str:
    record = schedule.record
    version = f" · version {record.flow_version}" if record.flow_version else ""
    rows = [("when", f"{_code(str(record.when))} {escape(record.timezone)}")]
    rows += [("next", "paused")] if record.paused else []
    rows += [
        ("next" if not index else "", time.strftime("%a %Y-%m-%d %H:%M:%S %Z"))
        for index, time in enumerate(schedule.next_times())
    ]
    rows += [(_code(name), _code(_shorten(value))) for name, value in record.parameters.items()]
    rows.append(("missed, overlapping", f"{record.catchup}, {record.overlap}"))
    for run in schedule.runs(limit=1):
        rows.append(("last run", f"{_badge(run.state, run.record.message)} <small>{run.id}</small>"))
    rows += [("note", escape(record.note))] if record.note else []
    problem = schedule.problem
    rows += [("problem", f"<b>{escape(problem)}</b>")] if problem else []
    title = f"<b>{escape(record.name)}</b> <small>{record.id}</small> {escape(record.flow)}{version}"
    return f"<div>{title}{show_table((), rows)}</div>"


def show_schedules(schedules: Sequence[Schedule]) -> str:
    rows = []
    for schedule in schedules:
        record = schedule.record
        following = [time.strftime("%Y-%m-%d %H:%M %Z") for time in schedule.next_times(1)]
        values = ", ".join(f"{name}={_shorten(value)}" for name, value in record.parameters.items())
        last = "".join(_badge(run.state, "") for run in schedule.runs(limit=1))
        when = f"{_code(str(record.when))} {escape(record.timezone)}"
        due = "paused" if record.paused else "".join(following) or "over"
        rows.append((_code(record.id), escape(record.name), escape(record.flow), when, due, last, escape(values[:200])))
    return show_table(("id", "name", "flow", "when", "next", "last run", "parameters"), rows)


def _show_default(parameter: Parameter) -> str:
    match parameter.default:
        case LiteralDefault(value=value, source=source):
            return _code("********" if parameter.secret else source or _shorten(value))
        case ComputedDefault(source=source):
            return f"{_code('********' if parameter.secret else source)} <small>computed in each run</small>"
        case _:
            return "<b>required</b>"


def _badge(state: RunState, message: str) -> str:
    sign, colour = MARKS[state]
    text = escape(state.replace("_", " "))
    more = f" <small>{escape(message)}</small>" if message else ""
    return f"<span style='color:{colour};font-weight:600'>{sign} {text}</span>{more}"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:99] + "…"


def show_table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    first = "".join(f"<th style='{CELL}'>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td style='{CELL}'>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table style='margin:4px 0'>{f'<thead><tr>{first}</tr></thead>' if first else ''}<tbody>{body}</tbody></table>"
