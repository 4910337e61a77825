"""``nbflow.panel()``: the parameters of the notebook it stands in, set in the kernel that runs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.api.flow import Flow
from nbflow.api.flow import flow as load_flow
from nbflow.api.inside import current_run
from nbflow.errors import NotebookError, ParameterError, UsageError
from nbflow.parameters import Declaration
from nbflow.parameters.forms import NoForm, json_form
from nbflow.parameters.injection import render_python, render_secrets
from nbflow.parameters.reading import is_python
from nbflow.widgets import report
from nbflow.widgets.cells import get_open_panels
from nbflow.widgets.either import close_all
from nbflow.widgets.form import Check
from nbflow.widgets.form_view import FormView, describe_check
from nbflow.widgets.frame import Frame

UNKNOWN = 'panel(): the path of this notebook is not known here\npass it: nbflow.panel("report.ipynb")'


class OwnPanel(W.VBox):  # type: ignore[misc, unused-ignore]
    """Shows what the kernel holds; Apply assigns what is filled in. The cell that declares it all stays as it is."""

    def __init__(self, flow: Flow, namespace: dict[str, Any]) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._flow = flow
        self._namespace = namespace
        self._frame = Frame(self, flow.name, None, flow.path)
        folder = Path.cwd()
        self._form = FormView(flow.declaration, folder=folder, key=self.model_id[:8], changed=self._show_check)
        self._apply_button = W.Button(description="Apply", tooltip="Set these values in the running kernel")
        self._apply_button.add_class("nbflow-run")
        self._apply_button.add_class("nbflow-apply")
        self._apply_button.on_click(lambda _: self._click_apply())
        read = W.Button(description="Read from kernel", tooltip="Show the values that the kernel holds now")
        read.on_click(lambda _: self.read())
        reset = W.Button(description="Reset all", tooltip="All values back to their defaults")
        reset.on_click(lambda _: self._form.reset())
        self._todo = W.HTML()
        self._todo.add_class("nbflow-todo")
        self._told = W.HTML()
        self._told.add_class("nbflow-state-line")
        buttons = W.HBox([self._apply_button, reset, read, self._todo])
        buttons.add_class("nbflow-buttons")
        self.children = (*self._frame.parts, self._form.widget, buttons, self._told)
        self.read()

    @property
    def flow(self) -> Flow:
        """The notebook that the panel stands in, as it was saved last."""
        return self._flow

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong with the values, by parameter."""
        return {name: fault.message for name, fault in self._form.check.faults.items()}

    def set(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Fill in some values."""
        self._form.set({**(values or {}), **named})

    def read(self) -> None:
        """Show the values that the kernel holds."""
        held = read_namespace(self._flow.declaration, self._namespace)
        self._form.form.excused = frozenset(self._namespace) - frozenset(held.forms)
        self._form.fill(held.forms)
        self._told.value = f"<span class='nbflow-about'>{escape('; '.join(held.notes))}</span>" if held.notes else ""

    def apply(self) -> list[str]:
        """Assign all values that are shown; the names that were. Raises ParameterError."""
        with self._lock:
            declaration = self._flow.declaration
            shown = {
                parameter.name: self._form.form.shown(parameter.name)
                for parameter in declaration.parameters
                if self._form.form.has_value(parameter.name)
            }
            values = declaration.validate(shown, partial=True)
            # Assignments alone, so that it does not matter whether a cell runs meanwhile.
            exec(render_python(declaration, values) + render_secrets(values.secrets), self._namespace)
            self._form.form.excused |= frozenset(values.typed)
            self._form.take_values()
        return list(values.typed)

    def _click_apply(self) -> None:
        try:
            names = self.apply()
        except ParameterError as error:
            self._form.refuse({fault.parameter: fault for fault in error.faults})
            self._told.value = report.show_message(str(error))
        except Exception as error:  # an enumeration that the kernel does not know yet
            self._told.value = report.show_message(f"{type(error).__name__}: {error}; run the parameters cell first")
        else:
            shown = escape(", ".join(names)) or "nothing"
            self._told.value = (
                f"<span class='nbflow-state nbflow-state-completed'><span aria-hidden='true'>✔</span> applied</span> "
                f"{shown}: run the cells below the parameters again"
            )

    def _show_check(self, check: Check) -> None:
        self._apply_button.disabled = not check.is_right
        self._todo.value = escape(describe_check(check))
        self._told.value = ""
        self._frame.set_rules(self._form.rules())

    def close(self) -> None:
        """Take the panel away."""
        if self.comm is not None:
            children, self.children = self.children, ()
            for child in (*children, self.layout):
                close_all(child)
        super().close()

    def __repr__(self) -> str:
        return f"<panel of this notebook, {self._flow.name}: {len(self._flow.parameters)} parameters>"


class Held:
    """What a kernel's namespace holds of a declaration."""

    def __init__(self) -> None:
        self.forms: dict[str, Any] = {}
        """In JSON form."""
        self.notes: list[str] = []


def read_namespace(declaration: Declaration, namespace: Mapping[str, Any]) -> Held:
    """The values of the parameters that are assigned; those that no field can show are named."""
    held = Held()
    for parameter in declaration.parameters:
        if parameter.secret or parameter.name not in namespace:
            continue
        value = namespace[parameter.name]
        try:
            held.forms[parameter.name] = json_form(value)
        except NoForm:
            held.notes.append(f"{parameter.name} holds a {type(value).__name__}, which can't be shown here")
    return held


def find_own_path(environ: Mapping[str, str], namespace: Mapping[str, Any]) -> Path:
    """The notebook that this kernel belongs to. Raises UsageError where its front end does not tell."""
    told = (environ.get("JPY_SESSION_NAME"), namespace.get("__vsc_ipynb_file__"))
    for text in told:
        if isinstance(text, str) and text.endswith(".ipynb"):
            for path in (Path(text), Path.cwd() / Path(text).name):
                if path.is_file():
                    return path
    raise UsageError(UNKNOWN)


def make_own_panel(values: Mapping[str, Any]) -> W.Widget:
    """The panel of the notebook in whose kernel this is called."""
    from IPython.core.getipython import get_ipython

    if current_run():
        return W.HTML("<span>In a run, nbflow.panel() has nothing to set: the run's values are in place.</span>")
    shell: Any = get_ipython()
    if shell is None:
        raise UsageError(UNKNOWN)
    path = find_own_path(os.environ, shell.user_ns)
    flow = load_flow(path)
    if not is_python(flow.declaration.language):
        raise NotebookError(f"{path.name}: nbflow.panel() sets the values of a Python kernel; run it as a flow instead")
    made = OwnPanel(flow, shell.user_ns)
    for old in get_open_panels().add(made):
        old.close()
    if values:
        made.set(values)
    return made
