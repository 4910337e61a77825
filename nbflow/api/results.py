"""Recorded results back as the objects that were recorded."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from nbflow.errors import UsageError


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


class Shown:
    """What scrapbook's ``glue(..., display=True)`` showed: ``bundle`` holds its forms by MIME type."""

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        self.bundle = dict(bundle)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.bundle

    def __repr__(self) -> str:
        text = self.bundle.get("text/plain")
        return text if isinstance(text, str) else f"<shown as {', '.join(self.bundle)}>"


class Table:
    """A recorded table in a cell of a frame of runs: made a DataFrame of its own when it is asked for."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored

    def to_frame(self) -> Any:
        return restore_result(self._stored)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its rows, in JSON form."""
        import json

        if "$table" in self._stored:
            return list(self._stored["$table"].get("data", ()))
        records: list[dict[str, Any]] = json.loads(self.to_frame().to_json(orient="records", date_format="iso"))
        return records

    def __repr__(self) -> str:
        return f"<{describe_result(self._stored)}>"


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
        case {"$parquet": str(data), **others} if not others:
            return _read_parquet(base64.b64decode(data))
        case {"$image": str(data), **others} if not others:
            return Image(base64.b64decode(data))
        case {"$shown": bundle, **others} if not others and isinstance(bundle, Mapping):
            return Shown(bundle)
        case {"$float": str(text), **others} if not others:
            return float(text)
    return {key: restore_result(item) for key, item in value.items()}


def restore_cell(value: Any) -> Any:
    """As :func:`restore_result`, but for tables: a frame of runs may hold thousands of them."""
    is_table = isinstance(value, Mapping) and len(value) == 1 and not value.keys().isdisjoint(("$table", "$parquet"))
    return Table(value) if is_table else restore_result(value)


def _to_frame(table: Mapping[str, Any]) -> Any:
    """A table as pandas writes it with ``orient="table"``."""
    import io
    import json

    import pandas as pd

    frame = pd.read_json(io.StringIO(json.dumps(table)), orient="table")
    if frame.index.name == "index":
        frame.index.name = None
    return frame


def _read_parquet(data: bytes) -> Any:
    import io

    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise UsageError("this result is a DataFrame as Parquet, which needs pyarrow: pip install pyarrow") from None


def describe_result(value: Any) -> str:
    """A stored result in a few words."""
    import json

    if isinstance(value, Mapping) and "$table" in value:
        table = value["$table"]
        return f"table of {len(table.get('data', []))} rows"
    if isinstance(value, Mapping) and "$parquet" in value:
        return f"table, {len(value['$parquet']) * 3 // 4:,} bytes of Parquet"
    if isinstance(value, Mapping) and "$image" in value:
        return "figure"
    restored = restore_result(value)
    text = repr(restored) if isinstance(restored, Shown) else json.dumps(restored, ensure_ascii=False, default=repr)
    return text if len(text) <= 200 else text[:199] + "…"
