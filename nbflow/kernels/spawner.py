"""The owner's side: programs started warm where that is possible, and under a guardian in any case."""

from __future__ import annotations

import os
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nbflow.kernels.launch import GUARDIAN_VARIABLE, Program
from nbflow.kernels.linux import read_umask
from nbflow.kernels.processes import Child, begin, open_cold_guardian

_COLD_LIMIT = 30.0


class Spawner:
    """Starts programs for one owning process; any of its threads may use it."""

    def __init__(
        self,
        *,
        fork: bool | None = None,
        preload: Sequence[str] = (),
        warm: Sequence[str] = (),
        log: Callable[[str], None] | None = None,
    ) -> None:
        """*fork*: None for the default, on where it works unless ``NBFLOW_FORK_SERVER=0``.

        *preload* names installed libraries to import beforehand, *warm* modules of our own. *log* gets one line
        whenever something that could have been forked was not.
        """
        self._log = log or (lambda line: None)
        self._lock = threading.Lock()
        self._guardians: list[subprocess.Popen[bytes]] = []
        self._children: weakref.WeakSet[Child] = weakref.WeakSet()

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        tied: bool = True,
        linked: bool = True,
    ) -> Child:
        """Start a program in a session of its own. Raises OSError like Popen.

        A *tied* one ends when this process does, however that is; of a detached one only the kernels and leftovers
        end, and when it does. *linked*: it may start kernels of its own (``NBFLOW_GUARDIAN`` in its environment).
        """
        environment = {name: value for name, value in (os.environ if env is None else env).items()}
        environment.pop(GUARDIAN_VARIABLE, None)
        program = Program(argv=tuple(argv), env=environment, cwd=str(cwd or Path.cwd()), umask=read_umask())
        link, guardian = open_cold_guardian()
        with self._lock:
            self._guardians = [each for each in self._guardians if each.poll() is None] + [guardian]
        try:
            child = begin(
                link, program, stdio=(stdin, stdout, stderr), tied=tied, linked=linked, why="off", limit=_COLD_LIMIT
            )
        except OSError:
            link.close()
            raise
        self._children.add(child)
        return child

    def warm_up(self) -> None:
        """Start the server now, without waiting for it."""

    def close(self) -> None:
        """Let go of everything: tied programs end, and the servers."""
        for child in list(self._children):
            child.close()
