"""The connections to one database: short read and write transactions, safe between threads, processes and forks."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, StaticPool, create_engine, event, exc

from nbflow.errors import ConflictError, MissingExtraError, StoreError, UsageError
from nbflow.stores.faults import is_driver_error, store_error
from nbflow.stores.gate import Gate
from nbflow.stores.signals import deferred_signals

_LOCK_TIMEOUT = 30.0


class Database:
    """Write and read transactions on one database.

    A SQLite write begins IMMEDIATE, so that what it reads is still true when it writes; a read is a plain snapshot and
    blocks nobody. On Postgres both are READ COMMITTED and the statements lock the rows they decide on.
    """

    def __init__(self, url: URL, *, file: Path | None = None) -> None:
        self.is_postgres = url.get_backend_name() == "postgresql"
        self.file = file
        self.where = str(file) if file else url.render_as_string(hide_password=True)
        self._writer, self._reader = self._connect_postgres(url) if self.is_postgres else self._connect_sqlite(url)
        self._inode: tuple[int, int] | None = None
        self._is_closed = False
        self._forked_inside = False
        self._fork = threading.local()
        self._reset_locks()
        _watch_forks(self)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and undone when it raises."""
        with self._translated(), self._transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._translated(), self._transaction(self._reader) as connection:
            yield connection

    def turn_on_wal(self) -> None:
        """SQLite's write-ahead log, with which readers and the writer don't wait for each other. Kept in the file."""
        with self._translated(), self._transaction(self._reader.execution_options(nbflow_begin="")) as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
            if mode != "wal":
                raise StoreError(f"store {self.where}: its disk can't keep a write-ahead log\nchoose a local disk")

    def remember_file(self) -> None:
        """From now on a file that is no longer the one that was opened is noticed, and not written to in vain."""
        if self.file is not None:
            self._inode = _inode(self.file)

    def close(self) -> None:
        self._is_closed = True
        self._dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The database's own errors as ours."""
        try:
            yield
        except exc.IntegrityError as error:
            raise ConflictError(
                f"store {self.where}: something with that key is there already\n{error.orig}"
            ) from error
        except exc.SQLAlchemyError as error:
            if isinstance(error, exc.StatementError) and not is_driver_error(error) and error.orig is not None:
                raise error.orig from None
            raise store_error(error, self.where) from error

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if self._gate.is_mine:
            raise UsageError(f"store {self.where}: used within one of its own transactions\ncompute first, then store")
        with deferred_signals(), self._gate.entered(), self._take_turn(engine):
            self._check()
            with engine.begin() as connection:
                yield connection

    def _take_turn(self, engine: Engine) -> AbstractContextManager[object]:
        # Threads queue for the one connection that writes, in fair order and not in SQLite's growing sleeps. In memory
        # readers use the same one.
        is_shared = not self.is_postgres and (engine is self._writer or self.file is None)
        return self._turn if is_shared else nullcontext()

    def _check(self) -> None:
        if self._is_closed:
            raise StoreError(f"store {self.where}: it was closed\nopen it again with open_store")
        if self._forked_inside:
            raise StoreError(f"store {self.where}: this process was forked within a transaction\nopen the store anew")
        if self.file is not None and self._inode is not None and _inode(self.file) != self._inode:
            raise StoreError(f"store {self.where}: the file was removed or replaced while in use\nstart again")

    def _connect_postgres(self, url: URL) -> tuple[Engine, Engine]:
        try:
            engine = create_engine(url, pool_size=5, max_overflow=20, pool_pre_ping=True)
        except ModuleNotFoundError:
            raise MissingExtraError("a Postgres store", "postgres") from None
        return engine, engine

    def _connect_sqlite(self, url: URL) -> tuple[Engine, Engine]:
        """The writer keeps its connection, and with it the log alive; readers have a few that stay, and more at need."""

        def connect(**pool: Any) -> Engine:
            connect_args = {"timeout": _LOCK_TIMEOUT, "isolation_level": None, "check_same_thread": False}
            engine = create_engine(url, connect_args=connect_args, **pool)
            event.listen(engine, "connect", _set_pragmas)
            event.listen(engine, "begin", _begin)
            return engine

        writer = connect(poolclass=StaticPool)
        readers = {"poolclass": QueuePool, "pool_size": 2, "max_overflow": -1}
        reader = writer if self.file is None else connect(**readers)
        return writer.execution_options(nbflow_begin="BEGIN IMMEDIATE"), reader.execution_options(nbflow_begin="BEGIN")

    def _dispose(self, *, close: bool = True) -> None:
        self._writer.dispose(close=close)
        self._reader.dispose(close=close)

    def _reset_locks(self) -> None:
        self._gate = Gate()
        self._turn = threading.Lock()

    # SQLite forgets at a fork which locks it holds: a child that inherits an open connection, even an idle one, writes to a
    # log that others may delete under it, and its data is lost (pids are no help). So none is open while a fork happens.
    def before_fork(self) -> None:
        self._fork.clean = self._gate.shut()
        if self._fork.clean and self.file is not None:
            self._dispose()

    def after_fork_in_parent(self) -> None:
        self._gate.open()

    def after_fork_in_child(self) -> None:
        self._forked_inside = self._forked_inside or (self.file is not None and not self._fork.clean)
        if self.is_postgres:
            self._dispose(close=False)  # the parent still talks through those sockets
        self._reset_locks()


def _watch_forks(database: Database) -> None:
    reference = weakref.ref(database)

    def before() -> None:
        if known := reference():
            known.before_fork()

    def in_parent() -> None:
        if known := reference():
            known.after_fork_in_parent()

    def in_child() -> None:
        if known := reference():
            known.after_fork_in_child()

    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _set_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    if begin := connection.get_execution_options()["nbflow_begin"]:
        connection.exec_driver_sql(begin)


def _inode(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
