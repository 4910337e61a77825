"""Pages of backfills: all of them, and one."""

from __future__ import annotations

from urllib.parse import quote

from nbflow.server.pages.handler import PageHandler


class BackfillsPage(PageHandler):
    """All backfills, newest first."""

    section = "Backfills"

    def get(self) -> None:
        self.show("backfills.html")


class BackfillPage(PageHandler):
    """One backfill, by its id, a beginning of it, or its name."""

    section = "Backfills"

    async def get(self, backfill_id: str) -> None:
        backfill = await self.call(self.project.backfills.get, backfill_id)
        if backfill.id != backfill_id:
            self.redirect(f"{self.base_url}nbflow/backfills/{quote(backfill.id)}")
            return
        self.show("backfill.html", backfill=backfill.id, name=backfill.name)
