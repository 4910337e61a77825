"""The values of a call, typed and in their JSON form, and the JSON that stores and surfaces write."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MASK = "********"
EXACT_TYPE = "application/vnd.nbflow+json"
"""The media type of what ``dumps_exact`` writes, and other programs could not read: nbflow talking to nbflow."""
MAX_BYTES = 512 * 1024
"""All values of a call together, in JSON form."""

_LONG = 14_000
"""Bits: about the 4,300 digits beyond which Python's json refuses to read a number, and nbformat a notebook."""
_CHUNK = 600
"""Digits that Python converts under any ``set_int_max_str_digits``; the least limit is 640."""


class TooDeep(ValueError):
    """JSON that is nested more deeply than Python can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values of one call, after validation."""

    typed: Mapping[str, Any] = field(default_factory=dict)
    """Of the declared types: ``date(2026, 1, 31)``, ``Path("x")``; a ``Secret`` for a secret."""
    json: Mapping[str, Any] = field(default_factory=dict)
    """In JSON form, as stored and shown; secrets are masked."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secrets' values: for the kernel only."""


def dumps_exact(value: Any, *, sort_keys: bool = False) -> str:
    """JSON as Python writes and reads it, for stores: NaN and infinities by name, ASCII, integers of any length."""
    try:
        return json.dumps(value, sort_keys=sort_keys)
    except ValueError:
        return _write(value, strict=False, sort_keys=sort_keys)


def loads_exact(text: str | bytes) -> Any:
    """What ``dumps_exact`` wrote. ValueError for anything that is not JSON, or is nested too deeply to be read."""
    try:
        return json.loads(text, parse_int=_read_integer)
    except RecursionError as error:
        raise TooDeep("nested too deeply") from error


def loads_all(texts: Iterable[str]) -> list[Any]:
    """``loads_exact`` of each of many short texts, at a fifth of the cost."""
    texts = list(texts)
    try:
        whole: list[Any] = loads_exact(f"[{','.join(texts)}]")
    except TooDeep:  # one of them is as deep as can be
        whole = []
    return whole if len(whole) == len(texts) else [loads_exact(text) for text in texts]


def dumps_strict(value: Any) -> str:
    """JSON for other programs: NaN, infinities and integers that their readers refuse are strings."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return _write(value, strict=True)


def name_float(value: float) -> str:
    """The name of a float that JSON has no number for."""
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def strict_form(value: Any) -> Any:
    """*value*, in JSON form, with NaN, infinities and integers of thousands of digits as strings."""
    if isinstance(value, int) and value.bit_length() > _LONG:
        return write_integer(value)
    if isinstance(value, float) and not math.isfinite(value):
        return name_float(value)
    if isinstance(value, list):
        return [strict_form(item) for item in value]
    if isinstance(value, dict):
        return {key: strict_form(item) for key, item in value.items()}
    return value


def _write(value: Any, *, strict: bool, sort_keys: bool = False) -> str:
    """JSON of what the json module refuses: long integers, and with *strict* NaN and infinities."""
    if isinstance(value, Mapping):
        items = sorted(value.items()) if sort_keys else value.items()
        pairs = (f"{json.dumps(key)}: {_write(item, strict=strict, sort_keys=sort_keys)}" for key, item in items)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_write(item, strict=strict, sort_keys=sort_keys) for item in value)}]"
    if isinstance(value, int) and not isinstance(value, bool):
        quoted = '"' if strict and value.bit_length() > _LONG else ""
        return f"{quoted}{write_integer(value)}{quoted}"
    if strict and isinstance(value, float) and not math.isfinite(value):
        return f'"{name_float(value)}"'
    return json.dumps(value)


def write_integer(value: int) -> str:
    """The decimal digits of an integer of any length."""
    if value.bit_length() < 3 * _CHUNK:
        return str(value)
    digits, rest = [], abs(value)
    while rest:
        rest, chunk = divmod(rest, 10**_CHUNK)
        digits.append(f"{chunk:0{_CHUNK}d}")
    return ("-" if value < 0 else "") + "".join(reversed(digits)).lstrip("0")


def _read_integer(text: str) -> int:
    if len(text) <= _CHUNK:
        return int(text)
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    value = 0
    for start in range(0, len(digits), _CHUNK):
        chunk = digits[start : start + _CHUNK]
        value = value * 10 ** len(chunk) + int(chunk)
    return sign * value
