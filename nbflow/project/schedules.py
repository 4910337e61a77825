"""The schedules of a project: made, changed, checked, and turned into runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.errors import ConflictError, NbflowError, StoreError, UsageError
from nbflow.lifecycle import (
    Failure,
    FailureKind,
    Priority,
    RunOptions,
    RunRecord,
    RunState,
    new_run_id,
)
from nbflow.parameters import Finding
from nbflow.project.loading import LoadedFlow, load_file, load_registered
from nbflow.project.submission import Order, Request, check_folder, check_options, check_tag, prepare_run
from nbflow.project.templates import (
    check_values,
    make_moment,
    read_references,
    resolve_values,
    show_parameters,
)
from nbflow.scheduling import Catchup, Overlap, ScheduleRecord, next_times
from nbflow.scheduling.records import When, check_timezone
from nbflow.scheduling.tokens import Moment, TokenError, render_text

if TYPE_CHECKING:
    from nbflow.project import Project

MAX_CATCHUP = 10_000
_TIMING = frozenset({"when", "timezone", "starts", "ends"})


class Schedules:
    """What can be done with schedules. Each is named by its id, a beginning of it, or its name."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def get(self, schedule_id: str) -> ScheduleRecord:
        """Raises NotFoundError."""
        return self._project.store.get_schedule(schedule_id)

    def find(self, *flows: str) -> list[ScheduleRecord]:
        """All, or those of these flows: full names, or absolute paths."""
        return self._project.store.list_schedules(flows=flows or None)

    def create(
        self, flow: LoadedFlow, when: When, values: Mapping[str, Any] | None = None, **settings: Any
    ) -> ScheduleRecord:
        """Check everything, and record a schedule: its first run is made at the first fire time from now on.

        *settings* are fields of ScheduleRecord: ``name``, ``timezone``, ``starts``, ``ends``, ``run_name``, ``tags``,
        ``options``, ``catchup``, ``catchup_limit``, ``overlap``, ``misfire_grace``, ``paused``.
        Raises ParameterError with every fault of the values, UsageError, OutputError, KernelError, ConflictError.
        """
        made = self.prepare_new(flow, when, values, **settings)
        self._project.store.add_schedule(replace(made, next_due=_find_first(made, made.created)))
        return self.get(made.id)

    def prepare_new(
        self, flow: LoadedFlow, when: When, values: Mapping[str, Any] | None = None, **settings: Any
    ) -> ScheduleRecord:
        """What :meth:`create` would record. Raises as it does."""
        now = datetime.now(UTC)
        schedule_id = secrets.token_hex(4)
        label = flow.label.rpartition("/")[2]
        made = ScheduleRecord(
            id=schedule_id,
            flow=flow.reference,
            flow_version=flow.version.number if flow.version and flow.pinned else None,
            when=when,
            created=now,
            **{**settings, "name": settings.get("name") or f"{label}-{schedule_id[:4]}"},
        )
        return self._check(made, flow, values or {}, now)

    def edit(
        self,
        schedule_id: str,
        *,
        values: Mapping[str, Any] | None = None,
        unset: Sequence[str] = (),
        **changes: Any,
    ) -> ScheduleRecord:
        """Change settings, give *values* anew, or drop those in *unset*. What was fired is not fired again.

        Raises as :meth:`create` does; nothing is changed then.
        """
        now = datetime.now(UTC)
        wanted = self.prepare_change(schedule_id, values=values, unset=unset, **changes)
        changed = {name: getattr(wanted, name) for name in (*changes, "parameters")}
        if _TIMING & set(changes) or "paused" in changes:
            changed["next_due"] = _find_first(wanted, now)
        return self._project.store.update_schedule(wanted.id, lambda current: replace(current, **changed))

    def prepare_change(
        self,
        schedule_id: str,
        *,
        values: Mapping[str, Any] | None = None,
        unset: Sequence[str] = (),
        **changes: Any,
    ) -> ScheduleRecord:
        """What :meth:`edit` would make of it. Raises as it does."""
        known = self.get(schedule_id)
        unknown = [name for name in unset if name not in known.parameters]
        if unknown:
            raise UsageError(f"schedule {known.name}: it gives no value to {', '.join(unknown)}")
        kept = {name: value for name, value in known.parameters.items() if name not in unset}
        wanted = replace(known, **changes)
        return self._check(wanted, self.load(wanted), {**kept, **(values or {})}, datetime.now(UTC))

    def pause(self, schedule_id: str) -> ScheduleRecord:
        """Fire no more, until it is unpaused."""
        return self._project.store.update_schedule(
            self.get(schedule_id).id, lambda current: replace(current, paused=True)
        )

    def unpause(self, schedule_id: str) -> ScheduleRecord:
        """Fire again, from the next fire time on: those that passed meanwhile were not missed but meant."""
        now = datetime.now(UTC)

        def resume(current: ScheduleRecord) -> ScheduleRecord:
            following = next_times(current, now, 1)
            return replace(current, paused=False, next_due=following[0] if following else None)

        known = self.get(schedule_id)
        return self._project.store.update_schedule(known.id, resume) if known.paused else known

    def remove(self, schedule_id: str) -> ScheduleRecord:
        """Forget it; as it was. Its runs stay."""
        known = self.get(schedule_id)
        self._project.store.remove_schedule(known.id, now=datetime.now(UTC))
        return known

    def load(self, schedule: ScheduleRecord) -> LoadedFlow:
        """The flow that a run made now would execute. Raises NotebookError, NotFoundError."""
        if os.path.isabs(schedule.flow):
            return load_file(schedule.flow)
        return load_registered(schedule.flow, self._project.store, version=schedule.flow_version)

    def find_problem(self, schedule: ScheduleRecord) -> NbflowError | None:
        """Why a run could not be made now: the notebook is gone, or refuses the schedule's values since it changed."""
        now = datetime.now(UTC)
        try:
            flow = self.load(schedule)
            check_values(flow.declaration, schedule.parameters, make_moment(schedule, now, None))
            self._request(schedule, flow, now, now)
        except NbflowError as error:
            return error
        return None

    def check(self, flow: LoadedFlow) -> list[Finding]:
        """What the author of a scheduled notebook should know: schedules that can't run, dates that never change."""
        from nbflow.parameters.check import find_frozen_dates

        schedules = self.find(flow.reference)
        found = []
        for schedule in schedules:
            problem = self.find_problem(schedule)
            if problem is not None:
                reason = " ".join(str(problem).split("\n")[0].split())
                message = f"schedule {schedule.name} can't run any more: {reason}; nbflow schedule edit {schedule.name}"
                found.append(Finding(rule="schedule", severity="error", message=message))
        for frozen in find_frozen_dates(flow.declaration) if schedules else []:
            names = [schedule.name for schedule in schedules if frozen.parameter not in schedule.parameters]
            if names:
                message = f"{frozen.message} (schedule {', '.join(names)})"
                found.append(replace(frozen, severity="warning", message=message))
        return found

    def run_now(self, schedule_id: str, *, detach: bool = False) -> RunRecord:
        """A run with the schedule's values, at once, executed by this process or by one of its own.

        Its tokens stand for now. Raises as ``Project.submit`` does.
        """
        schedule = self.get(schedule_id)
        now = datetime.now(UTC)
        flow = self.load(schedule)
        request = self._request(schedule, flow, now, now)
        run = replace(request.run, priority=Priority.INTERACTIVE)
        given = {name: schedule.parameters[name] for name in request.secrets}
        request = Request(run=run, secrets=read_references(given))
        return self._project.begin(request, flow, detach=detach)

    def prepare(self, schedule: ScheduleRecord, time: datetime, now: datetime) -> RunRecord:
        """The run of a fire time. One that can't be made is a failed run that says why; StoreError alone is raised."""
        flow: LoadedFlow | None = None
        try:
            flow = self.load(schedule)
            run = self._request(schedule, flow, time, now).run
            self._project.store.put_notebook(run.notebook_hash, flow.notebook.content)
            return run
        except StoreError:
            raise
        except Exception as error:
            return _fail(schedule, flow, time, now, error)

    def _request(self, schedule: ScheduleRecord, flow: LoadedFlow, time: datetime, now: datetime) -> Request:
        moment = make_moment(schedule, time, self._project.store.find_last_success(schedule.id))
        values = resolve_values(flow.declaration, schedule.parameters, moment)
        options = schedule.options
        if options.output is not None:
            options = replace(options, output=_render(options.output, moment, "output"))
        name = None if schedule.run_name is None else _render(schedule.run_name, moment, "run name")
        order = Order(options=options, name=name, tags=schedule.tags)
        project = self._project
        request = prepare_run(flow, values, order, get_run=project.get_run, now=now, confined_to=project.confined_to)
        run = replace(request.run, priority=Priority.SCHEDULED, schedule_id=schedule.id, scheduled_time=time)
        return Request(run=run, secrets=request.secrets)

    def _check(
        self, schedule: ScheduleRecord, flow: LoadedFlow, values: Mapping[str, Any], now: datetime
    ) -> ScheduleRecord:
        """The schedule with its settings and values checked, relative paths and words made what they stand for."""
        schedule = _check_settings(schedule)
        following = next_times(schedule, now, 1)
        moment = make_moment(schedule, following[0] if following else now, None)
        schedule = replace(schedule, parameters=check_values(flow.declaration, values, moment))
        self._request(schedule, flow, moment.scheduled, now)
        return schedule


