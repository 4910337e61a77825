"""Pages that list things."""

from __future__ import annotations

from nbflow.server.pages.handler import PageHandler


class RunsPage(PageHandler):
    """All runs, with filters."""

    section = "Runs"

    def get(self) -> None:
        self.show("runs.html")


class PairsPage(PageHandler):
    """All key-value pairs."""

    section = "Pairs"

    def get(self) -> None:
        self.show("kv.html")
