"""nbflow as an engine of papermill: ``papermill --engine nbflow``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from tests.conftest import NotebookFactory

pytestmark = pytest.mark.kernel


def outputs(path: Path) -> list[Any]:
    """The outputs of the code cells, printed text joined; the error's traceback holds addresses and is left out."""
    shown = []
    for cell in nbformat.read(path, as_version=4).cells:
        joined: list[Any] = []
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and joined and joined[-1][:2] == ["stream", output.name]:
                joined[-1][2] += output.text
            elif output.output_type == "stream":
                joined.append(["stream", output.name, output.text])
            elif output.output_type == "error":
                joined.append(["error", output.ename, output.evalue])
            else:
                joined.append([output.output_type, dict(output.data)])
        shown.append([cell.cell_type, cell.metadata.get("tags"), joined])
    return shown


def execute(path: Path, output: Path, engine: str | None, **options: Any) -> str:
    try:
        papermill.execute_notebook(
            path, output, parameters={"x": 3}, engine_name=engine, progress_bar=False, cwd=path.parent, **options
        )
    except Exception as error:
        return type(error).__name__
    return "completed"


@pytest.mark.parametrize(
    "cells",
    [
        ["print(x)", "x + 1"],
        ["print('a'); 1 / 0", "print('never')"],
        ["import sys; sys.exit(0)", "print('never')"],
        ["import sys; sys.exit(2)"],
        [
            "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\nh = display('a', display_id='d')",
            "h.update('b')",
        ],
        ["import ipywidgets as w\nout = w.Output()\nwith out:\n    print('inside')\nout"],
        [{"source": "1 / 0", "tags": ["skip-execution"]}, {"source": "# Title", "cell_type": "markdown"}, ""],
    ],
    ids=["plain", "error", "exit 0", "exit 2", "display", "widget", "skip"],
)
def test_outputs_and_endings_are_papermills_own(
    make_notebook: NotebookFactory, tmp_path: Path, cells: list[Any]
) -> None:
    path = make_notebook(cells, parameters="x = 1")
    ends = [execute(path, tmp_path / f"{engine}.ipynb", engine) for engine in (None, "nbflow")]
    assert ends[0] == ends[1]
    ours, theirs = outputs(tmp_path / "nbflow.ipynb"), outputs(tmp_path / "None.ipynb")
    if cells[0] == "import ipywidgets as w\nout = w.Output()\nwith out:\n    print('inside')\nout":
        for shown in (ours, theirs):
            shown[-1][2][-1][1].pop("application/vnd.jupyter.widget-view+json")
    assert ours == theirs


def test_the_errors_are_papermills_own(make_notebook: NotebookFactory, tmp_path: Path) -> None:
    def run(code: str, **options: Any) -> None:
        papermill.execute_notebook(
            make_notebook([code]), tmp_path / "out.ipynb", engine_name="nbflow", progress_bar=False, **options
        )

    with pytest.raises(PapermillExecutionError, match="ValueError: no"):
        run("raise ValueError('no')")
    with pytest.raises(DeadKernelError, match="SIGKILL"):
        run("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(CellTimeoutError, match="limit of 1 s"):
        run("import time; time.sleep(60)", execution_timeout=1)


def test_an_interrupted_papermill_leaves_a_notebook_that_says_so(
    make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    path = make_notebook([f"import time\nopen({str(mark)!r}, 'w').close()\ntime.sleep(60)", "print('never')"])
    output = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "--engine", "nbflow", "--no-progress-bar", str(path), str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not mark.exists():
        assert process.poll() is None
        os.sched_yield()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    record = nbformat.read(output, as_version=4)
    assert record.metadata.papermill.exception is True
    assert [cell.metadata.papermill.status for cell in record.cells] == ["failed", "pending"]
