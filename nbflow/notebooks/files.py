"""From a file to the JSON of a notebook, with one clear sentence where that is impossible."""

from __future__ import annotations

import difflib
import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from nbflow.errors import NotebookError

NEWEST_FORMAT = 4
HEAD = 4096
_UTF16_AND_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_KNOWN_HEADS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the notebook itself; fetch it: git lfs pull"),
    (b"<!doctype html", "is a web page, not a notebook; download the raw .ipynb file"),
    (b"<html", "is a web page, not a notebook; download the raw .ipynb file"),
    (b"<<<<<<<", "holds Git conflict markers; resolve the merge first"),
    (b"\x1f\x8b", "is a gzip archive, not a notebook; unpack it first"),
    (b"pk\x03\x04", "is a zip archive, not a notebook; unpack it first"),
    (b"%pdf", "is a PDF document, not a notebook"),
)
_TEXT_FORMATS = {
    ".py": "a Python script",
    ".r": "an R script",
    ".jl": "a Julia script",
    ".md": "a Markdown file",
    ".rmd": "an R Markdown file",
    ".qmd": "a Quarto file",
}


def show_path(path: str | os.PathLike[str]) -> str:
    """The path as one printable line, for messages."""
    text = os.fsdecode(path)
    line = text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode("ascii")
    return line if len(line) <= 300 else f"{line[:140]}…{line[-140:]}"


def read_content(path: str | os.PathLike[str]) -> bytes:
    """The bytes of the notebook file. Raises NotebookError; never waits for a pipe, never reads a device.

    A file that can't be a notebook by its first bytes is refused before the rest is read.
    """
    try:
        mode = os.stat(path).st_mode if os.fspath(path) else stat.S_IFDIR
        if stat.S_ISDIR(mode):
            _refuse(path, _say_folder(path))
        if not stat.S_ISREG(mode):
            _refuse(path, "is a pipe, socket or device, not a file; save the notebook to a file first")
        with open(path, "rb") as file:
            head = file.read(HEAD)
            _check_head(head, path)
            return head + file.read()
    except FileNotFoundError:
        _refuse(path, _say_missing(path))
    except ValueError:
        _refuse(path, "is not a possible file name (it holds a NUL character)")
    except OSError as error:
        _refuse(path, f"can't be read: {error.strerror or error}; check the path and its permissions")


def parse_content(content: bytes, path: str | os.PathLike[str] = "notebook") -> dict[str, Any]:
    """The notebook as plain JSON, of any format version up to 4. Raises NotebookError."""
    _check_head(content[:HEAD], path)
    raw = _load_json(content, path)
    if not isinstance(raw, dict):
        _refuse(path, f"is JSON but not a notebook (its top level is {_json_kind(raw)}); check the path")
    version = raw.get("nbformat", 1)
    if isinstance(version, int) and version > NEWEST_FORMAT:
        _refuse(path, f"is in notebook format {version}, newer than format {NEWEST_FORMAT}; save it as format 4")
    if isinstance(version, bool) or version not in range(1, NEWEST_FORMAT + 1):
        _refuse(path, f"is JSON but not a notebook (its 'nbformat' is {str(version)[:20]!r}); check the path")
    if not any(isinstance(raw.get(key), list) for key in ("cells", "worksheets")):
        _refuse(path, "is JSON but not a notebook (it has no list of cells); check the path")
    return raw


def _load_json(content: bytes, path: str | os.PathLike[str]) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(path, f"is not UTF-8 text (byte {error.start}); save it as UTF-8 again")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(path, _say_bad_json(text, error))
    except ValueError:
        _refuse(path, "holds an integer of thousands of digits, which JSON readers refuse; clear that output")
    except RecursionError:
        _refuse(path, "is nested too deeply to be a notebook; clear its outputs and save it again")


def _check_head(head: bytes, path: str | os.PathLike[str]) -> None:
    if head.startswith(_UTF16_AND_32) or b"\x00" in head[:2]:
        _refuse(path, "is not UTF-8 text (it looks like UTF-16); save it as UTF-8 again")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start and len(head) < HEAD:
        _refuse(path, "is empty; restore it, or make a new notebook")
    if start[:1] in b"{[":
        return
    for known, reason in _KNOWN_HEADS:
        if start.lower().startswith(known):
            _refuse(path, reason)
    suffix = Path(path).suffix.lower()
    if suffix in _TEXT_FORMATS:
        convert = f"jupytext --to notebook {show_path(Path(path).name)}"
        _refuse(path, f"is {_TEXT_FORMATS[suffix]}, not a notebook; convert it first: {convert}")
    _refuse(path, "is not a notebook (not JSON); check the path, or restore an earlier version")


def _say_bad_json(text: str, error: json.JSONDecodeError) -> str:
    for line, content in enumerate(text.splitlines(), start=1):
        if content.startswith(("<<<<<<< ", ">>>>>>> ")):
            return f"holds Git conflict markers (line {line}); resolve the merge first"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "is cut off: its JSON ends too early; restore an earlier version"
    return f"is not valid JSON (line {error.lineno}, column {error.colno}); mend it there or restore an earlier version"


def _say_folder(path: str | os.PathLike[str]) -> str:
    if not os.fspath(path):
        return "path is empty; name a notebook file"
    try:
        inside = sorted(name for name in os.listdir(path) if name.endswith(".ipynb"))
    except OSError:
        inside = []
    examples = f", such as {show_path(Path(path) / inside[0])}" if inside else ""
    return f"is a folder; name a notebook in it{examples}"


def _say_missing(path: str | os.PathLike[str]) -> str:
    if os.path.islink(path):
        return f"is a link to {show_path(os.readlink(path))}, which does not exist"
    here = Path(path)
    try:
        names = [name for name in os.listdir(here.parent) if name.endswith(".ipynb")]
    except OSError:
        return f"does not exist, nor can its folder {show_path(here.parent)} be read; check the path"
    stems = {name.removesuffix(".ipynb"): name for name in names}
    near = difflib.get_close_matches(here.name.removesuffix(".ipynb"), stems, n=1)
    return (
        f"does not exist; did you mean {show_path(here.with_name(stems[near[0]]))}?"
        if near
        else "does not exist; check the path"
    )


def _json_kind(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else "a single value"


def _refuse(path: str | os.PathLike[str], reason: str) -> NoReturn:
    raise NotebookError(f"{show_path(path) or 'notebook'} {reason}", path=os.fsdecode(path)) from None
