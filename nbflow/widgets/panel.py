"""``nbflow.panel(…)``: a flow's form, its run and its recent runs, as one widget."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.api.flow import Flow
from nbflow.api.flow import flow as load_flow
from nbflow.api.run import Run
from nbflow.errors import NbflowError, ParameterError
from nbflow.events import Event
from nbflow.lifecycle import RunRecord, RunState
from nbflow.widgets.backfill_view import BackfillView
from nbflow.widgets.cells import get_open_panels
from nbflow.widgets.either import close_all
from nbflow.widgets.following import follow_run
from nbflow.widgets.form import Check
from nbflow.widgets.form_view import FormView, describe_check
from nbflow.widgets.frame import Frame
from nbflow.widgets.history import History
from nbflow.widgets.run_view import RunView
from nbflow.widgets.snippets import to_command, to_python
from nbflow.widgets.waiting import Watcher


class Panel(W.VBox):  # type: ignore[misc, unused-ignore]
    """The panel of one flow; made by :func:`panel`. What a person does in it can also be done by its methods."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._flow = flow
        self._run: RunRecord | None = None
        self._follower: Watcher | None = None
        self._busy = False
        self._frame = Frame(self, flow.name, flow.version, flow.path)
        self._form = FormView(
            flow.declaration, folder=flow.path.parent, key=self.model_id[:8], changed=self._show_check
        )
        self._build_buttons()
        self._view = RunView(self._read_log, self._find_notebook, self._copy_notebook)
        self._history = History(flow.project, flow.reference, use=self._use, again=self._run_again, look=self._look)
        first = W.VBox([self._form.widget, self._buttons, self._code, self._view.widget])
        self._backfill = BackfillView(lambda: self._flow, lambda: self._form.form.to_values())
        tabs = [first, self._history.widget, self._backfill.widget]
        self._tabs = W.Tab(tabs, titles=("Run", "Recent runs", "Backfill"))
        self._tabs.observe(self._change_tab, names="selected_index")
        self.children = (*self._frame.parts, self._tabs)
        self._show_check(self._form.check)

    def _build_buttons(self) -> None:
        self._run_button = W.Button(description="Run", tooltip="Run the notebook with these values")
        self._run_button.add_class("nbflow-run")
        self._run_button.on_click(lambda _: self._click_run())
        self._cancel_button = W.Button(description="Cancel", tooltip="Ask the run to end", disabled=True)
        self._cancel_button.add_class("nbflow-cancel")
        self._cancel_button.on_click(lambda _: self.cancel())
        self._reset_button = W.Button(description="Reset all", tooltip="All values back to their defaults")
        self._reset_button.on_click(lambda _: self._form.reset())
        quiet = []
        for text, write in (("Copy as Python", self._write_python), ("Copy as command", self._write_command)):
            button = W.Button(description=text)
            button.add_class("nbflow-quiet")
            button.on_click(lambda _, write=write: self._copy(write()))
            quiet.append(button)
        self._todo = W.HTML()
        self._todo.add_class("nbflow-todo")
        self._code = W.HTML()
        self._buttons = W.HBox([self._run_button, self._cancel_button, self._reset_button, *quiet, self._todo])
        self._buttons.add_class("nbflow-buttons")

    # what a program may ask

    @property
    def flow(self) -> Flow:
        """The flow as it was when it was last read."""
        return self._flow

    @property
    def run(self) -> Run | None:
        """The run that the panel shows."""
        return None if self._run is None else Run(self._run, self._flow.project)

    @property
    def values(self) -> dict[str, Any]:
        """What a run would be given now, in JSON form: the values that differ from the defaults. Secrets are masked."""
        check = self._form.check
        ordered = (*self._form.rows, *(name for name in check.json if name not in self._form.rows))
        return {name: check.json[name] for name in ordered if name in check.changed and name in check.json}

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong with the values, by parameter."""
        return {name: fault.message for name, fault in self._form.check.faults.items()}

    def set(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Fill in some values."""
        self._form.set({**(values or {}), **named})

    def submit(self) -> None:
        """What the Run button does: start a run and return at once. Raises ParameterError, NotebookError."""
        with self._lock:
            if self._busy:
                return
            flow = self._flow.reload()
            if flow.declaration != self._flow.declaration:
                self._form.rebuild(flow.declaration)
            self._flow = flow
            if not self._form.check.is_right:
                raise ParameterError(list(self._form.check.faults.values()))
            values = self._form.take_values()
            self._follow(lambda: flow.submit(values).record)

    def wait(self, timeout: float | None = None) -> Run | None:
        """Wait until the run that the panel shows has ended, and all of it is drawn."""
        follower = self._follower
        if follower is not None:
            follower.join(timeout)
        return self.run

    def cancel(self) -> None:
        """What the Cancel button does: ask the run to end."""
        run = self._run
        self._cancel_button.disabled = True
        if run is None:
            return
        try:
            self._flow.project.cancel(run.id)
        except NbflowError as error:
            self._view.fail(str(error))

    def close(self) -> None:
        """Take the panel away. A run in progress goes on."""
        with self._lock:
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()
        self._backfill.close()
        if self.comm is not None:
            children, self.children = self.children, ()
            for child in (*children, self.layout):
                close_all(child)
        super().close()

    def __repr__(self) -> str:
        return f"<panel of {self._flow.name}: {len(self._flow.parameters)} parameters>"

    # what a person does

    def _click_run(self) -> None:
        try:
            self.submit()
        except ParameterError as error:
            self._refuse(error)
        except NbflowError as error:
            self._view.fail(str(error))

    def _use(self, run: RunRecord) -> None:
        used = {
            **{name: value for name, value in (run.values or {}).items() if self._is_literal(name)},
            **run.parameters,
        }
        lost = self._form.fill(used)
        self._frame.say(f"no longer there: {', '.join(lost)}" if lost else f"values of {run.name}")
        self._tabs.selected_index = 0

    def _is_literal(self, name: str) -> bool:
        from nbflow.widgets.form import UNSET

        return name in self._form.rows and self._form.form.get_default(name) is not UNSET

    def _run_again(self, run: RunRecord) -> None:
        with self._lock:
            if self._busy:
                return
            secrets = {name: self._form.form.get(name) for name, row in self._form.rows.items() if row.parameter.secret}
            given = {name: raw for name, raw in secrets.items() if name in run.parameters and isinstance(raw, str)}
            self._follow(lambda: self._flow.project.rerun(run.id, given))
        self._tabs.selected_index = 0

    def _look(self, run: RunRecord) -> None:
        with self._lock:
            if self._busy:
                return
            self._follow(lambda: self._flow.project.get_run(run.id))
        self._tabs.selected_index = 0

    def _change_tab(self, change: Any) -> None:
        if change["new"] == 1:
            self._history.refresh()
        elif change["new"] == 2:
            self._backfill.open()

    # runs

    def join(self, run: RunRecord) -> None:
        """Show a run that is on its way, or was."""
        self._look(run)

    def _follow(self, begin: Any) -> None:
        """Inside the lock: one run at a time."""
        self._busy = True
        self._run = None
        self._view.begin()
        self._show_check(self._form.check)
        work = partial(follow_run, self._flow.project, begin, self._tell)
        self._follower = Watcher(work, fail=self._fail)
        self._follower.start()

    def _tell(self, run: RunRecord, events: Sequence[Event]) -> None:
        self._run = run
        if run.state.is_terminal:
            self._busy = False
        self._view.tell(run, events)
        cancellable = run.state in (RunState.SCHEDULED, RunState.PENDING, RunState.RUNNING)
        if self._cancel_button.disabled is cancellable:
            self._cancel_button.disabled = not cancellable
        if run.state.is_terminal:
            self._show_check(self._form.check)
            self._history.refresh()

    def _fail(self, error: Exception) -> None:
        self._busy = False
        if isinstance(error, ParameterError):
            self._refuse(error)
        text = str(error) if isinstance(error, NbflowError) else f"{type(error).__name__}: {error}"
        self._view.fail(text)
        self._cancel_button.disabled = True
        self._show_check(self._form.check)

    def _refuse(self, error: ParameterError) -> None:
        self._form.refuse({fault.parameter: fault for fault in error.faults})
        self._view.fail(str(error))

    def _show_check(self, check: Check) -> None:
        ready = check.is_right and not self._busy
        if self._run_button.disabled is ready:
            self._run_button.disabled = not ready
        self._reset_button.disabled = not check.changed
        self._todo.value = escape(describe_check(check))
        self._frame.set_rules(self._form.rules())

    # files and text

    def _read_log(self, run_id: str) -> str:
        return str(Run(self._flow.project.get_run(run_id), self._flow.project).logs())

    def _find_notebook(self, run: RunRecord) -> Path | None:
        return self._flow.project.find_output(run)

    def _copy_notebook(self, run: RunRecord) -> Path:
        """Beside the flow's own file, or here where that is elsewhere, under the run's name; never over another file."""
        from nbflow.notebooks import write_atomically

        folder = self._flow.path.parent if self._flow.path.parent.is_dir() else Path.cwd()
        target = folder / f"{self._flow.path.stem}-{run.id[:8]}.ipynb"
        source = self._find_notebook(run)
        if source is not None and not target.exists():
            write_atomically(target, [source.read_bytes()])
        return target

    @property
    def _short_reference(self) -> str:
        if self._flow.version is not None:
            return self._flow.name
        relative = os.path.relpath(self._flow.path)
        return relative if not relative.startswith("..") else str(self._flow.path)

    def _write_python(self) -> str:
        return to_python(self._short_reference, self.values)

    def _write_command(self) -> str:
        return to_command(self._short_reference, self._flow.declaration, self.values)

    def _copy(self, text: str) -> None:
        self._code.value = f"<div class='nbflow-code'><pre tabindex='0' aria-label='Copied'>{escape(text)}</pre></div>"
        self._frame.copy(text)


def panel(reference: str | os.PathLike[str] | Flow | None = None, /, **values: Any) -> Any:
    """A form of the flow's parameters, with Run, log, results and recent runs; *values* are filled in already.

    A path, a registered name, or a :class:`Flow` with options. Without one, inside a notebook: the notebook's own
    parameters, to be set in the running kernel, so that the cells below can be run with them. Raises NotebookError
    and NotFoundError; what is wrong with *values* stands at their fields.
    """
    if reference is None:
        from nbflow.widgets.own import make_own_panel

        return make_own_panel(values)
    made = Panel(reference if isinstance(reference, Flow) else load_flow(reference))
    for old in get_open_panels().add(made):
        run = old.run
        same = old.flow.reference == made.flow.reference
        old.close()
        if same and run is not None and not run.state.is_terminal:
            made.join(run.record)
    if values:
        made.set(values)
    return made