def _check_settings(schedule: ScheduleRecord) -> ScheduleRecord:
    """Raises UsageError."""
    if not schedule.name.strip() or len(schedule.name) > 100 or not schedule.name.isprintable():
        raise UsageError(f"schedule name {schedule.name!r}: expected 1 to 100 printable characters")
    if not 1 <= schedule.catchup_limit <= MAX_CATCHUP:
        raise UsageError(f"catchup_limit = {schedule.catchup_limit}: expected 1 to {MAX_CATCHUP}")
    if not 0 <= schedule.misfire_grace < float("inf"):
        raise UsageError(f"misfire_grace = {schedule.misfire_grace}: expected seconds, 0 or more")
    for name in ("starts", "ends"):
        time = getattr(schedule, name)
        if time is not None and time.tzinfo is None:
            raise UsageError(f"{name} = {time}: it has no timezone; add one, such as .astimezone()")
    if schedule.starts and schedule.ends and schedule.ends < schedule.starts:
        raise UsageError(f"the schedule ends before it starts: {schedule.ends} < {schedule.starts}")
    check_options(schedule.options)
    return replace(
        schedule,
        timezone=check_timezone(schedule.timezone),
        catchup=_choose(Catchup, schedule.catchup, "catchup"),
        overlap=_choose(Overlap, schedule.overlap, "overlap"),
        tags=tuple(dict.fromkeys(check_tag(tag) for tag in schedule.tags)),
        options=_make_absolute(schedule.options),
    )


