"""Backfills, and the way from a row of values to the runs that had them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "backfill",
        sa.Column("id", _words, primary_key=True),
        sa.Column("name", _words, nullable=False),
        sa.Column("flow", _words, nullable=False),
        sa.Column("flow_version", sa.Integer),
        sa.Column("notebook_hash", _words, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("left_alone", sa.Integer, nullable=False),
        sa.Column("rows_hash", _words, nullable=False),
        sa.Column("run_name", _words),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("max_active_runs", sa.Integer, nullable=False),
        sa.Column("max_failures", sa.Integer),
        sa.Column("run_backwards", sa.Boolean, nullable=False),
        sa.Column("reprocess_behavior", _words, nullable=False),
        sa.Column("skip_completed", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ready", sa.Boolean, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("ended_by", _words),
        sa.Column("owner", _words, nullable=False),
        sa.Column("note", _words, nullable=False),
        sa.Column("axes", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
    )
    op.add_column("run", sa.Column("call_key", _words, nullable=False, server_default=""))
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "DROP INDEX run_backfill",
    "CREATE INDEX run_backfill ON run (backfill_id, sequence) WHERE backfill_id IS NOT NULL",
    "CREATE INDEX run_backfill_state ON run (backfill_id, state, sequence) WHERE backfill_id IS NOT NULL",
    "CREATE INDEX run_call ON run (call_key, sequence) WHERE call_key <> ''",
    "CREATE INDEX backfill_rows ON backfill (flow, rows_hash)",
)
