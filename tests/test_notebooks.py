"""Reading notebooks of all formats, refusing what is none, and making them ready for execution."""

from __future__ import annotations

import copy
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.errors import NotebookError
from nbflow.notebooks import insert_parameters, read_notebook, to_nbformat
from nbflow.notebooks.encoding import encode_notebook

FORMAT_1: dict[str, Any] = {
    "cells": [
        {"cell_type": "code", "code": "x = 1", "prompt_number": 1},
        {"cell_type": "text", "text": "some prose"},
    ]
}
FORMAT_2: dict[str, Any] = {
    "metadata": {"name": "old"},
    "nbformat": 2,
    "worksheets": [
        {
            "cells": [
                {
                    "cell_type": "code",
                    "collapsed": False,
                    "input": ["a = 1", "b = 2"],
                    "language": "python",
                    "outputs": [{"output_type": "stream", "stream": "stdout", "text": ["one", "two"]}],
                    "prompt_number": 1,
                },
                {"cell_type": "markdown", "source": ["prose ", "in lines"]},
            ]
        }
    ],
}
FORMAT_3: dict[str, Any] = {
    "metadata": {"name": "", "signature": "sha256:0"},
    "nbformat": 3,
    "nbformat_minor": 0,
    "worksheets": [
        {
            "metadata": {},
            "cells": [
                {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["A title"]},
                {
                    "cell_type": "code",
                    "collapsed": True,
                    "input": ["x = 1\n", "print(x)"],
                    "language": "python",
                    "metadata": {"tags": ["parameters"]},
                    "outputs": [
                        {"output_type": "stream", "stream": "stderr", "text": ["1\n"]},
                        {
                            "output_type": "pyout",
                            "prompt_number": 1,
                            "text": ["1"],
                            "html": ["<b>", "1</b>"],
                            "metadata": {},
                        },
                        {"output_type": "display_data", "png": "iVBORw0=", "json": '{"a": 1}', "metadata": {}},
                        {"output_type": "pyerr", "ename": "E", "evalue": "v", "traceback": ["a", "b"]},
                    ],
                    "prompt_number": 1,
                },
            ],
        },
        {"metadata": {}, "cells": [{"cell_type": "raw", "metadata": {}, "source": "raw text"}]},
    ],
}


def dump(raw: Any) -> bytes:
    return json.dumps(raw).encode()


def format_4(cells: list[Any] | None = None, **others: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells or [], **others}


def code(source: Any, **others: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        **others,
    }


def test_cells_language_and_kernel_are_read(make_notebook: Callable[..., Path]) -> None:
    path = make_notebook([{"source": "# Title", "cell_type": "markdown"}, "print(x)"], parameters="x = 1")
    notebook = read_notebook(path)
    assert [(cell.kind, cell.source, cell.tags, cell.index) for cell in notebook.cells] == [
        ("code", "x = 1", ("parameters",), 0),
        ("markdown", "# Title", (), 1),
        ("code", "print(x)", (), 2),
    ]
    assert [cell.index for cell in notebook.code_cells] == [0, 2]
    assert (notebook.language, notebook.kernel_name, notebook.path) == ("python", "python3", path)
    assert notebook.content == path.read_bytes()
    assert read_notebook(notebook.content).hash == notebook.hash


@pytest.mark.parametrize("raw", [FORMAT_1, FORMAT_2, FORMAT_3], ids=["1", "2", "3"])
def test_older_formats_read_as_nbformat_converts_them(raw: dict[str, Any]) -> None:
    converted = nbformat.reads(json.dumps(raw), as_version=4)
    notebook = read_notebook(dump(raw))
    expected = [(cell.cell_type, cell.source) for cell in converted.cells]
    assert [(cell.kind, cell.source) for cell in notebook.cells] == expected
    assert notebook.hash == read_notebook(dump(converted)).hash
    node = to_nbformat(dump(raw))
    nbformat.validate(node)
    for mine, theirs in zip(node.cells, converted.cells, strict=True):
        assert mine.get("outputs") == theirs.get("outputs")
        assert mine.get("execution_count") == theirs.get("execution_count")


