"""What a warm interpreter has imported, under which conditions, and for whom that can stand."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from nbflow.kernels.command import (
    ModuleCommand,
    Unfit,
    check_environment,
    is_same_python,
    parse_command,
    reduce_environment,
)
from nbflow.kernels.launch import Program
from nbflow.kernels.quickstart import LAUNCHER
from nbflow.kernels.watch import FolderWatch

LOOK_AGAIN = 1.0
"""Seconds for which the word of the system that no file has changed is taken."""


class WarmImports:
    """The state of this interpreter once everything is imported; it is not touched after that."""

    def __init__(
        self,
        *,
        flags: Sequence[str],
        path: Sequence[str],
        kernel_names: frozenset[str],
        preload: Sequence[str],
        has_preloaded: bool,
        programs: Sequence[str],
    ) -> None:
        """*path* is ``sys.path`` without a working directory; *kernel_names* are the top-level modules that an ordinary
        kernel has imported too; *preload* are the libraries that were asked for, *programs* modules that are to be run."""
        self.flags = tuple(flags)
        self.path = tuple(path)
        self.environment = read_initial_environment()
        """As this process was executed with it."""
        self.changes = _compare(self.environment, os.environ)
        """What the interpreter and the imports have set or removed (None) since."""
        self._needed = reduce_environment(self.environment)
        loaded = {name.partition(".")[0] for name in sys.modules}
        self._loaded = frozenset(loaded)
        self._extra = frozenset(loaded - kernel_names)
        self._later = self._find_later()
        self.generators = _find_generators()
        """Sources of random numbers that libraries seeded when they were imported."""
        self._shared = frozenset(sys.modules)
        self._has_preloaded = has_preloaded
        self._wanted = (tuple(preload), tuple(programs))
        self._programs = _read_programs([LAUNCHER, *programs])
        self._stamps = _stamp_files([spec.origin or "" for spec, _ in self._programs.values()])
        self.watch = FolderWatch({path if os.path.isdir(path) else os.path.dirname(path) for path in self._stamps})
        self._looked = 0.0
        self.ballast: object = None
        """What is kept only so that its memory is not used again."""

    def find_unfit(self, program: Program) -> str:
        """Why the program can't be run in a fork of this process; empty when it can."""
        try:
            self.check(program)
        except Unfit as reason:
            return str(reason)
        return ""

    def can_serve(self, program: Program, *, preload: Sequence[str], warm: Sequence[str]) -> bool:
        """Whether a fork of this process is as good as a new server with these imports, made for the program."""
        same = self._wanted == (tuple(preload), tuple(warm))
        return same and not self.find_unfit(program) and not self.is_stale()

    def check(self, program: Program) -> ModuleCommand:
        """The program's command line, once it is sure that a fork of this process is as good. Raises Unfit."""
        command = parse_command(program.argv)
        if not is_same_python(command.python, sys.executable):
            raise Unfit(f"another interpreter or environment ({command.python})")
        if command.flags != self.flags:
            raise Unfit(f"other interpreter flags ({' '.join(command.flags) or 'none'})")
        check_environment(program.env)
        self._compare_environment(program.env)
        if not command.safe_path:
            self._check_shadows(command, program.cwd)
        return command

    def _compare_environment(self, env: Mapping[str, str]) -> None:
        wanted = reduce_environment(env)
        for name in wanted.keys() | self._needed.keys():
            if wanted.get(name) not in (self._needed.get(name), self.changes.get(name, self._needed.get(name))):
                raise Unfit(f"the environment variable {name} has another value")

    def _check_shadows(self, command: ModuleCommand, cwd: str) -> None:
        """A file of the user's may bear the name of a library: there the order of imports decides which one is found."""
        # ipykernel's launcher imports what a kernel needs before it lets the folder onto the path.
        names = self._extra if command.module == LAUNCHER else self._loaded
        clash = _find_module(cwd, names)
        for folder, later in self._later.items():
            clash = clash or _find_module(folder, later)
        if clash:
            raise Unfit(f"the folder has a module {clash} of its own")
        if "matplotlib" in self._loaded and os.path.exists(os.path.join(cwd, "matplotlibrc")):
            raise Unfit("the folder has a matplotlibrc of its own")

    def _find_later(self) -> dict[str, frozenset[str]]:
        """For each of the user's folders on the path: the modules that were found behind it."""
        found = {name: _find_entry(name, self.path) for name in self._loaded}
        return {
            folder: frozenset(name for name, place in found.items() if place > index)
            for index, folder in enumerate(self.path)
            if not _is_library_folder(folder)
        }

    def find_code(self, module: str) -> tuple[ModuleSpec, CodeType] | None:
        """A module's code to run as the main program, where it was read beforehand."""
        return self._programs.get(module)

    def list_own_modules(self) -> list[str]:
        """What a fork has imported itself, the latest first."""
        own = []
        for name in reversed(sys.modules):  # in order of import: the shared ones are not even looked at
            if name in self._shared and name != "__main__":
                break
            own.append(name)
        return own

    def has_user_libraries(self) -> bool:
        """Whether compiled libraries are loaded that neither a kernel nor a runner needs."""
        files = (str(getattr(sys.modules.get(name), "__file__", "")) for name in self.list_own_modules())
        return self._has_preloaded or any(file.endswith((".so", ".pyd")) for file in files)

    def is_stale(self) -> bool:
        """Whether a file that was imported, or a folder of installed libraries, has changed since."""
        # The watch may be deaf to what other machines, or layers of a container, do to the folders.
        if self.watch.is_quiet() and time.monotonic() - self._looked < LOOK_AGAIN:
            return False
        self._looked = time.monotonic()
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())


