"""Key-value pairs: small JSON values that outlive runs, such as the bookkeeping of a backfill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nbflow.errors import NotFoundError, UsageError
from nbflow.parameters.values import dumps_exact
from nbflow.ports import Store

RESERVED = "\x1f"
"""How keys of nbflow's own begin; no user's does, since it is not printable."""
MAX_KEY = 500
MAX_VALUE = 512 * 1024
SEEN_WITHIN = 4
"""Characters from which on a secret is looked for within other texts, where a shorter one would be found by chance."""


class KeyValues:
    """The pairs of a store, as a mapping whose every operation is one transaction."""

    def __init__(self, get_store: Callable[[], Store], find_secrets: Callable[[], Mapping[str, str]] = dict) -> None:
        """*find_secrets* gives the values that may not be stored, by the names of their parameters."""
        self._get_store = get_store
        self._find_secrets = find_secrets

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or *default* where there is no such key."""
        try:
            return self[key]
        except KeyError:
            return default

    def set(self, key: str, value: Any) -> None:
        """Store a JSON value. Raises UsageError for one that is no JSON or larger than 512 KiB, and for an unusable key."""
        _check_value(key, value)
        self._check_secrets(key, value)
        self._get_store().kv_set(_check_key(key), value, now=datetime.now(UTC))

    def update(self, key: str, change: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Store ``change(current)`` and return it, with no other writer in between. Raises UsageError as :meth:`set` does.

        >>> nbflow.kv.update("days done", lambda days: [*days, "2026-01-31"], default=[])  # doctest: +SKIP
        """

        def checked(current: Any) -> Any:
            value = change(current)
            _check_value(key, value)
            self._check_secrets(key, value)
            return value

        return self._get_store().kv_update(_check_key(key), checked, default=default, now=datetime.now(UTC))

    def delete(self, key: str) -> bool:
        """Forget the pair; whether it was there."""
        return self._get_store().kv_delete(key)

    def list(self, prefix: str = "") -> dict[str, Any]:
        """The pairs whose key begins with *prefix*, by key."""
        return {key: value for key, value in self._get_store().kv_list(prefix).items() if not key.startswith(RESERVED)}

    def prune(self, *, before: datetime) -> None:
        """Forget what nbflow itself noted before then, with its time."""
        store = self._get_store()
        for key, value in store.kv_list(RESERVED).items():
            if isinstance(value, dict) and value.get("time", "~") < before.astimezone(UTC).isoformat():
                store.kv_delete(key)

    def _check_secrets(self, key: str, value: Any) -> None:
        for name, secret in self._find_secrets().items():
            if any(
                text == secret or (len(secret) >= SEEN_WITHIN and secret in text) for text in _find_texts([key, value])
            ):
                raise UsageError(
                    f"the pair would hold the secret parameter {name}: pairs are stored as they are, for everybody to read\n"
                    "store what it was used for, or where it can be read"
                )

    def __getitem__(self, key: str) -> Any:
        try:
            return self._get_store().kv_get(key)
        except NotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._get_store().kv_list(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self.list())

    def __repr__(self) -> str:
        return f"<key-value pairs: {len(self)}>"


def _find_texts(value: Any) -> Iterator[str]:
    """The strings in a JSON value, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _find_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _find_texts(item)


def _check_key(key: str) -> str:
    if not isinstance(key, str) or not key or len(key) > MAX_KEY or not key.isprintable():
        raise UsageError(f"key {key!r}: expected 1 to {MAX_KEY} printable characters")
    return key


def _check_value(key: str, value: Any) -> None:
    try:
        text = dumps_exact(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"key {key!r}: the value is not JSON: {error}") from None
    if len(text) > MAX_VALUE:
        raise UsageError(f"key {key!r}: the value has {len(text):,} bytes; at most {MAX_VALUE:,}: store a path instead")
