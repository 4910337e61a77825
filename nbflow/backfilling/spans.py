"""Ranges of dates, times and numbers, as values for an axis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Literal

from nbflow.errors import UsageError

Inclusive = Literal["both", "neither", "left", "right"]

MAX_VALUES = 1_000_000
_PLAIN_STEP = re.compile(r"([1-9]\d{0,5})?\s*(D|d|days?|W|w|weeks?|h|H|hours?|min|minutes?|s|seconds?)")
_UNITS = {"d": "days", "w": "weeks", "h": "hours", "m": "minutes", "s": "seconds"}


def date_range(
    start: str | date,
    end: str | date,
    *,
    step: Any = "1D",
    tz: str | tzinfo | None = None,
    inclusive: Inclusive = "both",
) -> list[date] | list[datetime]:
    """The dates from *start* to *end*, both included: whole days as dates, anything else as datetimes.

    *step* is a pandas frequency (``"1D"``, ``"W-MON"``, ``"MS"``, ``"6h"``) or a timedelta; by the clock of the timezone
    *tz* where one is given. Raises UsageError.
    """
    if inclusive not in ("both", "neither", "left", "right"):
        raise UsageError(f"inclusive = {inclusive!r}: there are both, neither, left, right")
    first, last = _read_end(start, "start"), _read_end(end, "end")
    length = _plain_step(step)
    if length is not None and tz is None and first.tzinfo is None and last.tzinfo is None:
        times = list(islice(_count(first, last, length), MAX_VALUES + 1))
        times = _trim(times, first, last, inclusive)
    else:
        times = _ask_pandas(first, last, step, tz, inclusive)
    if not times:
        raise UsageError(f"date range {start} to {end}, step {step}: no date lies in it; does it end before it starts?")
    if len(times) > MAX_VALUES:
        raise UsageError(
            f"date range {start} to {end}, step {step}: more than {MAX_VALUES:,} values; take a longer step"
        )
    if all(moment.tzinfo is None and moment.time() == time() for moment in times):
        return [moment.date() for moment in times]
    return times


def number_range(start: str, end: str, step: str = "1") -> list[int | float]:
    """The numbers from *start* to *end*, both included, exactly as their decimal texts say. Raises UsageError."""
    shown = f"range {start}..{end}, step {step}"
    try:
        first, last, width = Decimal(start), Decimal(end), Decimal(step)
    except InvalidOperation:
        raise UsageError(f"{shown}: expected numbers") from None
    if not (first.is_finite() and last.is_finite() and width.is_finite()) or width <= 0:
        raise UsageError(f"{shown}: expected finite numbers, and a step above 0")
    if last < first:
        raise UsageError(f"{shown}: it ends before it starts")
    count = int((last - first) / width) + 1
    if count > MAX_VALUES:
        raise UsageError(f"{shown}: more than {MAX_VALUES:,} values; take a longer step")
    is_whole = all("." not in text and "e" not in text.lower() for text in (start, end, step))
    return [int(first + width * n) if is_whole else float(first + width * n) for n in range(count)]


def _read_end(given: str | date, what: str) -> datetime:
    if isinstance(given, datetime):
        plain = getattr(given, "to_pydatetime", None)  # a pandas Timestamp
        return plain() if plain else given
    if isinstance(given, date):
        return datetime.combine(given, time())
    try:
        return datetime.fromisoformat(str(given).strip())
    except ValueError:
        raise UsageError(f"{what} of the date range {given!r}: expected 2026-01-31 or 2026-01-31T18:00") from None


def _plain_step(step: Any) -> timedelta | None:
    """A step that needs no calendar; None for one that pandas knows better."""
    if isinstance(step, timedelta):
        return timedelta(seconds=step.total_seconds()) if step > timedelta() else None
    found = _PLAIN_STEP.fullmatch(step.strip()) if isinstance(step, str) else None
    if found is None or found[2] in ("W", "w"):  # pandas' weeks are the Sundays
        return None
    return timedelta(**{_UNITS[found[2][0].lower()]: int(found[1] or 1)})


def _count(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    moment = first
    while moment <= last:
        yield moment
        try:
            moment += step
        except OverflowError:
            return


def _trim(times: list[datetime], first: datetime, last: datetime, inclusive: Inclusive) -> list[datetime]:
    if inclusive in ("neither", "right") and times and times[0] == first:
        times = times[1:]
    if inclusive in ("neither", "left") and times and times[-1] == last:
        times = times[:-1]
    return times


def _ask_pandas(
    first: datetime, last: datetime, step: Any, tz: str | tzinfo | None, inclusive: Inclusive
) -> list[datetime]:
    import pandas as pd

    try:
        try:
            found = pd.date_range(first, last, freq=step, tz=tz, inclusive=inclusive)
        except ValueError:
            if tz is None:
                raise
            found = _change_clocks(first, last, step, tz, inclusive)
    except (ValueError, TypeError, KeyError, ArithmeticError, AssertionError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UsageError(
            f"date range {first:%Y-%m-%d} to {last:%Y-%m-%d}: {reason or type(error).__name__}\n"
            "step is a pandas frequency (1D, W-MON, MS, 6h), tz a name such as Europe/Berlin"
        ) from None
    moments: Sequence[pd.Timestamp] = list(found[: MAX_VALUES + 1])
    return [moment.to_pydatetime() for moment in moments]


def _change_clocks(first: datetime, last: datetime, step: Any, tz: str | tzinfo, inclusive: Inclusive) -> Any:
    """A range of which a time falls into the hour that is left out in spring or comes twice in autumn.

    The first becomes the next time that there is, of the second the earlier one is meant: as cron and schedules have it.
    """
    import numpy as np
    import pandas as pd
    from pandas.tseries.frequencies import to_offset
    from pandas.tseries.offsets import Day, Tick

    offset = to_offset(step)
    if isinstance(offset, Tick) and not isinstance(offset, Day):
        start = pd.Timestamp(first).tz_localize(tz, nonexistent="shift_forward", ambiguous=True)
        end = pd.Timestamp(last).tz_localize(tz, nonexistent="shift_forward", ambiguous=True)
        return pd.date_range(start, end, freq=step, inclusive=inclusive)
    plain = pd.date_range(first, last, freq=step, inclusive=inclusive)
    return plain.tz_localize(tz, nonexistent="shift_forward", ambiguous=np.full(len(plain), True))
