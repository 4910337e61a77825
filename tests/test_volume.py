"""Much output: whole in the log, bounded in the notebook, and never in proportion in anybody's memory.

Sizes are a fraction of what the benchmarks measure; counts and peaks of memory are checked, never times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbflow.api.run import Run
from nbflow.config import load_config
from nbflow.engines.lines import LineSplitter
from nbflow.engines.narrator import SHOWN_CHARACTERS
from nbflow.engines.outputs import TAIL_CHARACTERS
from nbflow.events import EventKind
from nbflow.lifecycle import RunState
from nbflow.project import Project
from tests.benchmarks.usage import watch_peaks
from tests.conftest import NotebookFactory

pytestmark = pytest.mark.kernel

OWNER = """
import os, sys
from pathlib import Path
from nbflow.api.flow import Flow
from nbflow.config import load_config
from nbflow.project import Project

with Project(load_config(os.environ, Path.cwd())) as project:
    for path in sys.argv[1:]:
        print(Flow(project.load(path), project).options(raise_on_failure=False, timeout=100).run().id, flush=True)
"""
MARGIN = 60
"""MB above what a notebook without output needs."""
LIMIT = 1_000_000
"""Characters that the notebooks of these tests keep of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A run with much output, and the peaks of memory of all processes that took part, in MB."""

    run: Run
    peaks: dict[str, float]
    folder: Path

    @property
    def log(self) -> list[str]:
        return self.run.logs(stream="stdout")

    @property
    def outputs(self) -> list[Any]:
        return [output for cell in self.run.notebook.cells for output in cell.get("outputs", [])]


class Scales:
    """Executes notebooks in a process of their own, which is weighed."""

    def __init__(self, folder: Path, make_notebook: NotebookFactory) -> None:
        self._folder = folder
        self._make = make_notebook
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NBFLOW_", "PYTEST_"))}
        self.environment = {**kept, "NBFLOW_HOME": str(folder / "home"), "NBFLOW_OUTPUT_LIMIT": str(LIMIT)}
        self.project = Project(load_config(self.environment, folder))

    def run(self, *cells: str, command: Sequence[str] = (sys.executable, "-c", OWNER)) -> tuple[str, dict[str, float]]:
        """What the process said, and the peaks of memory."""
        path = self._make(list(cells), name=f"volume-{len(list(self._folder.glob('*.ipynb')))}.ipynb")
        with (
            subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, text=True, env=self.environment) as process,
            watch_peaks(process.pid) as peaks,
        ):
            said = process.communicate(timeout=100)[0]
        return said, peaks.most

    def weigh(self, *cells: str) -> Volume:
        """Execute a notebook; its memory is bounded, and what it leaves is strict JSON."""
        said, peaks = self.run(*cells)
        run = Run(self.project.get_run(said.split()[-1]), self.project)
        folder = self.project.get_attempt_folder(run.id, 1)
        for line in (folder / "events.jsonl").read_bytes().splitlines():
            json.loads(line, parse_constant=pytest.fail)
        assert run.output_path is not None
        json.loads(run.output_path.read_bytes(), parse_constant=pytest.fail)
        return Volume(run=run, peaks=peaks, folder=folder)


@pytest.fixture
def scales(tmp_path: Path, make_notebook: NotebookFactory) -> Scales:
    return Scales(tmp_path, make_notebook)


@pytest.fixture
def base(scales: Scales) -> dict[str, float]:
    """The peaks of a notebook without output."""
    return scales.weigh("print('on')").peaks


def check_peaks(peaks: dict[str, float], base: dict[str, float], *, more: float = 0.0) -> None:
    for kind in ("runner", "owner"):
        assert base[kind] > 10, base
        assert peaks[kind] < base[kind] + MARGIN + more, (kind, peaks, base)


def test_printed_text_is_whole_in_the_log_and_capped_with_a_pointer_in_the_notebook(
    scales: Scales, base: dict[str, float]
) -> None:
    lines = 300_000  # 30 MB
    volume = scales.weigh(f"for i in range({lines}): print(f'{{i:099}}')", "print('after')")
    check_peaks(volume.peaks, base)
    assert volume.run.state is RunState.COMPLETED
    log = volume.log
    assert len(log) == lines + 1
    assert all(int(line) == number for number, line in enumerate(log[:-1]))
    assert log[-1] == "after"
    assert volume.run.record.log_lines == lines + 1
    printed, after = volume.outputs
    assert after.text == "after\n"
    assert printed.text.startswith(f"{0:099}\n{1:099}\n")
    assert printed.text.endswith(f"{lines - 1:099}\n")
    assert LIMIT <= len(printed.text) <= LIMIT + 3 * TAIL_CHARACTERS
    left_out = lines * 100 - LIMIT - TAIL_CHARACTERS
    told = int(printed.text.split("[nbflow: ")[1].split(" characters")[0].replace(",", ""))
    assert left_out - TAIL_CHARACTERS <= told <= left_out
    assert f"all of it: {volume.folder / 'events.jsonl'}]" in printed.text


def test_very_many_short_lines_are_as_many_in_the_log(scales: Scales, base: dict[str, float]) -> None:
    volume = scales.weigh("for i in range(200_000): print(i)")
    check_peaks(volume.peaks, base)
    assert volume.log == [str(number) for number in range(200_000)]
    events = [event for event in volume.run.events() if event.kind is EventKind.LOG]
    assert len(events) < 20_000  # lines come in batches: an event for each would cost ten times their size


@pytest.mark.parametrize("end", ["\\n", ""], ids=["ended", "unended"])
def test_one_endless_line_is_broken_and_not_lost(scales: Scales, base: dict[str, float], end: str) -> None:
    size = 8_000_000
    volume = scales.weigh(
        f"import sys\nfor _ in range(80): sys.stdout.write('x' * 100_000)\n_ = sys.stdout.write('{end}')"
    )
    check_peaks(volume.peaks, base)
    assert sum(map(len, volume.log)) == size
    assert set("".join(volume.log)) == {"x"}
    assert max(map(len, volume.log)) <= LineSplitter.MAX_LINE
    [printed] = volume.outputs
    assert len(printed.text) <= LIMIT + 2 * TAIL_CHARACTERS


def test_a_line_that_grows_for_long_does_not_fill_the_log(scales: Scales) -> None:
    dots = "import time\nfor _ in range(40): print('.' * 1000, end='', flush=True); time.sleep(0.06)"
    volume = scales.weigh(dots)
    assert sum(map(len, volume.log)) == 40_000
    told = [event.data["partial"] for event in volume.run.events() if "partial" in event.data]
    assert len(told) > 5
    assert max(map(len, told)) <= 1001


def test_a_text_printed_at_once_is_cut_too(scales: Scales, base: dict[str, float]) -> None:
    size = 20_000_000
    volume = scales.weigh(f"print('x' * {size})")
    check_peaks(volume.peaks, base, more=4 * size / 2**20)  # one message of this size is held, decoded and encoded
    assert sum(map(len, volume.log)) == size
    [printed] = volume.outputs
    assert len(printed.text) <= LIMIT + 2 * TAIL_CHARACTERS


def test_displayed_values_stay_whole_and_are_short_in_the_log(scales: Scales, base: dict[str, float]) -> None:
    count, size = 30, 1_000_000
    show = f"display({{'text/html': 'h' * {size}, 'text/plain': 'p' * {size}}}, raw=True)"
    volume = scales.weigh(*[show] * count)
    check_peaks(volume.peaks, base, more=4 * count * size / 2**20)  # the notebook, its JSON, and one more
    assert [len(output.data["text/html"]) for output in volume.outputs] == [size] * count
    shown = [event.data["text"] for event in volume.run.events() if event.kind is EventKind.OUTPUT]
    assert [len(text) for text in shown] == [SHOWN_CHARACTERS] * count


def test_a_single_huge_display_is_kept(scales: Scales, base: dict[str, float]) -> None:
    size = 15_000_000
    volume = scales.weigh(f"display({{'application/json': {{'a': ['x' * {size}]}}}}, raw=True)", "print('on')")
    check_peaks(volume.peaks, base, more=8 * size / 2**20)
    assert volume.run.state is RunState.COMPLETED
    assert len(volume.outputs[0].data["application/json"]["a"][0]) == size
    assert volume.log == ["on"]


def test_bytes_that_are_no_text_pass(scales: Scales) -> None:
    garbage = (
        "import os, sys\nos.write(1, bytes(range(256)) * 400)\nos.write(2, b'\\xff\\xfe\\x00' * 10_000)\n"
        "print('\\x00\\x07\\x1b[31m\\x1b]0;title\\x07\\u2028\\x85\\ud800 end')\n"
        "display({'text/plain': '\\udcff' * 1000, 'image/png': '!no base64!'}, raw=True)\n"
        "display({'application/json': {'nan': float('nan'), 'big': 10 ** 400}}, raw=True)"
    )
    volume = scales.weigh(garbage, "print('on')")
    assert volume.run.state is RunState.COMPLETED
    assert volume.log[-1] == "on"
    assert sum(len(line) for line in volume.run.logs()) > 100_000


def test_a_huge_error_is_cut_where_it_is_recorded(scales: Scales, base: dict[str, float]) -> None:
    volume = scales.weigh("raise ValueError('x' * 5_000_000)")
    check_peaks(volume.peaks, base, more=80)
    failure = volume.run.failure
    assert failure is not None
    assert len(failure.message) < 400
    assert len(failure.evalue or "") <= 20_000
    assert len(failure.traceback or "") <= 20_000
    assert sum(file.stat().st_size for file in scales.project.config.home.glob("*.db*")) < 5_000_000


def test_the_command_line_shows_all_of_it_and_keeps_none(scales: Scales) -> None:
    command = (sys.executable, "-m", "nbflow", "run")
    _, base = scales.run("print('on')", command=command)
    said, peaks = scales.run("for i in range(150_000): print(f'{i:099}')", command=command)
    assert sum(line.isdigit() and len(line) == 99 for line in said.splitlines()) == 150_000
    check_peaks(peaks, base)
