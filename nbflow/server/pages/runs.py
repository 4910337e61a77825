"""The page of a run."""

from __future__ import annotations

from urllib.parse import quote

from nbflow.server.pages.handler import PageHandler


class RunPage(PageHandler):
    """One run, by its id or an unambiguous beginning of it."""

    section = "Runs"

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        if run.id != run_id:
            self.redirect(f"{self.base_url}nbflow/runs/{quote(run.id)}")
            return
        self.show("run.html", run=run.id, name=run.name)
