"""Dates, times and durations: the typed value from Python's, pandas' or numpy's own, or from ISO 8601.

pandas is imported only for a parameter declared as its type.
"""

from __future__ import annotations

import datetime
import re
import sys
from typing import Any

from nbflow.parameters.forms import scalar_form
from nbflow.parameters.scalars import is_from, refuse

_DURATION = re.compile(
    r"(?P<sign>[+-])?P(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,12})(?:[.,](?P<fraction>\d{1,9}))?S)?)?"
)
_CLOCK = re.compile(
    r"(?:(?P<sign>-)?(?P<days>\d{1,9}) days?,? )?(?P<hours>\d{1,4}):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,9}))?"
)
_FINE_FRACTION = re.compile(r"\.\d{6}\d*[1-9]")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_FAR = 2**63


def as_date(value: Any) -> datetime.date:
    moment = _to_python_moment(value)
    if isinstance(moment, datetime.date) and not isinstance(moment, datetime.datetime):
        return datetime.date(moment.year, moment.month, moment.day)
    if isinstance(moment, str) and _ISO_DATE.match(moment):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError as error:
            raise refuse("date", value, f" ({error})") from None
    if isinstance(moment, datetime.datetime) and moment.tzinfo is None and moment.time() == datetime.time():
        return moment.date()
    raise refuse("date, as YYYY-MM-DD", value)


def as_datetime(value: Any) -> datetime.datetime:
    moment = _to_python_moment(value)
    if isinstance(moment, str) and _ISO_DATE.match(moment) and not _FINE_FRACTION.search(moment):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError as error:
            raise refuse("datetime", value, f" ({error})") from None
    if isinstance(moment, datetime.datetime):
        return _fix_zone(moment)
    if isinstance(moment, datetime.date):
        return datetime.datetime(moment.year, moment.month, moment.day)
    raise refuse("datetime, as 2026-01-31T12:00:00", value)


def as_time(value: Any) -> datetime.time:
    if isinstance(value, str) and not _FINE_FRACTION.search(value):
        try:
            value = datetime.time.fromisoformat(value)
        except ValueError:
            raise refuse("time, as HH:MM:SS", value) from None
    if isinstance(value, datetime.time) and (value.tzinfo is None or value.utcoffset() is not None):
        offset = value.utcoffset()
        return value.replace(tzinfo=None if offset is None else datetime.timezone(offset), fold=0)
    raise refuse("time, as HH:MM:SS", value)


def as_timedelta(value: Any) -> datetime.timedelta:
    if is_from(value, "pandas", "Timedelta"):
        nanoseconds = _read_duration(scalar_form(value))
    elif is_from(value, "numpy", "timedelta64"):
        nanoseconds = _numpy_nanoseconds(value)
    elif isinstance(value, datetime.timedelta):
        return value if type(value) is datetime.timedelta else datetime.timedelta(0) + value
    else:
        nanoseconds = _read_duration(value) if isinstance(value, str) else None
    if nanoseconds is None or nanoseconds % 1000:
        raise refuse("timedelta, as P1DT12H or 1 day, 12:00:00", value)
    try:
        return datetime.timedelta(microseconds=nanoseconds // 1000)
    except OverflowError as error:
        raise refuse("timedelta", value, f" ({error})") from None


def as_pandas_timestamp(value: Any) -> Any:
    import pandas

    fine = is_from(value, "numpy", "datetime64") and value.astype("datetime64[ns]") == value
    dated = isinstance(value, str) and _ISO_DATE.match(value)
    if dated or isinstance(value, datetime.date) or fine:
        try:
            moment: Any = pandas.Timestamp(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise refuse("Timestamp", value, f" ({error})") from None
        if moment is not pandas.NaT:
            offset = moment.utcoffset()
            return moment if offset is None else moment.tz_convert(datetime.timezone(offset))
    raise refuse("Timestamp, as 2026-01-31T12:00:00", value)


def as_pandas_timedelta(value: Any) -> Any:
    import pandas

    if isinstance(value, datetime.timedelta):
        nanoseconds = _read_duration(scalar_form(value)) if value is not pandas.NaT else None
    elif is_from(value, "numpy", "timedelta64"):
        nanoseconds = _numpy_nanoseconds(value)
    else:
        nanoseconds = _read_duration(value) if isinstance(value, str) else None
    if nanoseconds is None or not -_FAR < nanoseconds < _FAR:
        raise refuse("Timedelta, as P1DT12H or 1 day, 12:00:00", value)
    return pandas.Timedelta(nanoseconds, "ns")


def _to_python_moment(value: Any) -> Any:
    """pandas' and numpy's moments as Python's, where nothing is lost by it."""
    if is_from(value, "numpy", "datetime64"):
        value = as_pandas_timestamp(value) if "pandas" in sys.modules else _from_datetime64(value)
    if is_from(value, "pandas", "Timestamp"):
        return value.to_pydatetime(warn=False) if value.nanosecond == 0 else value.isoformat()
    return value


def _from_datetime64(value: Any) -> Any:
    fine = value.astype("datetime64[us]")
    return fine.item() if fine == value else str(value)


def _numpy_nanoseconds(value: Any) -> int | None:
    try:
        fine = value.astype("timedelta64[ns]")
        return int(fine.astype("int64")) if fine == value else None
    except (TypeError, ValueError, OverflowError):
        return None  # years and months have no fixed length


def _fix_zone(moment: datetime.datetime) -> datetime.datetime:
    """The same instant with a fixed offset: a zone's name has no place in ISO 8601."""
    offset = moment.utcoffset()
    zone = None if offset is None else datetime.timezone(offset)
    return datetime.datetime.combine(moment.date(), moment.time(), zone).replace(fold=0)


def _read_duration(text: str) -> int | None:
    """Nanoseconds of ``P1DT2H`` or ``1 day, 2:00:00``; None for anything else."""
    match = _DURATION.fullmatch(text) or _CLOCK.fullmatch(text)
    if match is None or not any(match.groupdict().values()) or text.endswith(("P", "T")):
        return None
    parts = match.groupdict()
    amounts = {name: int(parts.get(name) or 0) for name in ("weeks", "days", "hours", "minutes", "seconds")}
    negative = parts["sign"] == "-"
    if match.re is _CLOCK:
        # Python writes minus one second as "-1 day, 23:59:59": the sign is the days' alone.
        amounts["days"], negative = -amounts["days"] if negative else amounts["days"], False
    seconds = (amounts["weeks"] * 7 + amounts["days"]) * 86400 + amounts["hours"] * 3600
    seconds += amounts["minutes"] * 60 + amounts["seconds"]
    nanoseconds = seconds * 10**9 + int((parts["fraction"] or "").ljust(9, "0"))
    return -nanoseconds if negative else nanoseconds
