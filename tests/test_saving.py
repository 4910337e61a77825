"""Saving notebooks: whole at every moment, strict JSON, and never at the cost of the file that was there."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import select
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nbflow.errors import OutputError, UsageError
from nbflow.notebooks import NotebookWriter, check_output_path, render_path, save_notebook, write_atomically
from tests.project_fixtures import wait_until

OLD = b'{"old": true}\n'


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not strict JSON")


def load_strictly(path: Path) -> Any:
    return json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse_constant)


def make_node(outputs: int = 3) -> Any:
    cell = new_code_cell("print(1)\nprint(2)", metadata={"tags": ["a"]})
    cell.outputs = [new_output("stream", name="stdout", text=f"line {n}\nnext\r\x1b[1m ü 😀\n") for n in range(outputs)]
    cell.outputs.append(new_output("display_data", data={"text/plain": "a\nb", "image/svg+xml": "<svg>\n</svg>"}))
    cell.outputs.append(new_output("execute_result", data={"application/json": {"b": [1, "x\ny"], "a": {}}}))
    cell.outputs.append(new_output("error", ename="E", evalue="v", traceback=["t\n1", "t2"]))
    prose = new_markdown_cell(
        "![i](attachment:i.png)\n", attachments={"i.png": {"image/png": "AA==", "text/plain": "a\nb"}}
    )
    return new_notebook(
        cells=[prose, cell, new_code_cell("")], metadata={"kernelspec": {"name": "python3", "display_name": "P"}}
    )


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Without root's power over permissions."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture(params=["nameless", "named"])
def temporary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to write the temporary file: with O_TMPFILE, and where the system has none."""
    kind: str = request.param
    if kind == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return kind


@pytest.mark.parametrize("node", [make_node(), new_notebook(), new_notebook(cells=[new_code_cell()])])
def test_the_file_is_what_jupyter_would_write(node: Any, tmp_path: Path) -> None:
    node.metadata["orig_nbformat"] = 3
    for cell in node.cells:
        cell.metadata["trusted"] = True
    save_notebook(node, tmp_path / "a.ipynb")
    nbformat.write(node, str(tmp_path / "b.ipynb"))
    assert (tmp_path / "a.ipynb").read_text() == (tmp_path / "b.ipynb").read_text()
    assert "orig_nbformat" in node.metadata, "the node in memory stays as it is"


def test_the_file_is_strict_json_whatever_the_kernel_sent(tmp_path: Path) -> None:
    path = tmp_path / "strict.ipynb"
    node = new_notebook(cells=[new_code_cell("x", metadata={"rate": float("nan")})])
    plot = {"x": [1.5, float("nan"), float("inf")], "y": {1: (2, 3), None: b"AA=="}}
    node.cells[0].outputs = [
        new_output("display_data", data={"application/vnd.plotly.v1+json": plot}),
        new_output("stream", name="stdout", text="\ud800 lone \x00 \u2028 end\n"),
    ]
    node.metadata["papermill"] = {"parameters": {"a": float("inf"), "b": -float("inf"), "day": date(2026, 1, 31)}}
    save_notebook(node, path)
    saved = load_strictly(path)
    assert saved["cells"][0]["outputs"][0]["data"]["application/vnd.plotly.v1+json"] == {
        "x": [1.5, None, None],
        "y": {"1": [2, 3], "null": "AA=="},
    }
    assert "".join(saved["cells"][0]["outputs"][1]["text"]) == "\ud800 lone \x00 \u2028 end\n"
    assert b"\\ud800 lone" in path.read_bytes()
    assert saved["cells"][0]["metadata"] == {"rate": "NaN"}
    assert saved["metadata"]["papermill"]["parameters"] == {"a": "Infinity", "b": "-Infinity", "day": "2026-01-31"}


def try_to_save(node: Any, path: Path) -> OutputError | None:
    try:
        save_notebook(node, path)
    except OutputError as error:
        return error
    return None


