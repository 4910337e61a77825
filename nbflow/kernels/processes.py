"""Processes that leave nothing behind: start one under a guardian, see its end at once, end all that it started."""

from __future__ import annotations

import asyncio
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
from pathlib import Path
from typing import Any

from nbflow.kernels import wire
from nbflow.kernels.launch import GUARDIAN_VARIABLE, Program

ANSWER_LIMIT = 2.0
"""Seconds in which a warm server has to answer; after that the ordinary launcher is used."""

# A guardian imports nothing but these few modules: neither site-packages nor nbflow's own ``__init__`` are wanted.
_COLD_GUARDIAN = """\
import sys, types
package = sys.modules["nbflow"] = types.ModuleType("nbflow")
package.__path__ = [sys.argv[1]]
from nbflow.kernels.guardian import main
main(int(sys.argv[2]))
"""


class NoAnswer(OSError):
    """A guardian did not answer in time."""


class WentAway(OSError):
    """A guardian ended, or never was."""


class Child:
    """A program under a guardian, much like a Popen. What it knows of the exit comes from the guardian, at once."""

    def __init__(
        self,
        channel: socket.socket,
        link: socket.socket | None,
        reply: Mapping[str, Any],
        give_back: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.pid: int = reply["pid"]
        self.forked: bool = reply["forked"]
        """Whether it began in a fork of warm imports."""
        self.why: str = reply["why"]
        """Why not, where that is so."""
        self.returncode: int | None = None
        """As Popen has it: -9 after SIGKILL. Known once poll or wait saw it."""
        self.cpu_seconds: float | None = None
        """What it used, with those of its children that it waited for; known with the exit code."""
        self._channel = channel
        self._link = link
        self._give_back = give_back
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Readable when poll has news; -1 once the exit is known."""
        return self._channel.fileno()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with self._lock:
            if self.returncode is None and _is_readable(self._channel, 0.0):
                self._learn_exit()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it comes. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if timeout is not None and left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            with suppress(OSError, ValueError):  # another thread learned the exit and closed the channel
                _is_readable(self._channel, left)
        return code

    async def wait_async(self) -> int:
        """The exit code, when it comes; for use in an event loop."""
        loop = asyncio.get_running_loop()
        while (code := self.poll()) is None:
            # A duplicate, since a loop allows one reader for a descriptor and there may be several waiters.
            ear = os.dup(self._channel.fileno())
            news: asyncio.Future[None] = loop.create_future()
            try:
                loop.add_reader(ear, _wake, news)
                await news
            except NotImplementedError:
                await asyncio.sleep(0.05)
            finally:
                with suppress(NotImplementedError):
                    loop.remove_reader(ear)
                os.close(ear)
        return code

    def send_signal(self, signum: int) -> None:
        """To the child's process group; nothing happens when it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signum)

    def kill_tree(self, *, grace: float = 0.0) -> None:
        """SIGTERM to the child now, and SIGKILL to all that it ever started after *grace* seconds.

        Returns at once; the guardian sees to it, whatever happens to this process.
        """
        with self._lock, suppress(OSError):
            if self.returncode is None:
                wire.send(self._channel, {"grace": grace})

    def close(self) -> None:
        """Let go: a tied child ends with all that it started, a detached one goes on."""
        with self._lock:
            self._close()

    def _learn_exit(self) -> None:
        try:
            received = wire.receive(self._channel)
        except OSError:
            received = None
        # Without a last word the guardian was killed, and its programs with it.
        self.returncode = -int(signal.SIGKILL) if received is None else int(received[0]["exit"])
        self.cpu_seconds = None if received is None else received[0]["cpu"]
        if received is not None and self._link is not None and self._give_back is not None:
            self._give_back(self._link)
            self._link = None
        self._close()

    def _close(self) -> None:
        self._channel.close()
        if self._link is not None:
            self._link.close()


def python_module(module: str, *arguments: str) -> list[str]:
    """A command line that runs a module of ours; the working directory is kept off its ``sys.path``."""
    return [sys.executable, "-P", "-m", module, *arguments]


def begin(
    link: socket.socket,
    program: Program,
    *,
    stdio: Sequence[int | None],
    tied: bool,
    linked: bool,
    why: str = "",
    limit: float = ANSWER_LIMIT,
    owned: bool = True,
    give_back: Callable[[socket.socket], None] | None = None,
) -> Child:
    """Have the guardian at the other end of *link* start a program.

    *linked* programs can ask their guardian for more. *owned*: the link is closed with the child, or, once the program
    has ended, given to *give_back*. Raises OSError for what stopped the program; WentAway or NoAnswer for a guardian
    that did not even try.
    """
    ours, theirs = socket.socketpair()
    link.settimeout(limit)
    ours.settimeout(limit)
    try:
        reply = _request(link, ours, theirs, program, stdio, {"link": linked, "why": why})
        child = Child(ours, link if owned else None, reply, give_back)
        if not tied:
            wire.send(ours, {"detach": True})
        return child
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def _request(
    link: socket.socket,
    ours: socket.socket,
    theirs: socket.socket,
    program: Program,
    stdio: Sequence[int | None],
    wishes: Mapping[str, Any],
) -> dict[str, Any]:
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        descriptors = [nothing if item is None else item for item in stdio]
        wire.send(link, {**program.to_message(), **wishes}, [theirs.fileno(), *descriptors])
        theirs.close()
        received = wire.receive(ours)
    except TimeoutError as error:
        raise NoAnswer("no answer in time") from error
    except ConnectionError:
        received = None
    finally:
        os.close(nothing)
    if received is None:
        raise WentAway("the guardian went away")
    if "error" in received[0]:
        raise OSError(*received[0]["error"])
    return received[0]


def open_cold_guardian() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A guardian of its own, started in a few milliseconds, for programs that are to be executed."""
    ours, theirs = socket.socketpair()
    with theirs:
        root = str(Path(__file__).resolve().parents[1])
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _COLD_GUARDIAN, root, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    return ours, process


def find_own_guardian(environ: Mapping[str, str]) -> int | None:
    """The descriptor of this process's link to its own guardian, where it was started with one."""
    descriptor, _, pid = environ.get(GUARDIAN_VARIABLE, "").partition(":")
    if not descriptor.isdigit() or pid != str(os.getpid()):  # inherited by mistake
        return None
    with suppress(OSError):
        os.set_inheritable(int(descriptor), False)
        return int(descriptor)
    return None


def _is_readable(sock: socket.socket, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))


def _wake(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)
