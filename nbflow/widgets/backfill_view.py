"""The Backfill tab: values for each axis, how many rows that makes, a dry run, and the backfill at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import ipywidgets as W

from nbflow.api.flow import Flow
from nbflow.backfilling import Snapshot
from nbflow.errors import NbflowError
from nbflow.parameters import Declaration
from nbflow.ports import RunFilter
from nbflow.widgets import backfill_report as drawn
from nbflow.widgets import report
from nbflow.widgets.axes import Axes, AxesCheck
from nbflow.widgets.controls import STYLE
from nbflow.widgets.spots import make_spot, show
from nbflow.widgets.waiting import Delayed, Watcher

HOW = (
    "Several values make an axis: <code>EU, US</code>, a range <code>2026-01-01..2026-01-31</code> (with a step: "
    "<code>1..9..2</code>, <code>2026-01-01..2026-12-31..MS</code>), or a JSON list. The rows are the product of all axes. "
    "Fields left empty keep the value of the Run tab."
)
PLANNED = 20_000
"""Rows up to which a dry run is made while somebody types."""
REPROCESS = (
    ("leave rows alone that ran before", "none"),
    ("run those again that did not complete", "failed"),
    ("run all again", "completed"),
)


class BackfillView:
    """*get_flow* gives the flow as it is now, *get_constants* what the Run tab holds."""

    def __init__(self, get_flow: Callable[[], Flow], get_constants: Callable[[], dict[str, Any]]) -> None:
        self._get_flow = get_flow
        self._get_constants = get_constants
        self._lock = threading.RLock()
        self._axes: Axes | None = None
        self._fields: dict[str, tuple[W.Text, W.HTML]] = {}
        self._snapshot: Snapshot | None = None
        self._watcher: Watcher | None = None
        self._planner = Delayed()
        self._build_settings()
        self._form = W.VBox()
        self._form.add_class("nbflow-form")
        self.count = make_spot("nbflow-rows")
        self.plan = make_spot("nbflow-plan")
        self.state = make_spot("nbflow-backfill-state")
        self.grid = make_spot("nbflow-backfill-grid")
        self.message = make_spot("nbflow-backfill-message")
        self.start_button = self._make_button("Start backfill", "Make a run for each row", self._click_start, main=True)
        self.dry_button = self._make_button("Dry run", "Show what would be run, and start nothing", self._click_dry)
        self.hold_button = self._make_button("Pause", "Begin no further row", self._click_hold)
        self.cancel_button = self._make_button(
            "Cancel backfill", "End the rows that run, and begin no other", self._click_cancel
        )
        actions = W.HBox([self.start_button, self.dry_button, self.hold_button, self.cancel_button, self.count])
        actions.add_class("nbflow-buttons")
        settings = W.VBox([self.reprocess, self.active, self.failures, self.backwards])
        settings.add_class("nbflow-settings")
        shown = [self.message, self.plan, self.state, self.grid]
        self.widget = W.VBox([W.HTML(f"<p class='nbflow-about'>{HOW}</p>"), self._form, settings, actions, *shown])
        self.widget.add_class("nbflow-backfill")

    def _build_settings(self) -> None:
        self.reprocess = W.Dropdown(options=REPROCESS, value="none", description="earlier runs", style=STYLE)
        self.active = W.Text(value="4", description="at once", style=STYLE)
        self.failures = W.Text(description="stop after failures", placeholder="never", style=STYLE)
        self.backwards = W.Checkbox(description="the last row first", indent=False)
        for widget in (self.reprocess, self.active, self.failures, self.backwards):
            widget.add_class("nbflow-control")
            widget.observe(lambda _: self._changed(), names="value")

    def _make_button(self, text: str, tooltip: str, act: Callable[[], None], *, main: bool = False) -> W.Button:
        button = W.Button(description=text, tooltip=tooltip, disabled=True)
        if main:
            button.add_class("nbflow-run")
        button.on_click(lambda _: act())
        return button

    # the form

    def open(self) -> None:
        """The tab is looked at: its fields are made when they are first wanted, and show what the Run tab holds."""
        declaration = self._get_flow().declaration
        with self._lock:
            if self._axes is None or self._axes.declaration is not declaration:
                self._build_fields(declaration)
                self._rejoin()
            constants = self._get_constants()
            for name, (field, _) in self._fields.items():
                field.placeholder = f"{constants[name]!s:.60}" if name in constants else "as in the Run tab"
        self._changed()

    def _build_fields(self, declaration: Declaration) -> None:
        from nbflow.widgets.either import close_all

        old = self._form.children
        self._axes = Axes(declaration)
        self._fields = {}
        rows = []
        for parameter in declaration.parameters:
            if parameter.secret:
                continue
            label = f"{parameter.name} *" if parameter.required else parameter.name
            field = W.Text(description=label, tooltip=label, style=STYLE)
            field.add_class("nbflow-control")
            field.observe(partial(self._typed, parameter.name), names="value")
            below = make_spot("nbflow-below")
            row = W.VBox([field, below])
            row.add_class("nbflow-field")
            row.add_class(f"nbflow-axis-{parameter.name}")
            self._fields[parameter.name] = (field, below)
            rows.append(row)
        self._form.children = tuple(rows)
        for widget in old:
            close_all(widget)

    def _typed(self, name: str, change: Any) -> None:
        with self._lock:
            if self._axes is not None:
                self._axes.set(name, change["new"])
        self._changed()

    def _changed(self) -> None:
        with self._lock:
            if self._axes is None:
                return
            check = self._axes.check(self._get_constants())
            faults = dict(check.faults)
            for name, (_, below) in self._fields.items():
                show(below, _describe(faults.pop(name, ""), check.counts.get(name)))
            self._show_count(check, faults)
        self._planner.cancel()
        if not check.faults and 0 < check.rows <= PLANNED:
            self._planner.after(0.3, lambda: self._plan(check))

    def _show_count(self, check: AxesCheck, elsewhere: dict[str, str]) -> None:
        is_right = not check.faults and check.rows > 0 and not self._is_at_work
        self.start_button.disabled = not is_right
        self.dry_button.disabled = bool(check.faults) or not check.rows
        text = "give at least one axis" if not check.rows else f"{check.rows:,} rows"
        if elsewhere:
            text = "; ".join(f"{name}: {message}" for name, message in elsewhere.items())
        elif check.faults:
            text = f"to correct: {', '.join(check.faults)}"
        show(self.count, escape(text))
        show(self.plan, "")
        self.start_button.description = f"Start {check.rows:,} runs" if is_right else "Start backfill"

    @property
    def _settings(self) -> dict[str, Any]:
        """Raises ValueError for what is no number."""
        failures = self.failures.value.strip()
        return {
            "reprocess_behavior": self.reprocess.value,
            "run_backwards": self.backwards.value,
            "max_active_runs": _read_count(self.active.value, "at once"),
            "max_failures": _read_count(failures, "stop after failures") if failures else None,
        }

    # what is done

    def _check_now(self) -> AxesCheck | None:
        with self._lock:
            return None if self._axes is None else self._axes.check(self._get_constants())

    def _click_dry(self) -> None:
        check = self._check_now()
        if check is not None:
            self._planner.after(0.0, lambda: self._plan(check))

    def _plan(self, check: AxesCheck) -> None:
        try:
            plan = self._get_flow().plan_backfill(dict(check.values), reprocess_behavior=self.reprocess.value)
        except NbflowError as error:
            show(self.plan, report.show_message(str(error)))
            return
        show(self.plan, drawn.show_plan(plan))
        if not self._is_at_work:
            self.start_button.description = f"Start {plan.runs:,} runs" if plan.runs else "Nothing to run"
            self.start_button.disabled = plan.runs == 0

    def _click_start(self) -> None:
        check = self._check_now()
        with self._lock:
            if check is None or check.faults or self._is_at_work:
                return
            try:
                settings = self._settings
            except ValueError as error:
                show(self.message, report.show_message(str(error)))
                return
            flow = self._get_flow().reload()
            values = dict(check.values)
            self._follow(flow, lambda: flow.submit_backfill(values, **settings).id)

    def _rejoin(self) -> None:
        """Watch a backfill of this flow that is on its way."""
        flow = self._get_flow()
        known = flow.project.backfills.look_all(flow.reference, limit=1)
        if known and not known[0].state.is_resting:
            self._follow(flow, lambda: known[0].backfill.id)

    def _follow(self, flow: Flow, begin: Callable[[], str]) -> None:
        """Inside the lock."""
        show(self.message, "")
        show(self.plan, "")
        self._planner.cancel()
        self.start_button.disabled = True
        watcher = Watcher(lambda stopped: self._watch(flow, begin, stopped), fail=self._fail)
        self._watcher = watcher
        watcher.start()

    @property
    def _is_at_work(self) -> bool:
        return self._watcher is not None and self._watcher.is_alive

    def _watch(self, flow: Flow, begin: Callable[[], str], stopped: threading.Event) -> None:
        backfill_id = begin()
        for snapshot in flow.project.backfills.watch(backfill_id):
            if stopped.is_set():
                return
            wanted = RunFilter(backfill_id=backfill_id, limit=drawn.CELLS, oldest_first=True)
            runs = flow.project.list_runs(wanted)
            self._snapshot = snapshot
            show(self.state, drawn.show_snapshot(snapshot))
            show(self.grid, drawn.show_grid(runs, snapshot.total))
            at_work = not snapshot.state.is_resting
            self.hold_button.disabled = self.cancel_button.disabled = not at_work
            self.hold_button.description = "Go on" if snapshot.backfill.paused else "Pause"
        self._watcher = None
        self._changed()

    def _fail(self, error: Exception) -> None:
        text = str(error) if isinstance(error, NbflowError) else f"{type(error).__name__}: {error}"
        show(self.message, report.show_message(text))
        self._watcher = None
        self._changed()

    def _click_hold(self) -> None:
        self._act(lambda work, known: (work.unpause if known.backfill.paused else work.pause)(known.backfill.id))

    def _click_cancel(self) -> None:
        self._act(lambda work, known: work.cancel(known.backfill.id))

    def _act(self, act: Callable[[Any, Snapshot], object]) -> None:
        if self._snapshot is None:
            return
        try:
            act(self._get_flow().project.backfills, self._snapshot)
        except NbflowError as error:
            show(self.message, report.show_message(str(error)))

    def join(self, timeout: float | None = None) -> None:
        """Wait until the backfill rests, and all of it is drawn."""
        watcher = self._watcher
        if watcher is not None:
            watcher.join(timeout)

    def close(self) -> None:
        """Draw no more. The backfill goes on."""
        self._planner.cancel()
        if self._watcher is not None:
            self._watcher.stop()


def _read_count(text: str, label: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"{label}: expected a whole number, 1 or more, got {text!r}")
    return int(text)


def _describe(fault: str, count: int | None) -> str:
    if fault:
        look = "nbflow-message nbflow-missing" if fault.startswith("required") else "nbflow-message"
        return f"<div class='{look}'>{escape(fault)}</div>"
    if count is None:
        return ""
    return f"<span class='nbflow-about'>{'1 value' if count == 1 else f'{count:,} values'}</span>"
