"""Errors as problem details (RFC 9457): the one table from error class to HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from nbflow.errors import (
    ConfigError,
    ConflictError,
    KernelError,
    NbflowError,
    NotebookError,
    NotFoundError,
    OutputError,
    ParameterError,
    StoreError,
    UsageError,
)

CONTENT_TYPE = "application/problem+json"

# 409 is for what another machine, disk or moment would take: a kernel that is not installed, a folder that is not there.
STATUS: tuple[tuple[type[NbflowError], HTTPStatus], ...] = (
    (ParameterError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (NotebookError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (KernelError, HTTPStatus.CONFLICT),
    (OutputError, HTTPStatus.CONFLICT),
    (ConfigError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(Exception):
    """A request that can't be answered as asked, where the reason lies in HTTP itself and not in a flow or run."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        kind: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """*kind*: the name of the error of ours that it stands for. *more*: what else its body holds."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = dict(errors or {})
        self.headers = dict(headers or {})
        self.kind = kind
        self.more = dict(more or {})


def find_status(error: NbflowError) -> HTTPStatus:
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def to_problem(error: NbflowError) -> Problem:
    """An error of ours as the answer to a request: one message for each parameter that is refused."""
    status = find_status(error)
    errors: dict[str, str] = {}
    if isinstance(error, ParameterError):
        for fault in error.faults:
            known = errors.get(fault.parameter)
            errors[fault.parameter] = f"{known}; {fault.message}" if known else fault.message
    headers = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(status, str(error), errors=errors, headers=headers)


def describe(
    status: int,
    detail: str,
    *,
    error: str = "",
    errors: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of the answer."""
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if error:
        problem["error"] = error
    if errors:
        problem["errors"] = dict(errors)
    return problem | dict(more or {})
