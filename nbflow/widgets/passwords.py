"""The field of a secret: what is typed stays in this process, and in no widget's saved state."""

from __future__ import annotations

from typing import Any

import ipywidgets as W

from nbflow.parameters import Text
from nbflow.widgets.controls import Control
from nbflow.widgets.either import Either, find_live
from nbflow.widgets.form import UNSET

PROMPT = "or env:NAME, file:PATH"


class SecretControl(Control):
    """A password field by anywidget, whose text is no state; the toolkit's own where that is missing."""

    def build(self) -> W.Widget:
        self._text = ""
        self._plain = W.Password(placeholder=PROMPT, **self.common)
        self._plain.observe(self._typed, names="value")
        live = find_live()
        better = None
        if live is not None:
            better = live.SecretInput(self._hear, label=self.place.label, placeholder=PROMPT)
        self._either = Either(self._plain, better)
        return self._either.widget

    def _typed(self, change: Any) -> None:
        if not self._silent:
            self._text = change["new"]
            self.told()

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "ready":
            self._either.switch()
        elif message["type"] == "text":
            self._text = str(message.get("text", ""))
            self.told()

    def read(self) -> Any:
        return Text(self._text) if self._text else UNSET

    def write(self, form: Any) -> None:
        """Only ever empties it: no stored value is a secret's."""
        self._text = ""
        self._plain.value = ""
        if self._either.better is not None:
            self._either.better.send({"type": "clear"})

    def disable(self, disabled: bool) -> None:
        self._plain.disabled = disabled
        if self._either.better is not None:
            self._either.better.disabled = disabled
