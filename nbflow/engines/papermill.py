"""nbflow as an engine of papermill: ``papermill --engine nbflow in.ipynb out.ipynb``.

nbflow's own runs come through here too: the runner of an attempt calls papermill's ``execute_notebook`` with this
engine and a :class:`~nbflow.engines.session.Session`.
"""

from __future__ import annotations

import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_markdown_cell
from papermill.engines import Engine, NotebookExecutionManager
from papermill.log import logger

from nbflow.engines.client import FlowClient
from nbflow.engines.session import NoSaver, Saver, Session
from nbflow.lifecycle import AttemptState, FailureKind


class ExecutionRecord(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's record of an execution, with what it says made true; it writes nothing by itself."""

    SKIPPED = "skipped"

    def save(self, **_: Any) -> None:
        """Saving is the session's saver's work."""

    def cell_passed(self, cell: Any, status: str) -> None:
        """The cell is not for executing: it has nothing to execute, or is tagged ``skip-execution``."""
        cell.metadata.papermill["status"] = status
        if self.pbar:
            self.pbar.update(1)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **options: Any) -> None:
        """As papermill has it, whose parser for the time of the start is a slow one."""
        record = cell.metadata.papermill
        begun, record["start_time"] = record["start_time"], None
        super().cell_complete(cell, cell_index, **options)
        record["start_time"] = begun
        record["duration"] = (
            datetime.fromisoformat(record["end_time"]) - datetime.fromisoformat(begun)
        ).total_seconds()

    def finish(self, session: Session) -> None:
        """No cell will change any more: settle the record and save for the last time. A second call does nothing."""
        if self.end_time is not None:
            return
        ending = session.ending
        if ending is None or ending.state is not AttemptState.SUCCEEDED:
            self.nb.metadata.papermill["exception"] = True
        self.notebook_complete()
        if session.is_last and ending is not None and ending.failure is not None:
            _mark_error(self.nb, ending.failure.cell_index)
        session.is_saved = session.saver.close()

    def notebook_complete(self, **_: Any) -> None:
        """Cells that were never reached stay ``pending``: papermill would call them completed."""
        self.end_time = self.now()
        record = self.nb.metadata.papermill
        record["end_time"] = self.end_time.isoformat()
        record["duration"] = (self.end_time - self.start_time).total_seconds()
        self.complete_pbar()
        self.cleanup_pbar()


class NbflowEngine(Engine):  # type: ignore[misc]
    """Executes a notebook with :class:`FlowClient`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        nbflow_session: Session | None = None,
        **options: Any,
    ) -> Any:
        """Execute *nb* in place. Without a session (papermill's own call) errors are raised as papermill expects."""
        record = ExecutionRecord(nb, progress_bar=progress_bar, log_output=log_output)
        if nbflow_session is not None:
            cls._execute(record, kernel_name, nbflow_session)
            return record.nb
        with tempfile.TemporaryDirectory(prefix="nbflow-") as folder:
            session = Session(
                connection_folder=Path(folder),
                start_timeout=options.get("start_timeout") or 60.0,
                cell_timeout=options.get("execution_timeout"),
                make_saver=partial(make_saver, output_path),
            )
            cls._execute(record, kernel_name, session)
        _raise_as_papermill(session)
        return record.nb

    @classmethod
    def _execute(cls, record: ExecutionRecord, kernel_name: str, session: Session) -> None:
        record.notebook_start()
        if session.make_saver is not None:
            session.saver = session.make_saver(record.nb)
        session.saver.request()
        try:
            FlowClient(record, session, kernel_name=kernel_name or "", log=logger).execute()
        finally:
            record.finish(session)


def _mark_error(notebook: Any, index: int | None) -> None:
    """Show where the execution ended, in papermill's words; papermill itself would point to the first error there is,
    also to one that its cell was allowed to raise."""
    from papermill.execute import ERROR_ANCHOR_MSG, ERROR_MARKER_TAG, ERROR_MESSAGE_TEMPLATE

    if index is None:
        return
    count = notebook.cells[index].execution_count
    for place, text in ((index, ERROR_ANCHOR_MSG), (0, ERROR_MESSAGE_TEMPLATE % count)):
        notebook.cells.insert(place, new_markdown_cell(text, metadata={"tags": [ERROR_MARKER_TAG]}))


def make_saver(path: str | None, notebook: Any, *, private: bool = False) -> Saver:
    """Keeps the file at *path* up to date and whole; saves nothing for no path, or one that is papermill's to write."""
    from nbflow.notebooks import NotebookWriter

    return (
        NoSaver() if path is None or "://" in path or path == "-" else NotebookWriter(notebook, path, private=private)
    )


def _raise_as_papermill(session: Session) -> None:
    ending = session.ending
    if ending is None or ending.failure is None:
        return
    match ending.failure.kind:
        case FailureKind.KERNEL_DIED | FailureKind.OUT_OF_MEMORY:
            raise DeadKernelError(ending.failure.message)
        case FailureKind.CELL_TIMEOUT | FailureKind.RUN_TIMEOUT:
            raise CellTimeoutError(ending.failure.message)
        case FailureKind.CANCELLED | FailureKind.LOST:
            raise KeyboardInterrupt(ending.failure.message)
        case _:
            return  # papermill finds the error in the outputs
