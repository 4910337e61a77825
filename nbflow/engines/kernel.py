"""One kernel for one attempt: started, watched and ended without a wait that has no end."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager

from nbflow.errors import KernelError

SHUTDOWN_DEADLINE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a kernel's process ended."""

    status: int | None
    """Exit status, negative for a signal; None where it is not known."""
    out_of_memory: bool = False
    restarted: bool = False
    """Somebody else (a gateway, a restarter) put a new kernel in its place: this one's state is lost."""

    @property
    def signal(self) -> str | None:
        if self.status is None or self.status >= 0:
            return None
        with suppress(ValueError):
            return signal.Signals(-self.status).name
        return f"signal {-self.status}"

    def describe(self) -> str:
        if self.restarted:
            return "it was restarted by somebody else"
        if self.signal:
            return f"ended by {self.signal}"
        return "it is gone" if self.status is None else f"it exited with status {self.status}"


class KernelDied(Exception):
    """The kernel's process ended while something was expected of it."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.describe())
        self.death = death


class Kernel:
    """A kernel over IPC sockets in a folder that only this user can enter."""

    def __init__(
        self,
        name: str,
        *,
        connection_folder: Path | None,
        fork_server: bool,
        environment: Mapping[str, str],
        log: logging.Logger,
    ) -> None:
        self.name = name
        self.death: asyncio.Future[Death]
        self._folder = Path(connection_folder or tempfile.mkdtemp(prefix="nbflow-"))
        self._owns_folder = connection_folder is None
        self._environment = environment
        self._fork_server = fork_server
        self._log = log
        self._watch: asyncio.Task[None] | None = None
        self.manager: Any = None
        self.client: Any = None

    async def start(self, *, timeout: float, **options: Any) -> dict[str, Any]:
        """Start it and wait until it answers; its ``kernel_info``. Raises KernelError."""
        self.death = asyncio.get_running_loop().create_future()
        try:
            self.manager = AsyncKernelManager(kernel_name=self.name)
            self.manager.transport = "ipc"
            self.manager.ip = str(self._folder / "k")
            self.manager.connection_file = str(self._folder / "kernel.json")
            env = {**os.environ, **self._environment, **options.pop("env", {})}
            await self.manager.start_kernel(env=env, **options)
        except NoSuchKernel:
            raise KernelError(f"kernel {self.name!r} is not installed", kernel=self.name) from None
        except OSError as error:
            raise KernelError(f"kernel {self.name!r} could not start: {error}", kernel=self.name) from error
        self._watch = asyncio.create_task(self._watch_death())
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        self.client.allow_stdin = False
        return await self._wait_until_ready(timeout)

    async def _wait_until_ready(self, timeout: float) -> dict[str, Any]:
        """Ready: it answered ``kernel_info``, and its iopub socket was heard."""
        deadline = asyncio.get_running_loop().time() + timeout
        heard = asyncio.ensure_future(self.client.iopub_channel.get_msg(timeout=None))
        reply = asyncio.ensure_future(self.client.shell_channel.get_msg(timeout=None))
        try:
            while not (heard.done() and reply.done()):
                self.client.kernel_info()
                wait = min(1.0, deadline - asyncio.get_running_loop().time())
                if wait <= 0:
                    raise KernelError(f"kernel {self.name!r} did not answer within {timeout:g} s", kernel=self.name)
                await asyncio.wait(
                    {heard, reply} - {task for task in (heard, reply) if task.done()} | {self.death},
                    timeout=wait,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self.death.done():
                    raise KernelError(
                        f"kernel {self.name!r} did not start: {self.death.result().describe()}", kernel=self.name
                    )
            content: dict[str, Any] = reply.result()["content"]
            return content
        finally:
            heard.cancel()
            reply.cancel()

    async def _watch_death(self) -> None:
        status = await self.manager.provisioner.wait()
        if not self.death.done():
            self.death.set_result(Death(status=status))

    def note_restart(self) -> None:
        """The kernel said that it restarts: what ran in it is lost."""
        if not self.death.done():
            self.death.set_result(Death(status=None, restarted=True))

    async def interrupt(self) -> None:
        with suppress(Exception):
            await self.manager.interrupt_kernel()

    async def stop(self, *, grace: float, now: bool) -> None:
        """End it: it is asked first, unless *now*; whatever is left after that is killed."""
        if self.manager is None:
            return
        try:
            if self.manager.provisioner is not None and self.manager.has_kernel:
                if not now and not self.death.done():
                    await self.manager.request_shutdown()
                    await asyncio.wait({self.death}, timeout=SHUTDOWN_DEADLINE)
                if not self.death.done():
                    await self.manager._async_kill_kernel()
        finally:
            if self._watch is not None:
                self._watch.cancel()
            if self.client is not None:
                self.client.stop_channels()
            with suppress(Exception):
                await self.manager.cleanup_resources()
            if self._owns_folder:
                shutil.rmtree(self._folder, ignore_errors=True)
