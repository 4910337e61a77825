"""Recorded results back as the objects that were recorded."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


class Results(dict[str, Any]):
    """The results of a run by name; tables as DataFrames, images as objects that show themselves."""

    def __missing__(self, name: str) -> Any:
        known = ", ".join(self) or "nothing"
        raise KeyError(f"no result {name!r}; this run recorded {known}")


class Image:
    """A recorded figure: ``data`` holds its PNG."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _repr_png_(self) -> bytes:
        return self.data

    def __repr__(self) -> str:
        return f"<image: {len(self.data):,} bytes of PNG>"


def restore_results(stored: Mapping[str, Any]) -> Results:
    return Results({name: restore_result(value) for name, value in stored.items()})


def restore_result(value: Any) -> Any:
    if isinstance(value, list):
        return [restore_result(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    match value:
        case {"$table": table, **others} if not others:
            return _to_frame(table)
        case {"$image": str(data), **others} if not others:
            return Image(base64.b64decode(data))
        case {"$float": str(text), **others} if not others:
            return float(text)
    return {key: restore_result(item) for key, item in value.items()}


def _to_frame(table: Mapping[str, Any]) -> Any:
    """A table as pandas writes it with ``orient="table"``."""
    import io
    import json

    import pandas as pd

    frame = pd.read_json(io.StringIO(json.dumps(table)), orient="table")
    if frame.index.name == "index":
        frame.index.name = None
    return frame


def describe_result(value: Any) -> str:
    """A stored result in a few words."""
    import json

    if isinstance(value, Mapping) and "$table" in value:
        table = value["$table"]
        return f"table of {len(table.get('data', []))} rows"
    if isinstance(value, Mapping) and "$image" in value:
        return "figure"
    text = json.dumps(restore_result(value), ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"
