"""The fork server: a single-threaded process that has imported what kernels and runners need, and forks guardians.

It is started by its owner and talks to it over one socket. A request carries a link, the server forks a guardian for
it and forgets about it: what is to be run only the guardian learns, so the server stays as it was when it was warm.
It stops forking when its owner ends or when a library has changed on disk, and ends once its guardians have; until
then it is the subreaper that catches the orphans of a guardian that was killed.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import linecache
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nbflow.kernels import linux, preload, pristine, quickstart, wire
from nbflow.kernels.guardian import TITLE as GUARDIAN_TITLE
from nbflow.kernels.guardian import Guardian, open_peer, watch_signals
from nbflow.kernels.heap import fill_holes
from nbflow.kernels.launch import Program, close_descriptors, find_ignored_signals
from nbflow.kernels.servers import SERVER_CODE
from nbflow.kernels.title import show_as
from nbflow.kernels.warmth import WarmImports, read_initial_environment

_F_SETSIG = 10
"""Linux only, and not in the fcntl module: which signal is sent."""


class _Server:
    def __init__(self, link: socket.socket, warmth: WarmImports, ignored: frozenset[int]) -> None:
        self._link: socket.socket | None = link
        self._warmth = warmth
        self._ignored = ignored
        self._guardians: set[int] = set()
        linux.become_subreaper()
        self._wakeup = watch_signals()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._owner = open_peer(link)

    def run(self) -> Guardian | None:
        """Serve until the end: None. In a fork: the guardian to be."""
        while self._link is not None or self._guardians:
            for descriptor in self._wait():
                if descriptor == self._wakeup:
                    with suppress(BlockingIOError):
                        os.read(self._wakeup, 4096)
                elif descriptor == self._owner:
                    self._retire()
                elif self._link is not None and descriptor == self._link.fileno():
                    guardian = self._serve(self._link)
                    if guardian is not None:
                        return guardian
            self._reap()
        return None

    def _wait(self) -> list[int]:
        poll = select.poll()
        for source in (self._wakeup, self._owner, self._link):
            if source is not None:
                poll.register(source, select.POLLIN)
        return [descriptor for descriptor, _ in poll.poll()]

    def _serve(self, link: socket.socket) -> Guardian | None:
        try:
            received = wire.receive(link)
        except OSError:
            received = None
        if received is None or self._warmth.is_stale():
            for descriptor in received[1] if received else ():
                os.close(descriptor)
            self._retire()
            return None
        descriptor = received[1][0]
        pid = os.fork()
        if pid:
            self._guardians.add(pid)
            os.close(descriptor)
            return None
        self._close_inherited(descriptor)
        linux.set_name(GUARDIAN_TITLE)
        return Guardian(socket.socket(fileno=descriptor), ignored=self._ignored, warmth=self._warmth)

    def _close_inherited(self, kept: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        if self._link is not None:
            self._link.detach()
        close_descriptors(keep={0, 1, 2, kept, self._warmth.watch.descriptor})

    def _retire(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def _reap(self) -> None:
        ended = False
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                self._guardians.discard(pid)
                ended = True
        if ended:
            for pid in linux.list_children() or ():
                if pid not in self._guardians:  # a guardian was killed and left it
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """The server's whole life, and that of its forks: guardians, and the programs that those start warm."""
    _become_somebody()()


def _become_somebody() -> Callable[[], None]:
    gc.disable()
    ignored = find_ignored_signals()
    link = socket.socket(fileno=int(sys.argv[1]))
    _end_with_owner(link, True)
    try:
        warmth, notes = _warm_up(link, json.loads(sys.argv[2]))
    except preload.Refused as reason:
        wire.send(link, {"failed": str(reason), "notes": {}})
        return _leave
    _end_with_owner(link, False)
    os.set_inheritable(link.fileno(), False)
    while True:
        show_as(["nbflow-fork-server", *json.loads(sys.argv[2])["preload"]])
        wire.send(link, {"notes": notes, "pid": os.getpid()})
        guardian = _Server(link, warmth, ignored).run()
        task = guardian.run() if guardian is not None else None
        if not isinstance(task, socket.socket):
            return _leave if task is None else _Job(task, warmth)
        link, notes = task, {}  # in a fork of the guardian: a server once more, of a kernel that has notebooks to run


