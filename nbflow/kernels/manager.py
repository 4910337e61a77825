"""A kernel manager for one attempt: IPC sockets of its own, the fork provisioner, and a start that is known to be one."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager

from nbflow.errors import KernelError
from nbflow.kernels.death import describe_exit
from nbflow.kernels.provisioner import ForkProvisioner, KernelProcess

_LONGEST_FOLDER = 95  # of the 107 bytes of a Unix socket's path
_TCP_TRIES = 3
_RECONNECT = 4  # milliseconds: zmq's own 100 are longer than a forked kernel needs to start
_FIRST_PAUSE = 0.25
_LOOK_AGAIN = 0.05
_SPEAK_IPC = frozenset({"python", "r", "julia", "bash"})


class AttemptKernelManager(AsyncKernelManager):  # type: ignore[misc]
    """Starts and ends the kernel of one attempt."""

    socket_folder: Path | None = None
    """A temporary folder for the sockets, where the attempt's own has too long a name."""
    fork_log: Callable[[str], None] | None = None
    provisioner: Any
    kernel_id: Any
    info: dict[str, Any] | None = None
    """The kernel's ``kernel_info``, once it is ready."""
    _last_exit: int | None = None

    async def _async_pre_start_kernel(self, **options: Any) -> Any:
        if self.provisioner is None and "kernel_provisioner" not in (self.kernel_spec.metadata or {}):
            self.kernel_id = self.kernel_id or os.urandom(8).hex()
            self.provisioner = ForkProvisioner(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
            self.provisioner.fork_log = self.fork_log
        return await super()._async_pre_start_kernel(**options)

    def client(self, **options: Any) -> Any:
        """A client that shares this manager's sockets' context, hence its thread."""
        return super().client(**{"context": self.context, **options})

    async def wait_exit(self) -> int:
        """The kernel's exit code, at once when it ends; 0 where it is not a process of ours."""
        process = getattr(self.provisioner, "process", None)
        if isinstance(process, KernelProcess):
            self._last_exit = await process.child.wait_async()
        elif self.provisioner is not None and self.has_kernel:
            while (code := await self.provisioner.poll()) is None:
                await asyncio.sleep(0.1)
            self._last_exit = code
        return self._last_exit or 0

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        if self.has_kernel:
            await self.wait_exit()

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        if self._created_context and not restart:
            # A subscription waits to be sent to a kernel that is gone: lingering for it would cost 0.1 s.
            self._close_control_socket()
            self.context.destroy(linger=0)
        await super()._async_cleanup_resources(restart=restart)
        if self.socket_folder is not None and not restart:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources
    pre_start_kernel = _async_pre_start_kernel


def make_kernel_manager(
    kernel_name: str, *, connection_dir: Path, log: Callable[[str], None] | None = None
) -> AttemptKernelManager:
    """A manager for one kernel, whose sockets nobody else can reach. Raises KernelError for an unknown kernel.

    *log* gets the line that says why a kernel was not forked.
    """
    manager = AttemptKernelManager(kernel_name=kernel_name)
    try:
        spec = manager.kernel_spec
    except NoSuchKernel:
        known = ", ".join(sorted(manager.kernel_spec_manager.find_kernel_specs())) or "none"
        raise KernelError(
            f"kernel {kernel_name!r} is not installed (installed: {known})\nchoose another one with -k NAME",
            kernel=kernel_name,
        ) from None
    manager.fork_log = log
    if _speaks_ipc(spec):
        folder = connection_dir
        if len(os.fsencode(folder)) > _LONGEST_FOLDER:
            folder = manager.socket_folder = _make_short_folder()
        manager.transport = "ipc"
        manager.ip = str(folder / "k")
        manager.connection_file = str(folder / "kernel.json")
    else:
        manager.connection_file = str(connection_dir / "kernel.json")
    manager.context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT)
    return manager


def _make_short_folder() -> Path:
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if parent and len(os.fsencode(parent)) < _LONGEST_FOLDER - 20:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="nbflow-", dir=parent))
    raise KernelError("no temporary folder with a path short enough for sockets: set TMPDIR to a short one")


