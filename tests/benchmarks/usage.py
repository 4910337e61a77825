"""What a process and everything below it used, as Linux counts it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAUSE = 0.02


def find_tree(root: int) -> list[int]:
    """The process and all its descendants."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                below.setdefault(int(_read_stat(int(name))[1]), []).append(int(name))
    tree = [root]
    for pid in tree:
        tree += below.get(pid, [])
    return tree


def measure_cpu(root: int) -> float:
    """Seconds of CPU that the tree used so far: its living processes, and those that they have waited for.

    Every kernel, runner and guardian of nbflow is below the process that asked for it, so none is missed.
    """
    ticks = 0
    for pid in find_tree(root):
        with suppress(OSError):
            ticks += sum(map(int, _read_stat(pid)[11:15]))  # user, system, and both of the children it waited for
    return ticks / _TICK


def _read_stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


class Peaks:
    """The most memory that each kind of process in a tree ever had, in MB."""

    def __init__(self) -> None:
        self.most: dict[str, float] = {}

    def look(self, root: int) -> None:
        for pid in find_tree(root):
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text(errors="replace")
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
                kind = _name(words, is_root=pid == root)
                self.most[kind] = max(self.most.get(kind, 0.0), int(peak) / 1024)


def _name(command: str, *, is_root: bool) -> str:
    if is_root:
        return "owner"
    known = {
        "ipykernel_launcher": "kernel",
        "nbflow.engines.attempt": "runner",
        "nbflow-guardian": "guardian",
        "nbflow-fork-server": "fork server",
    }
    return next((kind for mark, kind in known.items() if mark in command), "other")


@contextmanager
def watch_peaks(root: int) -> Iterator[Peaks]:
    """Look at the tree again and again until the block ends."""
    peaks, end = Peaks(), threading.Event()

    def look() -> None:
        while not end.wait(_PAUSE):
            peaks.look(root)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        end.set()
        thread.join()
