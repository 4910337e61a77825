"""From a guardian to a program's own process: fork, session, signals, descriptors, folder, and ``exec`` unless it is warm."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from nbflow.kernels.linux import die_with_parent

GUARDIAN_VARIABLE = "NBFLOW_GUARDIAN"
"""In a runner's environment: ``descriptor:pid``, the way to ask its own guardian for kernels."""

# Python ignores these two from its start, and subprocess restores them for the programs it starts.
_IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, getattr(signal, "SIGXFSZ", signal.SIGPIPE)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and where."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    umask: int

    def to_message(self) -> dict[str, Any]:
        return {"argv": list(self.argv), "env": dict(self.env), "cwd": self.cwd, "umask": self.umask}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Program:
        return cls(argv=tuple(message["argv"]), env=message["env"], cwd=message["cwd"], umask=message["umask"])


def find_ignored_signals() -> frozenset[int]:
    """Signals that were ignored when this interpreter started (``nohup``): programs started by it inherit that."""
    ignored = {int(number) for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    return frozenset(ignored - _IGNORED_BY_PYTHON)


def fork_program(
    program: Program, *, stdio: Sequence[int], link: int | None, ignored: frozenset[int], execute: bool
) -> tuple[int, Program]:
    """Start the program in a child: its pid, once it is under way.

    Without *execute* the call returns in the child too, with pid 0 and the program as it is to be run there.
    *link* is a descriptor that the program gets to talk to its guardian. Raises OSError for what stopped it.
    """
    report, report_end = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(report)
        os.close(report_end)
        raise
    if pid == 0:
        try:
            if link is not None:
                os.set_inheritable(link, execute)
                program = replace(program, env={**program.env, GUARDIAN_VARIABLE: f"{link}:{os.getpid()}"})
            _enter(program, parent, stdio, {report_end, *([] if link is None else [link])}, ignored)
            if execute:
                os.execvpe(program.argv[0], program.argv, program.env)
            os.close(report_end)
        except BaseException as error:
            _report_and_die(report_end, error)
        return 0, program
    os.close(report_end)
    with open(report, "rb") as file:
        failure = file.read()
    if failure:
        os.waitpid(pid, 0)
        raise OSError(*json.loads(failure))
    return pid, program


def _report_and_die(report: int, error: BaseException) -> None:
    with suppress(OSError):
        is_plain = isinstance(error, OSError) and error.errno is not None
        facts = [error.errno, error.strerror, error.filename] if is_plain else [0, repr(error), None]  # type: ignore[attr-defined]
        os.write(report, json.dumps(facts).encode())
    os._exit(127)


def _enter(program: Program, parent: int, stdio: Sequence[int], keep: set[int], ignored: frozenset[int]) -> None:
    die_with_parent(parent)
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in _find_changed_signals() | ignored:
        with suppress(OSError, ValueError):  # the C library keeps some for itself
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for target, source in enumerate(stdio):
        os.dup2(source, target)
    close_descriptors(keep={0, 1, 2, *keep})
    os.umask(program.umask)
    try:
        os.chdir(program.cwd)
    except OSError as error:
        error.filename = program.cwd
        raise


def _find_changed_signals() -> set[int]:
    """Signals that are ignored or have a handler in this process; setting all sixty of them would take a while."""
    found = set()
    try:
        with open("/proc/self/status", "rb") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith((b"SigIgn:", b"SigCgt:"))]
        for mask in masks:
            found |= {bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1}
    except OSError:
        found = {int(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}}
    return found


def close_descriptors(*, keep: set[int]) -> None:
    """Close every open descriptor but these."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            for name in os.listdir(folder):
                if int(name) not in keep:
                    with suppress(OSError):
                        os.close(int(name))
            return
