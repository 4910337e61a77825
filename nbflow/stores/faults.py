"""What a database complains of, in the words of StoreError: which store, which rule, what to do."""

from __future__ import annotations

from sqlalchemy import exc

from nbflow.errors import StoreError

# A part of the driver's message, what it means, and the remedy. The first that fits is told.
_KNOWN = (
    ("file is not a database", "this file is not an nbflow store", "move it away, or choose another store"),
    ("malformed", "the file is damaged", "move it away and restore a copy; executed notebooks are files of their own"),
    ("disk is full", "there is no space left on its disk, nothing was recorded", "free some space and try again"),
    ("No space left", "there is no space left on its disk, nothing was recorded", "free some space and try again"),
    ("database is locked", "another process kept it locked for too long", "end that process, or try again"),
    ("readonly database", "it can't be written", "make the file and its folder writable, or choose another store"),
    ("unable to open database file", "the file can't be opened", "make it and its folder readable and writable"),
    ("disk I/O error", "its disk refuses to read or write", "check that the disk is healthy and not full"),
    ("index row size", "a name, path, tag or key is too long for it", "use a shorter one"),
    ("too big", "a value is larger than the database takes", "record a path to large data instead"),
    ("password authentication failed", "the server refuses this user and password", "correct the store's URL"),
    ("does not exist", "the server has no such database or user", "create it, or correct the store's URL"),
    ("onnection", "the database server can't be reached", "check that it runs, and the store's URL"),
)


def store_error(error: exc.SQLAlchemyError, where: str) -> StoreError:
    """The StoreError for what the driver raised while using the store at *where* (a path, or a URL without password)."""
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split())[:200]
    for part, rule, remedy in _KNOWN:
        if part in said:
            return StoreError(f"store {where}: {rule}\n{said}\n{remedy}")
    return StoreError(f"store {where}: the database could not do this\n{said}")


def is_driver_error(error: exc.SQLAlchemyError) -> bool:
    """Whether the database failed, rather than a value that could not become a column."""
    return not isinstance(error, exc.StatementError) or isinstance(error, exc.DBAPIError)
