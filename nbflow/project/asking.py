"""What a call asks of a backfill: its settings and all of its rows, checked before anything is recorded."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbflow.backfilling import BackfillRecord, Reprocess
from nbflow.backfilling.axes import split_axes
from nbflow.backfilling.plans import Decision, decide_row
from nbflow.backfilling.records import MAX_ACTIVE_RUNS
from nbflow.errors import ParameterError, UsageError
from nbflow.lifecycle import RunOptions, RunRecord
from nbflow.parameters import Text
from nbflow.ports import RunFilter, Store
from nbflow.project.loading import LoadedFlow
from nbflow.project.making import Rendering, RunMaker, make_absolute
from nbflow.project.rows import Exclude, Row, RowFile, RowReader
from nbflow.project.submission import Parent, check_options, check_tag
from nbflow.project.tables import read_rows
from nbflow.project.templates import keep_references

if TYPE_CHECKING:
    from nbflow.project import Project

LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A backfill that was asked for, checked, and not yet recorded."""

    backfill: BackfillRecord
    maker: RunMaker
    rows: RowFile
    parent: Parent | None

    def decide(self, store: Store) -> Iterator[tuple[list[tuple[Row, Decision]], dict[str, RunRecord]]]:
        """Each batch of rows with what becomes of them, and the completed runs to reuse, by identity."""
        backfill = self.backfill
        ran_before = bool(store.list_runs(RunFilter(flow=backfill.flow, limit=1)))
        for batch in self.rows.read():
            earlier = store.find_earlier([row.key for row in batch]) if ran_before else {}
            identities = [self.maker.identify(row.parameters) for row in batch] if backfill.skip_completed else []
            done = store.find_completed({one for one in identities if one}) if identities else {}
            decided = []
            for index, row in enumerate(batch):
                known = earlier.get(row.key)
                decision = decide_row(
                    known.state if known else None,
                    backfill.reprocess_behavior,
                    is_reusable=bool(done) and identities[index] in done,
                    reuses=backfill.skip_completed,
                )
                decided.append((row, decision))
            yield decided, done


def ask(
    project: Project,
    flow: LoadedFlow,
    values: Mapping[str, Any],
    table: Any,
    exclude: Exclude,
    settings: dict[str, Any],
) -> Asked:
    """Expand and check all that a call asks for. Raises as ``Backfills.create`` does."""
    parent: Parent | None = settings.pop("parent", None)
    backfill = _make_record(flow, settings)
    constants, axes = split_axes(values)
    kept, faults = keep_references(flow.declaration, constants, keeper="backfill")
    if faults:
        raise ParameterError(faults)
    secret = {one.name for one in flow.declaration.parameters if one.secret and one.name in kept}
    maker = RunMaker.prepare(flow, backfill.options, has_secrets=bool(secret), parent=parent, get_run=project.get_run)
    reader = RowReader(
        flow.declaration,
        flow.reference,
        constants={name: Text(value) if name in secret else value for name, value in kept.items()},
        axes=axes,
        table=None if table is None else read_rows(table),
        exclude=exclude,
        render=Rendering(
            flow,
            name=backfill.run_name,
            output=backfill.options.output,
            secrets=dict.fromkeys(secret, ""),
            confined_to=project.confined_to,
        ),
    )
    rows = reader.read()
    parameters = {**reader.constants.json, **{name: kept[name] for name in secret}}
    backfill = replace(backfill, axes=rows.axes, parameters=parameters, rows_hash=rows.hash)
    return Asked(backfill=backfill, maker=maker, rows=rows, parent=parent)


def _make_record(flow: LoadedFlow, settings: Mapping[str, Any]) -> BackfillRecord:
    """Raises UsageError."""
    backfill_id = secrets.token_hex(4)
    label = flow.label.rpartition("/")[2]
    options = settings.get("options") or RunOptions()
    check_options(options)
    name = settings.get("name") or f"{label}-{backfill_id[:4]}"
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"backfill name {name!r}: expected 1 to {LONGEST_NAME} printable characters")
    return BackfillRecord(
        id=backfill_id,
        name=name,
        flow=flow.reference,
        flow_version=flow.version.number if flow.version and flow.pinned else None,
        notebook_hash=flow.notebook.hash,
        options=make_absolute(options),
        run_name=settings.get("run_name"),
        tags=tuple(dict.fromkeys(check_tag(tag) for tag in settings.get("tags", ()))),
        priority=_check_count("priority", settings.get("priority", 0), least=-1000, most=1000),
        max_active_runs=_check_count("max_active_runs", settings.get("max_active_runs", MAX_ACTIVE_RUNS)),
        max_failures=_check_count("max_failures", settings.get("max_failures")),
        run_backwards=bool(settings.get("run_backwards", False)),
        reprocess_behavior=choose_behavior(settings.get("reprocess_behavior", Reprocess.NONE)),
        skip_completed=bool(settings.get("skip_completed", False)),
        created=datetime.now(UTC),
    )


def _check_count(what: str, value: Any, *, least: int = 1, most: int = 1_000_000) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most):
        raise UsageError(f"{what} = {value!r}: expected a whole number from {least:,} to {most:,}")
    return value


def choose_behavior(word: str) -> Reprocess:
    """Raises UsageError."""
    try:
        return Reprocess(word)
    except ValueError:
        raise UsageError(f"reprocess_behavior {word!r}: there are {', '.join(Reprocess)}") from None
