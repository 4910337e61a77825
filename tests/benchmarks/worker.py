"""A contender: a process that executes a notebook as often as it is told to, in one way.

``python -m tests.benchmarks.worker KIND NOTEBOOK FOLDER SLOTS [PRELOAD,...]``. It answers each number on standard input
with a line of JSON: the seconds that so many runs took, and how many of them failed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

Work = Callable[[int], int]
"""Executes so many runs; how many failed."""


@contextmanager
def loop(notebook: Path, folder: Path, slots: int, preload: str) -> Iterator[Work]:
    """The papermill command, once for every run, in a loop of the shell."""
    papermill = Path(sys.executable).with_name("papermill")

    def work(runs: int) -> int:
        line = f'"{papermill}" --no-progress-bar "{notebook}" "{folder}/out-$i.ipynb" -p x $i || echo failed'
        script = f"for i in $(seq {runs}); do {line}; done"
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return done.stdout.count(b"failed")

    yield work


@contextmanager
def warm(notebook: Path, folder: Path, slots: int, preload: str) -> Iterator[Work]:
    """``papermill.execute_notebook``, again and again in one process."""
    yield lambda runs: sum(_execute((str(notebook), f"{folder}/warm-{index}.ipynb", index)) for index in range(runs))


@contextmanager
def pool(notebook: Path, folder: Path, slots: int, preload: str) -> Iterator[Work]:
    """The same in several processes that stay."""
    with ProcessPoolExecutor(slots, mp_context=multiprocessing.get_context("spawn")) as processes:

        def work(runs: int) -> int:
            calls = [(str(notebook), f"{folder}/pool-{index}.ipynb", index) for index in range(runs)]
            return sum(processes.map(_execute, calls))

        yield work


def _execute(call: tuple[str, str, int]) -> bool:
    """Whether it failed."""
    import logging

    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(call[0], call[1], parameters={"x": call[2]}, progress_bar=False)
    except Exception:
        return True
    return False


@contextmanager
def floor(notebook: Path, folder: Path, slots: int, preload: str) -> Iterator[Work]:
    """No notebook at all: kernels that are forked, answer, and end."""
    from nbflow.kernels.manager import make_kernel_manager, start_kernel

    os.environ["NBFLOW_PRELOAD"] = preload
    sockets = folder / "floor"
    sockets.mkdir(mode=0o700)

    async def start_and_stop() -> float:
        began = time.perf_counter()
        manager = make_kernel_manager("python3", connection_dir=sockets)
        client = await start_kernel(manager, timeout=60)
        ready = time.perf_counter() - began
        await manager.request_shutdown()
        await manager.wait_exit()
        client.stop_channels()
        await manager.cleanup_resources()
        return ready

    def work(runs: int) -> int:
        ready = [asyncio.run(start_and_stop()) for _ in range(runs)]
        print(f"ready after {statistics.median(ready):.3f} s", file=sys.stderr)
        return 0

    yield work


@contextmanager
def nbflow(notebook: Path, folder: Path, slots: int, preload: str) -> Iterator[Work]:
    """Runs that are submitted and waited for."""
    from nbflow.api.flow import Flow
    from nbflow.config import load_config
    from nbflow.project import Project

    settings = {"NBFLOW_HOME": str(folder / "home"), "NBFLOW_SLOTS": str(slots), "NBFLOW_PRELOAD": preload}
    with Project(load_config({**os.environ, **settings}, folder)) as project:

        def work(runs: int) -> int:
            flow = Flow(project.load(notebook), project)
            submitted = [flow.submit(x=index) for index in range(runs)]
            return sum(not run.wait(raise_on_failure=False).state.is_success for run in submitted)

        yield work


KINDS = {work.__name__: work for work in (loop, warm, pool, floor, nbflow)}


def main(kind: str, notebook: str, folder: str, slots: str, preload: str = "") -> None:
    # Answers go where nothing else is printed.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with KINDS[kind](Path(notebook), Path(folder), int(slots), preload) as work:
        for line in sys.stdin:
            began = time.perf_counter()
            failed = work(int(line))
            print(json.dumps({"seconds": time.perf_counter() - began, "failed": failed}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