def _end_with_owner(link: socket.socket, wanted: bool) -> None:
    """Imports take a second or more, in which nobody looks at the link: the system sends SIGTERM when it is hung up."""
    fcntl.fcntl(link, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(link, _F_SETSIG, signal.SIGTERM)
    flags = fcntl.fcntl(link, fcntl.F_GETFL)
    fcntl.fcntl(link, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)
    if wanted and select.select([link], [], [], 0)[0]:  # it was before that
        os._exit(0)


def _leave() -> None:
    os._exit(0)  # nothing to finish, and the interpreter's own teardown would take longer than a guardian's life


class _Job:
    """A program to be run in this very process."""

    def __init__(self, program: Program, warmth: WarmImports) -> None:
        self._program = program
        self._warmth = warmth

    def __call__(self) -> None:
        pristine.run(self._program, self._warmth)


def _warm_up(link: socket.socket, config: dict[str, Any]) -> tuple[WarmImports, dict[str, str]]:
    """Import everything; the state reached, and what had to be left out and why. Raises Refused."""
    if not sys.flags.safe_path:
        del sys.path[0]
    path = tuple(sys.path)
    preload.catch_output()
    if sys.gettrace() is not None or sys.getprofile() is not None:
        raise preload.Refused("a debugger or profiler watches the interpreter")
    notes = dict(config["refused"])
    failed = preload.import_warm(preload.KERNEL_MODULES)
    if "ipykernel.kernelapp" in failed:
        raise preload.Refused(f"ipykernel can't be imported: {failed['ipykernel.kernelapp']}")
    try:
        quickstart.prepare()
    except Exception as error:  # a version of ipykernel that is built otherwise: kernels start as they do
        notes["nbflow.kernels.quickstart"] = f"{type(error).__name__}: {error}"
    kernel_names = frozenset(name.partition(".")[0] for name in sys.modules)
    notes |= preload.import_warm(config["warm"])
    trusted = frozenset(sys.modules)
    accepted = 0
    for module in config["preload"]:
        if module in config["refused"]:
            continue
        if select.select([link], [], [], 0)[0]:  # nothing is sent so early: the owner is gone
            raise preload.Refused("the owner is gone")
        try:
            preload.import_audited(module, trusted=trusted)
            accepted += 1
        except preload.Refused as reason:
            notes[module] = str(reason)
            if reason.too_late:
                _begin_again(link, {**config, "refused": {**config["refused"], module: str(reason)}})
    preload.settle()
    if threads := preload.list_threads():
        raise preload.Refused(f"something started the thread {threads[0]}")
    sys.path[:] = path
    warmth = WarmImports(
        flags=config["flags"],
        path=path,
        kernel_names=kernel_names,
        preload=config["preload"],
        has_preloaded=accepted > 0,
        programs=config["warm"],
    )
    _forget_what_is_on_disk()
    gc.collect()
    warmth.ballast = fill_holes()
    gc.freeze()
    return warmth, notes


def _forget_what_is_on_disk() -> None:
    """What forks have to look up anew is forgotten here, once: each page that they write to is copied for them."""
    importlib.invalidate_caches()
    sys.path_importer_cache.clear()
    linecache.clearcache()


def _begin_again(link: socket.socket, config: dict[str, Any]) -> None:
    """An import can't be undone: start over without the module."""
    os.set_inheritable(link.fileno(), True)
    argv = [sys.executable, *config["flags"], "-c", SERVER_CODE, sys.argv[1], json.dumps(config)]
    os.execve(sys.executable, argv, read_initial_environment())  # imports may have changed the present one
