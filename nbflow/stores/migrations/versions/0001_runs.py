"""Flows, runs, attempts, dispatchers and key-value pairs: the first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _create_flows()
    _create_runs()
    _create_attempts()
    op.create_table(
        "pair",
        sa.Column("key", _words, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    for statement in _INDEXES:
        op.execute(statement)


def _create_flows() -> None:
    op.create_table(
        "notebook",
        sa.Column("hash", _words, primary_key=True),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "flow",
        sa.Column("project", _words, primary_key=True),
        sa.Column("name", _words, primary_key=True),
    )
    op.create_table(
        "flow_version",
        sa.Column("project", _words, primary_key=True),
        sa.Column("name", _words, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("notebook_hash", _words, nullable=False),
        sa.Column("source_path", _words, nullable=False),
        sa.Column("registered", sa.BigInteger, nullable=False),
        sa.Column("schema", sa.Text, nullable=False),
    )
    op.create_table(
        "flow_limit",
        sa.Column("flow", _words, primary_key=True),
        sa.Column("max_runs", sa.Integer, nullable=False),
    )


def _create_runs() -> None:
    op.create_table(
        "run",
        sa.Column("sequence", _sequence, primary_key=True, autoincrement=True),
        sa.Column("id", _words, nullable=False, unique=True),
        sa.Column("state", _words, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("tied_to", _words, nullable=False),
        sa.Column("name", _words, nullable=False),
        sa.Column("name_folded", _words, nullable=False),
        sa.Column("flow", _words),
        sa.Column("flow_version", sa.Integer),
        sa.Column("source_path", _words, nullable=False),
        sa.Column("notebook_hash", _words, nullable=False),
        sa.Column("identity", _words, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("not_before", sa.BigInteger),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("log_lines", sa.BigInteger, nullable=False),
        sa.Column("last_line", _words, nullable=False),
        sa.Column("message", _words, nullable=False),
        sa.Column("cancel_reason", _words),
        sa.Column("parent_id", _words),
        sa.Column("root_id", _words, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("scheduled_time", sa.BigInteger),
        sa.Column("schedule_id", _words),
        sa.Column("backfill_id", _words),
        sa.Column("backfill_row", sa.Integer),
        sa.Column("reused_run_id", _words),
        sa.Column("output_path", _words),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("values_used", sa.Text),
        sa.Column("results", sa.Text, nullable=False),
        sa.UniqueConstraint("schedule_id", "scheduled_time", name="run_fire_time"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_tag",
        sa.Column("tag", _words, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def _create_attempts() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", _words, primary_key=True),
        sa.Column("run_id", _words, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", _words, nullable=False),
        sa.Column("engine", _words, nullable=False),
        sa.Column("owner", _words, nullable=False),
        sa.Column("nonce", _words, nullable=False),
        sa.Column("lease", sa.BigInteger, nullable=False),
        sa.Column("claimed", sa.BigInteger, nullable=False),
        sa.Column("pid", sa.BigInteger),
        sa.Column("waiting", sa.Boolean, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("why", _words, nullable=False),
        sa.Column("told_name", _words),
        sa.UniqueConstraint("run_id", "number", name="attempt_run_number"),
    )
    op.create_table(
        "dispatcher",
        sa.Column("id", _words, primary_key=True),
        sa.Column("host", _words, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("heartbeat", sa.BigInteger, nullable=False),
        sa.Column("serves_all", sa.Boolean, nullable=False),
    )


_INDEXES = (
    "CREATE INDEX run_pending ON run (state, tied_to, priority DESC, sequence, flow, source_path)"
    " WHERE state IN ('pending')",
    "CREATE INDEX run_scheduled ON run (state, not_before) WHERE state IN ('scheduled')",
    "CREATE INDEX run_state ON run (state, sequence)",
    "CREATE INDEX run_flow ON run (flow, sequence, state)",
    "CREATE INDEX run_source ON run (source_path, sequence, state)",
    "CREATE INDEX run_parent ON run (parent_id, sequence) WHERE parent_id IS NOT NULL",
    "CREATE INDEX run_root ON run (root_id, sequence) WHERE parent_id IS NOT NULL",
    "CREATE INDEX run_identity ON run (identity, sequence) WHERE identity <> ''",
    "CREATE INDEX run_backfill ON run (backfill_id, sequence, state) WHERE backfill_id IS NOT NULL",
    "CREATE INDEX attempt_open ON attempt (owner) WHERE state IN ('claimed', 'started')",
    "CREATE INDEX flow_version_notebook ON flow_version (notebook_hash)",
)
