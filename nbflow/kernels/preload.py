"""Imports done beforehand: what a kernel imports anyway, what a runner does, and installed libraries that pass an audit.

A library is shared by all later runs in the state in which its import left it, so it is taken only if that state is
inert: no threads, descriptors, shared memory, output, warnings or log handlers, no question to IPython about the shell
it runs in, and nothing imported that is not installed.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

KERNEL_MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "faulthandler",
    "pdb",
    "psutil",
    "resource",
    "runpy",
    "sqlite3",
    "tornado.platform.asyncio",
)
"""What ipykernel has imported when the first cell runs."""

RUNNER_MODULES = ("papermill", "nbclient", "nbformat", "nbflow.kernels.manager")
"""What a runner of ours imports besides."""

# Known to be refused below, at the price of the import: left out at once.
_REFUSED = {
    "polars": "it starts threads",
    "ipywidgets": "it asks IPython for its shell",
    "tqdm.auto": "it asks IPython for its shell",
    "tqdm.notebook": "it asks IPython for its shell",
    "seaborn": "it asks IPython for its shell",
    "matplotlib_inline": "it asks IPython for its shell",
}

# jemalloc's housekeeping thread (pyarrow has one) is prepared for forks: the allocator does without it in the child.
_FORK_SAFE_THREADS = frozenset({"jemalloc_bg_thd"})

# What ipykernel puts into its environment before the first cell: libraries read some of it while they are imported.
_KERNEL_ENVIRONMENT = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
_INLINE_BACKEND = "module://matplotlib_inline.backend_inline"


class Refused(Exception):
    """Why a module is not imported beforehand."""

    def __init__(self, reason: str, *, too_late: bool = False) -> None:
        super().__init__(reason)
        self.too_late = too_late
        """The import is done: this interpreter can't serve any more."""


def import_warm(modules: Sequence[str]) -> dict[str, str]:
    """Import what kernels and runners need; the modules that could not be imported, with the error."""
    failed = {}
    with _quiet_debugger():
        for module in modules:
            try:
                importlib.import_module(module)
            except Exception as error:
                failed[module] = f"{type(error).__name__}: {error}"
    return failed


@contextlib.contextmanager
def _quiet_debugger() -> Iterator[None]:
    name = "PYDEVD_DISABLE_FILE_VALIDATION"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def check_origin(module: str) -> None:
    """Raises Refused unless the module is installed: standard library or site-packages, never the user's own."""
    top = module.partition(".")[0]
    for name, reason in _REFUSED.items():
        if module == name or module.startswith(name + "."):
            raise Refused(reason)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        raise Refused(str(error)) from error
    if spec is None:
        raise Refused("it is not installed")
    if spec.origin in ("built-in", "frozen"):
        return
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    if not all(is_installed(place) for place in places):
        raise Refused("it is not in the standard library or site-packages")


@cache
def _find_folders(*names: str) -> tuple[str, ...]:
    folders = {sysconfig.get_path(name) for name in names}
    if "purelib" in names:
        folders |= {entry for entry in sys.path if os.path.basename(entry) in ("site-packages", "dist-packages")}
    return tuple({spelling + os.sep for folder in folders for spelling in (folder, os.path.realpath(folder))})


def is_installed(path: str) -> bool:
    """Whether a file belongs to the standard library or to site-packages."""
    folders = _find_folders("stdlib", "platstdlib", "purelib", "platlib")
    return path.startswith(folders) and os.path.realpath(path).startswith(folders)


def is_standard(path: str) -> bool:
    """Whether a file belongs to the standard library."""
    return path.startswith(_find_folders("stdlib", "platstdlib")) and not path.startswith(
        _find_folders("purelib", "platlib")
    )


