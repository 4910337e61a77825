"""What a run leaves behind: the executed notebook, and its report. Neither is trusted: both are served in a sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nbflow.errors import ConflictError, NotFoundError, OutputError
from nbflow.lifecycle import RunRecord
from nbflow.server.handlers import SANDBOX_POLICY, ApiHandler

if TYPE_CHECKING:
    from nbflow.project import Project

NAME = "report.html"
EXECUTED = "executed.ipynb"
"""Its name in the attempt's folder, until the run's record says where it is kept."""
PATIENCE = 300.0


class RunNotebookHandler(ApiHandler):
    """The executed notebook: valid at every moment, while the run goes on too."""

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        content = await self.call(_read_executed, self.project, run)
        self.send_notebook(content, f"{run.name}.ipynb")


class RunSourceHandler(ApiHandler):
    """The notebook that it executes, as it was when the run was asked for."""

    async def get(self, run_id: str) -> None:
        flow = await self.call(self.project.load_run, run_id)
        self.send_notebook(flow.notebook.content, f"{flow.label}.ipynb")


class RunReportHandler(ApiHandler):
    """The executed notebook as a page. In a tab of its own it could lead the tab elsewhere, so it gets a frame in one."""

    async def get(self, run_id: str) -> None:
        run = await self.call(self.project.get_run, run_id)
        self.set_header("Vary", "Sec-Fetch-Dest")
        if self.request.headers.get("Sec-Fetch-Dest") == "document":
            self.redirect(f"{self.base_url}nbflow/runs/{run.id}/report")
            return
        path = await self.call(make_report, self.project, run)
        page = await self.call(path.read_bytes)
        self.set_header("Content-Security-Policy", SANDBOX_POLICY)
        self.finish_as(page, "text/html; charset=utf-8")


def _read_executed(project: Project, run: RunRecord) -> bytes:
    try:
        return find_executed(project, run).read_bytes()
    except OSError:
        raise NotFoundError(f"run {run.id}: its executed notebook is gone") from None


def find_executed(project: Project, run: RunRecord) -> Path:
    """While the run goes on, as it is now. Raises ConflictError where there is none yet, NotFoundError where none any more."""
    if run.output_path:
        path = Path(run.output_path)
    else:
        path = project.get_attempt_folder(run.id, max(run.attempts, 1)) / EXECUTED
    if not path.is_file():
        kind = NotFoundError if run.output_path else ConflictError  # gone, or not there yet
        raise kind(f"run {run.id} ({run.state}): there is no executed notebook")
    return path


def make_report(project: Project, run: RunRecord) -> Path:
    """The page of a run, made once for each state of its notebook. Raises NotFoundError, OutputError."""
    executed = find_executed(project, run)
    page = project.get_attempt_folder(run.id, max(run.attempts, 1)) / NAME
    try:
        if page.stat().st_mtime_ns >= executed.stat().st_mtime_ns:
            return page
    except OSError:
        pass
    page.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # In a process of its own: for seconds it would leave the others little of the interpreter.
    command = [sys.executable, "-P", "-m", "nbflow.server.reporting", str(executed), str(page)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise OutputError(f"run {run.id}: its report took longer than {PATIENCE:g} s") from None
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2][:300]
        raise OutputError(f"run {run.id}: its notebook can't be shown as a page: {reason}")
    return page
