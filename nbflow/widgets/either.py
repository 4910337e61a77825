"""Two widgets for one place: a plain one, and a better one as soon as its front end says that it is there."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import ipywidgets as W


def find_live() -> ModuleType | None:
    """The parts that need anywidget; None where that is not installed."""
    try:
        from nbflow.widgets import live
    except ImportError:
        return None
    return live


class Either:
    """Shows *plain* until *better* was drawn: a kernel may have anywidget where the browser's side lacks it."""

    def __init__(self, plain: W.Widget, better: W.Widget | None) -> None:
        self.plain = plain
        self.better = better
        self.is_better = False
        self._lock = threading.Lock()
        if better is not None:
            better.layout.display = "none"
        self.widget = W.Box([plain] if better is None else [better, plain])
        self.widget.add_class("nbflow-either")

    def switch(self) -> bool:
        """The better one is there; whether that is new."""
        with self._lock:
            if self.is_better or self.better is None:
                return False
            self.is_better = True
        self.better.layout.display = ""
        self.widget.children = (self.better,)
        close_all(self.plain)
        return True


def close_all(widget: W.Widget) -> None:
    """Close a widget and everything inside it, so that the kernel keeps nothing of it."""

    def close(one: Any) -> None:
        if one is None or one.comm is None:
            return
        for child in getattr(one, "children", ()):
            close(child)
        for part in (getattr(one, "layout", None), getattr(one, "style", None)):
            if isinstance(part, W.Widget):
                part.close()
        one.close()

    close(widget)
