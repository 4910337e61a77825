"""Notebooks that run notebooks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
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


def find_processes(home: Path) -> list[str]:
    """What has to do with the runs of this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if str(home).encode() in words and int(folder.name) != os.getpid():
                found.append(folder.name)
    return found


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
child = nbflow.flow("child.ipynb")
runs = child.map([{"x": 1}, {"x": 2}], max_workers=1, raise_on_failure=False)
for values, options in (([{"x": 1}, {"x": "no"}], {}), ([{"x": 1}], {"max_workers": 0})):
    try:
        child.map(values, **options)
    except (nbflow.ParameterError, nbflow.UsageError) as error:
        print(error)
nbflow.record("states", [str(run.state) for run in runs])
try:
    nbflow.wait_all(runs)
except nbflow.RunFailed as error:
    nbflow.record("message", str(error))
"""
    run = flow(make_notebook([code], name="p.ipynb")).run()
    assert run.results["states"] == ["failed", "completed"]
    assert len(run.children) == 2
    assert "in call 2 of 2; none was begun" in run.logs()
    assert "max_workers = 0: expected 1 or more" in run.logs()
    assert run.results["message"].startswith("1 of 2 runs did not complete; the first: run child-")


def test_ten_children_three_deep_under_two_slots_end_without_a_deadlock(
    open_project: Callable[..., Project], make_notebook: NotebookFactory
) -> None:
    make_notebook([f"{CHILD}\nprint('below', nbflow.current_run().parent.name)"], parameters="x = 1", name="leaf.ipynb")
    middle = """
import nbflow
run = nbflow.flow("leaf.ipynb").options(name=f"leaf-{x}", stream_logs=True).run(x=10 * x)
nbflow.record("y", run.results["y"])
"""
    make_notebook([middle], parameters="x = 1", name="middle.ipynb")
    top = """
import nbflow
runs = [nbflow.create_flow_run("middle.ipynb", parameters={"x": n}, name=f"middle-{n}") for n in range(10)]
nbflow.wait_all(runs, stream_logs=True)
nbflow.record("y", [run.results["y"] for run in runs])
"""
    project = open_project(slots=2, grace=1)
    run = Flow(project.load(make_notebook([top], name="top.ipynb")), project).run()
    assert run.results["y"] == [20 * n for n in range(10)]
    printed = "".join(output.text for cell in run.notebook.cells for output in cell.outputs if "text" in output)
    for lines in (run.logs(), printed.splitlines()):
        expected = [
            f"middle-{n} | leaf-{n} | {what}" for n in range(10) for what in (f"child {10 * n}", f"below middle-{n}")
        ]
        assert sorted(lines) == sorted(expected)
    runs = all_runs(project)
    assert [each.record.depth for each in runs].count(2) == 10
    assert {each.state for each in runs} == {RunState.COMPLETED}


def test_a_parent_that_only_looks_at_its_child_does_not_keep_it_from_the_one_slot(
    open_project: Callable[..., Project], make_notebook: NotebookFactory
) -> None:
    make_notebook([CHILD], parameters="x = 1", name="child.ipynb")
    code = """
import nbflow, time
run = nbflow.flow("child.ipynb").submit()
until = time.monotonic() + 60
while not run.state.is_terminal and time.monotonic() < until:
    time.sleep(0.05)
