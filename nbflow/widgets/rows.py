"""A row of the form: a control with its label, what there is to say about it, and the way back to the default."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.errors import Fault
from nbflow.parameters import ComputedDefault, Declaration, Parameter, Text
from nbflow.widgets.controls import STYLE, Place, make_control
from nbflow.widgets.form import OTHERS, UNSET, Form
from nbflow.widgets.kinds import Kind, find_kind, is_optional, limits_of

HINTS: Mapping[Kind, str] = {Kind.LINES: "one per line", Kind.JSON: "as JSON", Kind.CHOICES: "several can be chosen"}


class Row:
    """One parameter in the panel. *changed* is called with what is passed for it now."""

    def __init__(
        self,
        declaration: Declaration,
        parameter: Parameter,
        *,
        folder: Path,
        key: str,
        changed: Callable[[str, Any], None],
    ) -> None:
        self.parameter = parameter
        self.kind = find_kind(parameter)
        self.key = key
        self._changed = changed
        self._knows_default = False
        title = str(parameter.widget.get("label") or parameter.name)
        label = f"{title} *" if parameter.required else title
        place = Place(declaration=declaration, parameter=parameter, label=label, folder=folder, tell=self._tell)
        self.control = make_control(self.kind, place)
        self.control.widget.add_class("nbflow-control")
        self._off = self._make_switch(title) if is_optional(parameter) else None
        self._reset = W.Button(tooltip=f"Back to the default of {title}")
        self._reset.add_class("nbflow-reset")
        self._reset.on_click(lambda _: self._changed(parameter.name, UNSET))
        self._below = W.HTML()
        self._below.add_class("nbflow-below")
        self._silent = False
        optional = () if self._off is None else (self._off,)
        line = W.HBox([self.control.widget, *self.control.beside, *optional, self._reset])
        line.add_class("nbflow-line-of-field")
        self.widget = W.VBox([line, self._below])
        self.widget.add_class("nbflow-field")
        self.widget.add_class(f"nbflow-kind-{self.kind.name.lower()}")
        self.widget.add_class(self.css_class)

    def _make_switch(self, title: str) -> W.Checkbox:
        made = W.Checkbox(description="not set", indent=False, tooltip=f"{title}: pass None")
        made.add_class("nbflow-not-set")
        made.observe(self._switched, names="value")
        return made

    @property
    def css_class(self) -> str:
        return "nbflow-p-" + re.sub(r"[^\w-]", "_", self.parameter.name)

    # what a person does

    def _tell(self) -> None:
        raw = self.control.read()
        if raw is UNSET and self._knows_default:
            raw = Text("")  # emptied by hand: that is not the default
        self._changed(self.parameter.name, raw)

    def _switched(self, change: Any) -> None:
        if self._silent:
            return
        self.control.disable(change["new"])
        if change["new"]:
            self._changed(self.parameter.name, None)
        else:
            self._tell()

    # what the form says

    def show(self, form: Form) -> None:
        """Show the value that the form holds."""
        value = form.shown(self.parameter.name)
        self._knows_default = form.get_default(self.parameter.name) is not UNSET
        if not self.parameter.secret or value is UNSET:
            self.control.show(value)
        if self._off is not None:
            self._silent = True
            self._off.value = value is None
            self._silent = False
            self.control.disable(value is None)

    def tell(self, fault: Fault | None, *, changed: bool) -> None:
        """Show what is wrong, and whether the value is another one than the default."""
        text = self._describe(fault, changed)
        if self._below.value != text:
            self._below.value = text
        for name, holds in (("nbflow-changed", changed), ("nbflow-wrong", _is_wrong(fault))):
            if holds:
                self.widget.add_class(name)
            else:
                self.widget.remove_class(name)
        self._reset.disabled = not changed

    def _describe(self, fault: Fault | None, changed: bool) -> str:
        parameter = self.parameter
        type_text = self._describe_type()
        about = [f"<span class='nbflow-type'>{escape(type_text)}</span>"] if type_text else []
        if changed:
            about.append("<span class='nbflow-mark'>changed</span>")
        help_text = f"<span class='nbflow-help'>{escape(parameter.help)}</span>" if parameter.help else ""
        if isinstance(parameter.default, ComputedDefault) and not changed:
            about.append(f"computed in each run: <code>{escape(parameter.default.source)}</code>")
        message = ""
        if fault is not None:
            look = "nbflow-message" if _is_wrong(fault) else "nbflow-message nbflow-missing"
            message = f"<div class='{look}'>{escape(fault.message)}</div>"
        lines = f"{help_text} <span class='nbflow-about'>{' · '.join(about)}</span>"
        return f"<div id='{self.key}'><div>{lines}</div>{message}</div>"

    def _describe_type(self) -> str:
        least, greatest, _ = limits_of(self.parameter)
        parts = [self.parameter.type_text if self.kind is not Kind.CHOICE else ""]
        if least is not None and greatest is not None:
            parts.append(f"{least} to {greatest}")
        elif least is not None or greatest is not None:
            parts.append(f"at least {least}" if greatest is None else f"at most {greatest}")
        parts.append(HINTS.get(self.kind, ""))
        return ", ".join(part for part in parts if part)

    def rules(self, fault: Fault | None) -> dict[str, dict[str, str | None]]:
        """The attributes that assistive technology needs of the row's elements."""
        own = f".{self.css_class}"
        fields = ", ".join(f"{own} .nbflow-control {tag}" for tag in ("input", "textarea", "select"))
        marks: dict[str, str | None] = {
            "aria-describedby": self.key,
            "aria-invalid": "true" if _is_wrong(fault) else None,
            "aria-required": "true" if self.parameter.required else None,
        }
        title = self.parameter.name
        return {
            fields: marks,
            f"{own} .nbflow-not-set input": {"aria-label": f"{title} not set"},
            f"{own} .nbflow-zone select": {"aria-label": f"zone of {title}"},
            f"{own} .nbflow-reset": {"aria-label": f"reset {title}"},
        }


class OthersRow:
    """Values as JSON, where the language of the notebook hides what it declares."""

    HELP = 'This language can\'t be read: give values by their names, as JSON: <code>{"name": value}</code>'

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._silent = False
        self._text = W.Textarea(description=OTHERS, tooltip=OTHERS, style=STYLE, rows=4)
        self._text.add_class("nbflow-control")
        self._text.observe(self._typed, names="value")
        self._below = W.HTML()
        self._below.add_class("nbflow-below")
        line = W.HBox([self._text])
        line.add_class("nbflow-line-of-field")
        self.widget = W.VBox([line, self._below])
        self.widget.add_class("nbflow-field")
        self.widget.add_class("nbflow-others")

    def _typed(self, change: Any) -> None:
        if not self._silent:
            self._changed(change["new"])

    def show(self, text: str) -> None:
        self._silent = True
        self._text.value = text
        self._silent = False

    def tell(self, faults: Sequence[Fault]) -> None:
        """Show what is wrong with the values in it."""
        texts = [fault.message if fault.parameter == OTHERS else str(fault) for fault in faults]
        lines = "".join(f"<div class='nbflow-message'>{escape(text)}</div>" for text in texts)
        self._below.value = f"<div class='nbflow-help'>{self.HELP}</div>{lines}"


def _is_wrong(fault: Fault | None) -> bool:
    """A value that is still missing is no mistake yet."""
    return fault is not None and fault.rule != "missing"
