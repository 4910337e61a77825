"""Every address of the server and who answers there."""

from __future__ import annotations

from typing import Any

from nbflow.server import backfills, documents, flows, logs, monitoring, openapi, pairs, runs, schedules
from nbflow.server.handlers import ApiHandler, UnknownHandler
from nbflow.server.pages import PAGES

Route = tuple[str, type[Any]]

FLOW = r"flows/([^/]+)/([^/]+)"
BACKFILL = r"backfills/([^/]+)"
SCHEDULE = r"schedules/([^/]+)"
RUN = r"runs/([^/]+)"

API: tuple[tuple[str, type[ApiHandler]], ...] = (
    (r"health", monitoring.HealthHandler),
    (r"metrics", monitoring.MetricsHandler),
    (r"openapi.json", openapi.OpenApiHandler),
    (r"flows", flows.FlowsHandler),
    (FLOW, flows.FlowHandler),
    (rf"{FLOW}/schema", flows.FlowSchemaHandler),
    (rf"{FLOW}/versions", flows.FlowVersionsHandler),
    (rf"{FLOW}/notebook", flows.FlowNotebookHandler),
    (rf"{FLOW}/validate", flows.FlowCheckHandler),
    (rf"{FLOW}/runs", runs.FlowRunsHandler),
    (r"limits", flows.LimitsHandler),
    (r"notebooks", flows.NotebookHandler),
    (r"runs", runs.RunsHandler),
    (r"runs/counts", runs.RunCountsHandler),
    (r"runs/columns", runs.RunColumnsHandler),
    (RUN, runs.RunHandler),
    (rf"{RUN}/tree", runs.RunTreeHandler),
    (rf"{RUN}/cancel", runs.RunCancelHandler),
    (rf"{RUN}/retry", runs.RunRetryHandler),
    (rf"{RUN}/rerun", runs.RunRerunHandler),
    (rf"{RUN}/waiting", runs.RunWaitingHandler),
    (rf"{RUN}/hooks", runs.RunHooksHandler),
    (rf"{RUN}/source", documents.RunSourceHandler),
    (rf"{RUN}/logs", logs.LogsHandler),
    (rf"{RUN}/events", logs.EventsHandler),
    (rf"{RUN}/notebook", documents.RunNotebookHandler),
    (rf"{RUN}/report", documents.RunReportHandler),
    (r"backfills", backfills.BackfillsHandler),
    (BACKFILL, backfills.BackfillHandler),
    (rf"{BACKFILL}/pause", backfills.BackfillPauseHandler),
    (rf"{BACKFILL}/unpause", backfills.BackfillUnpauseHandler),
    (rf"{BACKFILL}/cancel", backfills.BackfillCancelHandler),
    (rf"{BACKFILL}/resume", backfills.BackfillResumeHandler),
    (rf"{BACKFILL}/runs", backfills.BackfillRunsHandler),
    (rf"{BACKFILL}/grid", backfills.BackfillGridHandler),
    (rf"{BACKFILL}/frame", backfills.BackfillFrameHandler),
    (r"schedules", schedules.SchedulesHandler),
    (r"schedules/preview", schedules.SchedulePreviewHandler),
    (SCHEDULE, schedules.ScheduleHandler),
    (rf"{SCHEDULE}/preview", schedules.ScheduleChangePreviewHandler),
    (rf"{SCHEDULE}/pause", schedules.SchedulePauseHandler),
    (rf"{SCHEDULE}/unpause", schedules.ScheduleUnpauseHandler),
    (rf"{SCHEDULE}/run", schedules.ScheduleRunHandler),
    (r"kv", pairs.PairsHandler),
    (r"kv/(.+)", pairs.PairHandler),
)


def list_routes() -> list[Route]:
    """As Tornado takes them, the most special first."""
    api = [(rf"/nbflow/api/{path}", handler) for path, handler in API]
    return [*api, (r"/nbflow/api(?:/.*)?", UnknownHandler), *PAGES]
