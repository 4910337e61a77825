"""The guardian: parent of everything that one attempt (or one kernel) starts, and the end of it all.

It is a process of its own with a single thread. Its owner talks to it over a socket, the *link*; each program has
another one, its *channel*, that tells its pid and later its exit. As a subreaper the guardian becomes the parent of
every orphan below it, so "I have no child left" is proof that nothing is left. The first program is its *primary*.
It ends everything below it

- when the primary has ended, however that was. What was left behind gets a moment to end by itself
  (``multiprocessing``'s resource tracker cleans up then), the rest is killed;
- when the owner has ended, which the closed link or the owner's pidfd tells, unless the primary is detached.

A runner has a link to its guardian too, and asks it for kernels; closing a kernel's channel ends the kernel. A warm
kernel has one as well: a notebook that runs notebooks gets a fork server of its own by a fork of its warm guardian,
where that is as good, and so without a second of imports.

After that, a guardian with warm imports is as new, and offers its owner to begin again: to fork another one takes longer.

If the guardian itself is killed, its programs die with it (``PR_SET_PDEATHSIG``), and what they had started falls to
the next subreaper above: the fork server, which kills children that it does not know.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from nbflow.kernels import linux, wire
from nbflow.kernels.launch import Program, close_descriptors, find_ignored_signals, fork_program
from nbflow.kernels.title import show_as

TITLE = "nbflow-guardian"
COLD = "its guardian has no warm imports"
LAST_MOMENT = 0.3
"""Seconds that leftovers have to end by themselves once the programs they belong to are gone."""
GIVE_UP = 10.0
"""Seconds of killing after which the guardian leaves what it may not kill (another user's processes)."""
IDLE_LIMIT = 1.0
"""Seconds that a guardian waits to be asked again."""
_PATIENCE = 5.0
"""Seconds for the rest of a message whose beginning has arrived."""


class Watch(Protocol):
    @property
    def descriptor(self) -> int:
        """Of the watch over what was imported; to be kept in guardians and servers, and closed in programs."""


class Warmth(Protocol):
    """Imports done beforehand, offered to the programs that the guardian starts."""

    def find_unfit(self, program: Program) -> str:
        """Why the program can't be run in a fork of this process; empty when it can."""

    @property
    def watch(self) -> Watch: ...

    def is_stale(self) -> bool:
        """Whether something that was imported has changed on disk since."""

    def can_serve(self, program: Program, *, preload: Sequence[str], warm: Sequence[str]) -> bool:
        """Whether a fork of this process is as good as a new server with these imports, made for the program."""


@dataclass(slots=True)
class _Ward:
    """A program that the guardian started and that has not ended yet."""

    channel: socket.socket | None
    primary: bool
    kill_at: float | None = None


class Guardian:
    """Starts programs, tells how they ended, and leaves nothing behind."""

    def __init__(self, link: socket.socket, *, ignored: frozenset[int], warmth: Warmth | None = None) -> None:
        self._link: socket.socket | None = link
        self._inner_links: list[socket.socket] = []
        self._ignored = ignored
        self._warmth = warmth
        self._idle_until: float | None = None
        self._nature = _read_nature()
        self._wards: dict[int, _Ward] = {}
        self._begun = False
        self._tied = True
        self._end_at: float | None = None
        self._childless = True
        self._sources: dict[int, Callable[[], Program | socket.socket | None]] = {}
        self._poll = select.poll()
        linux.become_subreaper()
        self._wakeup = watch_signals()
        self._watch(self._wakeup, self._drain)
        self._owner = open_peer(link)
        if self._owner is not None:
            self._watch(self._owner, self._lose_owner)
        self._watch_link(link)

    def run(self) -> Program | socket.socket | None:
        """Guard until nothing is left: None. In a fork that is to use the warm imports: the program to run there, or, for a
        fork server, the link to its owner."""
        while not self._is_over() or self._is_as_new():
            for descriptor, _ in self._poll.poll(self._find_wait()):
                answer = self._sources.get(descriptor)
                task = answer() if answer is not None else None
                if task is not None:
                    return task
            self._reap()
            self._kill_what_is_due()
        return None

    def _is_as_new(self) -> bool:
        """Whether nothing is left of what was guarded; the owner hears that it may have something else started here."""
        link = self._link
        if (
            self._end_at is None
            or link is None
            or self._warmth is None
            or not self._childless
            or self._nature != _read_nature()
        ):
            return False
        for inner in self._inner_links:
            self._close(inner)
        self._inner_links.clear()
        self._begun, self._tied, self._end_at = False, True, None
        self._idle_until = time.monotonic() + IDLE_LIMIT
        try:
            wire.send(link, {"idle": True})
        except OSError:
            return False
        return True

    def _is_over(self) -> bool:
        if self._end_at is None:
            is_late = self._idle_until is not None and time.monotonic() > self._idle_until
            return (self._link is None or is_late) and not self._wards
        return self._childless or time.monotonic() > self._end_at + GIVE_UP

    def _find_wait(self) -> int | None:
        """Milliseconds until something is due, as poll wants them."""
        now = time.monotonic()
        due = [ward.kill_at for ward in self._wards.values() if ward.kill_at is not None]
        if self._end_at is not None:
            due.append(max(self._end_at, now + 0.01))
        if self._idle_until is not None:
            due.append(self._idle_until)
        return max(0, int((min(due) - now) * 1000) + 1) if due else None

    # what may happen

    def _watch(self, descriptor: int, answer: Callable[[], Program | socket.socket | None]) -> None:
        self._sources[descriptor] = answer
        self._poll.register(descriptor, select.POLLIN)

    def _close(self, sock: socket.socket) -> None:
        del self._sources[sock.fileno()]
        self._poll.unregister(sock)
        sock.close()

    def _watch_link(self, link: socket.socket) -> None:
        link.settimeout(_PATIENCE)
        if link is not self._link:
            self._inner_links.append(link)
        self._watch(link.fileno(), lambda: self._read_link(link))

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wakeup, 4096)

    def _read_link(self, link: socket.socket) -> Program | socket.socket | None:
        received = _receive(link)
        if received is not None and self._idle_until is not None and self._is_stale():
            for descriptor in received[1]:
                os.close(descriptor)
            received = None  # it hangs up, as the fork server does
        if received is not None:
            return self._fork_server(*received) if "server" in received[0] else self._start(*received)
        if link is self._link:
            self._lose_owner()
        else:
            self._inner_links.remove(link)
            self._close(link)
        return None

    def _is_stale(self) -> bool:
        return self._warmth is not None and self._warmth.is_stale()

    def _lose_owner(self) -> None:
        if self._owner is not None:
            del self._sources[self._owner]
            self._poll.unregister(self._owner)
            os.close(self._owner)
            self._owner = None
        if self._link is not None:
            self._close(self._link)
            self._link = None
        if self._tied and self._begun:
            self._end()

    def _read_channel(self, pid: int) -> None:
        ward = self._wards[pid]
        assert ward.channel is not None
        received = _receive(ward.channel)
        now = time.monotonic()
        if received is None:
            self._close(ward.channel)
            ward.channel = None
            if self._tied or not ward.primary:
                ward.kill_at = now
        elif "detach" in received[0]:
            # Only now: an owner that had given up waiting would start the program once more.
            self._tied = self._tied and not ward.primary
        else:
            grace = float(received[0]["grace"])
            if grace > 0:
                os.kill(pid, signal.SIGTERM)
            ward.kill_at = min(now + grace, ward.kill_at or now + grace)

    # starting

    def _start(self, message: dict[str, Any], descriptors: list[int]) -> Program | None:
        channel = socket.socket(fileno=descriptors[0])
        program = Program.from_message(message)
        why = self._warmth.find_unfit(program) if self._warmth is not None else str(message["why"] or COLD)
        is_trusted = message["link"] and (not self._begun or not why)
        link, link_end = socket.socketpair() if is_trusted else (None, None)
        try:
            pid, program = fork_program(
                program,
                stdio=descriptors[1:4],
                link=link_end.fileno() if link_end is not None else None,
                ignored=self._ignored,
                execute=bool(why),
            )
        except OSError as error:
            _send(channel, {"error": [error.errno, error.strerror, error.filename]})
            channel.close()
        else:
            if pid == 0:
                self._leave(channel, link, link_end)
                return program
            self._adopt(pid, channel)
            if link is not None:
                self._watch_link(link)
            _send(channel, {"pid": pid, "forked": not why, "why": why})
        if link_end is not None:
            link_end.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return None

    def _fork_server(self, message: dict[str, Any], descriptors: list[int]) -> socket.socket | None:
        """Who asks for what this process is not fit for is hung up on, and starts a server of its own."""
        program, link = Program.from_message(message["server"]), descriptors[0]
        is_fit = self._warmth is not None and self._end_at is None
        if is_fit and self._warmth.can_serve(program, preload=message["preload"], warm=message["warm"]):  # type: ignore[union-attr]
            with suppress(OSError):
                if os.fork() == 0:
                    self._leave()
                    os.setsid()
                    signal.set_wakeup_fd(-1)
                    close_descriptors(keep={0, 1, 2, link, self._warmth.watch.descriptor})  # type: ignore[union-attr]
                    return socket.socket(fileno=link)
                self._childless = False
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def _leave(self, *others: socket.socket | None) -> None:
        # In the fork. The descriptors are closed: no object may close them again when others bear their numbers.
        for sock in (self._link, *self._inner_links, *(ward.channel for ward in self._wards.values()), *others):
            if sock is not None:
                sock.detach()

    def _adopt(self, pid: int, channel: socket.socket) -> None:
        self._wards[pid] = _Ward(channel=channel, primary=not self._begun)
        self._begun = True
        self._idle_until = None
        self._childless = False
        channel.settimeout(_PATIENCE)
        self._watch(channel.fileno(), lambda: self._read_channel(pid))

    # ending

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            ward = self._wards.pop(pid, None)
            if ward is None:
                continue
            if ward.channel is not None:
                code = os.waitstatus_to_exitcode(status)
                cpu = usage.ru_utime + usage.ru_stime
                _send(ward.channel, {"exit": code, "cpu": cpu, "memory": usage.ru_maxrss})
                self._close(ward.channel)
            if ward.primary:
                self._end()

    def _end(self) -> None:
        if self._end_at is None:
            self._end_at = time.monotonic() + LAST_MOMENT
            for pid in self._wards:
                os.kill(pid, signal.SIGKILL)

    def _kill_what_is_due(self) -> None:
        now = time.monotonic()
        for pid, ward in self._wards.items():
            if ward.kill_at is not None and ward.kill_at <= now:
                ward.kill_at = None
                if ward.primary:
                    self._end()
                    self._end_at = now
                else:
                    kill_group(pid)
        if self._end_at is not None and self._end_at <= now:
            # Only direct children: they are unreaped, so their pids can't have been given to anybody else.
            # What is below them comes up as they die, and is killed in the next round.
            for pid in linux.list_children() or ():
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            for pid in self._wards:
                kill_group(pid)


def _read_nature() -> tuple[Any, ...]:
    """What programs inherit from their guardian, and anybody of the same user could have changed."""
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    places = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    return os.getpriority(os.PRIO_PROCESS, 0), places, limits


def kill_group(pid: int) -> None:
    """SIGKILL to a program and to its process group, of which it is the leader."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def watch_signals() -> int:
    """A descriptor that becomes readable when a child ends.

    What is meant to end the programs does not end their guardian: the terminal's Ctrl-C, a service manager's SIGTERM.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    wakeup, wakeup_end = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wakeup_end, False)
    signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wakeup


def open_peer(link: socket.socket) -> int | None:
    """A pidfd of the process that made the link: a fork of that process may hold the link open after its end."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid = int.from_bytes(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], "little", signed=True)
    try:
        return linux.open_pidfd(pid) if pid > 0 else None
    except ProcessLookupError:
        return None


def _receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    try:
        return wire.receive(sock)
    except OSError:
        return None


def _send(sock: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):
        wire.send(sock, message)


def main(descriptor: int) -> None:
    """A guardian without warm imports: it executes its programs."""
    link = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    show_as([TITLE])
    Guardian(link, ignored=find_ignored_signals()).run()
    os._exit(0)
