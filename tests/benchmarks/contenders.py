"""Contenders, seen from outside: told to execute, and measured while they do."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.usage import measure_cpu, watch_peaks


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement: *runs* executions."""

    runs: int
    seconds: float
    cpu: float
    failed: int
    peaks: dict[str, float] = field(default_factory=dict)


class Contender:
    """A worker process and what was measured of it."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.samples: list[Sample] = []
        self.first: Sample | None = None
        """From the start of the process to the end of its first runs."""
        self._process = process
        self._begun = time.perf_counter()

    def warm_up(self, runs: int) -> None:
        """Runs that do not count, but for what starting costs."""
        failed = self._execute(runs).failed
        took = time.perf_counter() - self._begun
        self.first = Sample(runs=runs, seconds=took, cpu=measure_cpu(self._process.pid), failed=failed)

    def execute(self, runs: int, *, memory: bool = False) -> Sample:
        """Have it execute so often, and keep what was measured. *memory*: also of the peaks, which costs some CPU."""
        sample = self._execute(runs, memory=memory)
        self.samples.append(sample)
        return sample

    def _execute(self, runs: int, *, memory: bool = False) -> Sample:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = measure_cpu(self._process.pid)
        with ExitStack() as stack:
            peaks = stack.enter_context(watch_peaks(self._process.pid)) if memory else None
            self._process.stdin.write(f"{runs}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended early: {self._process.wait()}")
        answer = json.loads(line)
        cpu = measure_cpu(self._process.pid) - before
        most = peaks.most if peaks else {}
        return Sample(runs=runs, seconds=answer["seconds"], cpu=cpu, failed=answer["failed"], peaks=most)

    @property
    def seconds(self) -> float:
        """A run, in the median of all samples."""
        return statistics.median(sample.seconds / sample.runs for sample in self.samples)

    @property
    def cpu(self) -> float:
        """CPU seconds a run, in the mean: samples of one run are near the clock's tick."""
        return sum(sample.cpu for sample in self.samples) / sum(sample.runs for sample in self.samples)

    @property
    def failed(self) -> int:
        return sum(sample.failed for sample in self.samples)


@contextmanager
def compete(kinds: Sequence[str], notebook: Path, *, slots: int = 1, preload: str = "") -> Iterator[list[Contender]]:
    """One contender of each kind, ready to be told."""
    root = Path(__file__).resolve().parents[2]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NBFLOW_")}
    with ExitStack() as stack:
        contenders = []
        for kind in kinds:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nbflow-benchmark-"))
            words = [sys.executable, "-m", "tests.benchmarks.worker", kind, str(notebook), folder, str(slots), preload]
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=root,
                env=environment,
            )
            stack.callback(_end, process)
            contender = Contender(kind, process)
            contender.warm_up(1 if kind == "loop" else slots)
            contenders.append(contender)
        yield contenders


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
