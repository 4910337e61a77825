"""What the sections of the store share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, Table, false, literal_column, text

from nbflow.stores.engine import Database

T = TypeVar("T")

MANY_RUNS = 0x6E626672
"""Names the queue of ``queue_up``: any number, the same in every nbflow."""


class Section:
    """A part of the store: the methods on one group of tables."""

    def __init__(self, database: Database) -> None:
        self._database = database


def chunks(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """*items* in pieces that one statement can name."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert *row* unless its key is there already; whether it was inserted."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        statement: Executable = postgresql.insert(table).values(row).on_conflict_do_nothing()
    else:
        from sqlalchemy.dialects import sqlite

        statement = sqlite.insert(table).values(row).on_conflict_do_nothing()
    # Without being asked to, SQLAlchemy keeps no count of inserted rows on Postgres.
    counted = connection.execute(statement, execution_options={"preserve_rowcount": True})
    return counted.rowcount == 1


def queue_up(connection: Connection, queue: int = MANY_RUNS) -> None:
    """Let the transactions of a queue go one by one, as every write does on SQLite by itself.

    All that wait for locks on several runs do so: in whatever order they meet them, none waits in a circle.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:queue)"), {"queue": queue})


def has_number(sequences: Iterable[int]) -> ColumnElement[bool]:
    """A run with one of these numbers. Written out: to bind thousands of them takes longer than to read their rows."""
    numbers = ", ".join(str(int(sequence)) for sequence in sequences)
    return literal_column(f"(run.sequence IN ({numbers}))") if numbers else false()
