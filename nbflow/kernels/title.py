"""What ``ps``, ``/proc/<pid>/cmdline`` and ``/proc/<pid>/environ`` show of a process that was forked, not executed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from nbflow.kernels.linux import read_stat

_PR_SET_NAME = 15
_PR_SET_MM = 35
_PR_SET_MM_MAP = 14
_UNCHANGED = 0xFFFFFFFF


class _MemoryMap(ctypes.Structure):
    """``struct prctl_mm_map``: where the system believes the parts of a process to be."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("start_code", "end_code", "start_data", "end_data", "start_brk", "brk")),
        *((name, ctypes.c_uint64) for name in ("start_stack", "arg_start", "arg_end", "env_start", "env_end", "auxv")),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


# Numbers of the fields of /proc/<pid>/stat, as proc(5) counts them.
_FIELDS = {
    "start_code": 26,
    "end_code": 27,
    "start_stack": 28,
    "start_data": 45,
    "end_data": 46,
    "start_brk": 47,
}


@cache
def find_libc() -> Any:
    """The C library of this process. Raises OSError or AttributeError where it is not as on Linux."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.malloc.restype = ctypes.c_void_p
    libc.sbrk.restype = ctypes.c_void_p
    return libc


def show_as(argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Let the process be seen with this command line and environment. Where the system does not let it: with the old."""
    with suppress(OSError, AttributeError, ValueError):
        libc = find_libc()
        libc.prctl(_PR_SET_NAME, ctypes.c_char_p(os.fsencode(os.path.basename(argv[0]))), 0, 0, 0)
        words = b"".join(os.fsencode(word) + b"\0" for word in argv)
        pairs = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in (env or {}).items())
        place = libc.malloc(ctypes.c_size_t(len(words) + len(pairs) + 1))  # for as long as the process lives
        ctypes.memmove(place, words + pairs, len(words) + len(pairs))
        stat = read_stat(os.getpid())
        layout = _MemoryMap(**{name: int(stat[number - 3]) for name, number in _FIELDS.items()})
        layout.brk = libc.sbrk(0)
        layout.arg_start, layout.arg_end = place, place + len(words)
        layout.env_start, layout.env_end = place + len(words), place + len(words) + len(pairs)
        layout.exe_fd = _UNCHANGED
        libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(layout), ctypes.c_ulong(ctypes.sizeof(layout)), 0)
