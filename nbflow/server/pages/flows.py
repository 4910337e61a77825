"""Pages of flows: all of them, one, and a notebook that is none yet."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from nbflow.errors import NotFoundError
from nbflow.project import Project
from nbflow.project.loading import load_registered, notebook_to_json
from nbflow.server.pages.handler import PageHandler
from nbflow.server.problems import Problem


class FlowsPage(PageHandler):
    """All flows, and how a notebook becomes one."""

    section = "Flows"

    def get(self) -> None:
        self.show("flows.html")


class FlowPage(PageHandler):
    """One flow: run, backfill, schedule it."""

    section = "Flows"

    async def get(self, project: str, name: str) -> None:
        if not await self.call(self.project.list_versions, project, name):
            raise NotFoundError(f"flow {project}/{name}: there is no such flow")
        self.show("flow.html", flow=f"{project}/{name}", project=project, label=name)


class NotebookPage(PageHandler):
    """The form of a notebook that is not registered: by its ``?path=``, or as it was in the run ``?from=``."""

    section = "Flows"

    async def get(self) -> None:
        run_id = self.get_argument("from", "")
        if run_id:
            target = await self.call(_describe_run, self.project, run_id)
            self.show("flow.html", label=target["label"], target=target)
            return
        path = self.get_argument("path", "")
        if not path:
            raise Problem(HTTPStatus.NOT_FOUND, "which notebook? the address needs ?path=report.ipynb")
        self.show("flow.html", path=path, label=path.rpartition("/")[2])


class AppPage(PageHandler):
    """One flow as an app, a registered one or a notebook by its path: its form, and what its run comes to."""

    async def get(self, reference: str) -> None:
        label = reference.rpartition("/")[2].removesuffix(".ipynb")
        if reference.endswith(".ipynb"):
            await self.call(self.service.find_notebook, reference)
            self.show("app.html", path=reference, label=label)
        else:
            await self.call(load_registered, reference, self.project.store)
            self.show("app.html", flow=reference, label=label)


def _describe_run(project: Project, run_id: str) -> dict[str, Any]:
    loaded = project.load_run(run_id)
    shown = notebook_to_json(loaded)
    return {
        "run": project.get_run(run_id).id,
        "label": loaded.label,
        "source_path": str(loaded.source_path),
        "kernel": loaded.notebook.kernel_name,
        "schema": shown["json_schema"],
        "parameters": shown["parameters"],
    }
