"""Notebooks that run notebooks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nbflow.api.children import wait_all
from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.errors import RunFailed, WaitTimeout
from nbflow.events import EventKind
from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until

pytestmark = pytest.mark.kernel
Load = Callable[[Path], Flow]
CHILD = "import nbflow\nprint('child', x)\nnbflow.record('y', 2 * x)"


def started(run: Run) -> Run:
    for event in run.events(follow=True):
        if event.kind is EventKind.LOG:
            return run
    raise AssertionError(repr(run))


def all_runs(project: Project) -> list[Run]:
    return [Run(record, project) for record in project.list_runs(RunFilter(limit=None, oldest_first=True))]


def test_a_parent_streams_its_childrens_logs_and_gathers_their_results(
    flow: Load, make_notebook: NotebookFactory
) -> None:
    make_notebook([CHILD], parameters="x = 1", name="child.ipynb")
    parent = """
import nbflow
child = nbflow.flow("child.ipynb").options(name="c{x}")
runs = [child.submit(x=n) for n in range(3)]
nbflow.wait_all(runs, stream_logs=True)
nbflow.record("sum", sum(run.results["y"] for run in runs))
print(runs[0].parent.id == nbflow.current_run().id, len(runs[0].notebook.cells))
one = nbflow.create_flow_run("child.ipynb", parameters={"x": 21}, name="single")
nbflow.wait_for_flow_run(one)
nbflow.record("one", one.results["y"])
"""
    run = flow(make_notebook([parent], name="parent.ipynb")).run()
    assert run.results == {"sum": 6, "one": 42}
    lines = run.logs(stream="stdout")
    assert sorted(lines[:3]) == ["c0 | child 0", "c1 | child 1", "c2 | child 2"]
    assert "True 3" in lines
    assert "single | child 21" in lines
    printed = "".join(output.text for cell in run.notebook.cells for output in cell.outputs if "text" in output)
    assert "c1 | child 1" in printed
    assert [child.name for child in run.children] == ["c0", "c1", "c2", "single"]
    assert "c2" in run._repr_html_()


def test_a_childs_failure_fails_the_parent_and_is_named(flow: Load, make_notebook: NotebookFactory) -> None:
    make_notebook(["raise ValueError('bad day')"], name="child.ipynb")
    path = make_notebook(
        ["import nbflow\nnbflow.flow('child.ipynb').options(name='the child').run()", "print('never')"], name="p.ipynb"
    )
    with pytest.raises(RunFailed, match=r"RunFailed: run the child .* ValueError: bad day in cell In \[1\]"):
        flow(path).run()


def test_a_parent_may_take_a_failure_as_it_is(flow: Load, make_notebook: NotebookFactory) -> None:
    make_notebook(["import sys\nif x == 1: sys.exit(3)"], parameters="x = 1", name="child.ipynb")
    code = """
import nbflow
runs = nbflow.flow("child.ipynb").map([{"x": 1}, {"x": 2}], max_workers=1, raise_on_failure=False)
nbflow.record("states", [str(run.state) for run in runs])
try:
    nbflow.wait_all(runs)
except nbflow.RunFailed as error:
    nbflow.record("message", str(error))
"""
    run = flow(make_notebook([code], name="p.ipynb")).run()
    assert run.results["states"] == ["failed", "completed"]
    assert run.results["message"].startswith("1 of 2 runs did not complete; the first: run child-")


def test_three_levels_under_one_slot_end_without_a_deadlock(
    open_project: Callable[..., Project], make_notebook: NotebookFactory
) -> None:
    make_notebook([CHILD], parameters="x = 1", name="leaf.ipynb")
    middle = """
import nbflow
runs = nbflow.flow("leaf.ipynb").options(name=f"leaf-{x}-{{x}}").map([{"x": 10 * x + n} for n in range(2)], stream_logs=True)
nbflow.record("y", sum(run.results["y"] for run in runs))
"""
    make_notebook([middle], parameters="x = 1", name="middle.ipynb")
    top = """
import nbflow
runs = [nbflow.flow("middle.ipynb").options(name=f"middle-{n}").submit(x=n) for n in range(3)]
nbflow.wait_all(runs, stream_logs=True)
nbflow.record("y", sum(run.results["y"] for run in runs))
"""
    project = open_project(slots=1, grace=1)
    run = Flow(project.load(make_notebook([top], name="top.ipynb")), project).run()
    assert run.results["y"] == sum(2 * (10 * n + m) for n in range(3) for m in range(2))
    lines = run.logs()
    for n in range(3):
        for m in range(2):
            assert f"middle-{n} | leaf-{n}-{10 * n + m} | child {10 * n + m}" in lines
    assert [record.depth for record in project.list_runs(RunFilter(limit=None, oldest_first=True))].count(2) == 6


def test_slots_are_shared_by_a_whole_tree(open_project: Callable[..., Project], make_notebook: NotebookFactory) -> None:
    code = """
