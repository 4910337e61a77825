"""Pages of schedules: all of them, and one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nbflow.errors import NbflowError
from nbflow.project import Project
from nbflow.project.loading import notebook_to_json
from nbflow.scheduling import ScheduleRecord
from nbflow.server.pages.handler import PageHandler


class SchedulesPage(PageHandler):
    """All schedules."""

    section = "Schedules"

    def get(self) -> None:
        self.show("schedules.html")


class SchedulePage(PageHandler):
    """One schedule, by its id, a beginning of it, or its name: of a registered flow, or of a notebook wherever it lies."""

    section = "Schedules"

    async def get(self, schedule_id: str) -> None:
        schedule = await self.call(self.project.schedules.get, schedule_id)
        if schedule.id != schedule_id:
            self.redirect(f"{self.base_url}nbflow/schedules/{quote(schedule.id)}")
            return
        target = await self.call(_describe, self.project, schedule)
        self.show("schedule.html", schedule=schedule.id, name=schedule.name, target=target)


def _describe(project: Project, schedule: ScheduleRecord) -> dict[str, Any] | None:
    """What its form is made from; None where its notebook is gone."""
    try:
        shown = notebook_to_json(project.schedules.load(schedule))
    except NbflowError:
        return None
    return {"schema": shown["json_schema"], "parameters": shown["parameters"]}
