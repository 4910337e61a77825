"""A table of runs as a file: Parquet, CSV, JSON or JSON lines, by the file's name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.api.results import Image, Shown, Table
from nbflow.errors import MissingExtraError, OutputError, UsageError
from nbflow.notebooks import write_atomically
from nbflow.parameters.values import dumps_strict

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")
_ROWS = 1000


def check_target(path: str | os.PathLike[str]) -> None:
    """Before the work: whether a table can be written to *path*. Raises UsageError, MissingExtraError, OutputError."""
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{target}: a table of runs ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if target.suffix.lower() == ".parquet":
        try:
            import_module("pyarrow")
        except ImportError:
            raise MissingExtraError("a Parquet file", "parquet") from None
    if not target.absolute().parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}; make it first", path=str(target))


def export_frame(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write the frame atomically; what was recorded as a table becomes its rows, a figure a word about it.

    Values that are neither numbers, texts nor times are JSON: as such in JSON, as text in Parquet and CSV.
    """
    check_target(path)
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        write_atomically(path, [bytes(_to_flat(frame).to_parquet(None, index=False, engine="pyarrow"))])
    elif suffix == ".csv":
        flat = _to_flat(frame)
        parts = (flat.iloc[start : start + _ROWS] for start in range(0, max(len(flat), 1), _ROWS))
        texts = (part.to_csv(index=False, header=number == 0) for number, part in enumerate(parts))
        write_atomically(path, (text.encode() for text in texts))
    else:
        write_atomically(path, _to_lines(frame, is_array=suffix == ".json"))


def _to_lines(frame: pd.DataFrame, *, is_array: bool) -> Iterator[bytes]:
    """One JSON object a row, strict."""
    names = list(map(str, frame.columns))
    columns = [_to_json_values(frame[name]) for name in frame.columns]
    begin, between, end = ("[\n", ",\n", "\n]\n") if is_array else ("", "\n", "\n" if len(frame) else "")
    yield begin.encode()
    for number, row in enumerate(zip(*columns, strict=True)):
        yield ((between if number else "") + dumps_strict(dict(zip(names, row, strict=True)))).encode()
    yield end.encode()


def _to_json_values(column: pd.Series[Any]) -> list[Any]:
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        return _to_iso(column)
    missing = column.isna()
    return [None if gone else _to_plain(value) for value, gone in zip(column.tolist(), missing, strict=True)]


def _to_iso(column: pd.Series[Any]) -> list[str | None]:
    """As dates where all are, else no more exactly than needed."""
    import numpy as np
    import pandas as pd

    zone = "+00:00" if isinstance(column.dtype, pd.DatetimeTZDtype) else ""
    naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone else column
    times = naive.to_numpy("datetime64[ns]" if naive.dtype == "datetime64[ns]" else "datetime64[us]")
    known = times[~np.isnat(times)]
    units = ("s", "ms", "us") if zone else ("D", "s", "ms", "us")
    unit = next((unit for unit in units if (known == known.astype(f"datetime64[{unit}]")).all()), "ns")
    texts: list[str] = np.datetime_as_string(times.astype(f"datetime64[{unit}]")).tolist()
    return [None if text == "NaT" else text + zone for text in texts]


def _to_plain(value: Any) -> Any:
    """In JSON form."""
    if isinstance(value, Table):
        return value.records
    if isinstance(value, Image | Shown):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    return [_to_plain(item) for item in value] if isinstance(value, list) else value


def _to_flat(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with texts in place of all that a cell of a file can't hold."""
    flat = frame.copy(deep=False)
    for name in flat.columns:
        if flat[name].dtype == object:
            flat[name] = _to_texts(flat[name].tolist())
    flat.columns = [_to_utf8(str(name)) for name in flat.columns]
    return flat


def _to_texts(values: Sequence[Any]) -> Any:
    import pandas as pd

    texts = [
        None if value is None else _to_utf8(value) if isinstance(value, str) else dumps_strict(_to_plain(value))
        for value in values
    ]
    return pd.array(texts, dtype="string")


def _to_utf8(text: str) -> str:
    """A file name may hold what is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
