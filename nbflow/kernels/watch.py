"""Whether anything happens in some folders: Linux tells, so that nobody has to look at hundreds of files again and again."""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Iterable
from contextlib import suppress

# Written to, its times or its place changed, made, removed: of what is in the folder and of the folder itself.
_MASK = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800


class FolderWatch:
    """Knows from its making on whether something has happened; forks that keep :attr:`descriptor` know it too."""

    def __init__(self, folders: Iterable[str]) -> None:
        self.descriptor = -1
        """-1 where it can't be known (or not any more)."""
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None, use_errno=True)
            self.descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if any(libc.inotify_add_watch(self.descriptor, os.fsencode(folder), _MASK) < 0 for folder in folders):
                self._stop()

    def is_quiet(self) -> bool:
        """Whether it is known that nothing has happened."""
        if self.descriptor < 0:
            return False
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        if poll.poll(0):
            self._stop()
        return self.descriptor >= 0

    def _stop(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