CALLS = ["open", "write", "fsync", "fchmod", "link", "replace"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failing_system_call_leaves_the_old_file_alone(
    call: str, number: int, code: int, temporary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.ipynb"
    path.write_bytes(OLD)
    real = getattr(os, call)
    calls = 0

    def fail(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(os, call, fail)
    node = new_notebook(
        cells=[new_code_cell("x", outputs=[new_output("stream", text="x" * 1_200_000)]) for _ in range(3)]
    )
    error = try_to_save(node, path)
    monkeypatch.undo()
    if error is None:
        # The call was not made so often; or O_TMPFILE failed, and then a named file did not.
        assert calls < number or (call == "open" and temporary == "nameless" and calls == number)
        assert len(load_strictly(path)["cells"]) == 3
    else:
        assert str(error).startswith(f"cannot save {path}: {os.strerror(code)}; ")
        assert "\n" not in str(error)
        assert error.path == str(path)
        assert path.read_bytes() == OLD
        assert calls >= number
    assert os.listdir(tmp_path) == ["out.ipynb"]


def test_each_system_call_is_really_reached(temporary: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above proves nothing about a call that is not made."""
    seen: set[str] = set()

    def watch(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def note(*args: Any, **options: Any) -> Any:
            seen.add(name)
            return real(*args, **options)

        return note

    for name in CALLS:
        monkeypatch.setattr(os, name, watch(name))
    path = tmp_path / "out.ipynb"
    path.write_bytes(OLD)
    save_notebook(make_node(), path)
    assert seen == set(CALLS) - ({"link"} if temporary == "named" else set())


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7])))
    save_notebook(make_node(), tmp_path / "short.ipynb")
    monkeypatch.undo()
    assert len(load_strictly(tmp_path / "short.ipynb")["cells"]) == 3


def test_an_interrupt_leaves_no_temporary_file(temporary: str, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 3_000_000
        raise KeyboardInterrupt

    (tmp_path / "out.ipynb").write_bytes(OLD)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out.ipynb", pieces())
    assert os.listdir(tmp_path) == ["out.ipynb"]
    assert (tmp_path / "out.ipynb").read_bytes() == OLD


@pytest.mark.parametrize(
    ("umask", "private", "mode"), [(0o022, False, 0o644), (0o077, False, 0o600), (0o022, True, 0o600)]
)
def test_a_new_file_gets_the_mode_of_the_umask(
    umask: int, private: bool, mode: int, temporary: str, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        save_notebook(make_node(), tmp_path / "new.ipynb", private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.ipynb").stat().st_mode) == mode


@pytest.mark.parametrize(
    ("mode", "private", "expected"), [(0o664, False, 0o664), (0o600, False, 0o600), (0o666, True, 0o600)]
)
def test_an_existing_file_keeps_its_mode(
    mode: int, private: bool, expected: int, temporary: str, tmp_path: Path
) -> None:
    path = tmp_path / "old.ipynb"
    path.write_bytes(OLD)
    path.chmod(mode)
    save_notebook(make_node(), path, private=private)
    assert stat.S_IMODE(path.stat().st_mode) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    path.write_bytes(OLD)
    os.chown(path, 65534, 65534)
    save_notebook(make_node(), path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed_and_stays_a_link(exists: bool, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "target.ipynb"
    if exists:
        target.write_bytes(OLD)
    link = tmp_path / "link.ipynb"
    link.symlink_to(Path("real") / "target.ipynb")
    save_notebook(make_node(), link)
    assert link.is_symlink()
    assert len(load_strictly(target)["cells"]) == 3
    assert os.listdir(tmp_path / "real") == ["target.ipynb"]


def test_a_relative_path_is_saved_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_notebook(make_node(), "here.ipynb")
    assert os.listdir(tmp_path) == ["here.ipynb"]


def test_names_of_any_kind_can_be_saved(temporary: str, tmp_path: Path) -> None:
    for name in ("x" * 255, "é 😀\n.ipynb", os.fsdecode(b"\xff.ipynb"), "-", ".hidden"):
        save_notebook(make_node(), tmp_path / name)
        assert len(load_strictly(tmp_path / name)["cells"]) == 3
    assert len(os.listdir(tmp_path)) == 5


def test_folders_pipes_and_devices_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in (
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "loop",
        Path("/dev/null"),
        tmp_path / "no" / "x.ipynb",
        "a\x00b",
    ):
        with pytest.raises(OutputError) as raised:
            save_notebook(make_node(), path)
        assert "\n" not in str(raised.value)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_notebook_too_deep_for_json_is_refused_in_one_line(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    node = new_notebook()
    dict.__setitem__(node.metadata, "deep", deep)
    (tmp_path / "x.ipynb").write_bytes(OLD)
    with pytest.raises(OutputError, match="nested too deeply"):
        save_notebook(node, tmp_path / "x.ipynb")
    assert (tmp_path / "x.ipynb").read_bytes() == OLD
    assert os.listdir(tmp_path) == ["x.ipynb"]


SAVE_LARGE = """
import sys
from nbflow.errors import OutputError
from nbflow.notebooks import save_notebook
output = {"output_type": "stream", "name": "stdout", "text": "x" * 3_000_000}
cell = {"cell_type": "code", "id": "a", "source": "", "metadata": {}, "execution_count": None, "outputs": [output]}
try:
    save_notebook({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, sys.argv[1])
except OutputError as error:
    sys.exit(str(error))
"""


def test_a_limit_on_file_size_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    path.write_bytes(OLD)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run([sys.executable, "-c", SAVE_LARGE, path], capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f"cannot save {path}: File too large; a limit on the size of files forbids it; raise the limit or print less"
    ]
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["out.ipynb"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", os.fspath(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", os.fspath(folder)], check=True)


def test_a_full_disk_leaves_the_old_file(small_disk: Path, temporary: str) -> None:
    path = small_disk / "out.ipynb"
    path.write_bytes(OLD)
    node = new_notebook(cells=[new_code_cell("x", outputs=[new_output("stream", text="x" * 400_000)])])
    with pytest.raises(OutputError, match=r"No space left on device; free some space or choose another output$"):
        save_notebook(node, path)
    assert path.read_bytes() == OLD
    assert os.listdir(small_disk) == ["out.ipynb"]
    node.cells[0].outputs = []
    save_notebook(node, path)
    assert len(load_strictly(path)["cells"]) == 1


SAVE_ON = """
import sys
from nbflow.notebooks import NotebookWriter
cells = [
    {"cell_type": "code", "id": f"c{n}", "source": "", "metadata": {}, "execution_count": None, "outputs": []}
    for n in range(4)
]
writer = NotebookWriter({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, sys.argv[1], interval=0.0)
writer.flush()
print("ready", flush=True)
number = 0
while True:
    number += 1
    output = {"output_type": "stream", "name": "stdout", "text": f"{number} " * 2000 + "\\n"}
    cells[number % 4]["outputs"] = [*cells[number % 4]["outputs"][-20:], output]
    writer.request()
    if number % 50 == 0:
        writer.flush()
"""


def test_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "out.ipynb"
    for _ in range(40):
        with subprocess.Popen([sys.executable, "-c", SAVE_ON, path], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            select.select([], [], [], chance.uniform(0, 0.05))  # A random moment, not a wait for anything.
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        assert len(load_strictly(path)["cells"]) == 4
    assert len(os.listdir(tmp_path)) <= 2, "a kill between two system calls may leave one file, the same one each time"
    save_notebook(make_node(), path)
    assert os.listdir(tmp_path) == ["out.ipynb"]


def test_what_a_kill_left_is_cleared_by_the_next_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.ipynb"
    path.write_bytes(OLD)
    killed = BaseException("killed")

    def die(*_: Any) -> None:
        raise killed

    monkeypatch.setattr(os, "replace", die)
    monkeypatch.setattr(os, "unlink", die)
    with pytest.raises(BaseException, match="killed"):
        save_notebook(make_node(), path)
    monkeypatch.undo()
    assert len(os.listdir(tmp_path)) == 2
    assert path.read_bytes() == OLD
    save_notebook(make_node(), path)
    assert os.listdir(tmp_path) == ["out.ipynb"]


def test_two_writers_of_one_file_both_succeed(temporary: str, tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    failures: list[BaseException] = []

    def save(mark: bytes) -> None:
        for _ in range(300):
            try:
                write_atomically(path, [mark * 10_000])
            except OutputError as error:
                failures.append(error)

    threads = [threading.Thread(target=save, args=(mark,)) for mark in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            content = path.read_bytes()
            assert content == content[:1] * 10_000
    assert failures == []
    write_atomically(path, [b"end"])
    assert os.listdir(tmp_path) == ["out.ipynb"]


def test_readers_never_see_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    reads: list[int] = []
    with subprocess.Popen([sys.executable, "-c", SAVE_ON, path], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            sizes = set()
            while len(reads) < 300 or len(sizes) < 10:
                reads.append(len(load_strictly(path)["cells"]))
                sizes.add(path.stat().st_size)
        finally:
            child.kill()
    assert set(reads) == {4}


def test_the_writer_saves_what_was_requested_without_further_calls(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    node = make_node()
    writer = NotebookWriter(node, path, interval=0.05)
    writer.request()
    wait_until(path.exists)
    node.cells[2].outputs.append(new_output("stream", text="late\n"))
    writer.request()
    wait_until(lambda: load_strictly(path)["cells"][2]["outputs"] != [])
    node.cells[2]["execution_count"] = 5
    node.cells[2].metadata["papermill"] = {"status": "completed"}
    writer.mark_dirty(2)
    writer.request()
    wait_until(lambda: load_strictly(path)["cells"][2]["metadata"] == {"papermill": {"status": "completed"}})
    assert load_strictly(path)["cells"][2]["execution_count"] == 5
    assert writer.close()
    assert writer.error is None


def test_close_saves_everything_even_what_nobody_marked(tmp_path: Path) -> None:
    node = make_node()
    writer = NotebookWriter(node, tmp_path / "out.ipynb", interval=60)
    assert writer.flush()
    node.cells[0].metadata["new"] = 1
    node.metadata["papermill"] = {"duration": 1.5}
    node.cells.insert(0, new_markdown_cell("inserted"))
    node.cells[2].outputs.pop(0)
    del node.cells[3]
    assert writer.close()
    save_notebook(node, tmp_path / "expected.ipynb")
    assert (tmp_path / "out.ipynb").read_bytes() == (tmp_path / "expected.ipynb").read_bytes()


def test_many_requests_are_few_saves(tmp_path: Path) -> None:
    node = make_node()
    writer = NotebookWriter(node, tmp_path / "out.ipynb", interval=0.2)
    began = time.monotonic()
    for _ in range(2000):
        node.cells[2].outputs.append(new_output("stream", text="x\n"))
        writer.request()
    writer.close()
    assert writer.saves <= 2 + (time.monotonic() - began) / 0.2
    assert len(load_strictly(tmp_path / "out.ipynb")["cells"][2]["outputs"]) == 2000


class CountedText(str):
    """A text that knows how often it was encoded."""

    times = 0

    def splitlines(self, keepends: bool = False) -> list[str]:
        self.times += 1
        return super().splitlines(keepends)


def test_every_output_is_encoded_once(tmp_path: Path) -> None:
    node = make_node()
    writer = NotebookWriter(node, tmp_path / "out.ipynb", interval=60)
    texts = [CountedText(f"{n}\n") for n in range(30)]
    for number, text in enumerate(texts):
        node.cells[number % 2 + 1].outputs.append(new_output("stream", text=text))
        writer.mark_dirty(number % 2 + 1)
        assert writer.flush()
    grown = node.cells[1].outputs[-1]
    grown["text"] = CountedText("replaced\n")
    assert writer.close()
    assert [text.times for text in texts] == [1] * 30
    assert grown["text"].times == 1
    save_notebook(node, tmp_path / "expected.ipynb")
    assert (tmp_path / "out.ipynb").read_bytes() == (tmp_path / "expected.ipynb").read_bytes()


def test_the_loop_may_change_the_notebook_while_it_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "out.ipynb"
    node = new_notebook(cells=[new_code_cell(f"{n}") for n in range(5)])
    writer = NotebookWriter(node, path, interval=0.0)
    stop = threading.Event()
    broken: list[str] = []

    def read() -> None:
        while not stop.is_set():
            if path.exists():
                try:
                    load_strictly(path)
                except ValueError as error:
                    broken.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    chance = random.Random(3)
    for number in range(4000):
        index = chance.randrange(5)
        cell = node.cells[index]
        match number % 8:
            case 0 | 1 | 2:
                cell.outputs.append(new_output("stream", text=f"{number}\n" * 20))
            case 3 if cell.outputs:
                cell.outputs[-1]["text"] = cell.outputs[-1]["text"] + "more\n"
            case 4:
                cell.metadata.setdefault("papermill", {})[f"key{number}"] = number
                writer.mark_dirty(index)
            case 5:
                cell.outputs[:] = cell.outputs[-10:]
            case 6:
                cell["outputs"] = list(cell.outputs)
                node.metadata[f"key{number % 50}"] = {"n": number}
            case 7 if cell.outputs:
                cell.outputs[0][f"extra{number}"] = 1
        writer.request()
    stop.set()
    reader.join()
    assert writer.close()
    assert writer.saves > 1
    assert broken == []
    save_notebook(node, tmp_path / "expected.ipynb")
    assert path.read_bytes() == (tmp_path / "expected.ipynb").read_bytes()


def test_a_failure_to_save_is_kept_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    node = make_node()
    writer = NotebookWriter(node, folder / "out.ipynb", interval=0.01)
    writer.mark_dirty(1)
    writer.request()
    wait_until(lambda: writer.error is not None)
    assert isinstance(writer.error, OutputError)
    assert "No such file or directory" in str(writer.error)
    assert not writer.flush()
    folder.mkdir()
    wait_until(lambda: (folder / "out.ipynb").exists())
    wait_until(lambda: writer.error is None)
    assert writer.close()


def test_a_failure_to_encode_does_not_end_the_thread(tmp_path: Path) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    node = make_node()
    writer = NotebookWriter(node, tmp_path / "out.ipynb", interval=0.01)
    node.cells[1].outputs.append({"output_type": "display_data", "metadata": {}, "data": {"x": Bad()}})
    writer.request()
    wait_until(lambda: writer.error is not None)
    assert "no text" in str(writer.error)
    node.cells[1].outputs.pop()
    wait_until(lambda: writer.error is None)
    assert writer.close()
    assert len(load_strictly(tmp_path / "out.ipynb")["cells"]) == 3


def test_the_thread_ends_with_close(tmp_path: Path) -> None:
    before = threading.active_count()
    writer = NotebookWriter(make_node(), tmp_path / "out.ipynb")
    writer.request()
    assert threading.active_count() == before + 1
    assert writer.close()
    assert writer.close()
    assert threading.active_count() == before


def test_a_private_writer_never_opens_the_file_to_others(tmp_path: Path) -> None:
    writer = NotebookWriter(make_node(), tmp_path / "out.ipynb", private=True)
    assert writer.flush()
    assert stat.S_IMODE((tmp_path / "out.ipynb").stat().st_mode) == 0o600
    assert writer.close()


def test_a_usable_output_path_becomes_absolute(
    make_notebook: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(name="in.ipynb")
    monkeypatch.chdir(source.parent)
    for name in ("out.ipynb", "no-extension", "./sub/../out.ipynb", "é😀"):
        assert check_output_path(name, source=source) == Path(os.path.abspath(name))
    assert check_output_path("out.ipynb", source=None) == source.parent / "out.ipynb"
    assert sorted(os.listdir()) == ["in.ipynb"]
    Path("old.ipynb").write_bytes(OLD)
    assert check_output_path("old.ipynb", source="in.ipynb").read_bytes() == OLD


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("in.ipynb", "is the input notebook"),
        ("./sub/../in.ipynb", "is the input notebook"),
        ("soft.ipynb", "is the input notebook"),
        ("hard.ipynb", "is the input notebook"),
        ("around/in.ipynb", "is the input notebook"),
        ("sub", "is a folder"),
        ("sub/", "names a folder"),
        ("new/", "names a folder"),
        (".", "is a folder"),
        ("missing/deep/out.ipynb", "mkdir -p"),
        ("in.ipynb/out.ipynb", "a file, not a folder"),
        ("", "not a possible file name"),
        ("a\x00b", "not a possible file name"),
        ("x" * 256, "too long"),
        ("pipe", "pipe, socket or device"),
        ("/dev/null", "pipe, socket or device"),
        ("/proc/out.ipynb", "cannot save"),
        ("loop.ipynb", "leads to itself"),
    ],
)
def test_an_unusable_output_path_is_refused_before_anything_starts(
    name: str, reason: str, make_notebook: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(name="in.ipynb")
    folder = source.parent
    monkeypatch.chdir(folder)
    (folder / "sub").mkdir()
    (folder / "soft.ipynb").symlink_to("in.ipynb")
    (folder / "hard.ipynb").hardlink_to("in.ipynb")
    (folder / "around").symlink_to(".")
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    os.mkfifo(folder / "pipe")
    before = sorted(os.listdir())
    with pytest.raises(OutputError) as raised:
        check_output_path(name, source="in.ipynb")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir()) == before


def test_a_read_only_folder_is_refused(open_folder: Path, as_nobody: None) -> None:
    with pytest.raises(OutputError, match=r"Permission denied; choose a place you may write to"):
        check_output_path(open_folder / "out.ipynb", source=None)


def test_a_read_only_file_is_refused(open_folder: Path, request: pytest.FixtureRequest) -> None:
    open_folder.chmod(0o777)
    path = open_folder / "out.ipynb"
    path.write_bytes(OLD)
    path.chmod(0o444)
    request.getfixturevalue("as_nobody")
    with pytest.raises(OutputError, match=r"Permission denied; choose a place you may write to"):
        check_output_path(path, source=None)


class Region:
    secret = "leaked"

    def __format__(self, spec: str) -> str:
        return f"EU{spec}"


VALUES = {
    "region": "EU",
    "day": date(2026, 1, 31),
    "n": 3,
    "rate": 0.5,
    "opts": {"a": [1, 2]},
    "odd": Region(),
    "pm": {"run_uuid": "u-1"},
}


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("out.ipynb", "out.ipynb"),
        ("out-{region}.ipynb", "out-EU.ipynb"),
        ("{day:%Y-%m}/{n:03d}-{rate:.2f}.ipynb", "2026-01/003-0.50.ipynb"),
        ("{day}", "2026-01-31"),
        ("{region!r}", "'EU'"),
        ("{{literal}}", "{literal}"),
        ("{pm.run_uuid}-{pm[run_uuid]}", "u-1-u-1"),
        ("{opts[a][1]}", "2"),
        ("{odd}", "EU"),
        ("", ""),
    ],
)
def test_templates_are_filled_from_the_parameters(template: str, path: str) -> None:
    assert render_path(template, VALUES) == path


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{missing}", "no value for 'missing'"),
        ("{}", "must name a parameter"),
        ("{0}", "must name a parameter"),
        ("{region", "path template"),
        ("region}", "path template"),
        ("{region:d}", "path template"),
        ("{region:{n}}", "can't itself hold a field"),
        ("{region!r:>999999999}", "too wide"),
        ("{region!x}", "path template"),
        ("{odd.secret}", "has no 'secret'"),
        ("{odd.__class__}", "has no '__class__'"),
        ("{odd.__class__.__init__.__globals__}", "has no '__class__'"),
        ("{day.year}", "dates take a format"),
        ("{region[0]}", "has no '0'"),
        ("{opts.items}", "has no 'items'"),
        ("{opts[a][9]}", "has no '9'"),
        ("{opts[a][-1]}", "has no '-1'"),
        ("{n:9999999999999999999}", "path template"),
        ("{ region }", "no value for ' region '"),
    ],
)
def test_templates_reach_values_only(template: str, reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        render_path(template, VALUES)
    assert reason in str(raised.value)
    assert "leaked" not in str(raised.value)
    assert "\n" not in str(raised.value)
