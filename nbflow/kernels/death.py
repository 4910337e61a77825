"""How kernels die or freeze, and how that is told: exit codes in words, evidence of the OOM killer, a missing heartbeat."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PING_INTERVAL = 5.0
FROZEN_AFTER = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelExit:
    """How a process ended."""

    signal: str | None
    """``SIGKILL`` and so on, where a signal ended it."""
    status: int | None
    """Its exit status, where it ended by itself."""
    text: str
    """In words, to follow “the kernel”."""


def describe_exit(returncode: int) -> KernelExit:
    """An exit code as Popen has it: negative for a signal."""
    number = -returncode
    # A shell, or a wrapper script, tells its program's signal as 128 + n.
    if returncode > 128 and returncode - 128 in {int(each) for each in signal.Signals}:
        number = returncode - 128
    if number <= 0:
        return KernelExit(signal=None, status=returncode, text=f"ended by itself with exit status {returncode}")
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    meaning = {"SIGSEGV": " (a crash in compiled code)", "SIGABRT": " (compiled code gave up)"}.get(name, "")
    return KernelExit(signal=name, status=None, text=f"was killed by {name}{meaning}")


class MemoryWatch:
    """Evidence of the OOM killer: what it counts for the cgroup of a process, from now on."""

    def __init__(self, pid: int | None = None, *, root: Path = Path("/")) -> None:
        """*pid*: None for this process; its children are in its cgroup."""
        self._file = _find_oom_counter(root, "self" if pid is None else str(pid))
        self._before = _read_oom_kills(self._file)

    def has_killed(self) -> bool:
        """Whether the OOM killer ended a process of the cgroup since. False where that can't be known."""
        now = _read_oom_kills(self._file)
        return self._before is not None and now is not None and now > self._before


def _find_oom_counter(root: Path, pid: str) -> Path:
    """The file that counts: the cgroup's (version 2, or 1), else the whole machine's."""
    try:
        lines = (root / "proc" / pid / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder, name = root / "sys/fs/cgroup", "memory.events"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.oom_control"
        else:
            continue
        # In a container the path may be the host's, and the folder the container's own.
        for candidate in (folder / path.lstrip("/") / name, folder / name):
            if _read_oom_kills(candidate) is not None:
                return candidate
    return root / "proc/vmstat"


def _read_oom_kills(file: Path) -> int | None:
    try:
        for line in file.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    except (OSError, ValueError):
        pass
    return None


async def watch_heartbeat(
    manager: Any,
    *,
    on_frozen: Callable[[], None],
    on_thawed: Callable[[], None] | None = None,
    interval: float = PING_INTERVAL,
    limit: float = FROZEN_AFTER,
) -> None:
    """Ping the kernel for ever; call *on_frozen* when it has not answered for *limit* seconds. To be cancelled.

    ipykernel answers from a thread of its own without Python's lock: a long computation, even in C, is no reason to be
    silent. A stopped or swapped-out process is.
    """
    socket = manager.connect_hb()
    socket.linger = 0
    try:
        while True:
            await socket.send(b"ping")
            if not await socket.poll(limit * 1000):
                on_frozen()
                await socket.poll()
                if on_thawed is not None:
                    on_thawed()
            await socket.recv()
            await asyncio.sleep(interval)
    finally:
        with suppress(Exception):
            socket.close()


def describe_state(pid: int) -> str:
    """Why a process may not answer, as far as the system knows: ``stopped``, ``waiting for a device``, or nothing."""
    from nbflow.kernels.linux import read_stat

    try:
        state = read_stat(pid)[0]
    except OSError:
        return ""
    return {"T": "it is stopped (SIGSTOP)", "t": "a debugger stopped it", "D": "it waits for a disk or device"}.get(
        state, ""
    )
