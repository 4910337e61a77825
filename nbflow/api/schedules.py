"""Schedules as objects, and the list of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from nbflow.api.listing import Runs
from nbflow.api.run import Run
from nbflow.api.session import get_project
from nbflow.errors import UsageError
from nbflow.ports import RunFilter
from nbflow.project import Project
from nbflow.scheduling import ScheduleRecord, next_times
from nbflow.scheduling import cron as make_cron
from nbflow.scheduling import every as make_every
from nbflow.scheduling.records import When

_PLAIN = frozenset(
    {"timezone", "starts", "ends", "name", "catchup", "catchup_limit", "overlap", "misfire_grace", "tags"}
)


class Schedule:
    """When a flow runs by itself, and with which values; made by :meth:`Flow.schedule`.

    Its runs are made and executed by ``nbflow scheduler run``, or by a server, on a machine that is up.
    """

    def __init__(self, record: ScheduleRecord, project: Project) -> None:
        self._record = record
        self._project = project

    @property
    def record(self) -> ScheduleRecord:
        """All that the store knows of it, read anew. Raises NotFoundError once it was removed."""
        self._record = self._project.schedules.get(self._record.id)
        return self._record

    @property
    def id(self) -> str:
        """For ever; an unambiguous beginning of it will do where one is asked for."""
        return self._record.id

    @property
    def name(self) -> str:
        """For people; one of its own."""
        return self.record.name

    @property
    def flow(self) -> str:
        """``project/name``, or the path of the notebook."""
        return self._record.flow

    @property
    def when(self) -> When:
        """A ``Cron`` or an ``Every``."""
        return self.record.when

    @property
    def timezone(self) -> str:
        """Whose clock its times are read by: ``Europe/Berlin``."""
        return self.record.timezone

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of its runs, in JSON form; tokens and references of secrets as they were given."""
        return dict(self.record.parameters)

    @property
    def paused(self) -> bool:
        """Whether it fires no more, until it is unpaused."""
        return self.record.paused

    @property
    def problem(self) -> str | None:
        """Why a run could not be made now; None when it could."""
        error = self._project.schedules.find_problem(self.record)
        return str(error) if error else None

    @property
    def last_success(self) -> datetime | None:
        """The scheduled time of the newest run that completed."""
        found = self._project.store.find_last_success(self.id)
        return found and found.astimezone(self._record.zone)

    def next_times(self, count: int = 5) -> list[datetime]:
        """The next fire times, by the schedule's own clock; none while it is paused."""
        record = self.record
        if record.paused:
            return []
        return [time.astimezone(record.zone) for time in next_times(record, datetime.now(UTC), count)]

    def runs(self, *, limit: int | None = 100) -> Runs:
        """Its runs, newest first."""
        return Runs.find(self._project, RunFilter(schedule_id=self.id, limit=limit))

    def run_now(self) -> Run:
        """A run with its values at once, executed by this process; tokens stand for now. Does not wait for its end.

        Raises ParameterError and NotebookError.
        """
        return Run(self._project.schedules.run_now(self.id), self._project)

    def pause(self) -> Self:
        """Fire no more, until it is unpaused."""
        self._record = self._project.schedules.pause(self.id)
        return self

    def unpause(self) -> Self:
        """Fire again, from the next fire time on; none of those that passed meanwhile."""
        self._record = self._project.schedules.unpause(self.id)
        return self

    def edit(
        self,
        when: When | None = None,
        /,
        parameters: Mapping[str, Any] | None = None,
        *,
        unset: Sequence[str] = (),
        cron: str | None = None,
        every: str | float | timedelta | None = None,
        **changes: Any,
    ) -> Self:
        """Change what is given, as :meth:`Flow.schedule` takes it; *unset* names parameters to go back to their defaults.

        Raises UsageError, ConflictError and ParameterError as that does; nothing is changed then.
        """
        if when is not None or cron is not None or every is not None:
            changes["when"] = choose_when(when, cron, every)
        settings = check_settings(changes, {*_PLAIN, "when"})
        self._record = self._project.schedules.edit(self.id, values=parameters, unset=unset, **settings)
        return self

    def remove(self) -> None:
        """Forget it. Its runs stay."""
        self._project.schedules.remove(self.id)

    def __repr__(self) -> str:
        record = self._record
        paused = ", paused" if record.paused else ""
        return f"<schedule {record.name} ({record.id}) of {record.flow}: {record.when} {record.timezone}{paused}>"

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_schedule

        return show_schedule(self)


class Schedules(list[Schedule]):
    """Schedules, by flow and name."""

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_schedules

        return show_schedules(self)


def schedules(flow: str | os.PathLike[str] | None = None) -> Schedules:
    """All schedules, or those of one *flow*: a registered name, or the path of a notebook."""
    project = get_project()
    text = None if flow is None else os.fspath(flow)
    if text is not None and (os.path.exists(text) or text.endswith(".ipynb")):
        text = os.path.abspath(text)
    found = project.schedules.find() if text is None else project.schedules.find(text)
    return Schedules(Schedule(record, project) for record in found)


def choose_when(when: When | None, cron: str | None, every: str | float | timedelta | None) -> When:
    """The one that was given. Raises UsageError."""
    given = [one for one in (when, cron, every) if one is not None]
    if len(given) != 1:
        raise UsageError("schedule: give one of cron='0 7 * * 1-5' and every='10min'")
    if cron is not None:
        return make_cron(cron)
    if every is not None:
        return make_every(every)
    if isinstance(when, str) or when is None:
        raise UsageError(f"schedule {when!r}: write nbflow.cron(...) or nbflow.every(...)")
    return when


def check_settings(settings: Mapping[str, Any], known: set[str] | frozenset[str] = _PLAIN) -> dict[str, Any]:
    """Settings by their names, lengths of time in seconds. Raises UsageError for an unknown one."""
    import difflib

    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise UsageError(f"schedule option {name!r} is unknown; {hint}\nvalues go into parameters={{...}}")
    checked = {name: value for name, value in settings.items() if value is not None or name in ("starts", "ends")}
    if isinstance(checked.get("misfire_grace"), timedelta):
        checked["misfire_grace"] = checked["misfire_grace"].total_seconds()
    if "tags" in checked:
        tags = checked["tags"]
        checked["tags"] = (tags,) if isinstance(tags, str) else tuple(tags)
    return checked
