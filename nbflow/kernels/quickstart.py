"""The start of a kernel, without what comes out the same each time.

A third of what an ipykernel computes until it is ready is the question which section of its configuration is for whom,
asked for each of fifty objects, and a command line parser for three words. Here the same answers are found sooner; where
anything is not as it is known here, the libraries find them for themselves.
"""

from __future__ import annotations

import fnmatch
import functools
import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

LAUNCHER = "ipykernel_launcher"
_MEMORY_HISTORY = "--HistoryManager.hist_file=:memory:"
_FILES = ("*.ipy", "*.py")
_PATTERNS: tuple[tuple[str, int], ...] = (
    (r"(?i)^[rubf]*$", 0),
    (r"([^\\] )", 0),
    (r"^[\w|\s.]+\(([^)]*)\).*", 0),
    (r"[\s|\[]*(\w+)(?:\s*=\s*.*)", 0),
    (".*Trio's signal handling code might have collided.*", re.IGNORECASE),
)
"""What IPython and ipykernel compile for each shell."""


def prepare() -> None:
    """In the fork server, once ipykernel is imported: all forks have it."""
    import traitlets
    from ipykernel import ipkernel
    from ipykernel.kernelapp import IPKernelApp, kernel_aliases

    if traitlets.version_info[0] == 5:
        _find_sections_sooner()
        if kernel_aliases.get("f") == "IPKernelApp.connection_file":
            _read_arguments_sooner(IPKernelApp)
    _collect_later(IPKernelApp)
    _list_files_sooner(ipkernel)
    _compile_patterns()


def _find_sections_sooner() -> None:
    """``Configurable`` with the same results: a class's sections are named once, and what has none is left alone."""
    from traitlets import observe_compat
    from traitlets.config import Config, Configurable

    names_of: WeakKeyDictionary[type, tuple[tuple[type, ...], list[str]]] = WeakKeyDictionary()
    load = Configurable._load_config

    def find_names(cls: Any) -> list[str]:
        known = names_of.get(cls)
        if known is None or known[0] is not cls.__mro__:
            known = names_of[cls] = (cls.__mro__, cls.section_names())
        return known[1]

    @functools.wraps(Configurable._find_my_config)
    def find_config(self: Any, cfg: Any) -> Any:
        parent = self.parent
        places = [cfg, parent._find_my_config(cfg)] if parent else [cfg]
        found = Config()
        for place in places:
            for name in find_names(type(self)):
                if dict.__contains__(place, name) and place._has_section(name):
                    found.merge(place[name])
        return found

    def change_config(self: Any, change: Any) -> None:
        # No deeper than the original: a warning of _load_config names the line that is so many calls above.
        if type(self)._load_config is not load or self._find_my_config(change.new):
            self._load_config(change.new, traits=self.traits(config=True), section_names=self.section_names())

    configurable: Any = Configurable
    configurable._find_my_config = find_config
    vars(Configurable)["_config_changed"].func = observe_compat(change_config)


def read_arguments(words: Sequence[str]) -> Any:
    """The configuration that an ipykernel's usual arguments stand for; None for others."""
    from traitlets.config import Config
    from traitlets.config.loader import DeferredConfigString

    match words:
        case ["-f", path, *rest] if path.startswith("/") and rest in ([], [_MEMORY_HISTORY]):
            config = Config()
            config.IPKernelApp.connection_file = path
            if rest:
                config.HistoryManager.hist_file = DeferredConfigString(":memory:")
            return config
        case _:
            return None


def _read_arguments_sooner(app_class: Any) -> None:
    original = app_class.parse_command_line

    @functools.wraps(original)
    def parse_command_line(self: Any, argv: Sequence[str] | None = None) -> None:
        words = sys.argv[1:] if argv is None else argv
        config = None
        if type(self) is app_class and "_ARGCOMPLETE" not in os.environ:
            config = read_arguments(words)
        if config is None:
            original(self, argv)
            return
        self.argv = list(words)
        self.cli_config = config
        self.update_config(config)
        self.extra_args = []

    app_class.parse_command_line = parse_command_line


def _collect_later(app_class: Any) -> None:
    """The objects of a kernel are made to stay: looking for garbage among them begins with the first cell."""
    original = app_class.initialize

    @functools.wraps(original)
    def initialize(self: Any, argv: Sequence[str] | None = None) -> None:
        try:
            with _fewer_records(self):
                original(self, argv)
        finally:
            gc.enable()

    app_class.initialize = initialize


@contextmanager
def _fewer_records(app: Any) -> Iterator[None]:
    """An application has its logger make records for debugging, and its handler drop them: meanwhile none are made."""
    log, level, wanted = app.log, app.log.level, int(app.log_level)
    if app.logging_config or wanted <= level:
        yield
        return
    log.setLevel(wanted)
    try:
        yield
    finally:
        if log.level == wanted and not app.logging_config:
            log.setLevel(level)


def _compile_patterns() -> None:
    """They stay in the caches of ``re`` and ``fnmatch``."""
    from IPython.core.completer import CompletionSplitter

    CompletionSplitter()
    for pattern, flags in _PATTERNS:
        re.compile(pattern, flags)
    for file in _FILES:
        fnmatch.fnmatchcase("", file)


class _File:
    """As much of a module as the debugger wants to know."""

    __slots__ = ("__file__",)

    def __init__(self, path: str) -> None:
        self.__file__ = path


class _FewModules:
    """``sys`` with the modules of an ordinary kernel."""

    def __init__(self) -> None:
        files = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
        self.modules = {number: _File(file.encode().decode()) for number, file in enumerate(files)}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _list_files_sooner(ipkernel: Any) -> None:
    """A kernel lists the files of all modules for its debugger; to ask each of them is to copy a page of memory or two."""
    kernel_class = ipkernel.IPythonKernel
    original = kernel_class.__init__
    modules = _FewModules()

    @functools.wraps(original)
    def initialize(self: Any, **options: Any) -> None:
        if ipkernel.sys is not sys:  # it is being made already
            original(self, **options)
            return
        ipkernel.sys = modules
        try:
            original(self, **options)
        finally:
            ipkernel.sys = sys

    kernel_class.__init__ = initialize
