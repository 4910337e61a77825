"""The fork server: what it forks, what it leaves to the ordinary launcher and why, and when it is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbflow.kernels.command import Unfit, parse_command
from nbflow.kernels.linux import read_stat
from nbflow.kernels.processes import Child
from nbflow.kernels.servers import MOST_IDLE
from nbflow.kernels.spawner import Spawner
from tests.installed_fixtures import AddModule
from tests.kernels_fixtures import (
    close_notebook,
    find_survivors,
    is_alive,
    open_notebook,
    run_async,
    spawner_of_kernels,
)
from tests.project_fixtures import wait_until

TELL = "import json, os, sys; print(json.dumps({expression}, default=str), flush=True)"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def spawner(lines: list[str]) -> Iterator[Spawner]:
    """A server without papermill, for the tests that only start programs."""
    spawner = Spawner(fork=True, warm=(), log=lines.append)
    yield spawner
    spawner.close()


@pytest.fixture
def programs(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a module that prints an expression."""

    def write(name: str, source: str) -> Path:
        (tmp_path / f"{name}.py").write_text(source)
        return tmp_path

    return write


def tell(spawner: Spawner, folder: Path, module: str, *flags: str, **options: Any) -> tuple[Child, Any]:
    """Run a module of the folder; the program and what it printed."""
    reading, writing = os.pipe()
    child = spawner.start(
        [sys.executable, *flags, "-m", module, "one", "two words"], cwd=folder, stdout=writing, **options
    )
    os.close(writing)
    with open(reading) as file:
        text = file.read()
    assert child.wait(20) == 0
    return child, json.loads(text)


def test_a_module_finds_itself_as_python_would_have_it(spawner: Spawner, programs: Callable[[str, str], Path]) -> None:
    expression = (
        "dict(argv=sys.argv, original=sys.orig_argv, path=sys.path, name=__name__, file=__file__, main=sorted(vars(sys.modules['__main__'])),"
        " cwd=os.getcwd(), flags=str(sys.flags), executable=sys.executable, spec=str(__spec__.name))"
    )
    folder = programs("itself", TELL.format(expression=expression))
    child, told = tell(spawner, folder, "itself", linked=False)
    assert child.forked
    ordinary = subprocess.check_output([sys.executable, "-m", "itself", "one", "two words"], cwd=folder)
    assert told == json.loads(ordinary)


def test_the_folder_is_kept_off_the_path_where_that_is_asked_for(
    spawner: Spawner, programs: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = programs("quopri", TELL.format(expression="'mine'"))
    child = spawner.start([sys.executable, "-P", "-m", "quopri", "/dev/null"], cwd=folder)
    assert child.forked
    assert child.wait(10) == 0


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no way')", 1, "no way"),
        ("import os; os._exit(9)", 9, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)", -2, "KeyboardInterrupt"),
        ("import ctypes; ctypes.string_at(0)", -11, ""),
        ("import atexit; atexit.register(print, 'bye'); print('first')", 0, "first\nbye"),
        ("import ctypes; ctypes.CDLL(None).printf(b'from C')", 0, "from C"),
    ],
)
def test_programs_end_as_they_do_elsewhere(
    spawner: Spawner, programs: Callable[[str, str], Path], source: str, code: int, text: str
) -> None:
    folder = programs("ending", source)
    reading, writing = os.pipe()
    child = spawner.start([sys.executable, "-m", "ending"], cwd=folder, stdout=writing, stderr=writing)
    os.close(writing)
    with open(reading) as file:
        printed = file.read()
    assert child.forked
    assert child.wait(10) == code
    assert text in printed


def test_an_unknown_module_is_told_like_python_does(spawner: Spawner) -> None:
    reading, writing = os.pipe()
    child = spawner.start([sys.executable, "-m", "no_such_module"], cwd="/", stderr=writing)
    os.close(writing)
    with open(reading) as file:
        assert file.read().strip() == f"{sys.executable}: No module named no_such_module"
    assert child.wait(10) == 1


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["/usr/bin/env", "true"], "not “python -m module”"),
        ([sys.executable, "-c", "pass"], "not “python -m module”"),
        ([sys.executable, "-i", "-m", "this"], "not “python -m module”"),
        ([sys.executable, "-X", "importtime", "-m", "this"], "-X importtime"),
        (["/usr/bin/python3", "-m", "this"], "another interpreter or environment (/usr/bin/python3)"),
    ],
)
def test_what_is_unusual_is_started_ordinarily_with_one_line(
    spawner: Spawner, lines: list[str], argv: list[str], why: str
) -> None:
    if not os.path.exists(argv[0]):
        pytest.skip(f"no {argv[0]} here")
    lines.clear()
    child = spawner.start(argv, cwd="/")
    assert not child.forked
    assert child.wait(20) in (0, 1)
    assert len(lines) == 1
    assert lines[0].startswith("started by the ordinary launcher: ")
    assert why in lines[0]


