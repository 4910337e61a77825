"""Between the records of ``nbflow.lifecycle`` and rows of the tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from nbflow.backfilling import BackfillRecord, Reprocess
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
    call_key,
)
from nbflow.parameters.values import dumps_exact, loads_all, loads_exact
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
    row["call_key"] = call_key(run.flow or run.source_path, run.parameters)
    return row


def _options_text(options: RunOptions) -> str:
    # Only what differs from the defaults: a hundred thousand runs of a backfill repeat it.
    changed = {name: getattr(options, name) for name in _OPTION_DEFAULTS}
    return dumps_exact({name: value for name, value in changed.items() if value != _OPTION_DEFAULTS[name]})


def run_of(row: Row[Any]) -> RunRecord:
    return runs_of([row])[0]


def runs_of(rows: Sequence[Row[Any]]) -> list[RunRecord]:
    """The records of whole rows of the ``run`` table. By column: JSON is read at a fifth of the cost then."""
    if not rows:
        return []
    columns: dict[str, Sequence[Any]] = dict(zip(_ROW, zip(*rows, strict=True), strict=True))
    del columns["name_folded"], columns["call_key"]
    options = {text: RunOptions(**loads_exact(text)) for text in set(columns["options"])}
    tags = {text: tuple(loads_exact(text)) for text in set(columns["tags"])}
    columns["options"] = [options[text] for text in columns["options"]]
    columns["tags"] = [tags[text] for text in columns["tags"]]
    columns["state"] = [_STATES[text] for text in columns["state"]]
    columns["priority"] = [_PRIORITIES[number] for number in columns["priority"]]
    columns["tied_to"] = [owner or None for owner in columns["tied_to"]]
    columns["parameters"] = loads_all(columns["parameters"])
    columns["values"] = load_column(columns.pop("values_used"))
    columns["results"] = load_column(columns["results"])
    columns["failure"] = [record and Failure.from_json(record) for record in load_column(columns["failure"])]
    # As RunRecord(**fields) does it, but a field of all records at a time: a third of a long listing's cost else.
    records = [object.__new__(RunRecord) for _ in rows]
    for name, values in columns.items():
        deque(map(getattr(RunRecord, name).__set__, records, values), maxlen=0)
    return records


def load_column(texts: Sequence[str | None]) -> list[Any]:
    """JSON texts, most of which are often missing, or the same empty object."""
    found = iter(loads_all(text for text in texts if text is not None and text != "{}"))
    return [None if text is None else {} if text == "{}" else next(found) for text in texts]


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


def backfill_row(backfill: BackfillRecord) -> dict[str, Any]:
    row = {field.name: getattr(backfill, field.name) for field in fields(BackfillRecord)}
    row["owner"] = backfill.owner or ""
    row["reprocess_behavior"] = backfill.reprocess_behavior.value
    row["axes"], row["tags"] = dumps_exact(list(backfill.axes)), dumps_exact(list(backfill.tags))
    row["options"] = _options_text(backfill.options)
    row["parameters"] = dumps_exact(dict(backfill.parameters))
    return row


def backfill_of(row: Row[Any]) -> BackfillRecord:
    columns = row._asdict()
    columns["owner"] = columns["owner"] or None
    columns["reprocess_behavior"] = Reprocess(columns["reprocess_behavior"])
    columns["axes"], columns["tags"] = tuple(loads_exact(columns["axes"])), tuple(loads_exact(columns["tags"]))
    columns["options"] = RunOptions(**loads_exact(columns["options"]))
    columns["parameters"] = loads_exact(columns["parameters"])
    return BackfillRecord(**columns)
