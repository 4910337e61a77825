"""Rows of values from a file, a DataFrame or mappings: read one after the other, and once."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from nbflow.errors import MissingExtraError, UsageError
from nbflow.parameters.records import Text
from nbflow.parameters.values import loads_exact

_FORMS = "a CSV (.csv, .tsv), JSON lines (.jsonl), JSON (.json) or Parquet (.parquet) file"


def read_rows(source: Any) -> Iterable[Mapping[str, Any]]:
    """The rows of a file, a DataFrame, or an iterable of mappings. Raises UsageError.

    An empty cell of a CSV file, and a missing value of a DataFrame or Parquet file, is a value that is not given.
    """
    if isinstance(source, str | os.PathLike):
        return _read_file(Path(source))
    if hasattr(source, "columns") and hasattr(source, "itertuples"):
        return _read_frame(source)
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise UsageError(f"rows: expected {_FORMS}, a DataFrame or mappings, not a {type(source).__name__}")
    return _check_mappings(source)


def _read_file(path: Path) -> Iterator[Mapping[str, Any]]:
    reader = {
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".json": _read_json,
        ".parquet": _read_parquet,
        ".pq": _read_parquet,
    }.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"rows {path}: expected {_FORMS}")
    if not path.is_file():
        raise UsageError(f"rows {path}: there is no such file")
    return _explain(path, reader(path))


def _explain(path: Path, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    try:
        yield from rows
    except OSError as error:
        raise UsageError(f"rows {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"rows {path}: it is not UTF-8; save it in that encoding") from None
    except csv.Error as error:
        raise UsageError(f"rows {path}: not readable as CSV ({error})") from None


def _read_csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        yield from _split_csv(file, f"rows {path}")


def read_table(text: str, *, most: int) -> Iterator[Mapping[str, Any]]:
    """The rows of CSV that is at hand as a text, at *most* so many. Raises UsageError."""
    try:
        for number, row in enumerate(_split_csv(io.StringIO(text.removeprefix("\ufeff"), newline=""), "the table"), 1):
            if number > most:
                raise UsageError(f"the table: it has more than {most:,} rows; split it")
            yield row
    except csv.Error as error:
        raise UsageError(f"the table: not readable as CSV ({error})") from None


def _split_csv(lines: Iterable[str], where: str) -> Iterator[Mapping[str, Any]]:
    rest = iter(lines)
    head = next(rest, "")
    # No parameter's name holds any of these; which one a spreadsheet writes depends on its country.
    delimiter = next((mark for mark in head if mark in ",;\t"), ",")
    rows = csv.reader(chain([head], rest), delimiter=delimiter)
    names = [name.strip() for name in next(rows, [])]
    if not names or any(not name for name in names) or len(set(names)) < len(names):
        raise UsageError(f"{where}: its first line must name the parameters, each once")
    for cells in rows:
        if not any(cells):
            continue
        if len(cells) > len(names):
            raise UsageError(f"{where}, line {rows.line_num}: {len(cells)} cells under {len(names)} names")
        yield {name: Text(cell) for name, cell in zip(names, cells, strict=False) if cell != ""}


def _read_json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _read_object(line, f"rows {path}, line {number}")


def _read_object(text: str, where: str) -> Mapping[str, Any]:
    try:
        row = loads_exact(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise UsageError(f"{where}: expected an object such as {json.dumps({'region': 'EU'})}")
    return row


def _read_json(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        rows = loads_exact(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UsageError(f"rows {path}: not JSON ({error})") from None
    if not isinstance(rows, list):
        raise UsageError(f"rows {path}: expected a list of objects")
    yield from _check_mappings(rows)


def _read_parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("reading Parquet", "parquet") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=5_000):
                yield from _read_frame(batch.to_pandas())
    except pyarrow.ArrowException as error:
        raise UsageError(f"rows {path}: not readable as Parquet ({' '.join(str(error).split())[:150]})") from None


def _read_frame(frame: Any) -> Iterator[Mapping[str, Any]]:
    import pandas as pd

    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise UsageError("rows: two columns of the DataFrame have the same name")
    for cells in frame.itertuples(index=False, name=None):
        yield {name: cell for name, cell in zip(names, cells, strict=True) if not _is_missing(pd, cell)}


def _is_missing(pd: Any, cell: Any) -> bool:
    return cell is None or (pd.api.types.is_scalar(cell) and bool(pd.isna(cell)))


def _check_mappings(rows: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise UsageError(f"row {number}: expected a mapping such as {{'region': 'EU'}}, not a {type(row).__name__}")
        yield row