def test_an_unusual_environment_is_left_to_the_ordinary_launcher(spawner: Spawner, lines: list[str]) -> None:
    for variables, why in (
        ({"PYTHONPATH": "relative/folder"}, "a relative PYTHONPATH"),
        ({"PYTHONTRACEMALLOC": "1"}, "PYTHONTRACEMALLOC"),
    ):
        lines.clear()
        child = spawner.start([sys.executable, "-m", "this"], env={**os.environ, **variables}, cwd="/")
        assert not child.forked
        assert child.wait(20) == 0
        assert len(lines) == 1
        assert why in lines[0]


def test_a_module_of_the_folder_that_bears_a_librarys_name_is_found_first(
    spawner: Spawner, programs: Callable[[str, str], Path], lines: list[str]
) -> None:
    programs("tornado", "value = 'mine'")
    folder = programs("user", "import tornado; " + TELL.format(expression="tornado.value"))
    lines.clear()
    child, told = tell(spawner, folder, "user")
    assert not child.forked
    assert told == "mine"
    assert lines == ["started by the ordinary launcher: the folder has a module tornado of its own"]


@pytest.mark.kernel
def test_settings_files_of_the_folder_count() -> None:
    async def ask(folder: Path) -> tuple[bool, Any]:
        notebook = await open_notebook(cwd=str(folder), log=said.append)
        answer = await notebook.ask("__import__('matplotlib').rcParams['figure.dpi']")
        forked = notebook.child.forked
        await close_notebook(notebook)
        return forked, answer

    import tempfile

    said: list[str] = []
    with spawner_of_kernels(preload=("matplotlib",)), tempfile.TemporaryDirectory() as folder:
        forked, before = run_async(ask(Path(folder)))
        assert forked
        Path(folder, "matplotlibrc").write_text("figure.dpi: 33\n")
        assert run_async(ask(Path(folder))) == (False, 33.0)
        assert before != 33.0


def server_of(child: Child) -> int:
    return int(read_stat(int(read_stat(child.pid)[1]))[1])


def sleeper(spawner: Spawner, env: dict[str, str] | None = None) -> Child:
    return spawner.start([sys.executable, "-m", "nbflow_test_sleeper"], env=env, cwd="/")


@pytest.fixture
def sleep_module(installed: AddModule) -> None:
    installed("nbflow_test_sleeper", "import time; time.sleep(1000)")


@pytest.mark.usefixtures("sleep_module")
def test_a_stopped_server_costs_two_seconds_and_is_replaced(lines: list[str]) -> None:
    said: list[str] = []
    spawner = Spawner(fork=True, warm=(), log=said.append)
    first = sleeper(spawner)
    server = server_of(first)
    os.kill(server, signal.SIGSTOP)
    begun = time.monotonic()
    second = sleeper(spawner)
    assert time.monotonic() - begun < 4.0
    assert not second.forked
    assert said == ["started by the ordinary launcher: the fork server did not answer within 2 s"]
    third = sleeper(spawner)
    assert third.forked
    assert server_of(third) != server
    assert first.poll() is None  # it does not need the server any more
    pids = {first.pid, second.pid, third.pid, server, server_of(third)}
    spawner.close()
    assert not find_survivors(pids, 2.0)


@pytest.mark.usefixtures("sleep_module")
def test_a_killed_server_is_replaced_and_its_programs_go_on() -> None:
    said: list[str] = []
    spawner = Spawner(fork=True, warm=(), log=said.append)
    first = sleeper(spawner)
    os.kill(server_of(first), signal.SIGKILL)
    wait_until(lambda: read_stat(int(read_stat(first.pid)[1]))[1] != "?")
    second = sleeper(spawner)
    assert second.forked
    assert first.poll() is None
    assert not said
    spawner.close()
    assert not find_survivors({first.pid, second.pid}, 2.0)


def test_a_guardian_that_has_nothing_left_to_guard_is_asked_again(
    spawner: Spawner, programs: Callable[[str, str], Path]
) -> None:
    folder = programs("who", TELL.format(expression="os.getppid()"))
    seen: set[int] = set()

    def is_known() -> bool:
        guardian = tell(spawner, folder, "who")[1]
        known = guardian in seen
        seen.add(guardian)
        return known

    wait_until(is_known)
    assert not find_survivors(seen, 3.0)  # nobody asks them any more


def test_a_guardian_that_a_program_has_changed_is_not_asked_again(
    spawner: Spawner, programs: Callable[[str, str], Path]
) -> None:
    programs("spoil", "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (64, 64))\nprint(0)")
    folder = programs(
        "limits", "import resource\n" + TELL.format(expression="resource.getrlimit(resource.RLIMIT_NOFILE)")
    )
    for _ in range(3):
        tell(spawner, folder, "spoil")
        assert tell(spawner, folder, "limits")[1] == list(resource.getrlimit(resource.RLIMIT_NOFILE))


