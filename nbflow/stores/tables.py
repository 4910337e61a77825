"""The tables. A change here needs a migration in ``migrations/versions`` and a new ``SCHEMA_VERSION``.

Times are microseconds (``Moment``), JSON is ASCII text. Partial indexes keep the cost of the queue apart from its length.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from nbflow.backfilling.records import FAILURES
from nbflow.lifecycle import ACTIVE, WAITING, AttemptState, RunState
from nbflow.stores.columns import Moment, Words

SCHEMA_VERSION: Final = "0003"
"""The id of the newest migration: four digits, in order."""

metadata = MetaData()

version = Table(
    "nbflow_version",  # a name of our own: another program's Alembic table is never taken for nbflow's
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="nbflow_version_pkc"),
)

notebook = Table(
    "notebook",
    metadata,
    Column("hash", Words, primary_key=True),
    Column(
        "pinned", Boolean, nullable=False
    ),  # put, and not yet mentioned: prune leaves it for the run that will follow
    Column("content", LargeBinary, nullable=False),  # zlib
)

flow = Table(
    "flow",
    metadata,
    Column("project", Words, primary_key=True),
    Column("name", Words, primary_key=True),
)

flow_version = Table(
    "flow_version",
    metadata,
    Column("project", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("notebook_hash", Words, nullable=False),
    Column("source_path", Words, nullable=False),
    Column("registered", Moment, nullable=False),
    Column("schema", Text, nullable=False),
)

flow_limit = Table(
    "flow_limit",
    metadata,
    Column("flow", Words, primary_key=True),
    Column("max_runs", Integer, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Words, nullable=False, unique=True),
    Column("state", Words, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("tied_to", Words, nullable=False),  # "" for nobody: the queue's index needs a value to compare
    Column("name", Words, nullable=False),
    Column("name_folded", Words, nullable=False),  # for a search without case that is the same on both databases
    Column("flow", Words),
    Column("flow_version", Integer),
    Column("source_path", Words, nullable=False),
    Column("notebook_hash", Words, nullable=False),
    Column("identity", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Column("not_before", Moment),
    Column("started", Moment),
    Column("ended", Moment),
    Column("attempts", Integer, nullable=False),
    Column("log_lines", BigInteger, nullable=False),
    Column("last_line", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("cancel_reason", Words),
    Column("parent_id", Words),
    Column("root_id", Words, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("scheduled_time", Moment),
    Column("schedule_id", Words),
    Column("backfill_id", Words),
    Column("backfill_row", Integer),
    Column("reused_run_id", Words),
    Column("output_path", Words),
    # JSON last: SQLite reads the columns before a long one without walking through it
    Column("tags", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("failure", Text),
    Column("values_used", Text),
    Column("results", Text, nullable=False),
    Column("call_key", Words, nullable=False, server_default=""),  # lifecycle.call_key; "" for what is older than it
    UniqueConstraint("schedule_id", "scheduled_time", name="run_fire_time"),
    sqlite_autoincrement=True,
)

run_tag = Table(
    "run_tag",
    metadata,
    Column("tag", Words, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Words, primary_key=True),
    Column("run_id", Words, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Words, nullable=False),
    Column("engine", Words, nullable=False),
    Column("owner", Words, nullable=False),
    Column("nonce", Words, nullable=False),
    Column("lease", Moment, nullable=False),
    Column("claimed", Moment, nullable=False),
    Column("pid", BigInteger),
    Column("waiting", Boolean, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("why", Words, nullable=False),
    Column("told_name", Words),  # the name its notebook last gave the run: told again, it changes nothing
    UniqueConstraint("run_id", "number", name="attempt_run_number"),
)

dispatcher = Table(
    "dispatcher",
    metadata,
    Column("id", Words, primary_key=True),
    Column("host", Words, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started", Float(53), nullable=False),
    Column("started", Moment, nullable=False),
    Column("heartbeat", Moment, nullable=False),
    Column("serves_all", Boolean, nullable=False),
)

schedule = Table(
    "schedule",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("flow", Words, nullable=False),
    Column("flow_version", Integer),
    Column("cron", Words),  # either this, or seconds
    Column("seconds", Float(53)),
    Column("anchor", Moment),
    Column("timezone", Words, nullable=False),
    Column("starts", Moment),
    Column("ends", Moment),
    Column("run_name", Words),
    Column("catchup", Words, nullable=False),
    Column("catchup_limit", Integer, nullable=False),
    Column("overlap", Words, nullable=False),
    Column("misfire_grace", Float(53), nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("next_due", Moment),
    Column("last_success", Moment),  # of runs that were pruned
    Column("created", Moment, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("note", Words, nullable=False),
    Column("tags", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    UniqueConstraint("flow", "name", name="schedule_flow_name"),
)

backfill = Table(
    "backfill",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("flow", Words, nullable=False),
    Column("flow_version", Integer),
    Column("notebook_hash", Words, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("left_alone", Integer, nullable=False),
    Column("rows_hash", Words, nullable=False),
    Column("run_name", Words),
    Column("priority", Integer, nullable=False),
    Column("max_active_runs", Integer, nullable=False),
    Column("max_failures", Integer),
    Column("run_backwards", Boolean, nullable=False),
    Column("reprocess_behavior", Words, nullable=False),
    Column("skip_completed", Boolean, nullable=False),
    Column("created", Moment, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("ended_by", Words),
    Column("owner", Words, nullable=False),  # "" for nobody
    Column("note", Words, nullable=False),
    Column("axes", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("parameters", Text, nullable=False),
)

pair = Table(
    "pair",
    metadata,
    Column("key", Words, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated", Moment, nullable=False),
)


def _among(column: Column[Any], states: Iterable[StrEnum]) -> ColumnElement[bool]:
    # Written out, not bound: SQLite uses a partial index only where it sees the very condition of the index.
    return column.in_([literal_column(f"'{state.value}'") for state in sorted(states)])


IS_PENDING: Final = _among(run.c.state, [RunState.PENDING])
IS_SCHEDULED: Final = _among(run.c.state, [RunState.SCHEDULED])
IS_WAITING: Final = _among(run.c.state, WAITING)
IS_ACTIVE: Final = _among(run.c.state, ACTIVE)
IS_FAILURE: Final = _among(run.c.state, FAILURES)
IS_OPEN: Final = _among(attempt.c.state, [AttemptState.CLAIMED, AttemptState.STARTED])

# As text, which both databases read alike: an Index with a condition for Postgres would import that dialect (50 ms) always.
INDEXES: Final = (
    "CREATE INDEX run_pending ON run (state, tied_to, priority DESC, sequence, flow, source_path)"
    " WHERE state IN ('pending')",
    "CREATE INDEX run_scheduled ON run (state, not_before) WHERE state IN ('scheduled')",
    "CREATE INDEX run_state ON run (state, sequence)",
    "CREATE INDEX run_flow ON run (flow, sequence, state)",
    "CREATE INDEX run_source ON run (source_path, sequence, state)",
    "CREATE INDEX run_parent ON run (parent_id, sequence) WHERE parent_id IS NOT NULL",
    "CREATE INDEX run_root ON run (root_id, sequence) WHERE parent_id IS NOT NULL",
    "CREATE INDEX run_identity ON run (identity, sequence) WHERE identity <> ''",
    "CREATE INDEX run_backfill ON run (backfill_id, sequence) WHERE backfill_id IS NOT NULL",
    "CREATE INDEX run_backfill_state ON run (backfill_id, state, sequence) WHERE backfill_id IS NOT NULL",
    "CREATE INDEX run_call ON run (call_key, sequence) WHERE call_key <> ''",
    "CREATE INDEX backfill_rows ON backfill (flow, rows_hash)",
    "CREATE INDEX attempt_open ON attempt (owner) WHERE state IN ('claimed', 'started')",
    "CREATE INDEX flow_version_notebook ON flow_version (notebook_hash)",
    "CREATE INDEX schedule_due ON schedule (next_due)",
    "CREATE INDEX run_schedule ON run (schedule_id, state, sequence) WHERE schedule_id IS NOT NULL",
)
