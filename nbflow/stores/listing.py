"""Finding runs: by id, by filter, and how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)

from nbflow.errors import NotFoundError
from nbflow.lifecycle import RunRecord, RunState
from nbflow.parameters.values import dumps_exact, loads_exact
from nbflow.ports import RunFilter
from nbflow.stores.columns import Moment
from nbflow.stores.records import load_column, run_of, runs_of
from nbflow.stores.section import Section, has_number
from nbflow.stores.tables import backfill, run, run_tag

_VALUES = (run.c.parameters, run.c.values_used)
_SHORTEST_PREFIX = 4
_SHOWN = 5
_BATCH = 2000
LAST_CHARACTER = "\U0010ffff"
"""Sorts behind every other: the end of a range of texts with one beginning."""

_ONE = select(run).where(run.c.id == bindparam("run_id"))  # made once: to make it takes as long as to execute it


class Listing(Section):
    """Reads only: it never makes a writer wait."""

    def get_run(self, run_id: str) -> RunRecord:
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"run_id": run_id}).one_or_none()
            if row is not None:
                return run_of(row)
            if len(run_id) < _SHORTEST_PREFIX:
                raise NotFoundError(
                    f"run {run_id!r}: no such run; a beginning of its id needs {_SHORTEST_PREFIX} characters"
                )
            near = select(run).where(run.c.id >= run_id, run.c.id < run_id + LAST_CHARACTER).order_by(run.c.id)
            rows = connection.execute(near.limit(_SHOWN + 1)).all()
        if len(rows) == 1:
            return run_of(rows[0])
        if not rows:
            raise NotFoundError(f"run {run_id!r}: no run's id is or begins with this; nbflow runs ls lists them")
        fits = ", ".join(f"{row.id} ({row.name})" for row in rows[:_SHOWN])
        more = " and others" if len(rows) > _SHOWN else ""
        raise NotFoundError(f"run {run_id!r}: several ids begin so: {fits}{more}; give more of it")

    def list_runs(self, wanted: RunFilter) -> list[RunRecord]:
        listed = _listed(select(run), wanted)
        with self._database.read() as connection:
            found = connection.execute(listed.execution_options(yield_per=_BATCH))
            return [one for rows in found.partitions() for one in runs_of(rows)]

    def list_columns(self, wanted: RunFilter, names: Sequence[str]) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {name: [] for name in names}
        listed = _listed(select(*map(_column, columns)), wanted)
        with self._database.read() as connection:
            for rows in connection.execute(listed.execution_options(yield_per=_BATCH)).partitions():
                for name, values in zip(columns, zip(*rows, strict=True), strict=True):
                    columns[name] += _DECODERS[name](values) if name in _DECODERS else values
        return columns

    def count_runs(self, wanted: RunFilter) -> dict[RunState, int]:
        counted = _chosen(select(run.c.state, func.count()), wanted).group_by(run.c.state)
        with self._database.read() as connection:
            return {RunState(state): count for state, count in connection.execute(counted)}


def _column(name: str) -> ColumnElement[Any]:
    column = run.c["values_used" if name == "values" else name]
    # Of a hundred thousand times a table needs the numbers and not the objects.
    return type_coerce(column, BigInteger) if isinstance(column.type, Moment) else column


def _load_failures(texts: Sequence[str | None]) -> list[Any]:
    """Without evalue and traceback: all that is long comes last in the text, and is not even read."""
    return load_column([text and text.partition(_LONG_PART)[0] + "}" for text in texts])


_LONG_PART = ', "evalue": '  # within a JSON text its quotes would be escaped
_DECODERS: Mapping[str, Callable[[Sequence[Any]], list[Any]]] = {
    **dict.fromkeys(("parameters", "values", "results", "tags", "options"), load_column),
    "failure": _load_failures,
}


def _listed(statement: Select[Any], wanted: RunFilter) -> Select[Any]:
    """Those that are wanted, from the cursor on, in order."""
    position = run_tag.c.sequence if wanted.tags else run.c.sequence
    listed = _chosen(statement, wanted)
    if wanted.after_sequence is not None:
        cursor = wanted.after_sequence
        listed = listed.where(position > cursor if wanted.oldest_first else position < cursor)
    return listed.order_by(position if wanted.oldest_first else position.desc()).limit(wanted.limit)


def _chosen(statement: Select[Any], wanted: RunFilter) -> Select[Any]:
    if wanted.tags:
        # The rarest use of a tag table is to be scanned: from one tag to its runs, in order, then the others by probing.
        first, *others = wanted.tags
        statement = statement.join(run_tag, run_tag.c.sequence == run.c.sequence).where(run_tag.c.tag == first)
        for tag in others:
            other = run_tag.alias()
            statement = statement.where(exists().where(other.c.tag == tag, other.c.sequence == run.c.sequence))
    return statement.where(*_conditions(wanted))


def _had_value(name: str, text: str) -> ColumnElement[bool]:
    """Found in the JSON as it was written; within a text of its own the quotes would be escaped."""
    forms = {dumps_exact(text)}
    with suppress(ValueError):
        forms.add(dumps_exact(loads_exact(text)))
    parts = [f"{dumps_exact(name)}: {form}{end}" for form in forms for end in ",}"]
    # Neither LIKE nor any function that looks for a text is exact on both databases; this is.
    return or_(*(func.replace(column, part, "") != column for part in parts for column in _VALUES))


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.backfill_id is None:
        # The runs of a backfill show when all of them are there.
        unfinished = select(backfill.c.id).where(~backfill.c.ready)
        conditions.append(or_(run.c.backfill_id.is_(None), run.c.backfill_id.not_in(unfinished)))
    if wanted.states:
        conditions.append(run.c.state.in_([state.value for state in wanted.states]))
    if wanted.flow is not None:
        conditions.append((run.c.source_path if os.path.isabs(wanted.flow) else run.c.flow) == wanted.flow)
    if wanted.name:
        conditions.append(run.c.name_folded.contains(wanted.name.casefold(), autoescape=True))
    conditions += [_had_value(name, text) for name, text in wanted.values]
    if wanted.parent_id is not None:
        conditions.append(run.c.parent_id == wanted.parent_id)
    if wanted.root_id is not None:
        below = and_(run.c.parent_id.is_not(None), run.c.root_id == wanted.root_id)
        conditions.append(or_(run.c.id == wanted.root_id, below))
    if wanted.backfill_id is not None:
        conditions.append(run.c.backfill_id == wanted.backfill_id)
    if wanted.schedule_id is not None:
        conditions.append(run.c.schedule_id == wanted.schedule_id)
    if wanted.identity:
        conditions += [run.c.identity == wanted.identity, run.c.identity != literal_column("''")]
    if wanted.sequences is not None:
        conditions.append(has_number(wanted.sequences))
    if wanted.created_after is not None:
        conditions.append(run.c.created > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(run.c.created < wanted.created_before)
    return conditions
