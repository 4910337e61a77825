"""The kernel provisioner under jupyter_client, nbclient and papermill, and the managers that our runners use."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager

from nbflow.errors import KernelError
from nbflow.kernels.death import MemoryWatch, describe_exit, describe_state, watch_heartbeat
from nbflow.kernels.linux import read_stat
from nbflow.kernels.manager import make_kernel_manager, start_kernel
from nbflow.kernels.provisioner import ForkProvisioner
from nbflow.kernels.spawner import Spawner
from tests.conftest import NotebookFactory
from tests.kernels_fixtures import (
    Notebook,
    close_notebook,
    find_survivors,
    is_alive,
    open_notebook,
    run_async,
    spawner_of_kernels,
)


@pytest.fixture(scope="module", autouse=True)
def shared_spawner() -> Iterator[None]:
    with spawner_of_kernels():
        yield


@pytest.fixture
def kernel_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write kernelspecs: ``kernel_specs("name", argv, language="x", metadata={})``."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    def write(name: str, argv: list[str], **fields: Any) -> None:
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python", **fields}
        (folder / "kernel.json").write_text(json.dumps(spec))

    return write


PAPERMILL = """
import json, os, sys, time
import papermill
pids = []
for number in range(3):
    node = papermill.execute_notebook(sys.argv[1], sys.argv[2], {"x": number}, progress_bar=False)
    pids.append(json.loads("".join(node.cells[-1].outputs[0]["text"])))