def read_initial_environment() -> dict[str, str]:
    """The environment that this process was executed with."""
    with open("/proc/self/environ", "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    return {name: after.get(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _is_library_folder(entry: str) -> bool:
    from nbflow.kernels.preload import is_installed

    return is_installed(os.path.join(entry, "x")) or entry.endswith(".zip")


def _find_entry(name: str, path: Sequence[str]) -> int:
    """The number of the path's entry that a module was found in; -1 for those that are not found on the path."""
    file = getattr(sys.modules.get(name), "__file__", None)
    places = (index for index, entry in enumerate(path) if file and file.startswith(entry + os.sep))
    return max(places, key=lambda index: len(path[index]), default=-1)


def _find_module(folder: str, names: frozenset[str]) -> str | None:
    """One of the names that an import would find in this very folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            stem, dot, suffix = entry.name.partition(".")
            if stem in names and (
                suffix.endswith(("py", "so", "pyc", "pyd"))
                or (not dot and os.path.exists(os.path.join(folder, stem, "__init__.py")))
            ):
                return stem
    return None


def _read_programs(modules: Sequence[str]) -> dict[str, tuple[ModuleSpec, CodeType]]:
    programs = {}
    for module in modules:
        with contextlib.suppress(ImportError, ValueError, SyntaxError):
            spec = importlib.util.find_spec(module)
            code = getattr(spec.loader, "get_code", lambda _: None)(module) if spec is not None else None
            if spec is not None and code is not None and spec.submodule_search_locations is None:
                programs[module] = (spec, code)
    return programs


def _find_generators() -> list[Any]:
    random = sys.modules.get("random")
    numpy = sys.modules.get("numpy.random")
    found = [] if random is None else [each for each in gc.get_objects() if type(each) is random.Random]
    if numpy is not None:  # not known to the collector, so only those that a module has a name for
        modules = [vars(module) for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
        values = [value for namespace in modules for value in list(namespace.values())]
        found += [value for value in values if isinstance(value, numpy.Generator | numpy.RandomState)]
    return list({id(each): each for each in found}.values())


def _stamp_files(more: Sequence[str]) -> dict[str, tuple[int, int, int] | None]:
    from nbflow.kernels.preload import is_standard

    files = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    paths = {file for file in files if not is_standard(file)} | {sys.executable, os.__file__, *more}
    paths |= {entry for entry in sys.path if os.path.basename(entry) in ("site-packages", "dist-packages")}
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None:
        paths.add(matplotlib.matplotlib_fname())
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
