"""What a server refuses, as the error that the same call would have raised here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from nbflow import errors
from nbflow.errors import (
    ConfigError,
    ConflictError,
    Fault,
    NbflowError,
    NotFoundError,
    ParameterError,
    RowError,
    RowFault,
    StoreError,
    UsageError,
)

_ROW = re.compile(r"row (\d+)(?: and ([\d,]+) more)?: ([^:]+): (.*)", re.DOTALL)
_COUNTS = re.compile(r"([\d,]+) of ([\d,]+) row")
_BY_STATUS: Mapping[int, type[NbflowError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.SERVICE_UNAVAILABLE: StoreError,
}


_PLAIN = (
    *(errors.NbflowError, errors.UsageError, errors.ConfigError, errors.NotebookError, errors.OutputError),
    *(errors.NotFoundError, errors.ConflictError, errors.KernelError, errors.StoreError),
)
"""Those that are made of their text alone."""


class Told(dict[str, Any]):
    """An answer. What it lacks, a server of the same version would have told."""

    def __missing__(self, key: str) -> Any:
        raise explain_unread(f"no {key!r} in it")


class ChangedMeanwhile(ConflictError):
    """What was to be replaced is no longer what it was (412)."""


def explain_stranger(server: str) -> ConfigError:
    """An answer that no nbflow gave."""
    return ConfigError(f"{server} answers, but it is no nbflow server\ncheck the address in NBFLOW_API_URL")


def explain_unread(why: object) -> ConfigError:
    """An answer of another form than this version knows."""
    return ConfigError(
        f"the server's answer can't be read: {why}\nis it of another version than nbflow here? update the older of the two"
    )


def to_error(status: int, body: bytes, *, server: str, token: str | None) -> NbflowError:
    """The error that an answer stands for, with the text that it has on the server."""
    if status == HTTPStatus.UNAUTHORIZED:
        wrong = "refuses the token in NBFLOW_API_TOKEN" if token else "asks for a token"
        return ConfigError(f"{server} {wrong}\nset NBFLOW_API_TOKEN to the server's token")
    problem = _read_problem(body)
    if problem is None:
        return _explain(status, server)
    detail = str(problem.get("detail") or f"the server answered {status}")
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ChangedMeanwhile(detail)
    faults = {str(name): str(text) for name, text in dict(problem.get("errors") or {}).items()}
    return _make(str(problem.get("error") or ""), status, detail, faults)


def _read_problem(body: bytes) -> dict[str, Any] | None:
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    return problem if isinstance(problem, dict) and {"title", "detail"} <= problem.keys() else None


def _explain(status: int, server: str) -> NbflowError:
    """An answer that no nbflow gave."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StoreError(f"{server} answers {status}: it can't be asked now")
    return ConfigError(f"{server} answers {status}: no nbflow is there\ncheck the address in NBFLOW_API_URL")


def _make(name: str, status: int, detail: str, faults: Mapping[str, str]) -> NbflowError:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, RowError):
        return _restore_rows(detail, faults)
    if isinstance(kind, type) and issubclass(kind, ParameterError):
        error = ParameterError([Fault(parameter=key, rule="type", message=text) for key, text in faults.items()])
        error.args = (detail,)
        return error
    if isinstance(kind, type) and issubclass(kind, NbflowError) and kind in _PLAIN:
        return kind(detail)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StoreError(detail)
    return _BY_STATUS.get(status, UsageError)(detail)


def _restore_rows(detail: str, faults: Mapping[str, str]) -> RowError:
    found = [_ROW.fullmatch(text) for text in faults.values()]
    rows = [
        RowFault(
            row=int(one[1]),
            rows=int((one[2] or "0").replace(",", "")) + 1,
            fault=Fault(parameter=one[3], rule="type", message=one[4]),
        )
        for one in found
        if one
    ]
    counts = _COUNTS.match(detail)
    count, total = (int(text.replace(",", "")) for text in counts.groups()) if counts else (len(rows), len(rows))
    error = RowError(rows, count=count, total=total)
    error.args = (detail,)
    return error
