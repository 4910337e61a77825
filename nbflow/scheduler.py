"""The scheduler: makes the runs of fire times that are due. Any number may live at once, in one process or in many.

What makes a fire time one run is the store's compare-and-set; the scheduler may be killed, stopped or put to sleep at any
moment. It reads the clock again and again rather than sleeping until a fire time, so that a clock that jumps is noticed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from nbflow.errors import StoreError, UsageError
from nbflow.lifecycle import RunRecord
from nbflow.ports import Store
from nbflow.scheduling import ScheduleRecord
from nbflow.scheduling.policy import Decision, decide_due, find_earlier

LONGEST_PAUSE = 1.0
SHORTEST_PAUSE = 0.02
CHECK_PAUSE = timedelta(minutes=10)
"""How often announced times are compared with the clock, which may have been set back."""

Prepare = Callable[[ScheduleRecord, datetime, datetime], RunRecord]
"""The run of a schedule for a fire time, at a moment. Raises nothing but StoreError: what can't run is a failed run."""


def read_clock() -> datetime:
    return datetime.now(UTC)


class Scheduler:
    """A background thread that makes the runs of the schedules in a store; whoever serves that store executes them."""

    def __init__(
        self,
        store: Store,
        prepare: Prepare,
        *,
        clock: Callable[[], datetime] = read_clock,
        tell: Callable[[RunRecord], None] | None = None,
    ) -> None:
        """*tell* hears of every run that was made here; it must neither raise nor wait."""
        self._store = store
        self._prepare = prepare
        self._clock = clock
        self._tell = tell or (lambda run: None)
        self._checked: datetime | None = None
        self._closing = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nbflow-scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look at the store now rather than at the next turn."""
        self._woken.set()

    def close(self) -> None:
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def tick(self, now: datetime) -> list[RunRecord]:
        """Fire what is due *now*, and let go of runs that waited for earlier ones; the runs that were made."""
        made: list[RunRecord] = []
        if self._checked is None or abs(now - self._checked) >= CHECK_PAUSE:
            self._checked = now
            self._check_clock(now)
        for schedule in self._store.list_schedules(due_by=now):
            made += self._fire(schedule, now)
        for run in made:
            self._tell(run)
        self._store.release_held()
        return made

    def _fire(self, schedule: ScheduleRecord, now: datetime) -> list[RunRecord]:
        try:
            decision = decide_due(schedule, now)
        except Exception as error:
            # One that can't be understood (its timezone is gone from the database) must not cost the others their runs.
            logging.getLogger(__name__).exception("schedule %s can't be decided upon", schedule.id)
            note = f"its times can't be told: {error}"
            if note == schedule.note:
                return []
            decision = Decision(next_due=schedule.next_due, note=note)
        runs = [self._prepare(schedule, time, now) for time in decision.due]
        return self._store.fire(schedule, runs, next_due=decision.next_due, note=decision.note) or []

    def _check_clock(self, now: datetime) -> None:
        for schedule in self._store.list_schedules():
            earlier = None
            with suppress(UsageError):  # a timezone that is gone is told when its schedule is due
                earlier = None if schedule.paused else find_earlier(schedule, now)
            if earlier is not None:
                self._store.fire(schedule, [], next_due=earlier)

    def _run(self) -> None:
        failing = False
        while not self._closing.is_set():
            pause = LONGEST_PAUSE
            try:
                self.tick(self._clock())
                pause = self._find_pause()
                failing = False
            except StoreError as error:
                if not failing:
                    logging.getLogger(__name__).warning(
                        "the scheduler can't use its store, and goes on trying: %s", error
                    )
                failing = True
            except Exception:
                logging.getLogger(__name__).exception("the scheduler goes on")
            self._woken.wait(pause)
            self._woken.clear()

    def _find_pause(self) -> float:
        following = self._store.find_next_due()
        if following is None:
            return LONGEST_PAUSE
        return min(max((following - self._clock()).total_seconds(), SHORTEST_PAUSE), LONGEST_PAUSE)
