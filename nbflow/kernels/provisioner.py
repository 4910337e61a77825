"""A kernel provisioner for jupyter_client: kernels forked from warm imports where possible, guarded always.

nbflow's runners use it; papermill and nbclient alone can, with ``JUPYTER_DEFAULT_PROVISIONER_NAME=nbflow``. Then
``NBFLOW_PRELOAD`` names libraries to import beforehand, and ``NBFLOW_FORK_SERVER=0`` turns the forking off.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from jupyter_client.provisioning import LocalProvisioner
from traitlets.config import SingletonConfigurable

from nbflow.kernels.guardian import COLD
from nbflow.kernels.launch import GUARDIAN_VARIABLE, Program
from nbflow.kernels.linux import read_umask
from nbflow.kernels.processes import ANSWER_LIMIT, Child, begin, find_own_guardian
from nbflow.kernels.spawner import Spawner

_SHUTDOWN_WATCH = 5.0
"""Seconds that a poll may take while a kernel shuts down: callers poll in a loop, and want to see the exit at once."""


class SharedSpawner(SingletonConfigurable):
    """The spawner that the kernels of this process share, so that the second kernel finds a warm server."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._spawner: Spawner | None = None
        self._pid = os.getpid()

    def get(self) -> Spawner:
        """The spawner of this process; a fork of the process that made it gets one of its own."""
        if self._spawner is None or self._pid != os.getpid():
            self._pid = os.getpid()
            preload = [name for name in os.environ.get("NBFLOW_PRELOAD", "").replace(",", " ").split() if name]
            self._spawner = Spawner(warm=(), preload=preload, log=self._say)
        return self._spawner

    def _say(self, line: str) -> None:
        self.log.info("kernel %s", line)


class KernelProcess:
    """A kernel under a guardian, with as much of Popen's surface as jupyter_client uses."""

    def __init__(self, child: Child, streams: Mapping[str, IO[bytes] | None]) -> None:
        self.child = child
        self.pid = child.pid
        self.stdin = streams.get("stdin")
        self.stdout = streams.get("stdout")
        self.stderr = streams.get("stderr")

    @property
    def returncode(self) -> int | None:
        return self.child.returncode

    def poll(self) -> int | None:
        return self.child.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self.child.wait(timeout)

    def send_signal(self, signum: int) -> None:
        self.child.send_signal(signum)

    def terminate(self) -> None:
        self.child.send_signal(15)

    def kill(self) -> None:
        self.child.kill_tree()


class ForkProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Like LocalProvisioner, but the kernel is a guardian's child: it starts sooner, its end is seen at once, and
    neither it nor anything it started outlives this process."""

    process: Any
    fork_log: Callable[[str], None] | None = None
    """Gets the line that says why a kernel was not forked, instead of the log."""
    _shutting_down = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel; arguments that only Popen knows are left to Popen."""
        options = self._scrub_kwargs(kwargs)
        if sys.platform == "win32" or options.pop("independent", False):
            return await super().launch_kernel(cmd, **kwargs)
        streams = {name: options.pop(name, None) for name in ("stdin", "stdout", "stderr")}
        env = dict(options.pop("env", None) or os.environ)
        cwd = options.pop("cwd", None)
        if options:
            self._say(f"started by the ordinary launcher: unknown options {', '.join(sorted(options))}")
            return await super().launch_kernel(cmd, **kwargs)
        env.pop(GUARDIAN_VARIABLE, None)
        env["JPY_PARENT_PID"] = str(os.getpid())
        program = Program(
            argv=tuple(os.path.expanduser(word) for word in cmd),
            env=env,
            cwd=os.path.abspath(cwd or os.getcwd()),
            umask=read_umask(),
        )
        self._shutting_down = False
        self.process = await self._start(program, streams)
        self.pid = self.pgid = self.process.pid  # it leads its own group
        self.cwd = cwd or Path.cwd()
        return self.connection_info

    async def _start(self, program: Program, streams: Mapping[str, Any]) -> KernelProcess:
        with _Streams(streams) as ends:
            guardian = find_own_guardian(os.environ)
            if guardian is not None:
                child = self._ask(guardian, program, ends)
            else:
                child = await asyncio.to_thread(
                    SharedSpawner.instance(parent=self.parent).get().start,
                    program.argv,
                    env=program.env,
                    cwd=program.cwd,
                    stdin=ends.stdio[0],
                    stdout=ends.stdio[1],
                    stderr=ends.stdio[2],
                    linked=False,
                    log=self._say,
                )
            return KernelProcess(child, ends.take())

    def _ask(self, guardian: int, program: Program, ends: _Streams) -> Child:
        link = socket.socket(fileno=guardian)
        try:
            child = begin(link, program, stdio=ends.stdio, tied=True, linked=True, limit=10 * ANSWER_LIMIT, owned=False)
        finally:
            link.detach()
        if child.why not in ("", COLD):  # a cold guardian was explained when it was started
            self._say(f"started by the ordinary launcher: {child.why}")
        return child

    def _say(self, what: str) -> None:
        line = f"kernel {what}"
        if self.fork_log is not None:
            self.fork_log(line)
        else:
            self.log.info(line)

    async def poll(self) -> int | None:
        """The exit code, None while the kernel lives. During a shutdown it waits a while for the exit."""
        process = self.process
        if not isinstance(process, KernelProcess):
            return _as_code(await super().poll())
        if self._shutting_down:
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(process.child.wait_async(), _SHUTDOWN_WATCH)
        return process.poll()

    async def wait(self) -> int | None:
        """The exit code, as soon as there is one."""
        process = self.process
        if not isinstance(process, KernelProcess):
            return _as_code(await super().wait())
        code = await process.child.wait_async()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        """To the kernel's process group."""
        process = self.process
        if isinstance(process, KernelProcess):
            process.send_signal(signum)
        else:
            await super().send_signal(signum)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """From here on, a poll waits for the exit."""
        self._shutting_down = True

    async def kill(self, restart: bool = False) -> None:
        """SIGKILL, to the kernel and its group."""
        self._shutting_down = True
        await super().kill(restart=restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the kernel; whatever still runs of it is ended."""
        process = self.process
        if isinstance(process, KernelProcess):
            process.child.close()
            self.process = None
        await super().cleanup(restart=restart)


class _Streams:
    """Standard streams as Popen's arguments have them, as descriptors for the child and files for its parent."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._wanted = wanted
        self._to_close: list[int] = []
        self._files: dict[str, IO[bytes] | None] = {}
        self.stdio: tuple[int | None, int | None, int | None] = (None, None, None)

    def __enter__(self) -> _Streams:
        stdin = self._open("stdin", None)
        stdout = self._open("stdout", 1)
        stderr = stdout if self._wanted.get("stderr") == subprocess.STDOUT else self._open("stderr", 2)
        self.stdio = (stdin, stdout, stderr)
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._to_close:
            os.close(descriptor)
        for file in self._files.values():
            if file is not None:
                file.close()

    def take(self) -> dict[str, IO[bytes] | None]:
        """The parent's ends of the pipes that were asked for."""
        files, self._files = self._files, {}
        return files

    def _open(self, name: str, inherited: int | None) -> int | None:
        wanted = self._wanted.get(name)
        if wanted == subprocess.DEVNULL:
            return None
        if wanted == subprocess.PIPE or (wanted is None and inherited is None):
            reading, writing = os.pipe()
            ours, theirs = (writing, reading) if name == "stdin" else (reading, writing)
            self._to_close.append(theirs)
            if wanted is None:
                os.close(ours)  # as the ordinary launcher does: a pipe at its end
            else:
                self._files[name] = os.fdopen(ours, "wb" if name == "stdin" else "rb")
            return theirs
        if wanted is None:
            assert inherited is not None
            return inherited if _is_open(inherited) else None
        return wanted if isinstance(wanted, int) else int(wanted.fileno())


def _as_code(code: Any) -> int | None:
    return None if code is None else int(code)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
