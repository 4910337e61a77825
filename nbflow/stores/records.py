"""Between the records of ``nbflow.runs`` and rows of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from nbflow.flows import FlowVersion
from nbflow.parameters.values import dumps_exact, loads_exact
from nbflow.runs import (
    AttemptRecord,
    AttemptState,
    DispatcherRecord,
    Failure,
    Priority,
    RunOptions,
    RunRecord,
    RunState,
)

_OPTION_DEFAULTS = {field.name: field.default for field in fields(RunOptions)}
_NAMED_OTHERWISE = frozenset({"values", "sequence"})
_RUN_COLUMNS = tuple(field.name for field in fields(RunRecord) if field.name not in _NAMED_OTHERWISE)


def run_row(run: RunRecord) -> dict[str, Any]:
    """All columns of the run but its sequence."""
    row: dict[str, Any] = {name: getattr(run, name) for name in _RUN_COLUMNS}
    row.update(
        state=run.state.value,
        priority=int(run.priority),
        tied_to=run.tied_to or "",
        name_folded=run.name.casefold(),
        root_id=run.root_id or run.id,
        tags=dumps_exact(list(run.tags)),
        options=options_text(run.options),
        parameters=dumps_exact(dict(run.parameters)),
        failure=None if run.failure is None else dumps_exact(run.failure.to_json()),
        values_used=None if run.values is None else dumps_exact(dict(run.values)),
        results=dumps_exact(dict(run.results)),
    )
    return row


def options_text(options: RunOptions) -> str:
    """Only what differs from the defaults: a hundred thousand runs of a backfill repeat it."""
    return dumps_exact(
        {name: value for name, default in _OPTION_DEFAULTS.items() if (value := getattr(options, name)) != default}
    )


def run_of(row: Row[Any]) -> RunRecord:
    return runs_of([row])[0]


def runs_of(rows: Iterable[Row[Any]]) -> list[RunRecord]:
    """The records of rows of the ``run`` table."""
    seen: dict[str, RunOptions] = {}  # most runs of one listing have the same options
    return [_run_of(row, seen) for row in rows]


def _run_of(row: Row[Any], seen: dict[str, RunOptions]) -> RunRecord:
    columns = row._asdict()
    del columns["name_folded"]
    values, failure, text = columns.pop("values_used"), columns["failure"], columns["options"]
    options = seen.get(text)
    if options is None:
        options = seen[text] = RunOptions(**loads_exact(text))
    columns.update(
        state=RunState(columns["state"]),
        priority=Priority(columns["priority"]),
        tied_to=columns["tied_to"] or None,
        tags=tuple(loads_exact(columns["tags"])),
        options=options,
        parameters=loads_exact(columns["parameters"]),
        failure=None if failure is None else Failure.from_json(loads_exact(failure)),
        values=None if values is None else loads_exact(values),
        results=loads_exact(columns["results"]),
    )
    return RunRecord(**columns)


def attempt_row(attempt: AttemptRecord) -> dict[str, Any]:
    row = {field.name: getattr(attempt, field.name) for field in fields(AttemptRecord)}
    return {**row, "id": attempt.id, "state": attempt.state.value}


def attempt_of(row: Row[Any]) -> AttemptRecord:
    columns = row._asdict()
    del columns["id"], columns["told_name"]
    return AttemptRecord(**{**columns, "state": AttemptState(columns["state"])})


def dispatcher_row(dispatcher: DispatcherRecord) -> dict[str, Any]:
    return {field.name: getattr(dispatcher, field.name) for field in fields(DispatcherRecord)}


def dispatcher_of(row: Row[Any]) -> DispatcherRecord:
    return DispatcherRecord(**row._asdict())


def version_of(row: Row[Any]) -> FlowVersion:
    columns: Mapping[str, Any] = row._asdict()
    return FlowVersion(**{**columns, "schema": loads_exact(columns["schema"])})
