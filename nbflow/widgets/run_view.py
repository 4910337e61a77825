"""What is seen of one run in the panel: state, progress by cell, log, results, its notebook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.events import Event
from nbflow.lifecycle import RunRecord
from nbflow.widgets import report
from nbflow.widgets.links import find_link, show_notebook
from nbflow.widgets.log_area import LogArea
from nbflow.widgets.preview import show_preview
from nbflow.widgets.spots import make_spot, show


class RunView:
    """Draws one run after the other."""

    def __init__(
        self,
        read_log: Callable[[str], str],
        find_notebook: Callable[[RunRecord], Path | None],
        copy_notebook: Callable[[RunRecord], Path],
    ) -> None:
        """*read_log* gives the whole log of a run by its id, *find_notebook* its executed notebook as a file here."""
        self._lock = threading.RLock()
        self._run: RunRecord | None = None
        self._read_log = read_log
        self._find_notebook = find_notebook
        self._copy_notebook = copy_notebook
        self._progress = report.Progress()
        self.state = make_spot("nbflow-state-line")
        self.progress = make_spot("nbflow-progress")
        self.log = LogArea(self._save_log)
        self.error = make_spot("nbflow-error")
        self.results = make_spot("nbflow-recorded")
        self.notebook = make_spot("nbflow-notebook")
        self.copy = W.Button(description="Save a copy beside the flow", tooltip="So that it can be opened here")
        self.copy.layout.display = "none"
        self.copy.on_click(self._copy)
        self.preview = make_spot("nbflow-last-outputs")
        parts: list[W.Widget] = [self.state, self.progress, self.log.widget, self.error, self.results]
        self.widget = W.VBox([*parts, self.notebook, self.copy, self.preview])
        self.widget.add_class("nbflow-run-view")
        self.widget.layout.display = "none"

    def begin(self) -> None:
        """Make room for another run."""
        with self._lock:
            self._run = None
            self._progress = report.Progress()
            self.log.clear()
            for part in (self.progress, self.error, self.results, self.notebook, self.preview):
                show(part, "")
            self.copy.layout.display = "none"
            show(self.state, "<span class='nbflow-state'>starting</span>")
            self.widget.layout.display = ""

    def tell(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Show what is new of the run."""
        with self._lock:
            self._run = run
            self._progress = self._progress.after(events)
            show(self.state, report.show_state(run))
            show(self.progress, report.show_progress(run, self._progress, report.utc_now()))
            self.log.add(events, last=run.state.is_terminal)
            if run.results:
                show(self.results, report.show_results(run.results))
            if run.state.is_terminal:
                self._end(run)

    def _end(self, run: RunRecord) -> None:
        show(self.error, report.show_error(run))
        path = self._find_notebook(run)
        if path is None:
            return
        link = find_link(path)
        show(self.notebook, show_notebook(path, link))
        self.copy.layout.display = "none" if link else ""
        show(self.preview, show_preview(path))

    def fail(self, text: str) -> None:
        """Say why there is no run."""
        with self._lock:
            self.widget.layout.display = ""
            show(self.state, report.show_message(text))
            show(self.progress, "")

    def _copy(self, _: Any) -> None:
        run = self._run
        if run is None:
            return
        try:
            path = self._copy_notebook(run)
        except OSError as error:
            show(self.notebook, report.show_message(str(error)))
            return
        show(self.notebook, show_notebook(path, find_link(path)))
        self.copy.layout.display = "none"

    def _save_log(self) -> tuple[str, str]:
        run = self._run
        return ("log.txt", "") if run is None else (f"{run.name}-{run.id[:8]}.log", self._read_log(run.id))
