"""What a backfill costs by its size: recording, claiming, listing, tables, cancelling, pruning. Nothing is executed.

Each size is measured in a process of its own: ``python -m tests.benchmarks.backfills SIZE FOLDER``.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks.notebooks import write_notebook

SIZES = (1_000, 10_000, 100_000)
CLAIMS = 40
WORK: Mapping[str, str] = {
    "record": "expand, validate and record",
    "claim": "claim the next run (median)",
    "list": "read all as records",
    "listed": "nbflow.runs(limit=None), all looked at",
    "frame": "nbflow.runs(limit=None).to_frame()",
    "table": "backfill.to_frame()",
    "grid": "backfill's grid as HTML",
    "cancel": "cancel",
    "prune": "prune",
}
_TARGETS: Mapping[str, float] = {"list": 3.0, "listed": 3.0, "frame": 3.0, "table": 3.0}
"""Seconds for the largest size."""
RATE = 2_000.0
FLAT = 40.0
"""Megabytes that recording the largest backfill may take above the smallest."""
EVEN = 2.0
"""How much more the claim from the largest queue may cost than from the smallest."""


def measure_sizes(folder: Path, sizes: Sequence[int]) -> dict[int, dict[str, float]]:
    """Seconds by work, for each size; ``memory`` in MB, above what the process had before."""
    root = Path(__file__).resolve().parents[2]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NBFLOW_")}
    found = {}
    for size in sizes:
        words = [sys.executable, "-m", "tests.benchmarks.backfills", str(size), str(folder / f"backfill-{size}")]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=root, env=environment)
        found[size] = json.loads(done.stdout)
    return found


def backfill(folder: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """The fields of the rows of the table."""
    sizes = SIZES[:2] if quick else SIZES
    found = measure_sizes(folder, sizes)
    least, most = sizes[0], sizes[-1]
    rate, memory = most / found[most]["record"], found[most]["memory"] - found[least]["memory"]
    costs = ", ".join(f"{found[size]['claim'] * 1000:.1f} ms" for size in sizes)
    figures = {f"{work}_{size}": seconds for size in sizes for work, seconds in found[size].items()}
    yield {
        "work": f"backfill of {most:,} rows: {WORK['record']}",
        "nbflow": ", ".join(f"{size / found[size]['record']:,.0f}" for size in sizes) + " runs/s at "
        f"{', '.join(f'{size:,}' for size in sizes)}; {memory:+.0f} MB",
        "target": f">= {RATE:,.0f} runs/s, <= +{FLAT:.0f} MB",
        "met": rate >= RATE and memory <= FLAT,
        "figures": figures,
    }
    ratio = found[most]["claim"] / found[least]["claim"]
    yield {
        "work": f"{WORK['claim']} of {', '.join(f'{size:,}' for size in sizes)} pending",
        "nbflow": costs,
        "ratio": f"{ratio:.2f} x",
        "target": f"<= {EVEN:g} x",
        "met": ratio <= EVEN,
    }
    for work in ("list", "listed", "frame", "table", "grid", "cancel", "prune"):
        target = _TARGETS.get(work)
        yield {
            "work": f"{WORK[work]}, of {most:,}",
            "nbflow": f"{found[most][work]:.2f} s, {found[most][f'{work}_cpu']:.2f} CPU-s",
            "target": f"<= {target:g} s" if target else "",
            "met": found[most][work] <= target if target else None,
        }


def plot(figures: Mapping[str, float], path: Path) -> None:
    """Cost against size, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for work, label in WORK.items():
        sizes = sorted(int(name.rpartition("_")[2]) for name in figures if name.startswith(f"{work}_"))
        costs = [figures[f"{work}_{size}"] for size in sizes]
        left.plot(sizes, costs, marker="o", label=label)
    sizes = sorted(int(name.rpartition("_")[2]) for name in figures if name.startswith("memory_"))
    right.plot(sizes, [figures[f"memory_{size}"] for size in sizes], marker="o")
    left.set(xscale="log", yscale="log", xlabel="rows", ylabel="seconds", title="cost by size")
    right.set(xscale="log", xlabel="rows", ylabel="MB", title="memory that recording takes")
    right.set_ylim(bottom=0)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(size: int, folder: Path) -> dict[str, float]:
    """Measure one size, in this process."""
    from nbflow.api.backfills import Backfill
    from nbflow.api.listing import Runs
    from nbflow.config import load_config
    from nbflow.ports import RunFilter
    from nbflow.project import Project

    folder.mkdir(parents=True, exist_ok=True)
    path = write_notebook(folder / "report.ipynb", ("print(n)",))
    path.write_text(path.read_text().replace("x = 1", "n: int = 1\\nregion: str = 'EU'"))
    project = Project(load_config({**os.environ, "NBFLOW_HOME": str(folder / "home")}, folder), engine=_Idle())
    flow = project.load(path)
    project.start_dispatcher()
    _record(project, flow, 10, region="warm")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, float] = {}
    made, found["record"] = _time(lambda: _record(project, flow, size // 2, region=["EU", "US"]))
    found["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    found["claim"] = _measure_claims(project)
    everything = RunFilter(limit=None)
    reads: dict[str, Callable[[], Any]] = {
        "list": lambda: len(project.list_runs(everything)),
        "listed": lambda: sum(1 for _ in Runs.find(project, everything)),
        "frame": lambda: Runs.find(project, everything).to_frame(),
    }
    import pandas  # noqa: F401 - what importing it takes is not what a table takes

    many = Backfill(made.backfill, project)
    for name, read in {**reads, "table": many.to_frame, "grid": many._repr_html_}.items():
        found[name], found[f"{name}_cpu"] = min(_measure(read) for _ in range(3))
    found["cancel"], found["cancel_cpu"] = _measure(lambda: project.backfills.cancel(made.backfill.id))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    found["prune"], found["prune_cpu"] = _measure(lambda: project.prune(before=tomorrow))
    return found


def _measure(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and those of them that this process had a processor."""
    cpu = time.process_time()
    seconds = _time(work)[1]
    return seconds, time.process_time() - cpu


def _record(project: Any, flow: Any, count: int, **values: Any) -> Any:
    return project.backfills.create(flow, {"n": range(count), **values}, max_active_runs=1_000)


def _measure_claims(project: Any) -> float:
    """The median of some claims of one run each."""
    now = datetime.now(UTC)
    given = {"dispatcher_id": project.start_dispatcher().id, "lease": now + timedelta(hours=1), "now": now}
    taken = [_time(lambda: project.store.claim(limit=1, **given)) for _ in range(CLAIMS)]
    assert all(len(claimed) == 1 for claimed, _ in taken)
    return statistics.median(seconds for _, seconds in taken)


def _time(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    done = work()
    return done, time.perf_counter() - began


class _Idle:
    """An engine without a slot: whatever is recorded waits."""

    name = "local"

    def capacity(self) -> int:
        return 0

    def launch(self, launch: Any) -> None: ...

    def adopt(self, attempt: Any, folder: Path) -> None: ...

    def kill(self, attempt_id: str, *, grace: float) -> None: ...

    def poll(self) -> list[Any]:
        return []

    def wait(self, timeout: float, *, wake: int) -> None:
        import select

        select.select([wake], [], [], timeout)

    def close(self) -> None: ...


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]))), flush=True)
    os._exit(0)  # what was claimed was never begun: there is nothing to wait for
