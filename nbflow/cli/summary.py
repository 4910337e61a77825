"""How a run ended, for a person: the last lines of ``nbflow run`` and the body of ``nbflow runs show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbflow.cli.console import clean_line, make_strict, write_line
from nbflow.cli.table import COLOURS, paint, write_facts
from nbflow.lifecycle import RunRecord, RunState

SHOWN_FRAMES = 12
SHOWN_VALUE = 200


def write_summary(run: RunRecord, *, cell: str | None = None) -> None:
    """State, duration, results and where to look; a run that went wrong is told on standard error."""
    error = not run.state.is_success
    duration = f" in {format_duration(run.duration)}" if run.duration is not None else ""
    state = paint(run.state.value, COLOURS.get(run.state.value), error=error)
    write_line(f"{state}{duration}: {clean_line(run.name)} (run {run.id})", error=error)
    facts = [*describe_failure(run, cell=cell)] if error else []
    facts += [(f"result {clean_line(name, limit=60)}", show_value(value)) for name, value in run.results.items()]
    if run.state is RunState.SKIPPED:
        facts.append(("reused", f"run {run.reused_run_id} completed with the same notebook and values"))
    if run.output_path:
        facts.append(("notebook", run.output_path))
        report = Path(run.output_path).with_suffix(f".{run.options.report}")
        if run.options.report and report.exists():
            facts.append(("report", str(report)))
    if error:
        facts.append(("more", f"nbflow runs show {run.id}"))
    write_facts(facts, indent="  ", error=error)


def describe_failure(run: RunRecord, *, cell: str | None = None, frames: int = SHOWN_FRAMES) -> list[tuple[str, str]]:
    """What went wrong, as named values: the cell, the error, the end of its traceback."""
    failure = run.failure
    if cell is None and failure is not None and failure.cell_index is not None:
        cell = f"number {failure.cell_index + 1} of the executed notebook"
    facts = [("cell", cell)] if cell else []
    if failure is None or run.state is RunState.CANCELLED:  # its own account tells only which signal reached it
        return [*facts, ("why", run.message)] if run.message else facts
    facts.append(("error", f"{failure.ename}: {failure.evalue}" if failure.ename else failure.message))
    if failure.traceback and frames:
        lines = failure.traceback.strip().splitlines()
        lines = lines[1:] if lines and not lines[0].strip("-") else lines  # IPython's ruler
        facts.append(("traceback", "\n".join(["…", *lines[-frames:]] if len(lines) > frames else lines)))
    return facts


def show_value(value: Any, *, limit: int = SHOWN_VALUE) -> str:
    """A value on one line: a text as it is, a table or a figure in a few words, the rest as short JSON."""
    if isinstance(value, str):
        return clean_line(value, limit=limit)
    if type(value) is int and -(2**63) < value < 2**63:
        return str(value)
    from nbflow.api.results import describe_result

    return clean_line(describe_result(make_strict(value)), limit=limit)


def format_duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
