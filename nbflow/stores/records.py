"""Between the records of ``nbflow.lifecycle`` and rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from nbflow.flows import FlowVersion
from nbflow.lifecycle import (
    AttemptRecord,
    AttemptState,
    DispatcherRecord,
    Failure,
    Priority,
    RunOptions,
    RunRecord,
    RunState,
)
from nbflow.parameters.values import dumps_exact, loads_exact
from nbflow.scheduling import Catchup, Cron, Every, Overlap, ScheduleRecord
from nbflow.stores.tables import run as run_table

_OPTION_DEFAULTS = {field.name: field.default for field in fields(RunOptions)}
_NAMED_OTHERWISE = frozenset({"values", "sequence"})
_RUN_COLUMNS = tuple(field.name for field in fields(RunRecord) if field.name not in _NAMED_OTHERWISE)
_ROW = tuple(column.name for column in run_table.columns)
_STATES = {state.value: state for state in RunState}
_PRIORITIES = {int(priority): priority for priority in Priority}


def run_rows(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """All columns of the runs but their sequence."""
    known: dict[Any, str] = {}  # most runs of one batch have the same options and tags
    return [_run_row(run, known) for run in runs]


def _run_row(run: RunRecord, known: dict[Any, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(run, name) for name in _RUN_COLUMNS}
    row["state"] = run.state.value
    row["priority"] = int(run.priority)
    row["tied_to"] = run.tied_to or ""
    row["name_folded"] = run.name.casefold()
    row["root_id"] = run.root_id or run.id
    row["tags"] = known.get(run.tags) or known.setdefault(run.tags, dumps_exact(list(run.tags)))
    row["options"] = known.get(run.options) or known.setdefault(run.options, _options_text(run.options))
    row["parameters"] = dumps_exact(dict(run.parameters))
    row["failure"] = None if run.failure is None else dumps_exact(run.failure.to_json())
    row["values_used"] = None if run.values is None else dumps_exact(dict(run.values))
    row["results"] = dumps_exact(dict(run.results)) if run.results else "{}"
    return row


def _options_text(options: RunOptions) -> str:
    # Only what differs from the defaults: a hundred thousand runs of a backfill repeat it.
    changed = {name: getattr(options, name) for name in _OPTION_DEFAULTS}
    return dumps_exact({name: value for name, value in changed.items() if value != _OPTION_DEFAULTS[name]})


def run_of(row: Row[Any]) -> RunRecord:
    return runs_of([row])[0]


def runs_of(rows: Sequence[Row[Any]]) -> list[RunRecord]:
    """The records of whole rows of the ``run`` table."""
    options: dict[str, RunOptions] = {}
    tags: dict[str, tuple[str, ...]] = {}
    return [_run_of(dict(zip(_ROW, row, strict=True)), options, tags) for row in rows]


def _run_of(row: dict[str, Any], options: dict[str, RunOptions], tags: dict[str, tuple[str, ...]]) -> RunRecord:
    del row["name_folded"]
    text = row["options"]
    if text not in options:
        options[text] = RunOptions(**loads_exact(text))
    row["options"] = options[text]
    text = row["tags"]
    if text not in tags:
        tags[text] = tuple(loads_exact(text))
    row["tags"] = tags[text]
    values, failure, results = row.pop("values_used"), row["failure"], row["results"]
    row["state"] = _STATES[row["state"]]
    row["priority"] = _PRIORITIES[row["priority"]]
    row["tied_to"] = row["tied_to"] or None
    row["parameters"] = loads_exact(row["parameters"])
    row["failure"] = None if failure is None else Failure.from_json(loads_exact(failure))
    row["values"] = None if values is None else loads_exact(values)
    row["results"] = {} if results == "{}" else loads_exact(results)
    return RunRecord(**row)


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


def schedule_row(schedule: ScheduleRecord) -> dict[str, Any]:
    row = {field.name: getattr(schedule, field.name) for field in fields(ScheduleRecord) if field.name != "when"}
    when = schedule.when
    row["cron"] = when.expression if isinstance(when, Cron) else None
    row["seconds"], row["anchor"] = (when.seconds, when.anchor) if isinstance(when, Every) else (None, None)
    row["catchup"], row["overlap"] = schedule.catchup.value, schedule.overlap.value
    row["tags"] = dumps_exact(list(schedule.tags))
    row["options"] = _options_text(schedule.options)
    row["parameters"] = dumps_exact(dict(schedule.parameters))
    return row


def schedule_of(row: Row[Any]) -> ScheduleRecord:
    columns = row._asdict()
    expression, seconds, anchor = (columns.pop(name) for name in ("cron", "seconds", "anchor"))
    columns["when"] = Every(seconds, anchor) if expression is None else Cron(expression)
    columns["catchup"], columns["overlap"] = Catchup(columns["catchup"]), Overlap(columns["overlap"])
    columns["tags"] = tuple(loads_exact(columns["tags"]))
    columns["options"] = RunOptions(**loads_exact(columns["options"]))
    columns["parameters"] = loads_exact(columns["parameters"])
    return ScheduleRecord(**columns)
