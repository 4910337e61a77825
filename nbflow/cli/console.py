"""Writing to standard output and standard error, safely whatever the text and the encoding.

Text from a notebook or a name may hold anything: terminal sequences other than plain colours are dropped, other
control characters are shown escaped, so that nothing can move the cursor, retitle the window or forge a line.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

from nbflow.parameters.values import strict_form

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_](?:[^\x07\x1b]|\x1b(?!\\))*(?:\x07|\x1b\\|$)"  # OSC, DCS, SOS, PM, APC up to their end
    r"|\x1b[ -/]*[0-~]"  # two-character escapes and charset choices
)
# C0 and C1 controls, DEL, the line and paragraph separators, and the marks that reorder text.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class StreamError(Exception):
    """Standard output or standard error can't be written, for another reason than that its reader is gone."""


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clean(text: str, *, colours: bool = False) -> str:
    """*text* without anything a terminal would act on, newlines and tabs apart; colours stay where asked."""
    if colours:
        pieces: list[str] = []
        at = 0
        for found in _SGR.finditer(text):
            pieces += [clean(text[at : found.start()]), found[0]]
            at = found.end()
        return "".join([*pieces, clean(text[at:])])
    return _CONTROL.sub(_escape, _SEQUENCE.sub("", text))


def clean_line(text: str, *, limit: int = 500) -> str:
    """*text* as one line of at most *limit* characters."""
    if text.isprintable() and len(text) <= limit and "  " not in text and text == text.strip():
        return text  # as most are, of the hundred thousands in a table
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def prepare_streams() -> None:
    """Make printing incapable of raising for its text, and possible where a stream was closed by the caller."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO) -> None:
    """Send what is still written to *stream* nowhere: its reader is gone, and the interpreter flushes it at exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def is_terminal(stream: TextIO) -> bool:
    """Whether a person may watch *stream* and the cursor can be moved there."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def write_line(text: str = "", *, error: bool = False, stream: TextIO | None = None) -> None:
    """One line to standard output, to standard error or to *stream*; seen at once.

    Raises BrokenPipeError when its reader is gone, StreamError when it can't be written for another reason.
    """
    stream = stream or (sys.stderr if error else sys.stdout)
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as reason:
        discard(stream)
        name = getattr(stream, "name", "output").strip("<>")
        raise StreamError(f"{name} could not be written: {reason.strerror}") from None


def has_lost_reader(stream: TextIO) -> bool:
    """Whether *stream* is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False


def write_error(text: str) -> None:
    """An error's text: at most three lines, however long the thing that was refused. Never raises."""
    lines = [clean_line(line) for line in text.strip().splitlines() or [""]][:3]
    with suppress(OSError, StreamError):  # nobody is left to tell
        for number, line in enumerate(lines):
            write_line(("error: " if number == 0 else "  ") + line, error=True)


def write_json(value: Any) -> None:
    """*value* as strict JSON: ASCII, no NaN; what JSON lacks is written as text."""
    write_line(json.dumps(make_strict(value), indent=2, allow_nan=False))


def make_strict(value: Any) -> Any:
    """*value* with everything that strict JSON has no form for as text: NaN, infinities, foreign types."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return strict_form(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)]
    if isinstance(value, Mapping):
        return {str(key): make_strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [make_strict(item) for item in value]
    return str(value)
