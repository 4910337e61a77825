"""The recent runs of a flow in the panel: look at one, take its values over, run it again."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as W

from nbflow.errors import NbflowError
from nbflow.lifecycle import RunRecord
from nbflow.ports import RunFilter
from nbflow.project import Project
from nbflow.widgets import report

SHOWN = 20


class History:
    """A list of runs; *use*, *again* and *look* are called with the one that is chosen."""

    def __init__(
        self,
        project: Project,
        reference: str,
        *,
        use: Callable[[RunRecord], None],
        again: Callable[[RunRecord], None],
        look: Callable[[RunRecord], None],
    ) -> None:
        self._project = project
        self._reference = reference
        self._runs: dict[str, RunRecord] = {}
        self.list = W.Select(description="Recent runs", rows=8, options=[])
        self.list.add_class("nbflow-history")
        self.list.observe(self._choose, names="value")
        self.details = W.HTML()
        self.details.add_class("nbflow-history-details")
        self.use = self._make_button("Use these values", "Fill the form with the values of this run", use)
        self.again = self._make_button("Run again", "The same notebook with the same values, as they were then", again)
        self.look = self._make_button("Show", "Its log, results and notebook", look)
        self.refresh_button = W.Button(description="Refresh", tooltip="Read the list again")
        self.refresh_button.on_click(lambda _: self.refresh())
        buttons = W.HBox([self.use, self.again, self.look, self.refresh_button])
        buttons.add_class("nbflow-buttons")
        self.widget = W.VBox([self.list, buttons, self.details])
        self.widget.add_class("nbflow-history-tab")
        self.refresh()

    def _make_button(self, text: str, tooltip: str, act: Callable[[RunRecord], None]) -> W.Button:
        button = W.Button(description=text, tooltip=tooltip)

        def click(_: W.Button) -> None:
            run = self._runs.get(self.list.value or "")
            if run is not None:
                act(run)

        button.on_click(click)
        return button

    def refresh(self) -> None:
        """Read the list from the store; the choice stays where it can."""
        try:
            runs = self._project.list_runs(RunFilter(flow=self._reference, limit=SHOWN))
        except NbflowError as error:
            self.details.value = report.show_message(str(error))
            return
        chosen = self.list.value
        self._runs = {run.id: run for run in runs}
        options = [(report.summarize(run), run.id) for run in runs]
        if tuple(self.list.options) != tuple(options):
            self.list.options = options
        self.list.value = chosen if chosen in self._runs else (runs[0].id if runs else None)
        self._choose()

    def _choose(self, _: object = None) -> None:
        run = self._runs.get(self.list.value or "")
        for button in (self.use, self.again, self.look):
            button.disabled = run is None
        text = "<span class='nbflow-help'>No runs yet.</span>" if run is None else report.show_details(run)
        if self.details.value != text:
            self.details.value = text
