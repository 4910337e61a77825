"""The store's schema: made when it is empty, migrated when it is older, refused when it is newer or not nbflow's."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Connection, insert, select, text

from nbflow.errors import NbflowError, StoreError
from nbflow.stores.engine import Database
from nbflow.stores.section import queue_up
from nbflow.stores.tables import INDEXES, SCHEMA_VERSION, metadata, version

_SCHEMA_QUEUE = 0x6E62666C
_WAL_PATIENCE = 30.0


def prepare(database: Database) -> None:
    """Bring the schema to ``SCHEMA_VERSION``, whoever else does the same now."""
    if _read_version(database) != SCHEMA_VERSION:
        _refuse_foreign(database)
        if database.file is not None:
            _turn_on_wal(database)
        with database.write() as connection:
            queue_up(connection, _SCHEMA_QUEUE)
            _bring_up(connection, database.where)
    database.remember_file()


def create(connection: Connection) -> None:
    """All tables at once, stamped as if every migration had run."""
    metadata.create_all(connection, checkfirst=False)
    for statement in INDEXES:
        connection.execute(text(statement))
    connection.execute(insert(version).values(version_num=SCHEMA_VERSION))


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, within the transaction of *connection*."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    command.upgrade(config, "head")


def _bring_up(connection: Connection, where: str) -> None:
    if version.name not in _table_names(connection):
        create(connection)
        return
    found = _stamp(connection) or ""
    if found < SCHEMA_VERSION:
        migrate(connection)
    elif found > SCHEMA_VERSION:
        raise StoreError(
            f"store {where}: a newer nbflow made it (schema {found}, this one knows {SCHEMA_VERSION})\n"
            "upgrade nbflow, or choose another store"
        )


def _read_version(database: Database) -> str | None:
    """The schema's version where it can be read at once; None: look closer."""
    if database.is_postgres:
        with database.read() as connection:
            return _stamp(connection) if version.name in _table_names(connection) else None
    try:
        with database.read() as connection:
            return _stamp(connection)
    except StoreError as error:
        if "no such table" in str(error):
            return None
        raise


def _refuse_foreign(database: Database) -> None:
    with database.read() as connection:
        names = _table_names(connection)
        if version.name in names:
            return
        taken = names & set(metadata.tables) if database.is_postgres else names
        if taken:
            raise StoreError(
                f"store {database.where}: it holds tables that are not nbflow's ({', '.join(sorted(taken)[:3])})\n"
                "give nbflow a database of its own"
            )
        if database.is_postgres and (encoding := connection.scalar(text("SHOW server_encoding"))) != "UTF8":
            raise StoreError(
                f"store {database.where}: its encoding is {encoding}\ncreate a database with ENCODING 'UTF8'"
            )


def _stamp(connection: Connection) -> str | None:
    return connection.scalar(select(version.c.version_num))


def _table_names(connection: Connection) -> set[str]:
    if connection.dialect.name == "postgresql":
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    else:
        query = (
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    return set(connection.scalars(text(query)))


def _turn_on_wal(database: Database) -> None:
    """Kept in the file from then on. While others open the new file too, SQLite may refuse at once instead of waiting."""
    deadline = time.monotonic() + _WAL_PATIENCE
    while True:
        try:
            database.turn_on_wal()
            return
        except NbflowError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
