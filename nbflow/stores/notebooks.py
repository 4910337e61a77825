"""Notebooks by content hash, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, select, update

from nbflow.errors import NotFoundError
from nbflow.stores.section import Section, chunks, insert_new
from nbflow.stores.tables import backfill, flow_version, notebook, run


class Notebooks(Section):
    """A notebook is put before the run or flow that mentions it, and pinned between the two, lest prune come in between."""

    def put_notebook(self, notebook_hash: str, content: bytes) -> None:
        pin = update(notebook).where(notebook.c.hash == notebook_hash).values(pinned=True)
        with self._database.write() as connection:
            if connection.execute(pin).rowcount:
                return
        packed = zlib.compress(content)
        with self._database.write() as connection:
            if not insert_new(connection, notebook, {"hash": notebook_hash, "pinned": True, "content": packed}):
                connection.execute(pin)  # another process put it meanwhile

    def get_notebook(self, notebook_hash: str) -> bytes:
        with self._database.read() as connection:
            packed = connection.scalar(select(notebook.c.content).where(notebook.c.hash == notebook_hash))
        if packed is None:
            raise NotFoundError(f"notebook {notebook_hash}: the store {self._database.where} does not hold it")
        return zlib.decompress(packed)


def unpin(connection: Connection, hashes: Iterable[str]) -> None:
    """These notebooks are mentioned now: they live as long as what mentions them."""
    for some in chunks(sorted(set(hashes))):
        connection.execute(update(notebook).where(notebook.c.hash.in_(some), notebook.c.pinned).values(pinned=False))


def delete_unmentioned(connection: Connection) -> None:
    connection.execute(
        delete(notebook).where(
            ~notebook.c.pinned,
            notebook.c.hash.not_in(select(run.c.notebook_hash)),
            notebook.c.hash.not_in(select(flow_version.c.notebook_hash)),
            notebook.c.hash.not_in(select(backfill.c.notebook_hash)),
        )
    )