@pytest.mark.parametrize(
    ("raw", "sources"),
    [
        (format_4(), []),
        (format_4([code(["a\n", "b"])]), ["a\nb"]),
        (format_4([code(None)]), [""]),
        (format_4([code({"not": "text"})]), [""]),
        (format_4([code(["a", 1, None, "b"])]), ["ab"]),
        (format_4([{"cell_type": "code"}]), [""]),
        (format_4([{"source": "no kind"}]), ["no kind"]),
        (format_4([{"cell_type": "hologram", "source": "?"}]), ["?"]),
        (format_4([{"cell_type": "markdown", "source": "a", "attachments": {"i.png": {"image/png": "AA=="}}}]), ["a"]),
        (format_4([code("a", metadata=None)], metadata=None), ["a"]),
        (format_4([code("a", metadata={"tags": None})], metadata={"kernelspec": None, "language_info": []}), ["a"]),
        (format_4(["not a cell", None, code("a")]), ["a"]),
        (format_4([code("x = '\ud800'")]), ["x = '\ud800'"]),
        ({"nbformat": 4, "cells": [code("a")]}, ["a"]),
        (format_4([code("a")], nbformat_minor=99), ["a"]),
        ({"nbformat": 3, "worksheets": [None, {}, {"cells": None}, {"cells": [{"cell_type": "code"}]}]}, [""]),
        ({"nbformat": 3, "worksheets": []}, []),
    ],
)
def test_flawed_notebooks_are_read_and_mended(raw: dict[str, Any], sources: list[str]) -> None:
    notebook = read_notebook(dump(raw))
    assert [cell.source for cell in notebook.cells] == sources
    assert notebook.language == "python"
    assert notebook.kernel_name is None
    node = to_nbformat(dump(raw))
    assert [(cell.cell_type, cell.source) for cell in node.cells] == [
        (cell.kind, cell.source) for cell in notebook.cells
    ]
    if not any(cell.kind == "hologram" for cell in notebook.cells):
        nbformat.validate(node)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "bom.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + dump(format_4([code("é = 1")])))
    assert [cell.source for cell in read_notebook(path).cells] == ["é = 1"]
    assert to_nbformat(path.read_bytes()).cells[0].source == "é = 1"


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"language_info": {"name": "R"}, "kernelspec": {"name": "ir", "language": "S"}}, "R"),
        ({"kernelspec": {"name": "ir", "language": "R"}}, "R"),
        ({"kernelspec": {"name": "ir"}}, "R"),
        ({"kernelspec": {"name": "julia-1.10"}}, "julia"),
        ({"kernelspec": {"name": "conda-env-x-py"}}, "python"),
        ({"language": "Julia"}, "Julia"),
        ({"language_info": {"name": 3}, "kernelspec": {"name": None}}, "python"),
    ],
)
def test_the_language_is_found_where_notebooks_name_it(metadata: dict[str, Any], language: str) -> None:
    assert read_notebook(dump(format_4(metadata=metadata))).language == language


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["a", "b", "a"], ("a", "b")),
        ("parameters", ("parameters",)),
        (["a", None, 3], ("a",)),
        ({"a": 1}, ()),
        (None, ()),
    ],
)
def test_tags_are_read_leniently(tags: Any, found: tuple[str, ...]) -> None:
    content = dump(format_4([code("x", metadata={"tags": tags})]))
    assert read_notebook(content).cells[0].tags == found
    assert tuple(to_nbformat(content).cells[0].metadata.tags) == found


