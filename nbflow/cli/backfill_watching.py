"""What follows the making of a backfill: watch it until it rests, or leave it to a process of its own."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.cli.follow import signals_passed_on
from nbflow.errors import NbflowError

if TYPE_CHECKING:
    from nbflow.backfilling import Snapshot
    from nbflow.cli.backfill_progress import Rows
    from nbflow.project import Project
    from nbflow.project.backfills import Started


def finish_backfill(project: Project, started: Started, *, detach: bool, as_json: bool) -> int:
    """Watch it until nothing more happens by itself, or see it off; the exit code."""
    from nbflow.cli.backfill_display import write_end
    from nbflow.records import backfill_to_json

    backfill_id = started.backfill.id
    began = datetime.now(UTC)
    if not as_json:
        prefix = f"backfill {backfill_id}: " if started.goes_on else ""
        write_line(prefix + started.message, error=True)
    watches = started.goes_on and not detach
    look = project.backfills.look
    snapshot = watch_backfill(project, backfill_id, as_json=as_json) if watches else look(backfill_id)
    if as_json:
        write_json(backfill_to_json(snapshot, message=started.message))
    elif watches:
        write_end(project, snapshot, began=began)
    elif detach and started.goes_on:
        write_line(backfill_id)
        write_line(f"look at it: nbflow backfill show {backfill_id}", error=True)
    return ExitCode.OK if detach and started.goes_on else exit_code_of_backfill(snapshot)


def watch_backfill(project: Project, backfill_id: str, *, as_json: bool) -> Snapshot:
    """How it stands in the end. SIGINT, SIGTERM and SIGHUP end the rows that run here; those that wait are left."""
    from nbflow.api.progress import follow
    from nbflow.cli.backfill_progress import make_progress

    view = make_progress(project, backfill_id, as_json=as_json)
    with signals_passed_on(lambda request, hurry: _interrupt(project, backfill_id, view, request, hurry=hurry)):
        return follow(project, backfill_id, view)


def _interrupt(project: Project, backfill_id: str, view: Rows, request: signal.Signals, *, hurry: bool) -> None:
    if not hurry:
        view.note("ending the rows that run: they may clean up; once more kills them at once")
    try:
        project.backfills.interrupt(backfill_id, reason=request.name, hurry=hurry)
    except NbflowError as error:
        view.note(f"could not be ended: {error}; press Ctrl-C until it ends")


def exit_code_of_backfill(snapshot: Snapshot) -> ExitCode:
    """0 where all rows completed; 1 where some did not, or it was stopped; else by what ended it."""
    from nbflow.backfilling import BackfillState

    by_signal = {"SIGTERM": ExitCode.SIGTERM, "SIGHUP": ExitCode.SIGHUP}
    match snapshot.state:
        case BackfillState.COMPLETED_WITH_FAILURES | BackfillState.STOPPED:
            return ExitCode.FAILED
        case BackfillState.CANCELLED:
            return ExitCode.SIGINT
        case BackfillState.INTERRUPTED:
            ended_by = snapshot.backfill.ended_by
            return ExitCode.DIED if ended_by is None else by_signal.get(ended_by, ExitCode.SIGINT)
        case _:
            return ExitCode.OK
