"""What is asked of a kernel, and its answers.

Each wait ends with an answer, the kernel's death, a limit, or the word to stop, whichever is first.
"""

from __future__ import annotations

import asyncio
from queue import Empty
from typing import Any

from nbflow.engines.kernel import Kernel, KernelDied
from nbflow.engines.stopping import Stop, StopWatch

LOOK_AGAIN = 0.5
AT_THE_MOST = 600.0
"""Seconds in which what a cell printed arrives, however long the kernel goes on to print: a thread of its may never end."""
LAST_WORDS = 0.2
"""Seconds in which what a dead kernel said last arrives."""


class Exchange:
    """The messages to one kernel that are not answered yet. For use while :meth:`pump` goes on."""

    def __init__(self, kernel: Kernel, watch: StopWatch) -> None:
        self._kernel = kernel
        self._watch = watch
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._idle: dict[str, asyncio.Future[None]] = {}
        self._heard = 0

    async def pump(self) -> None:
        """Take in the replies."""
        while True:
            message = await receive(self._kernel.client.shell_channel)
            reply = self._replies.get(message["parent_header"].get("msg_id", ""))
            if reply is not None and not reply.done():
                reply.set_result(message)

    def note_output(self) -> None:
        """The kernel said something."""
        self._heard += 1

    def note_idle(self, message: str) -> None:
        """The kernel said that it has done with the message: everything it had to say to it has arrived."""
        idle = self._idle.get(message)
        if idle is not None and not idle.done():
            idle.set_result(None)

    async def wait_for_reply(self, message: str, limit: float | None) -> dict[str, Any]:
        """The reply to a message just sent; raises KernelDied, Stop or TimeoutError when one of these is first."""
        reply = self._replies.setdefault(message, asyncio.get_running_loop().create_future())
        idle = self._idle.setdefault(message, asyncio.get_running_loop().create_future())
        death, stop = self._kernel.death, self._watch.wanted
        await _first({reply, death, stop}, limit)
        if death.done() and not reply.done():
            await asyncio.wait({reply}, timeout=LAST_WORDS)
        if reply.done():
            self._replies.pop(message, None)
            return reply.result()
        if death.done():
            await asyncio.wait({idle}, timeout=LAST_WORDS)
            raise KernelDied(death.result())
        if stop.done():
            raise Stop(stop.result())
        raise TimeoutError

    async def wait_for_idle(self, message: str, silence: float) -> bool:
        """After the reply, until :meth:`note_idle`; False when a kernel that lives says nothing for *silence* seconds.

        What it printed in a moment may take long to come.
        """
        idle, heard = self._idle[message], -1
        until = asyncio.get_running_loop().time() + AT_THE_MOST
        while heard != self._heard and asyncio.get_running_loop().time() < until:
            heard = self._heard
            await _first({idle, self._kernel.death}, silence)
            if idle.done() or self._kernel.death.done():
                break
        self._idle.pop(message, None)
        return idle.done() or self._kernel.death.done()

    async def interrupt(self, message: str, grace: float) -> None:
        """Let what the message began clean up: interrupt it, and wait for its end within the grace."""
        reply, idle = self._replies[message], self._idle[message]
        await self._kernel.interrupt()
        await _first({reply, self._kernel.death}, grace)
        if reply.done():
            await asyncio.wait({idle}, timeout=1.0)


async def receive(channel: Any) -> dict[str, Any]:
    """The channel's next message.

    Looked for anew every so often: jupyter_client sends through a second handle on the socket, which may take the
    news of an arrived message from asyncio's.
    """
    while True:
        try:
            message: dict[str, Any] = await channel.get_msg(timeout=LOOK_AGAIN)
            return message
        except Empty:
            pass


async def _first(futures: set[asyncio.Future[Any]], timeout: float | None) -> None:
    """Until one of them is done, *timeout* seconds at the most."""
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