def _speaks_ipc(spec: Any) -> bool:
    if sys.platform == "win32" or not zmq.has("ipc"):
        return False
    program = os.path.basename(spec.argv[0]) if spec.argv else ""
    return program.startswith(("python", "xeus", "xpython", "xcpp")) or spec.language.lower() in _SPEAK_IPC


async def start_kernel(manager: AttemptKernelManager, *, timeout: float, **options: Any) -> Any:
    """Start the kernel and connect to it: a client whose kernel has answered and whose iopub channel was heard.

    *options* go to the manager: cwd, env, extra_arguments, stdout, stderr. Raises KernelError; OSError where the
    kernel's command can't be executed.
    """
    deadline = time.monotonic() + timeout
    tries = _TCP_TRIES if manager.transport == "tcp" else 1
    while True:
        tries -= 1
        errors = _ErrorFile()
        await manager.start_kernel(**options)
        client = manager.client()
        try:
            client.start_channels(hb=False)
            client.allow_stdin = False
            manager.info = await wait_until_ready(manager, client, timeout=deadline - time.monotonic())
            return client
        except _Died as death:
            client.stop_channels()
            if tries == 0 or time.monotonic() > deadline:
                text = f"kernel {manager.kernel_name!r} {describe_exit(death.code).text} before it was ready"
                raise KernelError(text + errors.read_last_line(), kernel=manager.kernel_name) from None
            # Somebody else took one of its ports between their choice and its start.
            await manager.provisioner.cleanup()
            manager.cleanup_connection_file()
            manager._close_control_socket()
            manager.provisioner = None
        except BaseException:
            client.stop_channels()
            raise


class _Died(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def wait_until_ready(manager: AttemptKernelManager, client: Any, *, timeout: float) -> dict[str, Any]:
    """Wait for the kernel's answer to ``kernel_info`` and for a first message on iopub; the answer's content.

    Raises KernelError when the time is over. No silence is waited for: who reads iopub can tell messages apart.
    """
    deadline = time.monotonic() + timeout
    ended = asyncio.ensure_future(manager.wait_exit())
    answers = asyncio.gather(_find_reply(client), receive(client.iopub_channel, look_again=_LOOK_AGAIN))
    waiting: set[asyncio.Future[Any]] = {answers, ended}
    pause = _FIRST_PAUSE
    try:
        while (left := deadline - time.monotonic()) > 0:
            client.kernel_info()  # once more: what was published before iopub was connected is lost
            await asyncio.wait(waiting, timeout=min(pause, left), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise _Died(ended.result())
            if answers.done():
                content: dict[str, Any] = answers.result()[0]
                return content
            pause = min(2 * pause, 1.0)
        name = manager.kernel_name
        raise KernelError(f"kernel {name!r} did not answer within {timeout:g} s of its start", kernel=name)
    finally:
        ended.cancel()
        answers.cancel()
        await asyncio.gather(ended, answers, return_exceptions=True)


async def receive(channel: Any, *, look_again: float) -> dict[str, Any]:
    """The channel's next message, looked for anew every so many seconds.

    jupyter_client sends through a second handle on the channel's socket. That may use up the news of a message that has
    just arrived, and a wait that had begun before would go on for ever.
    """
    while True:
        with suppress(Empty):
            message: dict[str, Any] = await channel.get_msg(timeout=look_again)
            return message


async def _find_reply(client: Any) -> dict[str, Any]:
    while True:
        message = await receive(client.shell_channel, look_again=_LOOK_AGAIN)
        if message["msg_type"] == "kernel_info_reply":
            content: dict[str, Any] = message["content"]
            return content


class _ErrorFile:
    """What a program adds to this process's standard error, where that is a file."""

    def __init__(self) -> None:
        with suppress(OSError):
            self._begin = os.fstat(2).st_size

    def read_last_line(self) -> str:
        """The last line in brackets, to end a message with; empty when there is none."""
        with suppress(OSError, AttributeError), open("/proc/self/fd/2", "rb") as file:
            if file.seekable():
                file.seek(self._begin)
                lines = file.read(100_000).decode("utf-8", "replace").strip().splitlines()
                return f"\n{lines[-1][:200]}" if lines else ""
        return ""