RICH = format_4(
    [
        code(
            "x",
            outputs=[
                {"output_type": "stream", "name": "stdout", "text": ["a\n"]},
                {"output_type": "error", "traceback": ["t"]},
            ],
        ),
        code(
            "y",
            outputs=[
                {"output_type": "execute_result", "data": {"text/plain": ["1"]}, "metadata": {}, "execution_count": 1}
            ],
        ),
        {
            "cell_type": "markdown",
            "source": ["m"],
            "metadata": {"tags": []},
            "attachments": {"i": {"image/png": "AA=="}},
        },
    ],
    metadata={
        "kernelspec": {"name": "ir", "display_name": "R", "language": "R"},
        "language_info": {"name": "R"},
        "widgets": {},
    },
)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-9, 9),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["code", "parameters"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["cells", "source", "metadata", "tags", "outputs", "data", "name", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=5,
)


def find_places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from find_places(item, (*path, key))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_nbformat_opens_is_read_executed_and_saved(data: st.DataObject) -> None:
    raw = copy.deepcopy(data.draw(st.sampled_from([RICH, FORMAT_1, FORMAT_2, FORMAT_3])))
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(sorted(find_places(raw), key=str)))
        here: Any = raw
        for key in above:
            here = here[key]
        if data.draw(st.booleans()):
            here[last] = data.draw(JSON)
        else:
            del here[last]
        if not raw:
            break
    try:
        theirs = nbformat.reads(json.dumps(raw), as_version=4)
    except Exception:
        theirs = None
    try:
        cells = read_notebook(dump(raw)).cells
    except NotebookError:
        assert theirs is None or not theirs.cells
        return
    node = to_nbformat(dump(raw))
    assert [(cell.cell_type, cell.source) for cell in node.cells] == [(cell.kind, cell.source) for cell in cells]
    insert_parameters(node, "x = 1")
    json.loads(b"".join(encode_notebook(node)), parse_constant=pytest.fail)


def change(path: list[Any], value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        here: Any = raw
        for key in path[:-1]:
            here = here[key]
        here[path[-1]] = value

    return apply


SAMPLE = format_4(
    [
        code("x = 1", metadata={"tags": ["parameters", "b"]}),
        code("print(x)"),
        {"cell_type": "raw", "source": "r", "metadata": {}},
    ],
    metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}},
)


@pytest.mark.parametrize(
    "apply",
    [
        change(["cells", 0, "outputs"], [{"output_type": "stream", "name": "stdout", "text": "1"}]),
        change(["cells", 0, "execution_count"], 7),
        change(["cells", 0, "id"], "abc"),
        change(["cells", 0, "source"], ["x ", "= 1"]),
        change(["cells", 0, "metadata", "collapsed"], True),
        change(["cells", 0, "metadata", "tags"], ["b", "parameters"]),
        change(["cells", 1, "metadata", "tags"], []),
        change(["metadata", "language_info", "version"], "3.99"),
        change(["metadata", "kernelspec", "display_name"], "Another"),
        change(["metadata", "title"], "T"),
        change(["nbformat_minor"], 5),
    ],
)
def test_the_hash_ignores_what_would_not_execute(apply: Callable[[dict[str, Any]], None]) -> None:
    raw = copy.deepcopy(SAMPLE)
    apply(raw)
    assert raw != SAMPLE
    assert read_notebook(dump(raw)).hash == read_notebook(dump(SAMPLE)).hash


@pytest.mark.parametrize(
    "apply",
    [
        change(["cells", 0, "source"], "x = 2"),
        change(["cells", 0, "metadata", "tags"], []),
        change(["cells", 1, "cell_type"], "raw"),
        change(["cells", 1, "source"], "print(x) "),
        change(["cells"], SAMPLE["cells"][::-1]),
        change(["cells"], [SAMPLE["cells"][0], {**SAMPLE["cells"][1], "source": ""}, SAMPLE["cells"][2]]),
        change(["cells"], SAMPLE["cells"][:2]),
        change(["metadata", "kernelspec", "name"], "other"),
        change(["metadata", "language_info", "name"], "R"),
    ],
)
def test_the_hash_sees_what_would_execute(apply: Callable[[dict[str, Any]], None]) -> None:
    raw = copy.deepcopy(SAMPLE)
    apply(raw)
    assert read_notebook(dump(raw)).hash != read_notebook(dump(SAMPLE)).hash


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))


def make_loop(path: Path) -> None:
    path.symlink_to(path)


