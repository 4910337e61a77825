"""Schedules, and the way from one to its runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", _words, primary_key=True),
        sa.Column("name", _words, nullable=False),
        sa.Column("flow", _words, nullable=False),
        sa.Column("flow_version", sa.Integer),
        sa.Column("cron", _words),
        sa.Column("seconds", sa.Float(53)),
        sa.Column("anchor", sa.BigInteger),
        sa.Column("timezone", _words, nullable=False),
        sa.Column("starts", sa.BigInteger),
        sa.Column("ends", sa.BigInteger),
        sa.Column("run_name", _words),
        sa.Column("catchup", _words, nullable=False),
        sa.Column("catchup_limit", sa.Integer, nullable=False),
        sa.Column("overlap", _words, nullable=False),
        sa.Column("misfire_grace", sa.Float(53), nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("next_due", sa.BigInteger),
        sa.Column("last_success", sa.BigInteger),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("note", _words, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.UniqueConstraint("flow", "name", name="schedule_flow_name"),
    )
    for statement in _INDEXES:
        op.execute(statement)


_INDEXES = (
    "CREATE INDEX schedule_due ON schedule (next_due)",
    "CREATE INDEX run_schedule ON run (schedule_id, state, sequence) WHERE schedule_id IS NOT NULL",
)
