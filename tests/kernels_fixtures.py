"""Kernels and programs as an owning process starts them, and whether anything is left of them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nbflow.kernels.linux import process_start_time
from nbflow.kernels.manager import AttemptKernelManager, make_kernel_manager, receive, start_kernel
from nbflow.kernels.provisioner import SharedSpawner

T = TypeVar("T")

RECORD_ME = (
    "import os, sys\ndef record_me(folder={folder!r}):\n    open(os.path.join(folder, str(os.getpid())), 'w').close()\n"
)
"""Every process of a test leaves its pid as a file in a folder."""

OWNER = """
import asyncio, sys, time
from pathlib import Path
from nbflow.kernels.manager import make_kernel_manager, start_kernel

async def main(folder, code):
    manager = make_kernel_manager("python3", connection_dir=Path(folder) / "sockets")
    client = await start_kernel(manager, timeout=30, cwd=folder)
    child = manager.provisioner.process.child
    print(child.forked, child.pid, flush=True)
    client.execute(code)
    await manager.wait_exit()
    await asyncio.sleep(60)

Path(sys.argv[1], "sockets").mkdir(mode=0o700)
asyncio.run(main(*sys.argv[1:]))
"""
"""A process that has a kernel execute some code and waits; *folder* and *code* are its arguments."""


@contextmanager
def owner(folder: Path, code: str, *, fork: bool) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a kernel that executes *code*; the process and the kernel's pid."""
    env = {**os.environ, "NBFLOW_FORK_SERVER": "1" if fork else "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), RECORD_ME.format(folder=str(folder / "pids")) + code],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    try:
        assert process.stdout is not None
        (folder / "pids").mkdir(exist_ok=True)
        forked, pid = process.stdout.readline().split()
        assert forked == str(fork)
        yield process, int(pid)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not buried does not."""
    return process_start_time(pid) is not None


def read_pids(folder: Path) -> set[int]:
    return {int(path.name) for path in (folder / "pids").iterdir()}


def find_survivors(pids: set[int], limit: float) -> set[int]:
    """Those that are alive after *limit* seconds; returns as soon as there are none."""
    deadline = time.monotonic() + limit
    while alive := {pid for pid in pids if is_alive(pid)}:
        if time.monotonic() > deadline:
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            return alive
        time.sleep(0.01)
    return set()


class Notebook:
    """A kernel to execute cells in, one after the other."""

    def __init__(self, manager: AttemptKernelManager, client: Any) -> None:
        self.manager = manager
        self.client = client

    @property
    def child(self) -> Any:
        return self.manager.provisioner.process.child

    async def execute(self, code: str, limit: float = 60.0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The content of the reply, and the messages that were published."""
        message = self.client.execute(code)
        published: list[dict[str, Any]] = []

        async def follow() -> dict[str, Any]:
            while True:
                each = await receive(self.client.iopub_channel, look_again=0.1)
                if each["parent_header"].get("msg_id") == message:
                    published.append(each)
                    if each["msg_type"] == "status" and each["content"]["execution_state"] == "idle":
                        break
            while (reply := await receive(self.client.shell_channel, look_again=0.1))["parent_header"][
                "msg_id"
            ] != message:
                pass
            return reply

        reply = await asyncio.wait_for(follow(), limit)
        return reply["content"], published

    async def run(self, code: str) -> str:
        """What the code prints; AssertionError where it raises."""
        content, published = await self.execute(code)
        assert content["status"] == "ok", "\n".join(content.get("traceback", [content["status"]]))
        return "".join(each["content"]["text"] for each in published if each["msg_type"] == "stream")

    async def ask(self, expression: str) -> Any:
        """The value of an expression, through JSON."""
        return json.loads(await self.run(f"import json as _json; print(_json.dumps({expression}, default=str))"))


async def open_notebook(name: str = "python3", log: Callable[[str], None] | None = None, **options: Any) -> Notebook:
    folder = Path(tempfile.mkdtemp(prefix="nbt-"))
    manager = make_kernel_manager(name, connection_dir=folder, log=log)
    if manager.kernel_spec.language == "python":  # as nbclient does: kernels would wait for each other's history file
        options.setdefault("extra_arguments", ["--HistoryManager.hist_file=:memory:"])
    return Notebook(manager, await start_kernel(manager, timeout=60, **options))


async def close_notebook(notebook: Notebook) -> int:
    """Shut the kernel down; its exit code."""
    await notebook.manager.request_shutdown()
    try:
        code = await asyncio.wait_for(notebook.manager.wait_exit(), 20)
    except TimeoutError:
        if notebook.child.forked:
            raise
        notebook.child.kill_tree()  # ipykernel 7.4 hangs at its end now and then, where nothing is done about it
        code = await asyncio.wait_for(notebook.manager.wait_exit(), 20)
    notebook.client.stop_channels()
    await notebook.manager.cleanup_resources()
    return code


def run_async(work: Awaitable[T]) -> T:
    async def whole() -> T:
        return await work

    return asyncio.run(whole())


@contextmanager
def spawner_of_kernels(*, fork: bool = True, preload: Sequence[str] = ()) -> Iterator[SharedSpawner]:
    """The spawner that this process's kernels share, made anew, and closed at the end."""
    before = {name: os.environ.get(name) for name in ("NBFLOW_FORK_SERVER", "NBFLOW_PRELOAD")}
    os.environ.update(NBFLOW_FORK_SERVER="1" if fork else "0", NBFLOW_PRELOAD=",".join(preload))
    SharedSpawner.clear_instance()
    shared = SharedSpawner.instance()
    try:
        yield shared
    finally:
        shared.get().close()
        SharedSpawner.clear_instance()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the specifications of the R kernel and the bash kernel."""
    prefix = tmp_path_factory.mktemp("kernels")
    if shutil.which("Rscript") is None:
        pytest.fail("these tests need R: sudo apt-get install r-cran-irkernel")
    install = f"IRkernel::installspec(user = FALSE, prefix = '{prefix}')"
    # IRkernel calls the jupyter command.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    made = subprocess.run(
        ["Rscript", "-e", install], capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    if made.returncode:
        pytest.fail(f"these tests need R's kernel: sudo apt-get install r-cran-irkernel\n{made.stderr}")
    subprocess.run([sys.executable, "-m", "bash_kernel.install", "--prefix", str(prefix)], check=True)
    return prefix / "share" / "jupyter" / "kernels"
