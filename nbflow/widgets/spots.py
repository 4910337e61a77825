"""Spots in a view where HTML is shown that changes."""

from __future__ import annotations

import ipywidgets as W


def make_spot(css_class: str) -> W.HTML:
    """An empty one."""
    spot = W.HTML()
    spot.add_class(css_class)
    return spot


def show(spot: W.HTML, html: str) -> None:
    """Nothing goes to the browser where that is shown already."""
    if spot.value != html:
        spot.value = html
