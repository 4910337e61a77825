"""However an owner ends, nothing that it started is alive two seconds later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbflow.kernels.linux import list_children, read_stat
from nbflow.kernels.processes import Child, python_module
from nbflow.kernels.spawner import Spawner
from tests.kernels_fixtures import RECORD_ME, find_survivors, is_alive, owner, read_pids
from tests.project_fixtures import wait_until

LIMIT = 2.0
SLEEPER = "import time; record_me(); time.sleep(1000)"

# What the kernel is doing when its owner is killed, and how many processes that makes.
SITUATIONS = {
    "sleep": ("import time; record_me(); time.sleep(1000)", 1),
    "python loop": ("record_me()\nwhile True: pass", 1),
    "ignores interrupts and SIGTERM": (
        "import signal, time\nfor n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
        "record_me()\nwhile True:\n    try: time.sleep(1)\n    except KeyboardInterrupt: pass",
        1,
    ),
    "holds the lock in C": ("import ctypes; record_me(); ctypes.PyDLL(None).sleep(1000)", 1),
    "stopped": ("import signal; record_me(); os.kill(os.getpid(), signal.SIGSTOP)", 1),
    "child processes": (
        "import subprocess\nrecord_me()\n"
        "many = [subprocess.Popen([sys.executable, '-c', PROGRAM]) for _ in range(2)]\nmany[0].wait()",
        3,
    ),
    "child in a session of its own": (
        "import subprocess\nrecord_me()\nsubprocess.Popen([sys.executable, '-c', PROGRAM], start_new_session=True).wait()",
        2,
    ),
    "daemon that cleared its environment": (
        "import time\nrecord_me()\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.closerange(3, 1000); os.execve(sys.executable, [sys.executable, '-c', PROGRAM], {})\n    os._exit(0)\n"
        "time.sleep(1000)",
        2,
    ),
}


def expand(folder: Path, code: str) -> str:
    program = RECORD_ME.format(folder=str(folder / "pids")) + (
        "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n" + SLEEPER
    )
    return f"PROGRAM = {program!r}\n{code}"


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_nothing_outlives_a_killed_owner(tmp_path: Path, situation: str, fork: bool) -> None:
    code, count = SITUATIONS[situation]
    with owner(tmp_path, expand(tmp_path, code), fork=fork) as (process, kernel):
        wait_until(lambda: len(read_pids(tmp_path)) == count, what=f"{count} processes")
        pids = read_pids(tmp_path)
        assert kernel in pids
        assert all(map(is_alive, pids))
        process.kill()
        assert not find_survivors(pids, LIMIT)


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
def test_nothing_outlives_a_kernel_that_left_without_a_word(tmp_path: Path, fork: bool) -> None:
    code = (
        "import subprocess, time\nrecord_me()\n"
        "subprocess.Popen([sys.executable, '-c', PROGRAM], start_new_session=True)\n"
        f"while len(os.listdir({str(tmp_path / 'pids')!r})) < 2: time.sleep(0.01)\nos._exit(3)"
    )
    with owner(tmp_path, expand(tmp_path, code), fork=fork):
        wait_until(lambda: len(read_pids(tmp_path)) == 2, what="two processes")
        assert not find_survivors(read_pids(tmp_path), LIMIT)  # and the owner is still there


@pytest.mark.kernel
@pytest.mark.parametrize("fork", [True, False], ids=["forked", "ordinary"])
def test_a_kernel_that_kills_its_guardian_dies_with_it(tmp_path: Path, fork: bool) -> None:
    code = "import time\nrecord_me()\nos.kill(os.getppid(), 9)\ntime.sleep(1000)"
    with owner(tmp_path, code, fork=fork) as (_, kernel):
        assert not find_survivors({kernel}, LIMIT)


@pytest.mark.kernel
def test_what_a_killed_guardian_looked_after_falls_to_the_fork_server(tmp_path: Path) -> None:
    code = (
        "import subprocess, time\nrecord_me()\n"
        "subprocess.Popen([sys.executable, '-c', PROGRAM], start_new_session=True)\ntime.sleep(1000)"
    )
    with owner(tmp_path, expand(tmp_path, code), fork=True) as (_, kernel):
        wait_until(lambda: len(read_pids(tmp_path)) == 2, what="two processes")
        os.kill(int(read_stat(kernel)[1]), signal.SIGKILL)
        assert not find_survivors(read_pids(tmp_path), LIMIT)


def start(spawner: Spawner, folder: Path, code: str, *, tied: bool = True) -> Child:
    (folder / "pids").mkdir(exist_ok=True)
    whole = RECORD_ME.format(folder=str(folder / "pids")) + expand(folder, code)
    return spawner.start([sys.executable, "-c", whole], cwd=folder, tied=tied)


@pytest.fixture
def spawner() -> Spawner:
    return Spawner(fork=False)


def test_exit_codes_and_signals_are_told_as_popen_tells_them(spawner: Spawner) -> None:
    assert spawner.start([sys.executable, "-c", "raise SystemExit(7)"]).wait(10) == 7
    assert spawner.start(["sh", "-c", "kill -SEGV $$"]).wait(10) == -signal.SIGSEGV
    assert spawner.start(["true"]).wait(10) == 0


def test_what_can_not_be_started_is_told_like_popen_does(spawner: Spawner, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        spawner.start(["/no/such/program"])
    assert caught.value.filename == "/no/such/program"
    with pytest.raises(FileNotFoundError, match="gone"):
        spawner.start(["true"], cwd=tmp_path / "gone")
    with pytest.raises(PermissionError):
        spawner.start([str(tmp_path)])


def test_a_program_gets_its_streams_folder_and_environment_and_no_more(spawner: Spawner, tmp_path: Path) -> None:
    code = (
        "import os, sys; print(sys.stdin.read(), os.getcwd(), os.environ['ONLY'], os.getpgrp() == os.getpid() == os.getsid(0),"
        " [n for n in os.listdir('/proc/self/fd') if int(n) > 2 and os.path.exists('/proc/self/fd/' + n)])"
    )
    ours, theirs = os.pipe()
    asked, answered = os.pipe()
    os.write(theirs, b"secret")
    os.close(theirs)
    child = spawner.start(
        [sys.executable, "-c", code], env={"ONLY": "this"}, cwd=tmp_path, stdin=ours, stdout=answered, linked=False
    )
    os.close(ours)
    os.close(answered)
    with open(asked) as file:
        assert file.read().split() == ["secret", str(tmp_path), "this", "True", "[]"]
    assert child.wait(10) == 0


def test_a_detached_program_outlives_its_owner_but_not_its_leftovers(tmp_path: Path) -> None:
    code = (
        "import subprocess, time; record_me(); subprocess.Popen([sys.executable, '-c', PROGRAM], start_new_session=True);"
        " time.sleep(1000)"
    )
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom nbflow.kernels.spawner import Spawner\n"
        "child = Spawner(fork=False).start([sys.executable, '-c', sys.argv[1]], cwd='/', tied=False)\n"
        "print(child.pid, flush=True); time.sleep(1000)"
    )
    (tmp_path / "pids").mkdir()
    program = RECORD_ME.format(folder=str(tmp_path / "pids")) + expand(tmp_path, code)
    with subprocess.Popen([sys.executable, "-c", script, program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        wait_until(lambda: len(read_pids(tmp_path)) == 2, what="two processes")
        process.kill()
        process.wait()
    pids = read_pids(tmp_path)
    guardian = int(read_stat(pid)[1])
    time.sleep(0.5)  # nothing tells that nothing happens
    assert all(map(is_alive, pids))
    os.kill(pid, signal.SIGKILL)
    assert not find_survivors(pids | {guardian}, LIMIT)


def test_killing_the_tree_gives_the_program_its_grace(spawner: Spawner, tmp_path: Path) -> None:
    polite = "import signal, time\nsignal.signal(15, lambda *_: sys.exit(9))\nrecord_me()\ntime.sleep(1000)"
    child = start(spawner, tmp_path, polite)
    wait_until(lambda: read_pids(tmp_path))
    child.kill_tree(grace=20.0)
    assert child.wait(10) == 9


def test_killing_the_tree_ends_what_does_not_want_to(spawner: Spawner, tmp_path: Path) -> None:
    rude = (
        "import signal, subprocess, time\nsignal.signal(15, signal.SIG_IGN)\nrecord_me()\n"
        "subprocess.Popen([sys.executable, '-c', PROGRAM], start_new_session=True)\ntime.sleep(1000)"
    )
    child = start(spawner, tmp_path, rude)
    wait_until(lambda: len(read_pids(tmp_path)) == 2)
    begun = time.monotonic()
    child.kill_tree(grace=0.4)
    assert child.wait(10) == -signal.SIGKILL
    assert time.monotonic() - begun >= 0.4
    assert not find_survivors(read_pids(tmp_path), LIMIT)


def test_an_end_that_was_asked_for_comes_even_if_the_owner_dies_at_once(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom nbflow.kernels.spawner import Spawner\n"
        "child = Spawner(fork=False).start(['sleep', '1000'], tied=False)\n"
        "print(child.pid, flush=True); child.kill_tree(grace=0.2); os._exit(0)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not find_survivors({int(output)}, LIMIT)


def test_many_leftovers_at_every_depth_are_ended(spawner: Spawner, tmp_path: Path) -> None:
    nest = (
        "import subprocess, time\nrecord_me()\ndepth = int(os.environ.get('DEPTH', '3'))\n"
        "if depth:\n    for _ in range(2):\n"
        "        subprocess.Popen([sys.executable, '-S', '-c', sys.argv[1], sys.argv[1]],"
        " env={'DEPTH': str(depth - 1)}, start_new_session=True)\n"
        "time.sleep(1000 if depth < 3 else 0.0)\n"
        f"while len(os.listdir({str(tmp_path / 'pids')!r})) < 15: time.sleep(0.01)"
    )
    (tmp_path / "pids").mkdir()
    whole = RECORD_ME.format(folder=str(tmp_path / "pids")) + nest
    child = spawner.start([sys.executable, "-c", whole, whole], cwd=tmp_path)
    assert child.wait(30) == 0
    assert len(read_pids(tmp_path)) == 15
    assert not find_survivors(read_pids(tmp_path), LIMIT)


def test_leftovers_that_end_by_themselves_are_let_finish(spawner: Spawner, tmp_path: Path) -> None:
    """Like multiprocessing's resource tracker: it cleans up once its process is gone."""
    cleaner = f"import sys; sys.stdin.read(); open({str(tmp_path / 'cleaned')!r}, 'w')"
    code = f"import subprocess\nsubprocess.Popen([sys.executable, '-S', '-c', {cleaner!r}], stdin=subprocess.PIPE)"
    start(spawner, tmp_path, code + "\nos._exit(0)").wait(10)
    wait_until((tmp_path / "cleaned").exists, 2.0, "the clean-up")


def test_a_fork_of_the_owner_does_not_keep_its_programs_alive(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\nfrom nbflow.kernels.spawner import Spawner\n"
        "child = Spawner(fork=False).start(['sleep', '1000'])\n"
        "if os.fork() == 0:\n    time.sleep(1000)\nprint(child.pid, flush=True)\ntime.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
        try:
            assert not find_survivors({pid}, LIMIT)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_guardians_leave_no_descriptors_and_no_zombies_behind(spawner: Spawner) -> None:
    spawner.start(["true"]).wait(10)
    before = set(os.listdir("/proc/self/fd"))
    zombies = _count_zombies(spawner)
    for _ in range(20):
        spawner.start(["true"]).wait(10)
    spawner.close()
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    wait_until(lambda: _count_zombies(spawner) <= zombies + 1, 5.0, "the burial of the guardians")


def _count_zombies(spawner: Spawner) -> int:
    spawner.start(["true"]).wait(10)
    states = [read_stat(pid)[0] for pid in list_children() or () if Path(f"/proc/{pid}/stat").exists()]
    return states.count("Z")


def test_our_own_modules_are_run_without_the_folder_on_their_path() -> None:
    assert python_module("a.b", "c") == [sys.executable, "-P", "-m", "a.b", "c"]
