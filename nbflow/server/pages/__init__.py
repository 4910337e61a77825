"""The web UI: pages under ``/nbflow``, whose scripts call the API. A page holds no logic of its own."""

from __future__ import annotations

from nbflow.server.pages.backfills import BackfillPage, BackfillsPage
from nbflow.server.pages.flows import AppPage, FlowPage, FlowsPage, NotebookPage
from nbflow.server.pages.handler import PageHandler
from nbflow.server.pages.lists import PairsPage, RunsPage
from nbflow.server.pages.runs import ReportPage, RunPage
from nbflow.server.pages.schedules import SchedulePage, SchedulesPage

PAGES: tuple[tuple[str, type[PageHandler]], ...] = (
    (r"/nbflow/?", FlowsPage),
    (r"/nbflow/flows/?", FlowsPage),
    (r"/nbflow/flows/([^/]+)/([^/]+)/?", FlowPage),
    (r"/nbflow/app/(.+)", AppPage),
    (r"/nbflow/notebook/?", NotebookPage),
    (r"/nbflow/runs/?", RunsPage),
    (r"/nbflow/runs/([^/]+)/?", RunPage),
    (r"/nbflow/runs/([^/]+)/report", ReportPage),
    (r"/nbflow/backfills/?", BackfillsPage),
    (r"/nbflow/backfills/([^/]+)/?", BackfillPage),
    (r"/nbflow/schedules/?", SchedulesPage),
    (r"/nbflow/schedules/([^/]+)/?", SchedulePage),
    (r"/nbflow/kv/?", PairsPage),
)

__all__ = ["PAGES", "PageHandler"]
