"""What follows a submission: watch the run to its end, or leave it to a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbflow.cli.console import write_json, write_line
from nbflow.cli.display import Display, LastCell, make_display
from nbflow.cli.exits import ExitCode, exit_code_of_run
from nbflow.cli.follow import follow_run
from nbflow.cli.summary import write_summary
from nbflow.lifecycle import RunRecord
from nbflow.records import run_to_json

if TYPE_CHECKING:
    from nbflow.project import Project


def finish_run(
    project: Project,
    run: RunRecord,
    *,
    detach: bool,
    as_json: bool,
    logs: bool = True,
    bar: bool = True,
    files: Sequence[Display] = (),
) -> int:
    """Watch a submitted run to its end, or see it off; the exit code."""
    if detach:
        return _see_off(run, as_json=as_json)
    last = LastCell()
    if not run.state.is_terminal:
        run = follow_run(project, run.id, [last, *files, make_display(logs=logs, bar=bar, as_json=as_json)])
    if as_json:
        write_json(run_to_json(run))
    else:
        write_summary(run, cell=last.description)
    return exit_code_of_run(run)


def _see_off(run: RunRecord, *, as_json: bool) -> int:
    if as_json:
        write_json(run_to_json(run))
    else:
        write_line(run.id)
        write_line(f"follow it: nbflow runs logs {run.id} --follow", error=True)
    return ExitCode.OK
