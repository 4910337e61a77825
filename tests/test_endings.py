"""The truth about how a run ended, on every path."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.errors import RunCancelled, RunCrashed, RunFailed, RunTimedOut
from nbflow.events import EventKind
from nbflow.lifecycle import FailureKind, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from tests.conftest import NotebookFactory

pytestmark = pytest.mark.kernel
Load = Callable[[Path], Flow]


def start(target: Flow) -> Run:
    """Submit, and wait until a cell has printed something."""
    run = target.submit()
    for event in run.events(follow=True):
        if event.kind is EventKind.LOG:
            return run
    raise AssertionError(f"the run ended before it printed: {run!r}")


def statuses(run: Run) -> list[str]:
    return [cell.metadata.papermill.status for cell in run.notebook.cells if cell.cell_type == "code"]


def test_an_exception_fails_the_run_and_names_its_cell(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["a = 1", "print('before'); raise ValueError('no such luck')", "print('never')"])
    with pytest.raises(RunFailed, match=r"ValueError: no such luck in cell In \[2\]") as caught:
        flow(path).run()
    assert (caught.value.ename, caught.value.evalue, caught.value.cell_index) == ("ValueError", "no such luck", 1)
    run = flow(path).options(raise_on_failure=False).run()
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert run.failure.kind is FailureKind.EXCEPTION
    assert "ValueError: no such luck" in (run.failure.traceback or "")
    assert "\x1b" not in (run.failure.traceback or "")
    assert run.logs() == ["before"]
    assert statuses(run) == ["completed", "failed", "pending"]
    assert run.notebook.metadata.papermill.exception is True
    tags = [cell.metadata.get("tags", []) for cell in run.notebook.cells]
    assert tags.count(["papermill-error-cell-tag"]) == 2


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit()", "import sys; sys.exit(0)", "raise SystemExit", "exit()", "quit()"]
)
def test_a_notebook_may_end_itself_early(flow: Load, make_notebook: NotebookFactory, code: str) -> None:
    run = flow(make_notebook(["print('a')", code, "print('never')"])).run()
    assert run.state is RunState.COMPLETED
    assert run.logs(stream="stdout") == ["a"]
    assert statuses(run) == ["completed", "completed", "pending"]
    assert run.notebook.metadata.papermill.exception is None


@pytest.mark.parametrize(("argument", "shown"), [("3", "3"), ("'not today'", "not today")])
def test_another_exit_status_fails_the_run(
    flow: Load, make_notebook: NotebookFactory, argument: str, shown: str
) -> None:
    run = flow(make_notebook([f"import sys; sys.exit({argument})"])).options(raise_on_failure=False).run()
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert (run.failure.kind, run.failure.message) == (FailureKind.EXIT, f"sys.exit({shown}) in cell In [1]")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os; os._exit(7)", "status 7"),
        ("import os; os._exit(0)", "status 0"),
    ],
)
def test_a_dead_kernel_is_a_crash_that_names_signal_and_cell(
    flow: Load, make_notebook: NotebookFactory, code: str, told: str
) -> None:
    # What is printed in the last instant is still in the kernel's own buffers when it dies.
    target = flow(make_notebook(["x = 1", f"import time\nprint('last words', flush=True)\ntime.sleep(0.3)\n{code}"]))
    with pytest.raises(RunCrashed, match="kernel died") as caught:
        target.run()
    assert told in str(caught.value)
    assert "In [2]" in str(caught.value)
    assert caught.value.cell_index == 1
    run = target.options(raise_on_failure=False).run()
    assert run.logs(stream="stdout") == ["last words"]
    assert statuses(run) == ["completed", "failed"]


def test_a_cells_limit_is_a_timeout_and_the_cell_may_clean_up(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import time\ntry:\n    time.sleep(60)\nfinally:\n    print('cleaned up')"])
    with pytest.raises(RunTimedOut, match=r"In \[1\] reached its limit of 1 s \(--cell-timeout\)"):
        flow(path).options(cell_timeout=1).run()
    run = flow(path).options(cell_timeout=1, raise_on_failure=False).run()
    assert run.logs() == ["cleaned up"]
    assert run.failure is not None
    assert run.failure.kind is FailureKind.CELL_TIMEOUT


def test_the_runs_limit_covers_all_cells(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import time", *["time.sleep(0.4)"] * 20])
    run = flow(path).options(timeout=1.5, raise_on_failure=False).run()
    assert run.state is RunState.TIMED_OUT
    assert run.failure is not None
    assert run.failure.kind is FailureKind.RUN_TIMEOUT
    assert "completed" in statuses(run)
    assert "pending" in statuses(run)


def test_a_cell_that_ignores_the_interrupt_is_ended_all_the_same(flow: Load, make_notebook: NotebookFactory) -> None:
    stubborn = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    run = flow(make_notebook([stubborn])).options(cell_timeout=0.5, raise_on_failure=False).run()
    assert run.state is RunState.TIMED_OUT
    assert (run.duration or 99) < 20


def test_a_cancelled_run_is_cancelled_and_its_cell_may_clean_up(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import time\nprint('go', flush=True)\ntry:\n    time.sleep(60)\nfinally:\n    print('bye')"])
    run = start(flow(path))
    run.cancel()
    with pytest.raises(RunCancelled, match=r"cancelled \(user\)"):
        run.wait()
    assert run.logs(stream="stdout") == ["go", "bye"]
    assert statuses(run) == ["failed"]
    assert run.cancel().state is RunState.CANCELLED


def test_a_run_that_waits_is_cancelled_without_a_kernel(
    open_project: Callable[..., Project], make_notebook: NotebookFactory
) -> None:
    project = open_project(slots=1, grace=1)
    path = make_notebook(["import time\nprint('go', flush=True)\ntime.sleep(60)"])
    first = start(Flow(project.load(path), project))
    second = Flow(project.load(path), project).submit()
    assert second.state is RunState.PENDING
    second.cancel()
    assert second.wait(raise_on_failure=False).state is RunState.CANCELLED
    assert second.record.attempts == 0
    first.cancel()
    first.wait(raise_on_failure=False)


def test_the_runners_death_is_a_crash(flow: Load, make_notebook: NotebookFactory, project: Project) -> None:
    run = start(flow(make_notebook(["import time\nprint('go', flush=True)\ntime.sleep(60)"])))
    [attempt] = project.store.list_attempts(run.id)
    assert attempt.pid is not None
    os.kill(attempt.pid, signal.SIGKILL)
    with pytest.raises(RunCrashed, match=r"runner died.*SIGKILL"):
        run.wait()
    assert run.ended is not None


def test_a_sigterm_that_nobody_asked_for_is_no_cancel(
    flow: Load, make_notebook: NotebookFactory, project: Project
) -> None:
    run = start(flow(make_notebook(["import time\nprint('go', flush=True)\ntime.sleep(60)"])))
    [attempt] = project.store.list_attempts(run.id)
    assert attempt.pid is not None
    os.kill(attempt.pid, signal.SIGTERM)
    with pytest.raises(RunCrashed, match="SIGTERM"):
        run.wait()


def test_closing_the_project_ends_its_runs(
    open_project: Callable[..., Project], make_notebook: NotebookFactory
) -> None:
    project = open_project(grace=1)
    path = make_notebook(["import time\nprint('go', flush=True)\ntime.sleep(60)"])
    run = start(Flow(project.load(path), project))
    waiting = [Flow(project.load(path), project).submit() for _ in range(project.config.slots + 1)][-1]
    project.close()
    with open_project() as later:
        assert later.get_run(run.id).state is RunState.CRASHED
        assert later.get_run(waiting.id).state is RunState.CRASHED
        assert not later.store.list_open_attempts()


def test_a_cell_that_may_raise_does_not_fail_the_run(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook([{"source": "1/0", "tags": ["raises-exception"]}, "print('on')"])
    run = flow(path).run()
    assert run.state is RunState.COMPLETED
    assert run.logs() == ["on"]
    assert statuses(run) == ["completed", "completed"]
    assert run.notebook.metadata.papermill.exception is None
    assert [output.output_type for output in run.notebook.cells[0].outputs] == ["error"]
    assert len(run.notebook.cells) == 2


def test_a_cell_that_is_to_be_skipped_is_skipped_and_says_so(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook([{"source": "1/0", "tags": ["skip-execution"]}, "print('on')", ""])
    run = flow(path).run()
    assert run.state is RunState.COMPLETED
    assert statuses(run) == ["skipped", "completed", "completed"]


def test_a_kernel_that_does_not_start_is_told_apart(
    flow: Load, make_notebook: NotebookFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "broken"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text('{"argv": ["false"], "display_name": "broken", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    run = flow(make_notebook(["1"], kernel="broken")).options(raise_on_failure=False).run()
    assert run.state is RunState.CRASHED
    assert run.failure is not None
    assert run.failure.kind is FailureKind.KERNEL_START
    assert "broken" in run.failure.message


def test_a_failed_run_is_tried_again_and_the_attempts_are_counted(
    flow: Load, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nmark = Path({str(mark)!r})\nmark.write_text(mark.read_text() + 'x' if mark.exists() else 'x')\nprint(mark.read_text())\nassert len(mark.read_text()) == 3"
    run = flow(make_notebook([code])).options(retries=3, retry_delay=0.1).run()
    assert run.state is RunState.COMPLETED
    assert run.record.attempts == 3
    assert run.logs() == ["x", "xx", "xxx"]
    assert run.failure is None


def test_ctrl_c_while_waiting_cancels_the_run(make_notebook: NotebookFactory, project: Project, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = make_notebook([f"import time\nopen({str(mark)!r}, 'w').close()\ntime.sleep(60)"])
    code = f"import nbflow\nnbflow.flow({str(path)!r}).run()"
    environment = {**os.environ, "NBFLOW_HOME": str(project.config.home)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    while not mark.exists():
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    [run] = project.list_runs(RunFilter())
    assert (run.state, run.cancel_reason) == (RunState.CANCELLED, "SIGINT")