GOOD = dump(format_4([code("x = 1")]))
NOT_NOTEBOOKS: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "empty": (b"", "empty"),
    "blank": (b" \n\t ", "empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "empty"),
    "utf-16": (GOOD.decode().encode("utf-16"), "UTF-16"),
    "utf-16 big endian": (b"\xfe\xff" + GOOD.decode().encode("utf-16-be"), "UTF-16"),
    "utf-16 without mark": (GOOD.decode().encode("utf-16-le"), "UTF-16"),
    "utf-32": (GOOD.decode().encode("utf-32"), "UTF-16"),
    "latin-1": (b'{"nbformat": 4, "cells": [], "metadata": {"a": "\xe9"}}', "(byte 4"),
    "utf-8 encoded surrogate": (b'{"nbformat": 4, "cells": [], "a": "\xed\xa0\x80"}', "UTF-8"),
    "nul bytes": (b"\x00" * 5000, "UTF-8"),
    "cut off": (GOOD[:-20], "cut off"),
    "cut off in a string": (GOOD[: GOOD.index(b"x = 1") + 2], "cut off"),
    "one brace": (b"{", "cut off"),
    "trailing garbage": (GOOD + b"}", "not valid JSON"),
    "two documents": (GOOD + GOOD, "not valid JSON"),
    "trailing comma": (b'{"nbformat": 4, "cells": [],}', "line 1, column"),
    "single quotes": (b"{'nbformat': 4}", "not valid JSON"),
    "control character": (b'{"nbformat": 4, "cells": ["\x01"]}', "not valid JSON"),
    "conflict": (b'{\n<<<<<<< HEAD\n "cells": []\n=======\n}', "conflict markers"),
    "conflict at the start": (b"<<<<<<< HEAD\n{", "conflict markers"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "web page": (b"<!DOCTYPE html><html></html>", "web page"),
    "web page 2": (b"\n <HTML>", "web page"),
    "gzip": (gzip.compress(GOOD), "gzip"),
    "zip": (b"PK\x03\x04....", "zip"),
    "pdf": (b"%PDF-1.7", "PDF"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "not a notebook"),
    "elf": (b"\x7fELF" + b"\x01" * 100, "not a notebook"),
    "words": (b"hello", "not a notebook"),
    "yaml": (b"nbformat: 4\ncells: []\n", "not a notebook"),
    "null": (b"null", "not a notebook"),
    "number": (b"4", "not a notebook"),
    "string": (b'"nbformat"', "not a notebook"),
    "list": (b"[1, 2]", "a list"),
    "empty object": (b"{}", "no list of cells"),
    "package.json": (b'{"name": "x", "version": "1.0.0"}', "no list of cells"),
    "no cells": (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "no list of cells"),
    "cells a mapping": (b'{"nbformat": 4, "cells": {}}', "no list of cells"),
    "format 5": (dump({"nbformat": 5, "cells": []}), "format 5"),
    "format 4.5": (dump({"nbformat": 4.5, "cells": []}), "nbformat"),
    "format as text": (dump({"nbformat": "4", "cells": []}), "nbformat"),
    "format null": (dump({"nbformat": None, "cells": []}), "nbformat"),
    "format true": (dump({"nbformat": True, "cells": []}), "nbformat"),
    "format infinite": (b'{"nbformat": Infinity, "cells": []}', "nbformat"),
    "format NaN": (b'{"nbformat": NaN, "cells": []}', "nbformat"),
    "format 0": (b'{"nbformat": 0, "cells": []}', "nbformat"),
    "deep": (b'{"nbformat": 4, "cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    "huge integer": (b'{"nbformat": 4, "cells": [], "x": ' + b"9" * 5000 + b"}", "digits"),
    "folder": (Path.mkdir, "folder"),
    "pipe": (make_fifo, "pipe"),
    "socket": (make_socket, "pipe, socket"),
    "link to nowhere": (lambda path: path.symlink_to("nowhere"), "link to nowhere"),
    "link to itself": (make_loop, "can't be read"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "device"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("name", NOT_NOTEBOOKS)
def test_what_is_no_notebook_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    made, reason = NOT_NOTEBOOKS[name]
    path = tmp_path / "broken.ipynb"
    if isinstance(made, bytes):
        path.write_bytes(made)
        with pytest.raises(NotebookError):
            read_notebook(made)
        with pytest.raises(NotebookError):
            to_nbformat(made)
    else:
        made(path)
    with pytest.raises(NotebookError) as raised:
        read_notebook(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert reason in message
    assert "\n" not in message
    assert raised.value.path == str(path)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "path is empty"),
        ("a\x00b.ipynb", "NUL"),
        ("x" * 300 + ".ipynb", "can't be read"),
        ("no/such/folder/nb.ipynb", "nor can its folder"),
        ("/dev/null", "device"),
        ("a\nb.ipynb", "a\\nb.ipynb does not exist"),
        ("https://example.org/nb.ipynb", "does not exist"),
    ],
)
def test_impossible_paths_are_refused_in_one_line(path: str, reason: str) -> None:
    with pytest.raises(NotebookError) as raised:
        read_notebook(path)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("report.py", "import os\n", "a Python script"),
        ("report.md", "# Title\n", "a Markdown file"),
        ("report.qmd", "---\ntitle: x\n", "a Quarto file"),
        ("report.R", "x <- 1\n", "an R script"),
    ],
)
def test_scripts_are_named_with_the_way_to_convert_them(name: str, content: str, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(
        NotebookError, match=f"is {what}, not a notebook; convert it first: jupytext --to notebook {name}"
    ):
        read_notebook(tmp_path / name)


def test_the_nearest_name_is_suggested(make_notebook: Callable[..., Path], tmp_path: Path) -> None:
    make_notebook(name="report.ipynb")
    with pytest.raises(NotebookError, match=r"did you mean .*/report\.ipynb\?"):
        read_notebook(tmp_path / "reprot.ipynb")
    with pytest.raises(NotebookError, match=r"did you mean .*/report\.ipynb\?"):
        read_notebook(tmp_path / "report")
    with pytest.raises(NotebookError, match=r"o\.ipynb does not exist; check the path"):
        read_notebook(tmp_path / "o.ipynb")
    with pytest.raises(NotebookError, match=r"is a folder; name a notebook in it, such as .*report\.ipynb"):
        read_notebook(tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_an_unreadable_file_is_refused(open_folder: Path) -> None:
    path = open_folder / "secret.ipynb"
    path.write_bytes(GOOD)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(NotebookError, match=r"can't be read: Permission denied"):
            read_notebook(path)
    finally:
        if root:
            os.seteuid(0)


def test_a_large_file_of_another_kind_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    with path.open("wb") as file:
        file.write(b"\x89HDF")
        file.truncate(1 << 40)
    with pytest.raises(NotebookError, match="not a notebook"):
        read_notebook(path)


def test_deep_outputs_are_read_but_refused_for_execution() -> None:
    depth = 600
    deep = b'{"nbformat": 4, "cells": [], "metadata": {"x": ' + b"[" * depth + b"]" * depth + b"}}"
    assert read_notebook(deep).cells == ()
    with pytest.raises(NotebookError, match="nested too deeply"):
        to_nbformat(deep)


def test_reading_imports_nothing_of_jupyters(make_notebook: Callable[..., Path]) -> None:
    program = (
        "import sys; from nbflow.notebooks import read_notebook, NotebookWriter, render_path;"
        "print(read_notebook(sys.argv[1]).hash);"
        "print([name for name in ('nbformat', 'jupyter_core', 'traitlets', 'IPython', 'papermill', 'nbclient', 'pandas', 'pydantic')"
        " if name in sys.modules])"
    )
    path = make_notebook(["1"], parameters="x = 1")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [read_notebook(path).hash, "[]"]


def test_mended_details_make_a_valid_notebook() -> None:
    broken = format_4(
        [
            code("a", id="same"),
            code("b", id="same"),
            code("c", id="not valid!", execution_count="7", outputs=None),
            code("d", id=None, metadata={"tags": "t", "papermill": 1, "jupyter": [], "trusted": True}),
            {"cell_type": "markdown", "source": "m", "outputs": [], "execution_count": None},
            code(
                "e",
                outputs=[
                    None,
                    {"output_type": "stream", "text": ["a\n", "b"]},
                    {"output_type": "stream", "name": "stdout", "text": {}},
                    {"output_type": "display_data", "data": {"text/plain": ["a", "b"], "application/json": ["a"]}},
                    {"output_type": "execute_result", "data": None},
                    {"output_type": "error"},
                ],
            ),
        ],
        nbformat_minor=5,
        metadata={"papermill": None, "widgets": [], "kernelspec": {"name": "python3"}, "language_info": {"name": None}},
    )
    node = to_nbformat(dump(broken))
    nbformat.validate(node)
    ids = [cell.id for cell in node.cells]
    assert ids[0] == "same"
    assert len(set(ids)) == len(ids)
    assert ids == [cell.id for cell in to_nbformat(dump(broken)).cells], "the same ids in every run"
    assert node.cells[3].metadata == {"tags": ["t"]}
    assert [output.get("text") for output in node.cells[5].outputs[:2]] == ["a\nb", ""]
    assert node.cells[5].outputs[2].data == {"text/plain": "ab", "application/json": ["a"]}
    assert node.metadata == {"kernelspec": {"name": "python3", "display_name": "python3"}}


def test_a_sound_notebook_passes_through_unchanged() -> None:
    raw = format_4(
        [
            code(
                "x", id="a-1", outputs=[{"output_type": "stream", "name": "stdout", "text": "1\n"}], execution_count=2
            ),
            {
                "cell_type": "markdown",
                "id": "b",
                "metadata": {},
                "source": "m",
                "attachments": {"a": {"image/png": "AA=="}},
            },
        ],
        nbformat_minor=5,
        metadata={"title": "T", "widgets": {"x": {}}, "custom": [1, {"a": None}]},
    )
    assert to_nbformat(dump(raw)) == raw
    written = b"".join(encode_notebook(to_nbformat(dump(raw))))
    assert written.decode() == nbformat.writes(nbformat.from_dict(raw)) + "\n"


def tags_of(node: Any) -> list[tuple[str, list[str]]]:
    return [(cell.source, list(cell.metadata.get("tags", []))) for cell in node.cells]


TAGGED = code("x = 1", metadata={"tags": ["parameters"]})
INJECTED = code("x = 9", metadata={"tags": ["injected-parameters"]})


@pytest.mark.parametrize(
    ("cells", "index", "sources"),
    [
        ([], 0, ["x = 2"]),
        ([code("a")], 0, ["x = 2", "a"]),
        ([code("a"), TAGGED, code("b")], 2, ["a", "x = 1", "x = 2", "b"]),
        ([TAGGED, code("a"), TAGGED], 1, ["x = 1", "x = 2", "a", "x = 1"]),
        ([TAGGED, INJECTED, code("a")], 1, ["x = 1", "x = 2", "a"]),
        ([TAGGED, code("a"), INJECTED, code("b")], 2, ["x = 1", "a", "x = 2", "b"]),
        ([code("a"), INJECTED, code("b")], 1, ["a", "x = 2", "b"]),
        ([TAGGED, INJECTED, code("a"), INJECTED], 1, ["x = 1", "x = 2", "a"]),
        ([INJECTED, TAGGED, code("a")], 1, ["x = 1", "x = 2", "a"]),
        (
            [{"cell_type": "markdown", "source": "m", "metadata": {"tags": ["parameters"]}}, code("a")],
            0,
            ["x = 2", "m", "a"],
        ),
    ],
)
def test_parameters_are_injected_where_papermill_puts_them(cells: list[Any], index: int, sources: list[str]) -> None:
    node = to_nbformat(dump(format_4(cells)))
    assert insert_parameters(node, "x = 2") == index
    assert [cell.source for cell in node.cells] == sources
    assert tags_of(node)[index] == ("x = 2", ["injected-parameters"])
    nbformat.validate(node)


def test_without_parameters_a_stale_injected_cell_goes() -> None:
    node = to_nbformat(dump(format_4([TAGGED, INJECTED, code("a"), INJECTED])))
    assert insert_parameters(node, None) is None
    assert [cell.source for cell in node.cells] == ["x = 1", "a"]


def test_a_cell_with_both_tags_is_kept_as_declaration() -> None:
    both = code("x = 1", metadata={"tags": ["parameters", "injected-parameters"]})
    node = to_nbformat(dump(format_4([both, code("a")])))
    assert insert_parameters(node, None) is None
    assert insert_parameters(node, "x = 2") == 1
    assert [cell.source for cell in node.cells] == ["x = 1", "x = 2", "a"]


def test_report_mode_hides_the_injected_cell() -> None:
    node = to_nbformat(dump(format_4([TAGGED])))
    index = insert_parameters(node, "x = 2", report_mode=True)
    assert index == 1
    assert node.cells[index].metadata.jupyter.source_hidden is True