print(json.dumps(pids))
"""


@pytest.mark.kernel
@pytest.mark.parametrize("fork", ["1", "0"], ids=["forked", "ordinary"])
def test_papermill_alone_uses_it_by_one_variable(make_notebook: NotebookFactory, tmp_path: Path, fork: str) -> None:
    path = make_notebook(
        [
            "import os, sys, json; print(json.dumps([x, os.getpid(), os.getppid(), 'nbflow.kernels.forkserver' in sys.modules]))"
        ],
        parameters="x = 0",
    )
    variables = {"JUPYTER_DEFAULT_PROVISIONER_NAME": "nbflow", "NBFLOW_FORK_SERVER": fork}
    told = subprocess.run(
        [sys.executable, "-c", PAPERMILL, str(path), str(tmp_path / "out.ipynb")],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = json.loads(told.stdout.splitlines()[-1])
    assert [line[0] for line in lines] == [0, 1, 2]
    assert all(line[3] == (fork == "1") for line in lines)
    assert not find_survivors({pid for line in lines for pid in line[1:3]}, 2.0)


def test_it_is_found_by_its_entry_point() -> None:
    (entry,) = entry_points(group="jupyter_client.kernel_provisioners", name="nbflow")
    assert entry.load() is ForkProvisioner


@pytest.mark.kernel
def test_nbclient_alone_uses_it_by_the_kernelspec(kernel_specs: Any, make_notebook: NotebookFactory) -> None:
    import nbformat
    from nbclient import NotebookClient

    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel_specs("forked", argv, metadata={"kernel_provisioner": {"provisioner_name": "nbflow"}})
    node = nbformat.read(make_notebook(["import sys; 'nbflow.kernels.forkserver' in sys.modules, sys._xoptions"]), 4)
    NotebookClient(node, kernel_name="forked").execute()
    assert node.cells[0].outputs[0]["data"]["text/plain"] == "(True, {'frozen_modules': 'off'})"


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
def test_signals_restarts_and_shutdowns_work_as_ever(fork: bool, kernel_specs: Any) -> None:
    async def check() -> None:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel_specs("any", argv, metadata={"kernel_provisioner": {"provisioner_name": "nbflow"}})
        manager: Any = AsyncKernelManager(kernel_name="any")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        first = manager.provisioner.pid
        assert manager.provisioner.process.child.forked == fork
        assert await manager.is_alive()
        message = client.execute("import time; print('begun', flush=True); time.sleep(1000)")
        await wait_for_output(client)
        await manager.interrupt_kernel()
        assert (await client._recv_reply(message, timeout=10))["content"]["ename"] == "KeyboardInterrupt"
        await manager.restart_kernel()
        assert manager.provisioner.pid != first
        assert not is_alive(first)
        await client.wait_for_ready(timeout=60)
        reply = await client.execute_interactive("import signal; signal.signal(15, signal.SIG_IGN)", timeout=20)
        assert reply["content"]["status"] == "ok"
        begun = time.monotonic()
        await manager.shutdown_kernel()
        assert time.monotonic() - begun < 4
        client.stop_channels()
        assert not await manager.is_alive()
        assert manager.provisioner.process is None

    with spawner_of_kernels(fork=fork):
        run_async(check())


async def wait_for_output(client: Any) -> None:
    while (await client.get_iopub_msg(timeout=10))["msg_type"] != "stream":
        pass


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
@pytest.mark.parametrize(
    ("code", "status"),
    [("os.kill(os.getpid(), 9)", -9), ("os._exit(4)", 4), ("import ctypes; ctypes.string_at(0)", -11)],
)
def test_a_dying_kernel_is_seen_at_once_with_its_exit(fork: bool, code: str, status: int) -> None:
    async def check() -> float:
        notebook = await open_notebook()
        assert notebook.child.forked == fork
        await notebook.run("import os, time; ended = time.time")
        when = await notebook.ask("__import__('time').time()")
        notebook.client.execute(code)
        assert await asyncio.wait_for(notebook.manager.wait_exit(), 5) == status
        seen = time.time()
        notebook.client.stop_channels()
        await notebook.manager.cleanup_resources()
        return seen - float(when)

    with spawner_of_kernels(fork=fork):
        assert run_async(check()) < 1.5


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "code", "told"), [("ir", "cat(6 * 7)", "42"), ("bash", "echo $((6 * 7))", "42\n")])
def test_other_kernels_are_guarded_however_they_are_started(
    name: str, code: str, told: str, kernel_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernel_folder.parent))
    said: list[str] = []

    async def check() -> int:
        notebook = await open_notebook(name, log=said.append)
        assert await notebook.run(code) == told
        pid: int = notebook.child.pid
        parent = Path(f"/proc/{read_stat(pid)[1]}/cmdline").read_text()
        assert "nbflow-guardian" in parent or "nbflow-fork-server" in parent  # a guardian that the server forked
        forked = notebook.child.forked
        await close_notebook(notebook)
        assert len(said) == (0 if forked else 1)
        return pid

    assert not find_survivors({run_async(check())}, 2.0)


@pytest.mark.kernel
def test_streams_of_the_kernel_go_where_popen_would_send_them(tmp_path: Path) -> None:
    async def check() -> bytes:
        with open(tmp_path / "errors", "wb") as errors:
            notebook = await open_notebook(stdout=subprocess.PIPE, stderr=errors)
        process = notebook.manager.provisioner.process
        await notebook.run("import sys, os; os.write(2, b'raw error'); print('real', file=sys.__stdout__, flush=True)")
        line: bytes = await asyncio.to_thread(process.stdout.readline)
        assert await notebook.ask("sys.__stdin__.read()") == ""
        await close_notebook(notebook)
        return line

    assert run_async(check()) == b"real\n"
    assert "raw error" in (tmp_path / "errors").read_text()


@pytest.mark.kernel
def test_an_independent_kernel_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import asyncio, os\nfrom jupyter_client.manager import AsyncKernelManager\n"
        "async def main():\n    m = AsyncKernelManager(kernel_name='python3'); await m.start_kernel(independent=True)\n"
        "    print(m.provisioner.pid, flush=True); os._exit(0)\nasyncio.run(main())"
    )
    env = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": "nbflow"}
    with open(tmp_path / "pid", "w") as file:  # not a pipe: the kernel keeps it open
        subprocess.run([sys.executable, "-c", script], env=env, stdout=file, check=True)
    pid = int((tmp_path / "pid").read_text())
    assert find_survivors({pid}, 0.5) == {pid}


def test_an_unknown_kernel_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(KernelError) as caught:
        make_kernel_manager("no-such-kernel", connection_dir=tmp_path)
    assert "'no-such-kernel' is not installed" in str(caught.value)
    assert "python3" in str(caught.value)
    assert caught.value.kernel == "no-such-kernel"


def start_one(name: str, folder: Path, *, timeout: float = 30.0) -> Notebook:
    async def start() -> Notebook:
        manager = make_kernel_manager(name, connection_dir=folder)
        try:
            notebook = Notebook(manager, await start_kernel(manager, timeout=timeout))
        except BaseException:
            await manager.cleanup_resources()  # sockets that are collected later may keep whoever collects them
            raise
        assert await notebook.ask("6 * 7") == 42
        await close_notebook(notebook)
        return notebook

    return run_async(start())


@pytest.mark.kernel
def test_a_kernel_that_ends_while_it_starts_is_told_at_once(kernel_specs: Any, tmp_path: Path) -> None:
    kernel_specs("broken", ["sh", "-c", "echo no such library >&2; exit 3"])
    begun = time.monotonic()
    with pytest.raises(KernelError, match="ended by itself with exit status 3"):
        start_one("broken", tmp_path)
    assert time.monotonic() - begun < 5


@pytest.mark.kernel
def test_a_kernel_that_never_answers_costs_the_deadline(kernel_specs: Any, tmp_path: Path) -> None:
    kernel_specs("silent", ["sleep", "1000"])
    begun = time.monotonic()
    with pytest.raises(KernelError, match=r"did not answer within 0\.\d+ s"):
        start_one("silent", tmp_path, timeout=0.5)
    assert time.monotonic() - begun < 5


def test_a_kernel_whose_program_is_missing_is_told(kernel_specs: Any, tmp_path: Path) -> None:
    kernel_specs("missing", ["/no/such/kernel"])
    with pytest.raises(FileNotFoundError, match="/no/such/kernel"):
        start_one("missing", tmp_path)


@pytest.mark.kernel
def test_a_kernel_over_tcp_whose_port_was_taken_is_started_again(kernel_specs: Any, tmp_path: Path) -> None:
    first_fails = f"if mkdir {tmp_path}/once; then exit 1; fi; exec {sys.executable} -m ipykernel_launcher -f $0"
    kernel_specs("late", ["sh", "-c", first_fails, "{connection_file}"], language="Elvish")
    assert start_one("late", tmp_path).manager.transport == "tcp"


@pytest.mark.kernel
def test_sockets_are_the_attempts_own_and_gone_afterwards(tmp_path: Path) -> None:
    async def check(folder: Path) -> tuple[str, list[str]]:
        folder.mkdir(parents=True)
        manager = make_kernel_manager("python3", connection_dir=folder)
        notebook = Notebook(manager, await start_kernel(manager, timeout=30))
        place = Path(manager.ip).parent
        names = sorted(path.name for path in place.iterdir())
        assert place.stat().st_mode & 0o077 == 0 or place == folder
        await close_notebook(notebook)
        left = [path.name for path in place.iterdir()] if place.exists() else []
        assert not left
        return str(place), names

    place, names = run_async(check(tmp_path / "short"))
    assert place == str(tmp_path / "short")
    assert names == ["k-1", "k-2", "k-3", "k-4", "k-5", "kernel.json"]
    long = tmp_path / "/".join(["long" * 10] * 3)
    place, names = run_async(check(long))
    assert len(place) < 95
    assert not os.path.exists(place)
    assert len(names) == 6


@pytest.mark.kernel
def test_a_frozen_kernel_is_noticed_and_so_is_its_return() -> None:
    async def check() -> list[str]:
        notebook = await open_notebook()
        told: list[str] = []
        frozen, thawed = asyncio.Event(), asyncio.Event()

        def note_frozen() -> None:
            told.append(describe_state(notebook.child.pid))
            frozen.set()

        watch = asyncio.create_task(
            watch_heartbeat(notebook.manager, on_frozen=note_frozen, on_thawed=thawed.set, interval=0.05, limit=0.5)
        )
        # Holding the lock in compiled code is no freeze.
        await notebook.run("import ctypes; ctypes.PyDLL(None).usleep(1200000)")
        assert not frozen.is_set()
        os.kill(notebook.child.pid, signal.SIGSTOP)
        await asyncio.wait_for(frozen.wait(), 10)
        assert not thawed.is_set()
        os.kill(notebook.child.pid, signal.SIGCONT)
        await asyncio.wait_for(thawed.wait(), 10)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await close_notebook(notebook)
        return told

    assert run_async(check()) == ["it is stopped (SIGSTOP)"]


RUNNER = """
import asyncio, os, sys, tempfile, time
from pathlib import Path
from nbflow.kernels.manager import make_kernel_manager, start_kernel

