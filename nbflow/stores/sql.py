"""The store on SQLite or Postgres: ``open_store`` and the class that is all its sections."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from nbflow.errors import ConfigError
from nbflow.stores.attempts import Attempts
from nbflow.stores.backfills import Backfills
from nbflow.stores.cancelling import Cancelling
from nbflow.stores.claiming import Claiming
from nbflow.stores.dispatchers import Dispatchers
from nbflow.stores.engine import Database
from nbflow.stores.files import check_local, make_private_file
from nbflow.stores.flows import Flows
from nbflow.stores.listing import Listing
from nbflow.stores.notebooks import Notebooks
from nbflow.stores.pairs import Pairs
from nbflow.stores.runs import Runs
from nbflow.stores.schedules import Schedules
from nbflow.stores.schema import prepare

_FORMS = "give sqlite:///PATH or postgresql://USER@HOST/DATABASE"


class SqlStore(
    Notebooks, Flows, Listing, Runs, Cancelling, Claiming, Attempts, Dispatchers, Schedules, Backfills, Pairs
):
    """The ``Store`` port on SQLAlchemy Core. May be shared by threads, and used by the child of a fork."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        prepare(database)

    @property
    def where(self) -> str:
        """The path of the file, or the URL without its password."""
        return self._database.where

    def close(self) -> None:
        self._database.close()


def open_store(url: str | None, *, home: Path) -> SqlStore:
    """The store at *url*, made or migrated when needed; ``<home>/nbflow.db`` for None.

    Raises ConfigError for a URL of another kind, StoreError when there is no usable store behind it.
    """
    if url is None:
        return _open_file(home / "nbflow.db")
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(f"store {url!r}: not a database URL\n{_FORMS}") from None
    kind = parsed.drivername.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return _closed_on_failure(Database(parsed.set(drivername="postgresql+psycopg")))
    if kind != "sqlite":
        raise ConfigError(f"store {parsed.render_as_string()}: nbflow keeps no store in {kind}\n{_FORMS}")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError(f"store {url!r}: a store in memory is lost with its process\n{_FORMS}")
    return _open_file(Path(str(parsed.database)).expanduser())


def _open_file(path: Path) -> SqlStore:
    path = path.absolute()
    check_local(path.resolve())
    make_private_file(path)
    return _closed_on_failure(Database(URL.create("sqlite", database=str(path)), file=path))


def _closed_on_failure(database: Database) -> SqlStore:
    try:
        return SqlStore(database)
    except BaseException:
        database.close()
        raise
