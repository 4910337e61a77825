"""The page of a run."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nbflow.errors import NbflowError
from nbflow.lifecycle import RunRecord
from nbflow.project import Project
from nbflow.server.pages.handler import PageHandler


class RunPage(PageHandler):
    """One run, by its id or an unambiguous beginning of it."""

    section = "Runs"

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        if run.id != run_id:
            self.redirect(f"{self.base_url}nbflow/runs/{quote(run.id)}")
            return
        schema = await self.call(_find_schema, self.project, run)
        self.show("run.html", run=run.id, name=run.name, schema=schema)


class ReportPage(PageHandler):
    """The report of a run by itself: in a frame, since what a notebook made may not have the tab."""

    section = "Runs"

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        self.show("report.html", run=run.id, name=run.name)


def _find_schema(project: Project, run: RunRecord) -> dict[str, Any] | None:
    """Of the notebook as it was when the run was asked for; None where it is gone."""
    try:
        return dict(project.load_run(run.id).declaration.json_schema())
    except NbflowError:
        return None
