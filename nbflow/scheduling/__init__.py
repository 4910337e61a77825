"""Schedules: when a flow runs by itself, and with which values. Frozen records and pure functions; time is an argument.

(Not called ``schedules``, since ``nbflow.schedules(...)`` is the call that lists them.)
"""

from nbflow.scheduling.records import Catchup, Cron, Every, Overlap, ScheduleRecord, cron, every
from nbflow.scheduling.times import next_times

__all__ = ["Catchup", "Cron", "Every", "Overlap", "ScheduleRecord", "cron", "every", "next_times"]
