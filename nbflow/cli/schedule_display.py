"""How schedules look on a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.summary import show_value
from nbflow.cli.table import write_facts, write_table
from nbflow.records import schedule_to_json

if TYPE_CHECKING:
    from nbflow.lifecycle import RunRecord
    from nbflow.scheduling import ScheduleRecord

SHOWN_TIMES = 5


def write_outcome(schedules: list[ScheduleRecord], *, as_json: bool) -> None:
    """What became of those that were paused or unpaused, a line each."""
    if as_json:
        write_json([schedule_to_json(schedule) for schedule in schedules])
        return
    for schedule in schedules:
        state = "paused" if schedule.paused else f"next: {(*list_next(schedule, 1), 'never again')[0]}"
        write_line(clean_line(f"{schedule.id}  {schedule.name}  {state}"))


def write_schedule(schedule: ScheduleRecord, *, runs: list[RunRecord] | None = None, problem: str = "") -> None:
    """Everything about one: its next times by its own clock, its values, its newest runs."""
    from nbflow.scheduling.policy import show_time

    version = f" version {schedule.flow_version}" if schedule.flow_version else ""
    facts = [
        ("schedule", schedule.id),
        ("name", clean_line(schedule.name)),
        ("flow", f"{schedule.flow}{version}"),
        ("when", f"{schedule.when} ({schedule.timezone})"),
        ("from", show_time(schedule, schedule.starts) if schedule.starts else ""),
        ("until", show_time(schedule, schedule.ends) if schedule.ends else ""),
        ("next", "\n".join(list_next(schedule)) or ("paused" if schedule.paused else "never again")),
        ("missed", schedule.catchup.value),
        ("overlap", schedule.overlap.value),
        ("tags", ", ".join(schedule.tags)),
        ("output", schedule.options.output or ""),
        ("note", schedule.note),
        ("problem", problem),
    ]
    write_facts([(name, value) for name, value in facts if value])
    _write_section("values", [(clean_line(name), show_value(value)) for name, value in schedule.parameters.items()])
    _write_section("runs", [_describe(schedule, run) for run in runs or ()])


def _describe(schedule: ScheduleRecord, run: RunRecord) -> tuple[str, str]:
    from nbflow.scheduling.policy import show_time

    due = show_time(schedule, run.scheduled_time or run.created)
    return run.id, f"{run.state.value:<10} {due}  {clean_line(run.message)}".rstrip()


def _write_section(title: str, facts: list[tuple[str, str]]) -> None:
    if facts:
        write_line()
        write_line(title)
        write_facts(facts, indent="  ")


def list_next(schedule: ScheduleRecord, count: int = SHOWN_TIMES) -> list[str]:
    """The next times by the schedule's own clock; none while it is paused."""
    from nbflow.scheduling import next_times
    from nbflow.scheduling.policy import show_time

    if schedule.paused:
        return []
    return [show_time(schedule, time) for time in next_times(schedule, datetime.now(UTC), count)]


def write_schedules(schedules: list[tuple[ScheduleRecord, RunRecord | None]]) -> None:
    """One row each, with its newest run."""
    rows = [
        (
            schedule.id,
            schedule.name,
            schedule.flow,
            str(schedule.when),
            "paused" if schedule.paused else (*list_next(schedule, 1), "never again")[0],
            run.state.value if run else "",
            clean_line(run.message if run else "", limit=60),
            " ".join(f"{key}={show_value(value, limit=30)}" for key, value in schedule.parameters.items()),
        )
        for schedule, run in schedules
    ]
    write_table(("schedule", "name", "flow", "when", "next", "last run", "", "parameters"), rows)
