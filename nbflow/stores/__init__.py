"""Adapters of the ``Store`` port: SQLite and Postgres through SQLAlchemy Core."""

from nbflow.stores.sql import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]
