"""What only Linux offers a guardian: adopting orphans, dying with the parent, listing children.

Everything here does nothing, or answers "unknown", on other systems.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


@cache
def _prctl() -> Callable[..., Any] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    try:
        function = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, *[ctypes.c_ulong] * 3]
    function.restype = ctypes.c_int
    return function


def set_name(name: str) -> None:
    """The name that ``ps`` and ``top`` show of this process; 15 characters."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def become_subreaper() -> bool:
    """Orphans below this process become its children, however they tried to get away. Whether that works here."""
    prctl = _prctl()
    return prctl is not None and prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends. Safe only below a parent with a single thread."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the request
            os._exit(128 + signal.SIGKILL)


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there is no such thing.

    Raises ProcessLookupError when it ended already.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):
        return None


def list_children() -> list[int] | None:
    """Pids of this process's children, adopted ones included; None where that can't be known."""
    try:
        found: list[int] = []
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
        return found
    except OSError:
        return _scan_for_children()


def _scan_for_children() -> list[int] | None:
    # Kernels built without CONFIG_PROC_CHILDREN: look at every process for its parent.
    me = os.getpid()
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return None
    found = []
    for pid in pids:
        with suppress(OSError):
            if read_stat(pid)[1] == str(me):
                found.append(pid)
    return found


def read_stat(pid: int) -> list[str]:
    """The fields of ``/proc/<pid>/stat`` behind the name: state, parent, group, session ... Raises OSError."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def process_start_time(pid: int) -> float | None:
    """When the process started, in clock ticks since boot; None when there is no such (living) process."""
    try:
        fields = read_stat(pid)
    except OSError:
        return None
    return None if fields[0] in "ZX" else float(fields[19])


def read_umask() -> int:
    """The process's umask, without the moment in which another thread would see a wrong one where that is possible."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
