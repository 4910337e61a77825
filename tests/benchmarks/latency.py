"""How long a line that a child prints takes to its parent's screen."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.notebooks import write_notebook

if TYPE_CHECKING:
    from tests.benchmarks.rows import Effort, Row

GOAL = 0.15
CHILD = """\
import random, time
for n in range({lines}):
    time.sleep(random.uniform(0.05, 0.35))
    print("told", time.time())
"""
PARENT = """\
import nbflow
child = nbflow.flow("child.ipynb").options(name="child")
nbflow.wait_all([child.submit(x=n) for n in range(2)], stream_logs=True)
"""


def latency(folder: Path, effort: Effort) -> Iterator[Row]:
    """Two children print side by side; the screen is the output of ``nbflow run`` for their parent."""
    from tests.benchmarks.rows import Row

    write_notebook(folder / "child.ipynb", (CHILD.format(lines=4 * effort.singles),))
    parent = write_notebook(folder / "parent.ipynb", (PARENT,))
    took = sorted(_follow(parent))
    median = statistics.median(took)
    most = took[int(len(took) * 0.95)]
    yield Row(
        work="a child's line, from its print to its parent's screen",
        today="papermill in a cell: with the whole child, or never",
        nbflow=f"{median * 1000:.0f} ms, 95 of 100 within {most * 1000:.0f} ms",
        ratio="",
        target=f"<= {GOAL * 1000:.0f} ms",
        met=median <= GOAL,
        figures={"nbflow": median, "nbflow_95": most, "lines": len(took)},
    )


def _follow(notebook: Path) -> Iterator[float]:
    command = [sys.executable, "-m", "nbflow", "run", notebook.name]
    environment = {**os.environ, "NBFLOW_HOME": str(notebook.parent / "latency"), "NBFLOW_SLOTS": "2"}
    with subprocess.Popen(
        command,
        cwd=notebook.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            now = time.time()
            words = line.decode().split()
            if "told" in words:
                yield now - float(words[-1])
    assert process.returncode == 0, f"the parent ended with {process.returncode}"