def import_audited(module: str, *, trusted: frozenset[str]) -> None:
    """Import one library and see what that did to the process. Raises Refused."""
    check_origin(module)
    before = _Traces()
    modules = set(sys.modules)
    with _notebook_environment(), _Ears() as ears:
        try:
            __import__(module)  # not import_module: warnings would be blamed on importlib
        except (Exception, SystemExit) as error:
            raise Refused(f"{type(error).__name__}: {error}", too_late=len(sys.modules) != len(modules)) from error
    settle()
    foreign = sorted(name for name in set(sys.modules) - modules - trusted if not _is_library(name))
    reason = ears.reason or _Traces().compare(before) or (f"it imports {foreign[0]}" if foreign else "")
    if reason:
        raise Refused(reason, too_late=True)


def _is_library(name: str) -> bool:
    path = getattr(sys.modules.get(name), "__file__", None)
    return path is None or is_installed(path)


def settle() -> None:
    """Fork once for nothing: OpenBLAS ends its threads before a fork and starts new ones when they are needed."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def list_threads() -> list[str]:
    """Names of the threads that would be missing in a fork."""
    names = []
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm", encoding="utf-8") as file:
                names.append(file.read().strip())
    return [name for name in names if name not in _FORK_SAFE_THREADS]


class _Traces:
    """What an import may leave in the process."""

    def __init__(self) -> None:
        self.threads = list_threads()
        self.descriptors = {_read_descriptor(name) for name in os.listdir("/proc/self/fd")}
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            self.shared = {line for line in file if re.match(r"\S+ .w.s ", line)}
        self.handlers = list(logging.getLogger().handlers)

    def compare(self, before: _Traces) -> str:
        """What was added; empty for nothing."""
        if self.threads:
            return f"it starts threads ({self.threads[0]})"
        if self.descriptors - before.descriptors - {None}:
            return "it keeps files or sockets open"
        if self.shared - before.shared:
            return "it shares memory between processes"
        if self.handlers != before.handlers:
            return "it sets up logging"
        return ""


def _read_descriptor(name: str) -> tuple[str, str] | None:
    try:
        return name, os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return None  # the one that listed the folder


class _Ears:
    """Notices output, warnings that would show in the importing cell, and questions to IPython."""

    def __init__(self) -> None:
        self.reason = ""
        self._listening = False
        self._said = 0
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> _Ears:
        self._listening = True
        self._said = _measure_output()
        # A deprecation shows in the notebook if it is blamed on the importing module, here this one.
        entry = ("always", None, Warning, re.compile(re.escape(__name__) + r"\Z"), 0)
        warnings.filters.insert(0, entry)  # type: ignore[attr-defined]
        self._undo.append(lambda: warnings.filters.remove(entry))  # type: ignore[attr-defined]
        self._undo.append(warnings._filters_mutated)  # type: ignore[attr-defined]
        for name in ("IPython", "IPython.core.getipython"):
            if name in sys.modules:
                self._listen_at(sys.modules[name])
        return self

    def __exit__(self, *_: object) -> None:
        self._listening = False
        for undo in self._undo:
            undo()
        if _measure_output() != self._said:
            self.reason = self.reason or "it prints or warns while it is imported"

    def _listen_at(self, place: Any) -> None:
        original = place.get_ipython

        def get_ipython() -> Any:
            if self._listening:
                self.reason = self.reason or "it asks IPython for its shell"
            return original()

        place.get_ipython = get_ipython  # a module may keep it: it has to work for ever
        self._undo.append(lambda: setattr(place, "get_ipython", original))


def catch_output() -> None:
    """Send what this process prints into a file in memory, where it can be noticed, also below Python."""
    file = os.memfd_create("output")
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)


def _measure_output() -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return os.fstat(1).st_size


@contextlib.contextmanager
def _notebook_environment() -> Iterator[None]:
    """The environment that an import in a notebook sees, where it differs from the process's."""
    values = {**_KERNEL_ENVIRONMENT, "MPLBACKEND": os.environ.get("MPLBACKEND") or _INLINE_BACKEND}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
