"""The rows of the table: each measures some work in today's way and in nbflow's, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import backfills
from tests.benchmarks.contenders import Contender, compete
from tests.benchmarks.latency import latency
from tests.benchmarks.notebooks import LIBRARIES, PRELOAD, TRIVIAL, prints, shows, write_notebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    work: str
    today: str
    nbflow: str
    ratio: str
    target: str
    met: bool | None
    """None where there is nothing to reach."""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    batch: int
    rounds: int
    slow: int
    """Runs of a round for what takes a second or two each."""
    singles: int
    crowds: int
    cells: int
    printed: int
    commands: int


FULL = Effort(batch=40, rounds=3, slow=8, singles=15, crowds=6, cells=100, printed=200_000_000, commands=9)
QUICK = Effort(batch=20, rounds=1, slow=2, singles=5, crowds=1, cells=20, printed=20_000_000, commands=3)


def _batch(
    folder: Path, effort: Effort, cells: Sequence[str], preload: Sequence[str], goals: Sequence[float]
) -> Iterator[Row]:
    name = "imports pandas and matplotlib, preloaded" if preload else "trivial"
    notebook = write_notebook(folder / f"batch{len(preload)}.ipynb", tuple(cells))
    with compete(["loop", "pool", "nbflow", "floor"], notebook, slots=2, preload=",".join(preload)) as contenders:
        loop, pool, ours, floor = contenders
        for _ in range(effort.rounds):
            loop.execute(effort.slow)
            ours.execute(effort.batch)
            pool.execute(effort.batch // 2)
            ours.execute(effort.batch)
            floor.execute(effort.slow)
    work = f"{effort.batch} runs, 2 workers: {name}"
    for label, today, goal in (("papermill command in a loop", loop, goals[0]), ("2 warm processes", pool, goals[1])):
        ratio = today.seconds / ours.seconds
        yield Row(
            work=work,
            today=f"{label}: {1 / today.seconds:.2f} runs/s, {today.cpu:.3f} CPU-s",
            nbflow=f"{1 / ours.seconds:.1f} runs/s, {ours.cpu:.3f} CPU-s",
            ratio=f"{ratio:.1f} x",
            target=f">= {goal:g} x",
            met=ratio >= goal,
            figures={"today": today.seconds, "nbflow": ours.seconds, "today_cpu": today.cpu, "nbflow_cpu": ours.cpu},
        )
    yield Row(
        work=f"CPU seconds a run: {name}",
        today=f"bare kernel (fork, ready, end): {floor.cpu:.3f}",
        nbflow=f"{ours.cpu:.3f}",
        ratio=f"{ours.cpu / floor.cpu:.1f} x",
        target=f"<= {goals[2]:g} CPU-s",
        met=ours.cpu <= goals[2],
        figures={"floor_cpu": floor.cpu, "nbflow_cpu": ours.cpu, "floor": floor.seconds},
    )
    yield _failures("no failure among them", [pool, loop], ours)


def trivial_batch(folder: Path, effort: Effort) -> Iterator[Row]:
    return _batch(folder, effort, TRIVIAL, (), (20.0, 8.0, 0.09))


def library_batch(folder: Path, effort: Effort) -> Iterator[Row]:
    return _batch(folder, effort, LIBRARIES, PRELOAD, (20.0, 6.0, 0.22))


def single_run(folder: Path, effort: Effort) -> Iterator[Row]:
    notebook = write_notebook(folder / "single.ipynb", TRIVIAL)
    with compete(["warm", "nbflow", "floor"], notebook, slots=1) as contenders:
        for _ in range(effort.singles):
            for contender in contenders:
                contender.execute(1)
    warm, ours, floor = contenders
    ratio = ours.seconds / warm.seconds
    yield Row(
        work="one warm run, submit to terminal state",
        today=f"papermill in a warm process: {warm.seconds * 1000:.0f} ms",
        nbflow=f"{ours.seconds * 1000:.0f} ms (bare kernel: {floor.seconds * 1000:.0f} ms)",
        ratio=f"1/{1 / ratio:.1f}",
        target="<= 1/4",
        met=ratio <= 0.25,
        figures={"today": warm.seconds, "nbflow": ours.seconds, "floor": floor.seconds},
    )
    assert warm.first is not None
    assert ours.first is not None
    yield Row(
        work="from nothing: start of the process to the end of its first run",
        today=f"papermill: {warm.first.seconds:.2f} s, {warm.first.cpu:.2f} CPU-s",
        nbflow=f"{ours.first.seconds:.2f} s, {ours.first.cpu:.2f} CPU-s",
        ratio=f"{warm.first.seconds / ours.first.seconds:.2f} x",
        target="",
        met=None,
        figures={"today": warm.first.seconds, "nbflow": ours.first.seconds},
    )


def commands(folder: Path, effort: Effort) -> Iterator[Row]:
    notebook = write_notebook(folder / "inspected.ipynb", TRIVIAL)
    scripts = Path(sys.executable).parent
    lines = {
        "python": [sys.executable, "-c", "pass"],
        "papermill": [str(scripts / "papermill"), "--help"],
        "--help": [str(scripts / "nbflow"), "--help"],
        "inspect": [str(scripts / "nbflow"), "inspect", str(notebook)],
    }
    took: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(effort.commands):
        for name, line in lines.items():
            began = time.perf_counter()
            subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, cwd=folder)
            took[name].append(time.perf_counter() - began)
    median = {name: statistics.median(times) for name, times in took.items()}
    over = {name: median[name] - median["python"] for name in lines}
    for name in ("--help", "inspect"):
        yield Row(
            work=f"nbflow {name}, over a bare python",
            today=f"papermill --help: {over['papermill'] * 1000:.0f} ms",
            nbflow=f"{over[name] * 1000:.0f} ms",
            ratio=f"1/{over['papermill'] / over[name]:.1f}",
            target="<= 150 ms",
            met=over[name] <= 0.15,
            figures={"python": median["python"], "today": median["papermill"], "nbflow": median[name]},
        )


def volume(folder: Path, effort: Effort) -> Iterator[Row]:
    works = (
        (f"{effort.cells} cells x 1 MB of output", shows(effort.cells, 1_000_000), 15.0 * effort.cells / 100),
        (f"{effort.printed // 1_000_000} MB printed", prints(effort.printed), 12.0 * effort.printed / 200_000_000),
    )
    for index, (work, cells, goal) in enumerate(works):
        notebook = write_notebook(folder / f"volume-{index}.ipynb", cells)
        first = write_notebook(folder / f"first-{index}.ipynb", TRIVIAL)
        with compete(["warm", "nbflow"], first) as [warm, ours]:
            notebook.replace(first)  # they are warm: what they execute from now on is the other notebook
            warm.execute(1, memory=True)
            ours.execute(1, memory=True)
        yield _volume_row(work, goal, warm, ours)


def _volume_row(work: str, goal: float, warm: Contender, ours: Contender) -> Row:
    theirs, peaks = warm.samples[0].peaks, ours.samples[0].peaks
    most = max(peaks["owner"], peaks["runner"])
    return Row(
        work=work,
        today=f"papermill in a warm process: {warm.seconds:.1f} s, {theirs['owner']:.0f} MB",
        nbflow=f"{ours.seconds:.1f} s, runner {peaks['runner']:.0f} MB, owner {peaks['owner']:.0f} MB",
        ratio=f"1/{warm.seconds / ours.seconds:.1f}",
        target=f"<= {goal:g} s, 300 MB",
        met=ours.seconds <= goal and most <= 300,
        figures={"today": warm.seconds, "nbflow": ours.seconds, "today_mb": theirs["owner"], "nbflow_mb": most},
    )


def crowd(folder: Path, effort: Effort) -> Iterator[Row]:
    notebook = write_notebook(folder / "crowd.ipynb", TRIVIAL)
    with compete(["pool", "nbflow"], notebook, slots=30) as [pool, ours]:
        for _ in range(effort.crowds):
            pool.execute(30)
            ours.execute(30)
    yield _failures(f"30 runs at once, {effort.crowds} times: failures", [pool], ours)


def _failures(work: str, others: Sequence[Contender], ours: Contender) -> Row:
    told = [f"{other.name}: {other.failed} of {sum(sample.runs for sample in other.samples)}" for other in others]
    runs = sum(sample.runs for sample in ours.samples)
    return Row(
        work=work,
        today=", ".join(told),
        nbflow=f"{ours.failed} of {runs}",
        ratio="",
        target="0",
        met=ours.failed == 0,
        figures={"today_failed": sum(other.failed for other in others), "nbflow_failed": ours.failed, "runs": runs},
    )


def backfill(folder: Path, effort: Effort) -> Iterator[Row]:
    blank = {"today": "", "ratio": "", "target": "", "met": None}
    return (Row(**{**blank, **fields}) for fields in backfills.backfill(folder, quick=effort is QUICK))


Measure = Callable[[Path, Effort], Iterator[Row]]
ROWS: dict[str, Measure] = {
    "trivial": trivial_batch,
    "libraries": library_batch,
    "single": single_run,
    "commands": commands,
    "volume": volume,
    "crowd": crowd,
    "latency": latency,
    "backfill": backfill,
}
