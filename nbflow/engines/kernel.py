"""One kernel for one attempt: started, watched and ended without a wait that has no end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbflow.errors import KernelError
from nbflow.kernels.death import MemoryWatch, describe_exit, describe_state, watch_heartbeat
from nbflow.kernels.manager import AttemptKernelManager, make_kernel_manager, start_kernel

SHUTDOWN_DEADLINE = 2.0
FIRST_PING = 3.0
NO_HISTORY = "--HistoryManager.hist_file=:memory:"
"""IPython would keep every cell of every run in the user's own history, and kernels would wait there for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a kernel's process ended."""

    text: str
    """In words, to follow “the kernel”."""
    signal: str | None = None
    out_of_memory: bool = False


class KernelDied(Exception):
    """The kernel's process ended while something was expected of it."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.text)
        self.death = death


class Kernel:
    """A kernel whose death is a future: whatever waits for the kernel waits for that too."""

    def __init__(
        self,
        name: str,
        *,
        connection_folder: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self.death: asyncio.Future[Death]
        self.client: Any = None
        self._connection_folder = connection_folder
        self._environment = environment
        self._say = say
        self._memory = MemoryWatch()
        self._tasks: list[asyncio.Task[None]] = []
        self._asked = False
        self.manager: AttemptKernelManager | None = None

    async def start(self, *, timeout: float) -> dict[str, Any]:
        """Start it and wait until it answers; its ``kernel_info``. Raises KernelError."""
        self.death = asyncio.get_running_loop().create_future()
        self.manager = make_kernel_manager(self.name, connection_dir=self._connection_folder, log=self._say)
        try:
            env = {**os.environ, **self._environment}
            more = [NO_HISTORY] if _is_ipykernel(self.manager.kernel_spec.argv) else []
            self.client = await start_kernel(
                self.manager, timeout=timeout, env=env, cwd=os.getcwd(), extra_arguments=more
            )
        except OSError as error:
            raise KernelError(f"kernel {self.name!r} could not start: {error}", kernel=self.name) from error
        self._tasks = [asyncio.create_task(self._watch_death()), asyncio.create_task(self._watch_heartbeat())]
        return self.manager.info or {}

    async def _watch_death(self) -> None:
        assert self.manager is not None
        code = await self.manager.wait_exit()
        end = describe_exit(code)
        killed = end.signal == "SIGKILL" and self._memory.has_killed()
        if not self.death.done():
            text = "ran out of memory and was killed by the system" if killed else end.text
            self.death.set_result(Death(text=text, signal=end.signal, out_of_memory=killed))

    async def _watch_heartbeat(self) -> None:
        def say_frozen() -> None:
            pid = getattr(getattr(self.manager, "provisioner", None), "pid", None)
            why = describe_state(pid) if pid else ""
            self._say(f"the kernel does not answer any more{': ' if why else ''}{why}")

        await asyncio.sleep(FIRST_PING)  # most kernels end sooner
        with suppress(OSError):
            await watch_heartbeat(
                self.manager, on_frozen=say_frozen, on_thawed=lambda: self._say("the kernel answers again")
            )

    def note_restart(self) -> None:
        """The kernel said that it restarts: what ran in it is lost."""
        if not self.death.done():
            self.death.set_result(Death(text="was restarted by somebody else"))

    async def interrupt(self) -> None:
        if self.manager is not None:
            with suppress(Exception):
                await self.manager.interrupt_kernel()

    async def ask_to_end(self) -> None:
        """The polite half of :meth:`stop`: there may be other things to do while the kernel ends."""
        if self.manager is not None and self.client is not None and not self.death.done():
            self._asked = True
            await self.manager.request_shutdown()

    async def stop(self, *, now: bool) -> None:
        """End it: it is asked first, unless *now*; whatever is left after that is killed."""
        manager = self.manager
        if manager is None:
            return
        try:
            if manager.has_kernel:
                if not now and not self._asked:
                    await self.ask_to_end()
                if self._asked and not self.death.done():
                    await asyncio.wait({self.death}, timeout=SHUTDOWN_DEADLINE)
                if not self.death.done():
                    await manager.shutdown_kernel(now=True)
        finally:
            for task in self._tasks:
                task.cancel()
            if self.client is not None:
                self.client.stop_channels()
            with suppress(Exception):
                await manager.cleanup_resources()


def _is_ipykernel(argv: Sequence[str]) -> bool:
    """Whether the command of a kernel is ``python -m ipykernel_launcher`` or the like, whatever the kernel's name."""
    return any(word.split(".", 1)[0] in ("ipykernel", "ipykernel_launcher") for word in argv)
