"""The owner's side: programs started warm where that is possible, and under a guardian in any case."""

from __future__ import annotations

import os
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nbflow.kernels.command import Unfit, undo_kernel
from nbflow.kernels.launch import GUARDIAN_VARIABLE, Program
from nbflow.kernels.linux import read_umask
from nbflow.kernels.preload import RUNNER_MODULES
from nbflow.kernels.processes import (
    ANSWER_LIMIT,
    Child,
    NoAnswer,
    WentAway,
    begin,
    find_own_guardian,
    open_cold_guardian,
)
from nbflow.kernels.servers import WarmServers

_COLD_LIMIT = 30.0
_OFF = "0"


class Spawner:
    """Starts programs for one owning process; any of its threads may use it."""

    def __init__(
        self,
        *,
        fork: bool | None = None,
        preload: Sequence[str] = (),
        warm: Sequence[str] = RUNNER_MODULES,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """*fork*: None for the default, on where it works unless ``NBFLOW_FORK_SERVER=0``.

        *preload* names installed libraries to import beforehand, *warm* modules of our own. *log* gets one line
        whenever a program could not be forked.
        """
        self._fork = os.environ.get("NBFLOW_FORK_SERVER") != _OFF if fork is None else fork
        self._log = log or _ignore
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._servers = WarmServers(preload=preload, warm=warm, log=self._log)
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
        log: Callable[[str], None] | None = None,
    ) -> Child:
        """Start a program in a session of its own. Raises OSError like Popen.

        Descriptors that are None stand for ``/dev/null``. A *tied* program ends when this process does, however that
        is; a detached one goes on, and its kernels and leftovers end when it does. *linked*: it may start kernels of
        its own, by ``NBFLOW_GUARDIAN`` in its environment. *log* gets this start's line instead of the spawner's.
        """
        if self._pid != os.getpid():
            raise RuntimeError("a Spawner can't be used in a fork of the process that made it; make another one")
        environment = _inherit_environment() if env is None else dict(env)
        environment.pop(GUARDIAN_VARIABLE, None)
        program = Program(argv=tuple(argv), env=environment, cwd=str(cwd or Path.cwd()), umask=read_umask())
        stdio = (stdin, stdout, stderr)
        try:
            child = self._start_warm(program, stdio, tied=tied, linked=linked)
        except Unfit as reason:
            child = self._start_cold(program, stdio, tied=tied, linked=linked, why=str(reason))
        if self._fork and not child.forked:
            (log or self._log)(f"started by the ordinary launcher: {child.why}")
        self._children.add(child)
        return child

    def _start_warm(self, program: Program, stdio: Sequence[int | None], *, tied: bool, linked: bool) -> Child:
        if not self._fork:
            raise Unfit("the fork server is turned off")
        for _ in range(3):  # guardians and servers hang up when a library has changed on disk: then a new one is asked
            server = self._servers.find(program)
            idle = server.take_idle()
            link = idle or server.open_guardian()
            if link is not None:
                try:
                    return begin(link, program, stdio=stdio, tied=tied, linked=linked, give_back=server.keep)
                except NoAnswer:
                    link.close()
                    self._servers.discard(server)
                    raise Unfit(f"the fork server did not answer within {ANSWER_LIMIT:g} s") from None
                except WentAway:
                    link.close()
                except OSError:
                    link.close()
                    raise
            if idle is not None:
                server.forget_idle()
            else:
                self._servers.discard(server)
        raise Unfit("the fork server ended")

    def _start_cold(
        self, program: Program, stdio: Sequence[int | None], *, tied: bool, linked: bool, why: str
    ) -> Child:
        link, guardian = open_cold_guardian()
        with self._lock:
            self._guardians = [each for each in self._guardians if each.poll() is None] + [guardian]
        try:
            return begin(link, program, stdio=stdio, tied=tied, linked=linked, why=why, limit=_COLD_LIMIT)
        except BaseException:
            link.close()
            raise

    def close(self) -> None:
        """Let go of everything: tied programs end, and the servers."""
        if self._pid == os.getpid():
            for child in list(self._children):
                child.close()
            self._servers.close()


def _inherit_environment() -> dict[str, str]:
    """This process's own; of a kernel, what a notebook would have that was run from elsewhere."""
    if find_own_guardian(os.environ) is None:
        return dict(os.environ)
    from nbflow.kernels.warmth import read_initial_environment

    return undo_kernel(os.environ, read_initial_environment())


def _ignore(line: str) -> None:
    pass
