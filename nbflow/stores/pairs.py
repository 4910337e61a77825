"""Key-value pairs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from nbflow.errors import NotFoundError, UsageError
from nbflow.parameters.values import dumps_exact, loads_exact
from nbflow.stores.listing import LAST_CHARACTER
from nbflow.stores.section import Section, insert_new
from nbflow.stores.tables import pair


class Pairs(Section):
    """JSON values under any text as a key."""

    def kv_get(self, key: str) -> Any:
        with self._database.read() as connection:
            value = connection.scalar(select(pair.c.value).where(pair.c.key == key))
        if value is None:
            raise NotFoundError(f"key {key!r}: the store holds no such key; nbflow kv ls lists them")
        return loads_exact(value)

    def kv_set(self, key: str, value: Any, *, now: datetime) -> None:
        row = {"value": _text(key, value), "updated": now}
        with self._database.write() as connection:
            if not insert_new(connection, pair, {"key": key, **row}):
                connection.execute(update(pair).where(pair.c.key == key).values(row))

    def kv_update(self, key: str, change: Callable[[Any], Any], *, default: Any, now: datetime) -> Any:
        first = _text(key, default)
        with self._database.write() as connection:
            # The row is there from here on, so that Postgres has something to lock; undone when *change* raises.
            known: str | None = None
            while known is None:
                insert_new(connection, pair, {"key": key, "value": first, "updated": now})
                known = connection.scalar(select(pair.c.value).where(pair.c.key == key).with_for_update())
            value = _text(key, change(loads_exact(known)))
            connection.execute(update(pair).where(pair.c.key == key).values(value=value, updated=now))
        return loads_exact(value)

    def kv_delete(self, key: str) -> bool:
        with self._database.write() as connection:
            return connection.execute(delete(pair).where(pair.c.key == key)).rowcount == 1

    def kv_list(self, prefix: str = "") -> dict[str, Any]:
        begins = pair.c.key >= prefix, pair.c.key < prefix + LAST_CHARACTER
        with self._database.read() as connection:
            rows = connection.execute(select(pair.c.key, pair.c.value).where(*begins).order_by(pair.c.key))
            return {row.key: loads_exact(row.value) for row in rows}


_LONGEST_KEY = 1000
"""Characters: what an index of Postgres takes, in any script."""


def _text(key: str, value: Any) -> str:
    if len(key) > _LONGEST_KEY:
        raise UsageError(f"key {key[:40]!r}…: it has {len(key)} characters; a key has {_LONGEST_KEY} at the most")
    try:
        return dumps_exact(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"key {key!r}: its value is not JSON ({error}); store text, numbers, lists and dicts"
        ) from error