async def main():
    manager = make_kernel_manager("python3", connection_dir=Path(tempfile.mkdtemp(prefix="nbt-")), log=print)
    client = await start_kernel(manager, timeout=30)
    child = manager.provisioner.process.child
    message = []
    await client.execute_interactive("import os; print('NBFLOW_GUARDIAN' in os.environ)", output_hook=message.append)
    text = [m["content"]["text"] for m in message if m["msg_type"] == "stream"]
    print(child.pid, child.forked, "".join(text), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
def test_a_runners_kernel_comes_from_its_own_guardian_and_ends_with_it(tmp_path: Path, fork: bool) -> None:
    (tmp_path / "runner_module.py").write_text(RUNNER)
    spawner = Spawner(fork=fork, warm=())
    reading, writing = os.pipe()
    child = spawner.start([sys.executable, "-m", "runner_module"], cwd=tmp_path, stdout=writing)
    os.close(writing)
    with open(reading) as file:
        pid, forked, knows = file.readline().split()
    assert (forked, knows) == (str(fork), str(fork))  # a warm one may ask it for a fork server of its own
    assert read_stat(int(pid))[1] == read_stat(child.pid)[1]  # one guardian for both
    assert child.forked == fork
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(5) == -9
    assert not find_survivors({int(pid)}, 2.0)
    spawner.close()


@pytest.mark.parametrize(
    ("code", "name", "status", "text"),
    [
        (-9, "SIGKILL", None, "was killed by SIGKILL"),
        (-11, "SIGSEGV", None, "was killed by SIGSEGV (a crash in compiled code)"),
        (137, "SIGKILL", None, "was killed by SIGKILL"),
        (3, None, 3, "ended by itself with exit status 3"),
        (0, None, 0, "ended by itself with exit status 0"),
        (200, None, 200, "ended by itself with exit status 200"),
    ],
)
def test_exits_are_described(code: int, name: str | None, status: int | None, text: str) -> None:
    told = describe_exit(code)
    assert (told.signal, told.status, told.text) == (name, status, text)


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        ("0::/user/run\n", "sys/fs/cgroup/user/run/memory.events", "low 0\noom 1\noom_kill {}\n"),
        ("0::/host/path\n", "sys/fs/cgroup/memory.events", "oom_kill {}\n"),
        (
            "5:cpu:/x\n4:memory:/job\n0::/\n",
            "sys/fs/cgroup/memory/job/memory.oom_control",
            "under_oom 0\noom_kill {}\n",
        ),
        ("", "proc/vmstat", "nr_free 1\noom_kill {}\n"),
    ],
)
def test_the_oom_killers_count_is_read_where_the_system_keeps_it(
    tmp_path: Path, cgroup: str, file: str, text: str
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text.format(3))
    watch = MemoryWatch(root=tmp_path)
    assert not watch.has_killed()
    (tmp_path / file).write_text(text.format(4))
    assert watch.has_killed()


@pytest.mark.kernel
def test_a_kernel_that_runs_out_of_memory_leaves_evidence() -> None:
    group = Path("/sys/fs/cgroup/memory/nbflow-test")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
    except OSError:
        pytest.skip("memory cgroups can't be made here")

    async def check() -> tuple[int, bool]:
        notebook = await open_notebook()
        (group / "cgroup.procs").write_text(str(notebook.child.pid))
        watch = MemoryWatch(notebook.child.pid)
        notebook.client.execute("x = [bytearray(10 * 2**20) for _ in range(100)]")
        code = await asyncio.wait_for(notebook.manager.wait_exit(), 20)
        notebook.client.stop_channels()
        await notebook.manager.cleanup_resources()
        return code, watch.has_killed()

    try:
        assert run_async(check()) == (-9, True)
    finally:
        group.rmdir()
