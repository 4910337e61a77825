"""The JSON of a notebook, byte for byte as Jupyter writes it, made cell by cell and output by output.

It is always strict JSON and valid UTF-8. NaN and infinities become null inside outputs, as a browser would write them
(a chart reads null as a gap), and the strings ``NaN``, ``Infinity`` and ``-Infinity`` in metadata, where they are values
that somebody passed. Lone surrogates are written as escapes; objects that JSON does not know as their ``str``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_SPLIT_MIMES = ("application/javascript", "image/svg+xml")
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")


def encode_notebook(node: Mapping[str, Any]) -> Iterator[bytes]:
    """The whole file in pieces."""
    cells = (encode_cell(cell, [encode_output(output) for output in cell.get("outputs", ())]) for cell in node["cells"])
    return encode_file(node, cells)


def encode_file(node: Mapping[str, Any], cells: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
    """The whole file in pieces, given the pieces of its cells."""
    rest = {key: value for key, value in dict(node).items() if key != "cells"}
    rest["metadata"] = {key: value for key, value in rest["metadata"].items() if key not in _TRANSIENT}
    frame = _encode({**rest, "cells": []}, depth=0)
    lines = _join(cells, depth=2)
    first = next(lines, None)
    if first is None:
        yield frame + b"\n"
        return
    before, after = _open_list(frame, "cells", depth=1)
    yield before
    yield first
    yield from lines
    yield after + b"\n"


def encode_cell(cell: Mapping[str, Any], outputs: Sequence[bytes]) -> list[bytes]:
    """One cell in pieces, given the JSON of its outputs."""
    fields = dict(cell)
    fields["metadata"] = {key: value for key, value in dict(fields["metadata"]).items() if key != "trusted"}
    if isinstance(fields.get("source"), str):
        fields["source"] = fields["source"].splitlines(keepends=True)
    if isinstance(fields.get("attachments"), Mapping):
        fields["attachments"] = {name: _split_mimes(data) for name, data in fields["attachments"].items()}
    if "outputs" in fields:
        fields["outputs"] = []
    head = _encode(fields, depth=2)
    if not outputs:
        return [head]
    before, after = _open_list(head, "outputs", depth=3)
    return [before, *_join(([output] for output in outputs), depth=4), after]


def encode_output(output: Mapping[str, Any]) -> bytes:
    """One output of a code cell."""
    fields = dict(output)
    if fields.get("output_type") == "stream" and isinstance(fields.get("text"), str):
        fields["text"] = fields["text"].splitlines(keepends=True)
    elif "data" in fields:
        fields["data"] = _split_mimes(fields["data"])
    return _encode(fields, depth=4, lost=None)


def _split_mimes(data: Any) -> Any:
    """Texts as lists of lines, which version control shows better; what is no bundle of types stays as it is."""
    if not isinstance(data, Mapping):
        return data
    return {mime: _split_text(mime, value) for mime, value in dict(data).items()}


def _split_text(mime: str, value: Any) -> Any:
    is_text = isinstance(value, str) and (mime.startswith("text/") or mime in _SPLIT_MIMES)
    return value.splitlines(keepends=True) if is_text else value


def _encode(value: Any, *, depth: int, lost: str | None = "") -> bytes:
    try:
        text = _dump(value)
    except (TypeError, ValueError):
        text = _dump(_make_strict(value, lost))
    # A newline in JSON text is never part of a string, so this only shifts the lines to the right.
    text = text.replace("\n", "\n" + " " * depth) if depth else text
    return text.encode("utf-8", "backslashreplace")


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, separators=(",", ": "), allow_nan=False)


def _make_strict(value: Any, lost: str | None) -> Any:
    """*value* in what JSON knows; NaN and infinities as null where *lost* is None, else by name."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if lost is None else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {_make_key(key): _make_strict(item, lost) for key, item in list(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_make_strict(item, lost) for item in value]
    return value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else str(value)


def _make_key(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(key) if key is None or isinstance(key, int | float) else str(key)


def _open_list(text: bytes, key: str, *, depth: int) -> tuple[bytes, bytes]:
    """The JSON before and after the items of the empty list under *key*; only at *depth* is a line indented so."""
    start = b"\n" + b" " * depth + json.dumps(key).encode() + b": ["
    before, _, after = text.partition(start + b"]")
    return before + start, b"\n" + b" " * depth + b"]" + after


def _join(items: Iterable[Sequence[bytes]], *, depth: int) -> Iterator[bytes]:
    """The items of a list, each on lines of its own at *depth*."""
    separator = b"\n" + b" " * depth
    for item in items:
        yield separator
        yield from item
        separator = b",\n" + b" " * depth
