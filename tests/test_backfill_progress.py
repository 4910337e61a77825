"""Watching a backfill: lines in a pipe, a bar on a terminal, a bar and a grid in a notebook."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest

from nbflow.api.progress import Pace, TerminalBar, describe_progress, say_seconds
from nbflow.backfilling import BackfillRecord, BackfillState, Snapshot
from nbflow.cli.backfill_progress import Endings, Rows
from nbflow.lifecycle import TERMINAL, RunState
from nbflow.project import Project
from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory
from tests.store_fixtures import NOW, later, make_run

RECORD = BackfillRecord(
    id="b1", name="many", flow="/n/r.ipynb", notebook_hash="h", axes=("n",), created=NOW, ready=True
)


def snapshot(state: BackfillState = BackfillState.RUNNING, **counts: int) -> Snapshot:
    return Snapshot(backfill=RECORD, state=state, counts={RunState(name): count for name, count in counts.items()})


@pytest.fixture
def notebook(make_notebook: NotebookFactory) -> Path:
    return make_notebook(["assert n != 2, 'two'"], parameters="n: int = 1", name="small.ipynb")


def test_the_pace_is_that_of_late() -> None:
    pace = Pace()
    pace.add(snapshot(skipped=100, pending=300), 0.0)
    assert str(pace) == ""
    pace.add(snapshot(skipped=100, completed=20, pending=280), 10.0)
    assert str(pace) == "2.0/s, 2 min 20 s left"
    for second in range(11, 60):
        pace.add(snapshot(skipped=100, completed=20 + second - 10, pending=290 - second), float(second))
    assert pace.rate == pytest.approx(1.0)
    pace.add(snapshot(skipped=100, completed=300), 61.0)
    assert "left" not in str(pace)
    assert [say_seconds(seconds) for seconds in (8.2, 200, 7500, 300_000)] == [
        *("8 s", "3 min 20 s", "2 h 05 min", "3 days"),
    ]


def test_a_progress_names_what_matters() -> None:
    shown = describe_progress(snapshot(completed=12, failed=2, running=4, pending=347), no_pace())
    assert shown == "14/365 done  2 failed  4 running"
    assert describe_progress(snapshot(BackfillState.PAUSED, pending=2), no_pace()) == "0/2 done  paused"


def no_pace() -> Pace:
    pace = Pace()
    pace.add(snapshot(), 0.0)
    return pace


def test_every_row_that_ends_is_told_once_and_those_that_had_ended_never(project: Project) -> None:
    store = project.store
    fields = {"backfill_id": "b1", "parameters": {"n": 5, "all": "x"}}
    store.add_runs([make_run(**fields, backfill_row=1, state=RunState.COMPLETED)])
    endings = Endings(project, "b1", tuple(TERMINAL))
    assert list(endings.find()) == []
    done = {"started": NOW, "ended": later(1.5)}
    store.add_runs([make_run(**fields, backfill_row=row, state=RunState.COMPLETED, **done) for row in (2, 3)])
    stream = io.StringIO()
    rows = Rows(endings, stream, None)
    rows.show(snapshot(completed=3))
    store.add_runs([make_run(**fields, backfill_row=4, state=RunState.CANCELLED, message="cancelled (user)")])
    rows.show(snapshot(completed=3))  # nothing new by the counts: not even looked for
    rows.show(snapshot(completed=3, cancelled=1))
    assert stream.getvalue().splitlines() == [
        "row 2  n=5  completed in 1.5 s",
        "row 3  n=5  completed in 1.5 s",
        "row 4  n=5  cancelled: cancelled (user)",
    ]


def test_a_reader_that_left_stops_the_lines_and_nothing_else(project: Project) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    rows = Rows(Endings(project, "b1", tuple(TERMINAL)), Closed(), None)
    project.store.add_runs([make_run(backfill_id="b1", backfill_row=row, state=RunState.FAILED) for row in (1, 2)])
    rows.show(snapshot(failed=2))
    rows.close()


def test_the_bar_needs_no_thread() -> None:
    before = threading.active_count()
    bar = TerminalBar(io.StringIO())
    bar.show(snapshot(completed=1, pending=1))
    assert threading.active_count() == before
    bar.close()


@pytest.mark.kernel
def test_in_a_pipe_a_line_for_each_row_and_on_a_terminal_a_bar(cli: CommandLine, notebook: Path) -> None:
    answer = cli("backfill", "create", notebook, "-p", "n=1..3")
    assert answer.code == 1
    lines = sorted(line.partition(" in ")[0] for line in answer.out.splitlines())
    assert lines == ["row 1  n=1  completed", "row 2  n=2  failed", "row 3  n=3  completed"]
    shown = cli.on_terminal("backfill", "create", notebook, "-p", "n=2,4", "--reprocess-behavior", "completed")
    assert shown.code == 1
    assert "2/2 done  1 failed" in shown.out
    assert "row 1  n=2  failed in" in shown.out
    told = cli("backfill", "resume", "--json", cli("backfill", "ls", "--json").json[0]["id"])
    assert told.json["state"] == "completed_with_failures"
    assert "row" in told.err


@pytest.mark.kernel
def test_in_a_notebook_the_bar_and_the_grid_are_saved_with_it(
    cli: CommandLine, notebook: Path, make_notebook: NotebookFactory
) -> None:
    code = (
        "import threading, nbflow\nbefore = threading.active_count()\n"
        f"made = nbflow.flow({str(notebook)!r}).backfill(n=[1, 2, 3])"
    )
    parent = make_notebook([code, "made.plot()", "nbflow.record('rows', len(made.to_frame()))"], name="parent.ipynb")
    run = cli("run", parent, "--json").json
    assert run["results"] == {"rows": 3}
    cells = json.loads(Path(run["output_path"]).read_text())["cells"]
    shown = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "display_data"]
    grid = "".join(shown[0]["data"]["text/html"])
    assert "3 of 3 done, 1 failed" in grid
    assert "n=2 failed: AssertionError" in grid
    assert any("image/png" in output["data"] for output in shown)