@pytest.mark.usefixtures("sleep_module")
def test_two_servers_are_kept_the_last_recently_used_goes() -> None:
    said: list[str] = []
    spawner = Spawner(fork=True, warm=(), log=said.append)
    environments = [{**os.environ, "COLOUR": colour} for colour in ("red", "green", "blue")]
    red, green, again = (
        sleeper(spawner, environments[0]),
        sleeper(spawner, environments[1]),
        sleeper(spawner, environments[0]),
    )
    assert red.forked
    assert green.forked
    assert server_of(red) == server_of(again) != server_of(green)
    # A third environment has to be asked for twice before it drives out another.
    assert not sleeper(spawner, environments[2]).forked
    assert said == ["started by the ordinary launcher: another environment than the fork servers have"]
    blue = sleeper(spawner, environments[2])
    assert blue.forked
    servers = {server_of(red), server_of(green), server_of(blue)}
    assert server_of(sleeper(spawner, environments[0])) == server_of(red)
    green.kill_tree()
    assert not find_survivors({server_of(green)}, 2.0)  # driven out, and its last program has ended
    spawner.close()
    assert not find_survivors(servers, 2.0)


@pytest.mark.usefixtures("sleep_module")
def test_servers_end_with_their_owner(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom nbflow.kernels.spawner import Spawner\n"
        "child = Spawner(fork=True, warm=()).start([sys.executable, '-m', 'nbflow_test_sleeper'], cwd='/')\n"
        "print(child.pid, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        guardian = int(read_stat(pid)[1])
        server = int(read_stat(guardian)[1])
        assert int(read_stat(server)[1]) == process.pid
        process.kill()
        assert not find_survivors({pid, guardian, server}, 2.0)


def test_a_spawner_is_not_for_forks_of_its_owner(spawner: Spawner) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            spawner.start(["true"], cwd="/")
        except RuntimeError:
            os._exit(5)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5


@pytest.mark.kernel
def test_a_library_upgraded_on_disk_is_imported_anew(installed: AddModule) -> None:
    async def ask() -> tuple[bool, Any, Any]:
        notebook = await open_notebook()
        imported = await notebook.ask("'nbflow_test_lib' in __import__('sys').modules")
        answer = await notebook.ask("__import__('nbflow_test_lib').version")
        forked = notebook.child.forked
        await close_notebook(notebook)
        return forked, imported, answer

    installed("nbflow_test_lib", "version = 1")
    with spawner_of_kernels(preload=("nbflow_test_lib",)):
        assert run_async(ask()) == (True, True, 1)
        assert run_async(ask()) == (True, True, 1)
        installed("nbflow_test_lib", "version = 22")
        assert run_async(ask()) == (True, True, 22)
        installed("nbflow_test_other", "")  # something else was installed: what an import finds may have changed
        assert run_async(ask()) == (True, True, 22)


UNSUITABLE = {
    "nbflow_test_thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "threads",
    ),
    "nbflow_test_prints": ("print('hello')", "prints"),
    "nbflow_test_raw": ("import os; os.write(2, b'x')", "prints"),
    "nbflow_test_file": ("import os; kept = open(os.devnull)", "files or sockets"),
    "nbflow_test_shell": ("from IPython import get_ipython; get_ipython()", "asks IPython"),
    "nbflow_test_warns": ("import warnings; warnings.warn('old', DeprecationWarning, stacklevel=2)", "warns"),
    "nbflow_test_logs": ("import logging; logging.basicConfig()", "logging"),
    "nbflow_test_shares": ("import mmap; kept = mmap.mmap(-1, 4096)", "shares memory"),
    "nbflow_test_lock": ("import multiprocessing; lock = multiprocessing.Lock()", "shares memory"),
    "nbflow_test_broken": ("import no_such_thing", "No module named"),
    "nbflow_test_exits": ("raise SystemExit", "SystemExit"),
}