import os, time
from pathlib import Path
folder = Path("busy"); folder.mkdir(exist_ok=True)
mine = folder / str(os.getpid()); mine.touch()
time.sleep(0.3)
most = len(list(folder.iterdir()))
mine.unlink()
import nbflow; nbflow.record("most", most)
"""
    make_notebook([code], name="leaf.ipynb")
    middle = "import nbflow\nruns = nbflow.flow('leaf.ipynb').map([{}] * 3)\nnbflow.record('most', max(r.results['most'] for r in runs))"
    make_notebook([middle], name="middle.ipynb")
    top = middle.replace("leaf", "middle")
    project = open_project(slots=2, grace=1)
    run = Flow(project.load(make_notebook([top], name="top.ipynb")), project).run()
    assert run.results["most"] <= 2
    assert len(all_runs(project)) == 1 + 3 + 9


def test_cancelling_a_parent_cancels_its_descendants(
    flow: Load, make_notebook: NotebookFactory, project: Project
) -> None:
    make_notebook(["import time\nprint('leaf', flush=True)\ntime.sleep(60)"], name="leaf.ipynb")
    nest = "import nbflow\nnbflow.flow('{}').options(stream_logs=True).run()"
    make_notebook([nest.format("leaf.ipynb")], name="middle.ipynb")
    run = started(flow(make_notebook([nest.format("middle.ipynb")], name="top.ipynb")).submit())
    run.cancel()
    run.wait(raise_on_failure=False)
    wait_until(lambda: all(each.state.is_terminal for each in all_runs(project)), 15)
    assert [each.state for each in all_runs(project)] == [RunState.CANCELLED] * 3


@pytest.mark.parametrize("victim", ["kernel", "runner"])
def test_a_killed_parent_takes_its_children_with_it(
    flow: Load, make_notebook: NotebookFactory, project: Project, victim: str
) -> None:
    make_notebook(["import os, time\nprint('leaf', os.getpid(), flush=True)\ntime.sleep(60)"], name="leaf.ipynb")
    code = (
        "import nbflow, os\nleaf = nbflow.flow('leaf.ipynb')\nwaiting = [leaf.submit() for _ in range(4)]\n"
        "print('kernel', os.getpid(), flush=True)\nwaiting[0].wait(stream_logs=True)"
    )
    run = flow(make_notebook([code], name="top.ipynb")).submit()
    pids = {}
    for event in run.events(follow=True):
        if event.kind is EventKind.LOG:
            pids |= {
                line.split()[-2]: int(line.split()[-1]) for line in event.data["lines"] if line.split()[-1].isdigit()
            }
        if len(pids) == 2:
            break
    [attempt] = project.store.list_attempts(run.id)
    assert attempt.pid is not None
    os.kill(pids["kernel"] if victim == "kernel" else attempt.pid, signal.SIGKILL)
    assert run.wait(raise_on_failure=False).state is RunState.CRASHED
    wait_until(lambda: not Path(f"/proc/{pids['leaf']}").exists(), 5)
    wait_until(lambda: all(each.state.is_terminal for each in all_runs(project)), 20)
    assert {each.state for each in all_runs(project)} == {RunState.CRASHED}
    assert not project.store.list_open_attempts()


def test_a_notebook_that_runs_itself_is_stopped_and_the_cycle_named(flow: Load, make_notebook: NotebookFactory) -> None:
    make_notebook(["import nbflow\nnbflow.flow('b.ipynb').run()"], name="a.ipynb")
    path = make_notebook(["import nbflow\nnbflow.flow('a.ipynb').run()"], name="b.ipynb")
    run = flow(path).options(raise_on_failure=False).run()
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert "nested more than 10 deep" in (run.failure.evalue or "")
    assert "a → b → a" in (run.failure.evalue or "")


def test_children_may_be_started_from_threads_and_asyncio_cells(flow: Load, make_notebook: NotebookFactory) -> None:
    make_notebook([CHILD], parameters="x = 1", name="child.ipynb")
    cells = [
        "import nbflow, asyncio\nchild = nbflow.flow('child.ipynb')",
        "runs = await asyncio.gather(*(child.submit(x=n).wait_async() for n in range(2)))\n"
        "nbflow.record('a', [run.results['y'] for run in runs])",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
        "    runs = list(pool.map(lambda n: child.run(x=n), range(2)))\n"
        "nbflow.record('b', [run.results['y'] for run in runs])",
    ]
    assert flow(make_notebook(cells, name="p.ipynb")).run().results == {"a": [0, 2], "b": [0, 2]}


def test_waiting_for_many_from_plain_python(
    flow: Load, make_notebook: NotebookFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    target = flow(make_notebook([CHILD], parameters="x = 1", name="child.ipynb")).options(name="run {x}")
    runs = wait_all([target.submit(x=n) for n in range(3)], stream_logs=True)
    assert [run.results["y"] for run in runs] == [0, 2, 4]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"run {n} | child {n}" for n in range(3)]
    slow = flow(make_notebook(["import time; time.sleep(60)"], name="slow.ipynb")).submit()
    with pytest.raises(WaitTimeout, match="it goes on"):
        slow.wait(0.1)
    slow.cancel()
    results: list[Run] = []
    thread = threading.Thread(target=lambda: results.append(slow.wait(raise_on_failure=False)))
    thread.start()
    thread.join(20)
    assert [run.state for run in results] == [RunState.CANCELLED]