nbflow.record("polled", str(run.state))
nbflow.record("followed", [str(event.kind) for event in run.rerun(x=2).events(follow=True)][-1])
"""
    project = open_project(slots=1, grace=1)
    run = Flow(project.load(make_notebook([code], name="p.ipynb")), project).run()
    assert run.results == {"polled": "completed", "followed": "state"}
    assert [child.given for child in run.children] == [{}, {"x": 2}]


def test_a_run_ends_when_the_children_have_that_it_did_not_wait_for(
    flow: Load, make_notebook: NotebookFactory, project: Project
) -> None:
    make_notebook(["import time\ntime.sleep(n)"], parameters="n = 0", name="child.ipynb")
    code = "import nbflow\nchild = nbflow.flow('child.ipynb')\nrun = child.submit(n={})\n{}"
    done = flow(make_notebook([code.format(1, "")], name="p.ipynb")).run()
    [child] = done.children
    assert child.state is RunState.COMPLETED
    assert child.ended is not None
    assert done.ended is not None
    assert child.ended <= done.ended
    path = make_notebook([code.format(60, "while str(run.state) == 'pending': pass\n1 / 0")], name="q.ipynb")
    failed = flow(path).options(raise_on_failure=False).run()
    assert failed.state is RunState.FAILED
    assert [(child.state, child.record.message) for child in failed.children] == [
        (RunState.CANCELLED, "cancelled (parent)")
    ]
    path = make_notebook(["import nbflow\nnbflow.flow('child.ipynb').options(detach=True).submit()"], name="r.ipynb")
    with pytest.raises(RunFailed, match="ends with its run"):
        flow(path).run()


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


def test_a_killed_owner_leaves_no_process_and_only_true_states(
    open_project: Callable[..., Project], make_notebook: NotebookFactory, home: Path
) -> None:
    make_notebook(["import time\nprint('leaf', flush=True)\ntime.sleep(60)"], name="leaf.ipynb")
    nest = "import nbflow\nrun = nbflow.flow('{}').submit()\nprint('going on')\nrun.wait(stream_logs=True)"
    make_notebook([nest.format("leaf.ipynb")], name="middle.ipynb")
    path = make_notebook([nest.format("middle.ipynb")], name="top.ipynb")
    command = [sys.executable, "-m", "nbflow", "run", str(path)]
    with subprocess.Popen(
        command, env={**os.environ, "NBFLOW_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert any("| leaf" in line for line in owner.stdout)
        assert len(find_processes(home)) > 6
        owner.kill()
        wait_until(lambda: not find_processes(home), 2)
    assert [run.state for run in all_runs(open_project())] == [RunState.CRASHED] * 3


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


def test_a_cycle_is_named_when_it_closes(flow: Load, make_notebook: NotebookFactory, project: Project) -> None:
    make_notebook(["import nbflow\nnbflow.flow('b.ipynb').run()"], name="a.ipynb")
    path = make_notebook(["import nbflow\nnbflow.flow('a.ipynb').run()"], name="b.ipynb")
    run = flow(path).options(raise_on_failure=False).run()
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert "a cycle of runs with the same values: b → a → b" in (run.failure.evalue or "")
    assert len(all_runs(project)) == 2


def test_a_notebook_that_runs_itself_with_other_values_is_stopped_when_deep(
    flow: Load, make_notebook: NotebookFactory
) -> None:
    make_notebook(["import nbflow\nnbflow.flow('b.ipynb').run(n=n + 1)"], parameters="n = 0", name="a.ipynb")
    path = make_notebook(["import nbflow\nnbflow.flow('a.ipynb').run(n=n)"], parameters="n = 0", name="b.ipynb")
    run = flow(path).options(raise_on_failure=False).run()
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert "nested more than 10 deep" in (run.failure.evalue or "")
    assert "a → b → a" in (run.failure.evalue or "")


def test_a_map_shows_lines_while_it_goes_on(flow: Load, make_notebook: NotebookFactory) -> None:
    # The first two go on until a line of theirs was seen.
    code = (
        "import time\nfrom pathlib import Path\nprint('child', x, flush=True)\nuntil = time.monotonic() + 60\n"
        "while x < 2 and not Path('seen').exists() and time.monotonic() < until: time.sleep(0.02)"
    )
    make_notebook([code], parameters="x = 1", name="child.ipynb")
    path = make_notebook(
        [
            "import nbflow\nnbflow.flow('child.ipynb').map([{'x': n} for n in range(4)], max_workers=2, stream_logs=True)"
        ],
        name="p.ipynb",
    )
    run = flow(path).submit()
    for event in run.events(follow=True):
        if event.kind is EventKind.LOG and any(line.endswith("child 0") for line in event.data["lines"]):
            assert len(run.children) == 2
            (path.parent / "seen").touch()
    assert run.state is RunState.COMPLETED
    assert [line.split(" | ")[1] for line in sorted(run.logs(), key=lambda line: line[-1])] == [
        f"child {n}" for n in range(4)
    ]


def test_a_parents_kernel_gets_its_fork_server_from_its_own_guardian(
    flow: Load, make_notebook: NotebookFactory
) -> None:
    make_notebook(["import os\nprint(os.environ.get('COLOUR'))"], name="child.ipynb")
    code = """
import nbflow, os
from pathlib import Path
child = nbflow.flow("child.ipynb")
child.options(stream_logs=True, name="as it is").run()
def read(file):
    try:
        return file.read_text(errors="replace")
    except OSError:  # that process is gone
        return ""
def find_servers():
    folders = [each for each in Path("/proc").glob("[0-9]*") if "nbflow-fork-server" in read(each / "cmdline")]
    return [int(stat.rpartition(")")[2].split()[1]) for stat in map(read, (each / "stat" for each in folders)) if stat]
nbflow.record("forked", find_servers().count(os.getppid()))
os.environ["COLOUR"] = "red"
child.options(stream_logs=True, name="changed").run()
nbflow.record("executed", find_servers().count(os.getpid()))
"""
    run = flow(make_notebook([code], name="p.ipynb")).run()
    assert run.results == {"forked": 1, "executed": 1}
    assert run.logs() == ["as it is | None", "changed | red"]


def test_children_may_be_started_from_threads_and_asyncio_cells(flow: Load, make_notebook: NotebookFactory) -> None:
    make_notebook([CHILD], parameters="x = 1", name="child.ipynb")
    cells = [
        "import nbflow, asyncio\nchild = nbflow.flow('child.ipynb')",
        "runs = await asyncio.gather(child.submit(x=0).wait_async(), child.submit(x=1), child.submit(x=2))\n"
        "nbflow.record('a', [run.results['y'] for run in runs])",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(2) as pool:\n"
        "    runs = list(pool.map(lambda n: child.run(x=n), range(2)))\n"
        "nbflow.record('b', [run.results['y'] for run in runs])",
    ]
    assert flow(make_notebook(cells, name="p.ipynb")).run().results == {"a": [0, 2, 4], "b": [0, 2]}


def test_waiting_for_many_from_plain_python(
    flow: Load, make_notebook: NotebookFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    target = flow(make_notebook([CHILD], parameters="x = 1", name="child.ipynb")).options(name="run {x}")
    runs = wait_all([target.submit(x=n) for n in range(3)], stream_logs=True)
    assert [run.results["y"] for run in runs] == [0, 2, 4]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"run {n} | child {n}" for n in range(3)]
    slow = flow(make_notebook(["import time; time.sleep(60)"], name="slow.ipynb")).submit()
    for stream_logs in (False, True):
        with pytest.raises(WaitTimeout, match=r"still (pending|running) after 0.1 s; it goes on"):
            slow.wait(0.1, stream_logs=stream_logs)
        with pytest.raises(WaitTimeout, match=r"1 of 4 runs have not ended after 0.1 s"):
            wait_all([*runs, slow], stream_logs=stream_logs, timeout=0.1)
    slow.cancel()
    results: list[Run] = []
    thread = threading.Thread(target=lambda: results.append(slow.wait(raise_on_failure=False)))
    thread.start()
    thread.join(20)
    assert [run.state for run in results] == [RunState.CANCELLED]
