"""``nbflow runs show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import json_option, run_argument
from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.cli.summary import describe_failure, format_duration, show_value
from nbflow.lifecycle import AttemptRecord, RunRecord
from nbflow.records import attempt_to_json, run_to_json

if TYPE_CHECKING:
    from nbflow.project import Project

SHOWN_FRAMES = 60


@click.command("show", short_help="Show one run.")
@run_argument
@json_option
def command(run_id: str, as_json: bool) -> int:
    """Show a run: state, values, attempts, results, what went wrong, and where its notebook is."""
    from nbflow.project import Project

    with Project.open() as project:
        run = project.get_run(run_id)
        attempts = project.store.list_attempts(run.id)
        if as_json:
            write_json({**run_to_json(run), "tries": [attempt_to_json(attempt) for attempt in attempts]})
        else:
            _write_text(project, run, attempts)
    return ExitCode.OK


def _write_text(project: Project, run: RunRecord, attempts: list[AttemptRecord]) -> None:
    from nbflow.cli.table import COLOURS, paint, write_facts

    write_facts([(name, value) for name, value in _list_facts(run) if value])
    write_line(f"state       {paint(run.state.value, COLOURS.get(run.state.value))}")
    _write_section("values", _list_values(run))
    _write_section("results", [(clean_line(name), show_value(value)) for name, value in run.results.items()])
    if len(attempts) > 1:
        _write_section("attempts", [(str(one.number), f"{one.state.value} {one.why}".rstrip()) for one in attempts])
    _write_section("hooks that failed", _list_failed_hooks(project, run))
    _write_section("children", _list_descendants(project, run))
    if not run.state.is_success:
        _write_section("failure", describe_failure(run, frames=SHOWN_FRAMES))


def _list_failed_hooks(project: Project, run: RunRecord) -> list[tuple[str, str]]:
    records = project.read_hooks(run.id)
    return [(f"{each['hook']} ({each['new']})", str(each["error"])) for each in records if each["error"]]


def _list_descendants(project: Project, run: RunRecord) -> list[tuple[str, str]]:
    """The runs below this one, as a tree."""
    from nbflow.api.tree import grow
    from nbflow.ports import RunFilter

    tree = project.list_runs(RunFilter(root_id=run.root_id, limit=None, oldest_first=True))
    rows, inside = [], False
    for branch in grow(tree):
        if branch.run.id == run.id:
            inside, top = True, branch.depth
        elif inside and branch.depth <= top:
            break
        elif inside:
            told = f"{branch.run.state.value}  {branch.run.id}  {clean_line(branch.run.message)}".rstrip()
            rows.append((branch.lead[3 * top :] + clean_line(branch.run.name), told))
    return rows


def _list_facts(run: RunRecord) -> list[tuple[str, str]]:
    from nbflow.cli.table import format_time

    version = f" version {run.flow_version}" if run.flow_version else ""
    return [
        ("run", run.id),
        ("name", clean_line(run.name)),
        ("flow", f"{run.flow}{version}" if run.flow else ""),
        ("file", run.source_path),
        ("tags", ", ".join(run.tags)),
        ("submitted", format_time(run.created)),
        ("started", format_time(run.started)),
        ("took", "" if run.duration is None else format_duration(run.duration)),
        ("schedule", run.schedule_id or ""),
        ("due", format_time(run.scheduled_time)),
        ("parent", run.parent_id or ""),
        ("reused", run.reused_run_id or ""),
        ("notebook", run.output_path or ""),
        ("log", f"{run.log_lines} lines: nbflow runs logs {run.id}" if run.log_lines else ""),
    ]


def _list_values(run: RunRecord) -> list[tuple[str, str]]:
    """The values really used, each with where it came from; before they are known, the ones passed."""
    used = dict(run.values or {}) | {
        name: value for name, value in run.parameters.items() if name not in (run.values or {})
    }
    return [
        (clean_line(name), f"{show_value(value)}  ({'given' if name in run.parameters else 'default'})")
        for name, value in used.items()
    ]


def _write_section(title: str, facts: list[tuple[str, str]]) -> None:
    from nbflow.cli.table import write_facts

    if facts:
        write_line()
        write_line(title)
        write_facts(facts, indent="  ")
