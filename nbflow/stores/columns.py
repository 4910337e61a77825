"""Column types that mean the same on SQLite and Postgres: text that holds any ``str``, moments in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
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

    # The processors themselves rather than process_bind_param and process_result_value: a listing calls them by the million.
    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return _escape

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        return _unescape


class Moment(TypeDecorator[datetime]):
    """A timezone-aware time, kept as microseconds since 1970 in UTC and always given back in UTC."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _to_microseconds

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _to_time


def _escape(text: str | None) -> str | None:
    if text is None or not _UNSAFE.search(text):
        return text
    return _UNSAFE.sub(lambda match: f"\x1a{ord(match[0]):04x}", text)


def _unescape(text: str | None) -> str | None:
    if text is None or "\x1a" not in text:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def _to_microseconds(time: datetime | None) -> int | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"time {time.isoformat()}: times in the store must know their timezone")
    return (time - _EPOCH) // _MICROSECOND


def _to_time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