@pytest.mark.kernel
def test_only_what_passes_the_audit_is_imported_beforehand(
    installed: AddModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (source, _) in UNSUITABLE.items():
        installed(name, source)
    installed("nbflow_test_good", "import decimal, numpy; value = 1")
    installed("nbflow_test_imports_users", "import nbflow_test_users")
    (tmp_path / "nbflow_test_users.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said: list[str] = []
    asked = [
        *UNSUITABLE,
        "nbflow_test_users",
        "nbflow_test_imports_users",
        "no_such_library",
        "ipywidgets",
        "nbflow_test_good",
    ]

    async def ask() -> tuple[bool, Any]:
        notebook = await open_notebook()
        loaded = await notebook.ask(f"[n for n in {asked!r} if n in __import__('sys').modules]")
        forked = notebook.child.forked
        await close_notebook(notebook)
        return forked, loaded

    with spawner_of_kernels(preload=asked) as shared:
        monkeypatch.setattr(shared.get()._servers, "_log", said.append)
        assert run_async(ask()) == (True, ["nbflow_test_good"])
        assert run_async(ask())[0]
    reasons = dict(line.removeprefix("not imported beforehand: ").split(": ", 1) for line in said)
    assert len(said) == len(asked) - 1
    for name, (_, reason) in UNSUITABLE.items():
        assert reason in reasons[name], name
    assert "site-packages" in reasons["nbflow_test_users"]
    assert reasons["nbflow_test_imports_users"] == "it imports nbflow_test_users"


@pytest.mark.kernel
def test_thirty_kernels_start_at_once() -> None:
    async def all_at_once() -> list[tuple[bool, Any]]:
        async def one(number: int) -> tuple[bool, Any]:
            notebook = await open_notebook()
            answer = (notebook.child.forked, await notebook.ask(f"{number} ** 2"))
            await close_notebook(notebook)
            return answer

        return await asyncio.gather(*(one(number) for number in range(30)))

    with spawner_of_kernels():
        assert run_async(all_at_once()) == [(True, number**2) for number in range(30)]


@pytest.mark.kernel
def test_a_hundred_runs_leave_nothing_behind() -> None:
    def measure(server: int) -> tuple[int, int, int]:
        return (
            len(os.listdir("/proc/self/fd")),
            len(os.listdir(f"/proc/{server}/fd")),
            int(Path(f"/proc/{server}/statm").read_text().split()[1]),
        )

    async def runs(count: int) -> int:
        for _ in range(count):
            notebook = await open_notebook()
            server = server_of(notebook.child)
            await close_notebook(notebook)
        return server

    with spawner_of_kernels():
        server = run_async(runs(5))
        own, servers, pages = measure(server)
        assert run_async(runs(100)) == server
        after = measure(server)
    assert after[0] <= own + MOST_IDLE
    assert after[1] <= servers
    assert after[2] <= pages + 50
    assert not find_survivors({server}, 2.0)


def test_command_lines_are_read_as_the_interpreter_does() -> None:
    command = parse_command(["python", "-B", "-Wdefault", "-X", "frozen_modules=off", "-P", "-m", "a.b", "-m", "-c"])
    assert (command.module, command.arguments) == ("a.b", ("-m", "-c"))
    assert command.flags == ("-B", "-Wdefault")
    assert command.safe_path
    assert command.x_options == (("frozen_modules", "off"),)
    for argv in (
        ["python"],
        ["python", "-m"],
        ["python", "script.py"],
        ["python", "-"],
        ["python", "-Xdev", "-m", "a"],
    ):
        with pytest.raises(Unfit):
            parse_command(argv)


def test_the_server_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBFLOW_FORK_SERVER", "0")
    said: list[str] = []
    spawner = Spawner(log=said.append)
    child = spawner.start([sys.executable, "-m", "this"], cwd="/")
    assert not child.forked
    assert child.wait(20) == 0
    assert not said


def test_a_server_that_can_not_start_is_told_and_not_asked_again(
    installed: AddModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(sysconfig.get_path("purelib"))
    start_up = folder / "nbflow_test_start.pth"
    start_up.write_text("import sys; sys.setprofile(lambda *a: None)\n")
    said: list[str] = []
    try:
        spawner = Spawner(fork=True, warm=(), log=said.append)
        for _ in range(2):
            child = spawner.start([sys.executable, "-m", "this"], cwd="/")
            assert not child.forked
            assert child.wait(20) == 0
    finally:
        start_up.unlink()
        spawner.close()
    assert said == ["started by the ordinary launcher: a debugger or profiler watches the interpreter"] * 2


def test_forked_programs_are_seen_under_their_own_name(spawner: Spawner, programs: Callable[[str, str], Path]) -> None:
    source = "import time; print('ready', flush=True); time.sleep(1000)"
    folder = programs("named", source)
    reading, writing = os.pipe()
    argv = [sys.executable, "-m", "named", "x y"]
    child = spawner.start(argv, cwd=folder, stdout=writing, env={**os.environ, "NBFLOW_MARK": "here"})
    os.close(writing)
    with open(reading) as file:
        file.readline()
        assert Path(f"/proc/{child.pid}/cmdline").read_text().rstrip("\0").split("\0") == argv
        assert "NBFLOW_MARK=here" in Path(f"/proc/{child.pid}/environ").read_text().split("\0")
        assert is_alive(child.pid)
        child.kill_tree()
        assert child.wait(5) == -9
