"""In a fork of a warm interpreter: make it what ``python -m module`` would be, and run the module."""

from __future__ import annotations

import _io
import atexit
import contextlib
import gc
import importlib
import itertools
import os
import runpy
import signal
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

from nbflow.kernels.command import ModuleCommand
from nbflow.kernels.launch import Program
from nbflow.kernels.quickstart import LAUNCHER
from nbflow.kernels.title import find_libc, show_as
from nbflow.kernels.warmth import WarmImports


def run(program: Program, warmth: WarmImports) -> None:
    """Become the program. It ends like any other: by SystemExit, or by returning from here."""
    command = warmth.check(program)
    _set_environment(program, warmth)
    _set_interpreter(program, command, warmth)
    _set_streams()
    _set_signals()
    _renew_randomness(warmth)
    _renew_libraries()
    if command.module != LAUNCHER:  # a kernel begins to collect once it is ready
        gc.enable()
    try:
        _run_as_main(command.module, warmth)
    except SystemExit as request:
        code = _read_exit_code(request)
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 1
    else:
        code = 0
    _finish(code, warmth)


def _run_as_main(module: str, warmth: WarmImports) -> None:
    known = warmth.find_code(module)
    if known is None:
        cast(Any, runpy)._run_module_as_main(module)
        return
    spec, code = known
    sys.argv[0] = str(spec.origin)
    cast(Any, runpy)._run_code(code, vars(sys.modules["__main__"]), None, "__main__", spec)


def _read_exit_code(request: SystemExit) -> int:
    if request.code is None or isinstance(request.code, int):
        return int(request.code or 0)
    print(request.code, file=sys.stderr)
    return 1


def _finish(code: int, warmth: WarmImports) -> None:
    """End the process as the interpreter does, but for the teardown of the modules that it shares with the server.

    That would copy most of their memory only to give it back, for as long as a trivial notebook takes.
    """
    cast(Any, threading)._shutdown()
    atexit._run_exitfuncs()
    has_user_libraries = warmth.has_user_libraries()
    if not any(_is_users(thread) for thread in threading.enumerate()):
        _forget_modules(["__main__", *warmth.list_own_modules()])
    for each in gc.get_objects():
        if isinstance(each, _io._IOBase):
            with contextlib.suppress(Exception):
                each.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    library = find_libc()
    library.fflush(None)
    if has_user_libraries:  # they may have functions to call at the end
        library.exit(code & 0xFF)
    os._exit(code & 0xFF)


def _is_users(thread: threading.Thread) -> bool:
    # A daemon thread that still runs must not find its modules empty.
    return thread is not threading.main_thread() and not type(thread).__module__.startswith(("ipykernel", "IPython"))


def _forget_modules(names: Sequence[str]) -> None:
    """Let go of modules as the interpreter does: what they hold ends, and those that are still held are emptied."""
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    left = []
    for name in names:
        module = sys.modules.pop(name, None)
        if isinstance(module, ModuleType):
            left.append(weakref.ref(module))
    module = None
    gc.collect()
    for reference in left:
        namespace = vars(reference() or ModuleType("gone"))
        for private in (True, False):
            for name in list(namespace):
                if name != "__builtins__" and (name[:1] == "_" and name[:2] != "__") == private:
                    namespace[name] = None
    gc.collect()


def _set_environment(program: Program, warmth: WarmImports) -> None:
    wanted = dict(program.env)
    for name, value in warmth.changes.items():
        if value is None:
            wanted.pop(name, None)
        else:
            wanted[name] = value
    # Everything is set anew, so that the order is the wanted one and nothing refers to this process's first environment.
    os.environ.clear()
    os.environ.update(wanted)
    posix: Any = sys.modules["posix"]
    posix.environ.clear()
    posix.environ.update({os.fsencode(name): os.fsencode(value) for name, value in wanted.items()})
    time.tzset()
    show_as(program.argv, wanted)


def _set_interpreter(program: Program, command: ModuleCommand, warmth: WarmImports) -> None:
    sys.executable = command.python
    sys.orig_argv[:] = program.argv
    sys.argv[:] = ["-m", *command.arguments]
    for name, value in command.x_options:
        sys._xoptions[name] = value
    sys.path[:] = warmth.path if command.safe_path or sys.flags.safe_path else [os.getcwd(), *warmth.path]
    main = sys.modules["__main__"] = ModuleType("__main__")
    vars(main).update(__builtins__=sys.modules["builtins"], __annotations__={})
    importlib.invalidate_caches()


def _set_streams() -> None:
    # The same objects: libraries may hold on to them.
    streams: tuple[Any, ...] = (sys.stdin, sys.stdout, sys.stderr)
    for stream in streams:
        if stream is not None and not stream.line_buffering:
            stream.reconfigure(line_buffering=stream.isatty())


def _set_signals() -> None:
    # What the interpreter does when it starts.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _renew_randomness(warmth: WarmImports) -> None:
    """What is drawn once a process, or seeded when it is imported."""
    # Not a copy: each module's memory is shared until it is touched.
    loaded: dict[str, Any] = sys.modules
    for generator in warmth.generators:
        if hasattr(generator, "seed"):
            generator.seed()
        else:  # numpy's newer kind
            generator.bit_generator.state = type(generator.bit_generator)().state
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed()
    if "uuid" in loaded:
        loaded["uuid"]._node = loaded["uuid"]._last_timestamp = None
    if "tempfile" in loaded:
        loaded["tempfile"]._name_sequence = None
    if "multiprocessing.process" in loaded:
        process = loaded["multiprocessing.process"]
        process.current_process()._config["authkey"] = process.AuthenticationString(os.urandom(32))


def _renew_libraries() -> None:
    # Not a copy: each module's memory is shared until it is touched.
    loaded: dict[str, Any] = sys.modules
    if "locale" in loaded:
        loaded["locale"].setlocale(loaded["locale"].LC_ALL, "C")
        loaded["locale"].setlocale(loaded["locale"].LC_CTYPE, "")
    private: Any = threading
    private.main_thread()._set_native_id()
    private._counter = itertools.count(1).__next__  # of thread names
    private._register_atexit(_stop_control_thread)
    if "logging" in loaded:
        loaded["logging"]._startTime = time.time()
    if "linecache" in loaded:
        loaded["linecache"].clearcache()
    if "asyncio.events" in loaded:
        loaded["asyncio.events"]._event_loop_policy = None
    if "ipykernel.kernelapp" in loaded:
        _set_parent_handle(loaded["ipykernel.kernelapp"].IPKernelApp)


def _set_parent_handle(app: Any) -> None:
    """ipykernel reads JPY_PARENT_PID while it is imported; traitlets keeps the value in two places."""
    parent = int(os.environ.get("JPY_PARENT_PID") or 0)
    app.parent_handle.default_value = parent
    defaults = getattr(app, "_static_immutable_initial_values", {})
    if "parent_handle" in defaults:
        defaults["parent_handle"] = parent


def _stop_control_thread() -> None:
    """ipykernel 7.4 may hang at its end: the control thread sends to an iopub pipe that is closed already.

    Runs before the kernel's own exit functions.
    """
    kernelapp: Any = sys.modules.get("ipykernel.kernelapp")
    if kernelapp is None or not kernelapp.IPKernelApp.initialized():
        return
    thread = kernelapp.IPKernelApp.instance().control_thread
    if thread is not None and thread.is_alive():
        thread.stop()
        thread.join(timeout=1.0)
