"""Fills the holes in the heap before it is shared with forks.

A fork copies each page that it writes to. What imports have freed lies in small pieces on thousands of pages, and a
kernel that is given those copies a tenth more than one whose memory comes from pages of its own.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from nbflow.kernels.title import find_libc

_LARGEST = 100_000
"""Bytes; from 128 kB on, glibc may give memory that is no part of the heap."""
_SMALLEST = 24
_OBJECT = re.compile(rb"^ *\d+ +(\d+) +\d+ +\d+ +(\d+)$", re.MULTILINE)
"""A line of CPython's statistics: class, size, pools, blocks in use, free blocks."""


_COUNTS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Usage(ctypes.Structure):
    """glibc's ``struct mallinfo2``: ``fordblks`` bytes are free, ``keepcost`` of them at the end."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _COUNTS)


def fill_holes() -> list[bytes]:
    """Take what is free in the pieces of CPython's and glibc's heaps; the caller keeps the answer.

    Standard error has to be a file in memory: CPython tells of its heap there. Elsewhere nothing is done.
    """
    objects = _fill_python()
    _fill_glibc()
    return objects


def _fill_python() -> list[bytes]:
    begin = os.fstat(2).st_size
    sys._debugmallocstats()
    table = os.pread(2, os.fstat(2).st_size - begin, begin)
    header = sys.getsizeof(b"")
    sizes = ((int(size), int(free)) for size, free in _OBJECT.findall(table))
    return [bytes(size - header) for size, free in sizes if size > header for _ in range(free)]


def _fill_glibc() -> None:
    library: Any = find_libc()
    if not hasattr(library, "mallinfo2"):
        return
    measure: Callable[[], Any] = library.mallinfo2
    library.mallinfo2.restype = _Usage
    library.malloc.restype = ctypes.c_void_p
    library.malloc_trim(ctypes.c_size_t(0))  # whole pages go back: what is taken of them below is not touched
    size = _LARGEST
    while size >= _SMALLEST:
        usage = measure()
        block = library.malloc(ctypes.c_size_t(size)) if usage.fordblks - usage.keepcost >= size else None
        if block is None or measure().keepcost != usage.keepcost:  # from the heap's end: no hole is so large
            library.free(ctypes.c_void_p(block))
            size = size * 3 // 4 if size > 200 else size - 16