def _render(text: str, moment: Moment, what: str) -> str:
    try:
        rendered = render_text(text, moment)
    except TokenError as error:
        raise UsageError(f"{what} {text!r}: {error}") from None
    if rendered is None:
        raise UsageError(f"{what} {text!r}: last_success has no value before the first success")
    return rendered


def _choose(kind: type[StrEnum], word: str, what: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise UsageError(f"{what} {word!r}: there are {', '.join(kind)}") from None


def _make_absolute(options: RunOptions) -> RunOptions:
    """The scheduler may run in another folder than the one that a path was given in."""
    output = None if options.output is None else os.path.abspath(options.output)
    return replace(options, output=output, cwd=None if options.cwd is None else check_folder(options.cwd))


def _find_first(schedule: ScheduleRecord, now: datetime) -> datetime:
    following = next_times(schedule, now, 1)
    if not following:
        raise ConflictError(f"schedule {schedule.name}: it would never fire; look at its start and end")
    return following[0]


def _fail(
    schedule: ScheduleRecord, flow: LoadedFlow | None, time: datetime, now: datetime, error: Exception
) -> RunRecord:
    run_id = new_run_id()
    text = str(error) if isinstance(error, NbflowError | ValueError) else f"{type(error).__name__}: {error}"
    message = f"the schedule's run could not be made: {text}"[:500]
    source = str(flow.source_path) if flow else schedule.flow
    return RunRecord(
        id=run_id,
        state=RunState.FAILED,
        name=f"{Path(schedule.flow).stem}-{run_id[:6]}",
        notebook_hash=flow.notebook.hash if flow else "",
        source_path=source,
        flow=None if os.path.isabs(schedule.flow) else schedule.flow,
        flow_version=flow.version.number if flow and flow.version else None,
        parameters=show_parameters(schedule, flow.declaration if flow else None, time),
        options=schedule.options,
        tags=schedule.tags,
        priority=Priority.SCHEDULED,
        created=now,
        ended=now,
        failure=Failure(kind=FailureKind.SETUP, message=message),
        message=message,
        root_id=run_id,
        scheduled_time=time,
        schedule_id=schedule.id,
    )
