"""Column types that mean the same on SQLite and Postgres: text that holds any ``str``, moments in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

# Postgres text can't hold NUL, and neither database takes a lone surrogate (a file name that isn't UTF-8 has them).
# Each becomes SUB and four hexadecimal digits; SUB itself too, so that reading gives back exactly what was written.
_UNSAFE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Words(TypeDecorator[str]):
    """Any text, compared and sorted by code point on both databases."""

    impl = Text().with_variant(Text(collation="C"), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not _UNSAFE.search(value):
            return value
        return _UNSAFE.sub(lambda match: f"\x1a{ord(match[0]):04x}", value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or "\x1a" not in value:
            return value
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)


class Moment(TypeDecorator[datetime]):
    """A timezone-aware time, kept as microseconds since 1970 in UTC and always given back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value.isoformat()}: times in the store must know their timezone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)
