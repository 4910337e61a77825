"""Doubles that nbflow's own tests use, for the tests of those who build on it."""

from __future__ import annotations

from sqlalchemy import URL

from nbflow.stores.engine import Database
from nbflow.stores.sql import SqlStore


class MemoryStore(SqlStore):
    """A store of this process alone, gone when it is closed: the real statements on a database in memory."""

    def __init__(self) -> None:
        super().__init__(Database(URL.create("sqlite")))
