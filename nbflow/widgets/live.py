"""The parts of the panel that ipywidgets has no widget for, as native elements by anywidget. Only imported where that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

_STATIC = Path(__file__).parent / "static"
Listener = Callable[[dict[str, Any]], None]


class Live(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """Tells *hear* what its front end says: ``{"type": "ready"}`` first, whenever it was drawn."""

    def __init__(self, hear: Listener, **traits: Any) -> None:
        super().__init__(**traits)
        self._hear = hear
        self.on_msg(self._listen)

    def _listen(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and "type" in content:
            self._hear(content)


def _to_tail(_: Any, widget: LogView) -> dict[str, Any]:
    return widget.read_tail()


class LogView(Live):
    """The log. What is shown arrives as messages; the state holds only enough for a page that is opened again."""

    _esm = _STATIC / "log.js"
    label = traitlets.Unicode("Log").tag(sync=True)
    tail = traitlets.Int(0).tag(sync=True, to_json=_to_tail)
    """Counted up to have the newest lines kept in the state; they are read when the state is."""

    def __init__(self, hear: Listener, read_tail: Callable[[], dict[str, Any]]) -> None:
        self.read_tail = read_tail
        super().__init__(hear)


class SecretInput(Live):
    """A password field whose text is in no state."""

    _esm = _STATIC / "secret.js"
    label = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)


class Slider(Live):
    """A slider from *least* to *greatest*; numbers as text, so that none is rounded on its way."""

    _esm = _STATIC / "slider.js"
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)
    least = traitlets.Unicode().tag(sync=True)
    greatest = traitlets.Unicode().tag(sync=True)
    step = traitlets.Unicode("any").tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)


class Attributes(Live):
    """Attributes for elements of the panel around it, by CSS selector; also writes to the clipboard."""

    _esm = _STATIC / "attributes.js"
    rules = traitlets.Dict().tag(sync=True)
