"""Where an executed notebook may go: checked before anything starts, and made from templates over the parameters."""

from __future__ import annotations

import os
import re
import stat
import string
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from nbflow.errors import OutputError, UsageError
from nbflow.notebooks.files import show_path
from nbflow.notebooks.saving import open_temporary, say_unwritable

LONGEST_TEXT = 1_000_000
"""Characters that a template may come to."""
WIDE = re.compile(r"[0-9]{4}")


def check_output_path(path: str | os.PathLike[str], *, source: str | os.PathLike[str] | None) -> Path:
    """The absolute output path, when a notebook can be saved there; OutputError otherwise.

    *source* is the input notebook, which must not be overwritten under whatever name or link; None when it is no file.
    A file is written into the folder for a moment: only that tells whether it is possible.
    """
    text = os.fsdecode(path)
    if not text or "\x00" in text:
        _refuse(path, "is not a possible file name; name a file")
    if text.endswith(os.sep):
        _refuse(path, "names a folder; add a file name")
    target = Path(os.path.abspath(text))
    try:
        _check_target(path, target, source)
    except OSError as error:
        raise OutputError(say_unwritable(path, error), path=text) from error
    return target


def find_inside(root: Path, path: str, what: str) -> Path:
    """*path*, taken from *root*, when it is neither outside of it nor hidden, links followed. Raises UsageError."""
    folder = os.path.realpath(root)
    target = os.path.abspath(os.path.join(root, path))
    # The root may itself be reached through a link: both of its names are good.
    steps = [Path(os.path.abspath(root)), Path(folder)]
    real = Path(os.path.realpath(target)) if "\x00" not in path else Path(os.sep)
    inside = [step for step in steps if Path(target).is_relative_to(step)]
    if not path or not inside or not real.is_relative_to(folder):
        raise UsageError(f"{what} {show_path(path)}: it is not below the server's folder; give a path relative to that")
    parts = (*Path(target).relative_to(inside[0]).parts, *real.relative_to(folder).parts)
    if any(part.startswith(".") for part in parts):
        raise UsageError(f"{what} {show_path(path)}: it is hidden (a name that begins with a dot); choose another")
    return Path(target)


def render_path(template: str, parameters: Mapping[str, Any]) -> str:
    """Fill ``{name}`` and ``{name:format}`` in a path from the parameters, as ``str.format`` does.

    ``{name.key}`` and ``{name[key]}`` reach into mappings and lists, such as papermill's ``pm``, never to the attributes
    of an object. Raises UsageError for a name that is no parameter and for anything that can't be filled in.
    """
    formatter = string.Formatter()
    pieces: list[str] = []
    try:
        for literal, name, spec, conversion in formatter.parse(template):
            pieces.append(literal)
            if name is None:
                continue
            value = _find_value(template, name, parameters)
            pieces.append(format(formatter.convert_field(value, conversion), _check_format(spec or "")))
            if sum(map(len, pieces)) > LONGEST_TEXT:
                raise ValueError(f"filled in, it has more than {LONGEST_TEXT} characters")
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UsageError(f"path template {template!r}: {error}") from None
    return "".join(pieces)


def _check_format(spec: str) -> str:
    """Raises ValueError for what would fill in other fields, or as many blanks as the memory holds."""
    if "{" in spec:
        raise ValueError("a format can't itself hold a field")
    if WIDE.search(spec):
        raise ValueError(f"the format {spec!r} is too wide; a width has at most 3 digits")
    return spec


def _check_target(path: str | os.PathLike[str], target: Path, source: str | os.PathLike[str] | None) -> None:
    real = Path(os.path.realpath(target))
    if source is not None and _is_same_file(real, Path(source)):
        _refuse(path, "is the input notebook, which stays as it is; choose another output")
    if real.is_dir():
        _refuse(path, "is a folder; add a file name")
    folder = real.parent
    if not folder.exists():
        _refuse(path, f"lies in a folder that does not exist; make it first: mkdir -p {show_path(folder)}")
    if not folder.is_dir():
        _refuse(path, f"lies in {show_path(folder)}, which is a file, not a folder; choose another output")
    if real.is_symlink():
        _refuse(path, "is a link that leads to itself; choose another output")
    if real.exists():
        if not stat.S_ISREG(real.stat().st_mode):
            _refuse(path, "is a pipe, socket or device; choose a file")
        os.close(os.open(real, os.O_WRONLY))
    descriptor, name = open_temporary(str(folder))
    os.close(descriptor)
    if name is not None:
        os.unlink(name)
    if len(os.fsencode(real.name)) > os.pathconf(folder, "PC_NAME_MAX"):
        _refuse(path, "has a name that is too long; choose a shorter one")


def _is_same_file(target: Path, source: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(target, source)
    return target == Path(os.path.realpath(source))


def _find_value(template: str, field: str, parameters: Mapping[str, Any]) -> Any:
    name, steps = _split_field(field)
    if not name or name.isdigit():
        raise UsageError(
            f"path template {template!r}: a field must name a parameter, as in {{region}}; for a brace, write {{{{"
        )
    if name not in parameters:
        known = ", ".join(sorted(parameters)) or "none is given"
        raise UsageError(f"path template {template!r}: no value for {name!r}; parameters: {known}")
    value = parameters[name]
    for step in steps:
        value = _step_into(template, field, value, step)
    return value


def _split_field(field: str) -> tuple[str, list[str]]:
    """``opts[EU].x`` → ``opts`` and ``["EU", "x"]``."""
    name, *steps = field.replace("]", "").replace("[", ".").split(".")
    return name, steps


def _step_into(template: str, field: str, value: Any, step: str) -> Any:
    if isinstance(value, Mapping) and step in value:
        return value[step]
    if (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and step.isdecimal()
        and int(step) < len(value)
    ):
        return value[int(step)]
    raise UsageError(
        f"path template {template!r}: {field!r} has no {step!r}; only keys and positions can be named, "
        "dates take a format: {day:%Y-%m}"
    )


def _refuse(path: str | os.PathLike[str], reason: str) -> NoReturn:
    raise OutputError(f"output {show_path(path)} {reason}", path=os.fsdecode(path))
