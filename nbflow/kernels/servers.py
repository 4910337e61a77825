"""The owner's fork servers: one for each interpreter and environment, at most two, kept while they are used."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nbflow.kernels import linux, wire
from nbflow.kernels.command import Unfit, check_environment, find_python, parse_command, reduce_environment
from nbflow.kernels.launch import Program
from nbflow.kernels.processes import ANSWER_LIMIT, find_own_guardian

START_LIMIT = 10.0
"""Seconds that somebody waits for a server to finish its imports."""
MOST_SERVERS = 2
FORGIVEN_AFTER = 60.0
"""Seconds after which a server that could not start is tried again."""
MOST_IDLE = 8
"""Guardians that are kept for later once their programs have ended."""
SERVER_CODE = "from nbflow.kernels.forkserver import main; main()"


@dataclass(frozen=True, slots=True)
class _Key:
    python: str
    flags: tuple[str, ...]
    environment: frozenset[tuple[str, str]]


class _ForkedServer:
    """A server that this process did not execute: its own guardian forked it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._started = linux.process_start_time(pid)

    def poll(self) -> int | None:
        is_alive = self._started is not None and linux.process_start_time(self.pid) == self._started
        return None if is_alive else 0

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class WarmServer:
    """One server process and the socket to it."""

    def __init__(self, key: _Key, program: Program, *, preload: Sequence[str], warm: Sequence[str]) -> None:
        """*program*: one of those that it is for."""
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._ready = False
        self._idle: list[socket.socket] = []
        self.notes: Mapping[str, str] = {}
        """Modules that were left out, and why; known once the server is ready."""
        self.process: subprocess.Popen[bytes] | _ForkedServer
        forked = _ask_own_guardian({"server": program.to_message(), "preload": [*preload], "warm": [*warm]})
        if forked is not None:
            self._link, self.process = forked
            self._ready = True
            return
        self._link, theirs = socket.socketpair()
        config = json.dumps({"preload": [*preload], "warm": [*warm], "flags": [*key.flags], "refused": {}})
        with theirs:
            self.process = subprocess.Popen(
                [key.python, *key.flags, "-c", SERVER_CODE, str(theirs.fileno()), config],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(key.environment),
                cwd="/",
                start_new_session=True,
            )

    def wait_ready(self) -> str:
        """Why it can't be used; empty when it can. Waits until the imports are done, for START_LIMIT from its start."""
        with self._lock:
            if not self._ready and self._failure is None:
                self._learn(max(0.0, self._begun + START_LIMIT - time.monotonic()))
                if not self._ready and self._failure is None:
                    return "the fork server is not ready yet"
            return self._failure or ""

    def _learn(self, patience: float) -> None:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        if not poll.poll(patience * 1000):
            return
        received = wire.receive(self._link)
        if received is None:
            self._failure = "the fork server ended while it started"
        elif "failed" in received[0]:
            self._failure = str(received[0]["failed"])
        else:
            self.notes = received[0]["notes"]
            self._ready = True

    def is_alive(self) -> bool:
        """Whether it takes requests, as far as can be seen from here: it hangs up when it is to be replaced."""
        if self.process.poll() is not None:
            return False
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        return not self._ready or not poll.poll(0)

    def open_guardian(self) -> socket.socket | None:
        """A link to a new guardian; None when the server hung up."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            self._link.settimeout(1.0)
            try:
                wire.send(self._link, {}, [theirs.fileno()])
            except OSError:
                ours.close()
                return None
        return ours

    def keep(self, link: socket.socket) -> None:
        """The link to a guardian whose program has ended: it may be asked for another one once it says so."""
        with self._lock:
            self._idle.append(link)
            superfluous = self._idle.pop(0) if len(self._idle) > MOST_IDLE or self._link.fileno() < 0 else None
        if superfluous is not None:
            superfluous.close()

    def take_idle(self) -> socket.socket | None:
        """The link to a guardian that has nothing to do any more, if there is one."""
        taken = None
        with self._lock:
            for link in list(self._idle):
                state = _look_at(link)
                if state == "ended" or (state == "idle" and taken is None):
                    self._idle.remove(link)
                    if state == "ended":
                        link.close()
                    else:
                        wire.receive(link)
                        taken = link
        return taken

    def forget_idle(self) -> None:
        """Let them end."""
        with self._lock:
            for link in self._idle:
                link.close()
            self._idle.clear()

    def close(self) -> None:
        """Let it end, once its guardians have."""
        self._link.close()
        self.forget_idle()

    def kill(self) -> None:
        """It does not answer any more. Its guardians go on without it."""
        self.close()
        with suppress(OSError):
            self.process.kill()


def _look_at(link: socket.socket) -> str:
    """What a guardian whose program has ended does: it is "busy" with what is left of it, "idle", or has "ended" too."""
    poll = select.poll()
    poll.register(link, select.POLLIN)
    if not poll.poll(0):
        return "busy"
    try:
        return "idle" if link.recv(1, socket.MSG_PEEK) else "ended"
    except OSError:
        return "ended"


class WarmServers:
    """The servers of one owning process. Safe for threads; a fork of the owner must not use it."""

    def __init__(self, *, preload: Sequence[str], warm: Sequence[str], log: Callable[[str], None]) -> None:
        self._preload = tuple(preload)
        self._warm = tuple(warm)
        self._log = log
        self._lock = threading.Lock()
        self._servers: dict[_Key, WarmServer] = {}
        self._ended: list[subprocess.Popen[bytes] | _ForkedServer] = []
        self._failures: dict[_Key, tuple[str, float]] = {}
        self._asked: set[_Key] = set()

    def find(self, program: Program) -> WarmServer:
        """The server for a program, ready. Raises Unfit."""
        key = _make_key(program)
        server = self._get(key, program)
        failure = server.wait_ready()
        if not failure:
            self._tell_notes(server)
            return server
        if failure != "the fork server is not ready yet":
            with self._lock:
                self._failures[key] = (failure, time.monotonic() + FORGIVEN_AFTER)
                self._drop(key)
        raise Unfit(failure)

    def _tell_notes(self, server: WarmServer) -> None:
        with self._lock:
            notes, server.notes = server.notes, {}
        for module, reason in notes.items():
            self._log(f"not imported beforehand: {module}: {reason}")

    def discard(self, server: WarmServer) -> None:
        """The server hung up, or does not answer: the next request starts another one."""
        with self._lock:
            for key, each in list(self._servers.items()):
                if each is server:
                    self._drop(key, kill=True)

    def close(self) -> None:
        with self._lock:
            for key in list(self._servers):
                self._drop(key)
            self._reap()

    def _get(self, key: _Key, program: Program) -> WarmServer:
        with self._lock:
            self._reap()
            failure, until = self._failures.get(key, ("", 0.0))
            if time.monotonic() < until:
                raise Unfit(failure)
            server = self._servers.pop(key, None)
            if server is not None and not server.is_alive():
                server.close()
                self._ended.append(server.process)
                server = None
            if server is None:
                self._make_room(key)
                server = WarmServer(key, program, preload=self._preload, warm=self._warm)
            self._servers[key] = server  # the most recently used one is the last
            return server

    def _make_room(self, key: _Key) -> None:
        if len(self._servers) < MOST_SERVERS:
            return
        # An environment that is seen once only is not worth the loss of a server that is in use.
        if key not in self._asked:
            self._asked.add(key)
            raise Unfit("another environment than the fork servers have")
        self._drop(next(iter(self._servers)))

    def _drop(self, key: _Key, *, kill: bool = False) -> None:
        server = self._servers.pop(key, None)
        if server is not None:
            server.kill() if kill else server.close()
            self._ended.append(server.process)

    def _reap(self) -> None:
        self._ended = [process for process in self._ended if process.poll() is None]


def _ask_own_guardian(message: Mapping[str, object]) -> tuple[socket.socket, _ForkedServer] | None:
    """The link to a server that the warm guardian of this very process, a kernel, forks; None where it can't or won't."""
    guardian = find_own_guardian(os.environ)
    if guardian is None:
        return None
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_LIMIT)
    link = socket.socket(fileno=guardian)
    try:
        with theirs:
            wire.send(link, message, [theirs.fileno()])
        received = wire.receive(ours)
    except OSError:
        received = None
    finally:
        link.detach()
    if received is None:
        ours.close()
        return None
    ours.settimeout(None)
    return ours, _ForkedServer(received[0]["pid"])


def _make_key(program: Program) -> _Key:
    if sys.platform != "linux":
        raise Unfit(f"no fork server on {sys.platform}")
    command = parse_command(program.argv)
    python = find_python(command.python, program.env)
    check_environment(program.env)
    return _Key(python, command.flags, frozenset(reduce_environment(program.env).items()))
