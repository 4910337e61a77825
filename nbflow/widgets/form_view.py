"""The form of a flow's parameters as widgets: rows, and a line that says what is still to be done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.parameters import Declaration
from nbflow.widgets.form import UNSET, Check, Form
from nbflow.widgets.rows import OthersRow, Row

NAMED = 3


class FormView:
    """Safe for callbacks on any thread. *changed* hears of the form's check whenever a person changed something."""

    def __init__(self, declaration: Declaration, *, folder: Path, key: str, changed: Callable[[Check], None]) -> None:
        self._folder = folder
        self._key = key
        self._tell = changed
        self._lock = threading.RLock()
        self.widget = W.VBox()
        self.widget.add_class("nbflow-form")
        self._build(declaration)

    def _build(self, declaration: Declaration) -> None:
        self.form = Form(declaration)
        self.rows = {
            parameter.name: Row(
                declaration,
                parameter,
                folder=self._folder,
                key=f"nbflow-{self._key}-{place}",
                changed=self._change,
            )
            for place, parameter in enumerate(declaration.parameters)
        }
        self._others = OthersRow(self._change_others) if declaration.accepts_undeclared else None
        self.check = self.form.check()
        self.widget.children = tuple(self._arrange())
        self.show()

    def _arrange(self) -> list[W.Widget]:
        parts: list[W.Widget] = []
        section = ""
        for row in self.rows.values():
            title = str(row.parameter.widget.get("section") or "")
            if title != section:
                section = title
                parts.append(W.HTML(f"<div class='nbflow-section' role='heading' aria-level='3'>{escape(title)}</div>"))
            parts.append(row.widget)
        if self._others is not None:
            parts.append(self._others.widget)
        if not parts:
            text = "This notebook declares no parameters: tag the cell that assigns them <code>parameters</code>."
            parts.append(W.HTML(f"<div class='nbflow-help'>{text}</div>"))
        return parts

    def rebuild(self, declaration: Declaration) -> Check:
        """The form of another declaration, with the values kept that it still has."""
        with self._lock:
            kept = {name: self.form.get(name) for name in self.rows}
            old = self.widget.children
            self._build(declaration)
            for name, raw in kept.items():
                if name in self.rows:
                    self.form.set(name, raw)
            self.show()
        from nbflow.widgets.either import close_all

        for widget in old:
            close_all(widget)
        return self.check

    def _change(self, name: str, raw: Any) -> None:
        with self._lock:
            self.form.set(name, raw)
            if raw is UNSET:
                self.rows[name].show(self.form)
            self._recheck()
        self._tell(self.check)

    def _change_others(self, text: str) -> None:
        with self._lock:
            self.form.set_others(text)
            self._recheck()
        self._tell(self.check)

    def _recheck(self) -> None:
        self.check = self.form.check()
        if self._others is not None:
            self._others.tell([fault for name, fault in self.check.faults.items() if name not in self.rows])
        for name, row in self.rows.items():
            row.tell(self.check.faults.get(name), changed=name in self.check.changed)

    def show(self) -> None:
        """Draw everything anew from the form."""
        with self._lock:
            for row in self.rows.values():
                row.show(self.form)
            if self._others is not None:
                self._others.show(self.form.others_text)
            self._recheck()

    def reset(self) -> None:
        """Everything back to its default."""
        with self._lock:
            self.form.clear()
            self.show()
        self._tell(self.check)

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """Take over the values of a run; the names of those that have no place here any more."""
        with self._lock:
            lost = self.form.fill(values)
            self.show()
        self._tell(self.check)
        return lost

    def set(self, values: Mapping[str, Any]) -> None:
        """Set some values, as a program has them."""
        with self._lock:
            for name, value in values.items():
                self.form.set(name, value)
            self.show()
        self._tell(self.check)

    def take_values(self) -> dict[str, Any]:
        """What is passed to a run. Secrets are forgotten with it."""
        with self._lock:
            values = self.form.to_values()
            self.form.clear_secrets()
            for row in self.rows.values():
                if row.parameter.secret:
                    row.show(self.form)
            self._recheck()
        return values

    def refuse(self, faults: Mapping[str, Any]) -> None:
        """Show faults that came to light later, at their fields."""
        with self._lock:
            for name, fault in faults.items():
                if name in self.rows:
                    self.rows[name].tell(fault, changed=name in self.check.changed)

    def rules(self) -> dict[str, dict[str, str | None]]:
        """Attributes for assistive technology, by selector."""
        with self._lock:
            rules: dict[str, dict[str, str | None]] = {}
            for name, row in self.rows.items():
                rules |= row.rules(self.check.faults.get(name))
            return rules


def describe_check(check: Check) -> str:
    """In a line, what keeps the form from being run; empty when nothing does."""
    missing = [name for name, fault in check.faults.items() if fault.rule == "missing"]
    wrong = [name for name in check.faults if name not in missing]
    parts = []
    for names, word in ((missing, "missing"), (wrong, "to correct")):
        if names:
            shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
            parts.append(f"{word}: {shown}")
    return " · ".join(parts)
