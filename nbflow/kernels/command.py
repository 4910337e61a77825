"""Command lines and environments that a warm interpreter could stand for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Told apart from run to run, and read by no library while it is imported. ipykernel's use of JPY_PARENT_PID is mended.
_VOLATILE = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST", "JPY_PARENT_PID", "JPY_SESSION_NAME"})
_VOLATILE_PREFIX = "NBFLOW_"
# What ipykernel sets in every kernel, for the cells' own sake and not for that of the programs they start.
_SET_BY_KERNELS = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
_SIMPLE_FLAGS = frozenset("BEIObdsqu")
_X_OPTIONS = frozenset({"frozen_modules", "utf8", "no_debug_ranges", "int_max_str_digits", "warn_default_encoding"})


class Unfit(Exception):
    """Why something can't be run in a fork of a warm interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleCommand:
    """``python [flags] -m module [arguments]``."""

    python: str
    flags: tuple[str, ...]
    """What has to be the same in the warm interpreter."""
    x_options: tuple[tuple[str, str | bool], ...]
    safe_path: bool
    """``-P``: the working directory is kept off ``sys.path``."""
    module: str
    arguments: tuple[str, ...]


def parse_command(argv: Sequence[str]) -> ModuleCommand:
    """Read a command line as the interpreter does. Raises Unfit for anything but a module and harmless flags."""
    flags: list[str] = []
    x_options: list[tuple[str, str | bool]] = []
    safe_path = False
    rest = list(argv[1:])
    while rest:
        word = rest.pop(0)
        if word in ("-m", "-X", "-W") and not rest:
            raise Unfit(f"nothing follows {word}")
        if word == "-m":
            return ModuleCommand(
                python=argv[0],
                flags=tuple(flags),
                x_options=tuple(x_options),
                safe_path=safe_path,
                module=rest.pop(0),
                arguments=tuple(rest),
            )
        if word[:2] in ("-X", "-W"):
            value = word[2:] or rest.pop(0)
            if word.startswith("-X"):
                name, equals, text = value.partition("=")
                if name not in _X_OPTIONS:
                    raise Unfit(f"the option -X {name}")
                x_options.append((name, text if equals else True))
            # How the standard library's own modules are stored makes no difference to a program.
            if not value.startswith("frozen_modules"):
                flags.append(word[:2] + value)
        elif word == "-P":
            safe_path = True
        elif word.startswith("-") and word != "-" and set(word[1:]) <= _SIMPLE_FLAGS:
            flags.append(word)
        else:
            break
    raise Unfit("the command is not “python -m module”")


def is_same_python(one: str, other: str) -> bool:
    """Whether two paths name one interpreter of one environment: the same folder and the same file."""
    if one == other:
        return True
    try:
        return os.path.realpath(os.path.dirname(one)) == os.path.realpath(os.path.dirname(other)) and os.path.samefile(
            one, other
        )
    except OSError:
        return False


def find_python(name: str, env: Mapping[str, str]) -> str:
    """The absolute path of the interpreter that would be executed. Raises Unfit when it is not this process's."""
    import shutil

    path = name if os.path.isabs(name) else shutil.which(name, path=env.get("PATH", os.defpath))
    if path is None or not is_same_python(path, sys.executable):
        raise Unfit(f"another interpreter or environment ({name})")
    return path


def reduce_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that warm imports may depend on."""
    return {
        name: value for name, value in env.items() if name not in _VOLATILE and not name.startswith(_VOLATILE_PREFIX)
    }


def undo_kernel(env: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """The environment of a kernel without what ipykernel changed in it; *before*: what the kernel began with."""
    changed = {name for name, value in _SET_BY_KERNELS.items() if env.get(name) == value}
    kept = {name: value for name, value in env.items() if name not in changed}
    return kept | {name: before[name] for name in changed if name in before}


def check_environment(env: Mapping[str, str]) -> None:
    """Raises Unfit where the environment means something else in every folder, or watches the interpreter."""
    search_path = env.get("PYTHONPATH", "")
    if search_path and not all(os.path.isabs(entry) for entry in search_path.split(os.pathsep)):
        raise Unfit("a relative PYTHONPATH")
    for name in ("PYTHONINSPECT", "PYTHONTRACEMALLOC", "PYTHONPROFILEIMPORTTIME"):
        if env.get(name):
            raise Unfit(f"the environment variable {name}")
