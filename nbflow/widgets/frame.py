"""What every panel has around its content: looks, title, a line to say things in, and attributes for its elements."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as W

from nbflow.widgets.either import find_live
from nbflow.widgets.links import shorten

Rules = dict[str, dict[str, str | None]]


@cache
def _read_style() -> str:
    return (Path(__file__).parent / "static" / "panel.css").read_text(encoding="utf-8")


class Frame:
    """Dresses *panel*; its ``parts`` come first in it."""

    def __init__(self, panel: W.VBox, name: str, version: int | None, path: Path) -> None:
        panel.add_class("nbflow-panel")
        number = f" <span class='nbflow-about'>version {version}</span>" if version else ""
        title = f"<div class='nbflow-title'><b>{escape(name)}</b>{number}<code>{escape(shorten(path))}</code></div>"
        self._title = W.HTML(f"<style>{_read_style()}</style>{title}")
        self._said = W.HTML()
        self._said.add_class("nbflow-said")
        live = find_live()
        hidden = {"width": "0", "height": "0", "margin": "0"}
        self._attributes: Any = None if live is None else live.Attributes(self._hear, layout=hidden)
        self._rules: Rules = {}
        if self._attributes is not None:
            self._attributes.add_class("nbflow-attributes")
        self.parts = (self._title, self._said, *([] if self._attributes is None else [self._attributes]))

    def set_rules(self, rules: Rules) -> None:
        """Attributes by CSS selector; None takes one away."""
        fixed: Rules = {
            ".nbflow-state-line, .nbflow-said, .nbflow-todo, .nbflow-rows, .nbflow-backfill-message": {
                "role": "status"
            },
            ".nbflow-form": {"role": "group", "aria-label": "Parameters"},
        }
        if self._attributes is not None and (merged := {**fixed, **rules}) != self._rules:
            self._rules = merged
            self._attributes.rules = merged

    def say(self, text: str) -> None:
        """A line above the content."""
        self._said.value = f"<span class='nbflow-about'>{escape(text)}</span>"

    def copy(self, text: str) -> None:
        """Write to the clipboard, where the browser lets us."""
        if self._attributes is not None:
            self._attributes.send({"type": "copy", "text": text})

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "copied":
            self.say("copied to the clipboard")
