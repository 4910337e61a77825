"""The slider beside a number field whose limits are both known."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import ipywidgets as W

from nbflow.parameters import Parameter
from nbflow.widgets.either import find_live
from nbflow.widgets.kinds import bare_type, limits_of


def make_slider(label: str, parameter: Parameter, slid: Callable[[str], None]) -> W.Widget | None:
    """A slider, hidden until its front end is there; None where the limits are not known or anywidget is not installed."""
    least, greatest, step = limits_of(parameter)
    live = find_live()
    if live is None or least is None or greatest is None or not least < greatest:
        return None
    slider: Any = None
    slider = live.Slider(
        lambda _: setattr(slider.layout, "display", ""),
        label=f"{label}, slider",
        least=str(least),
        greatest=str(greatest),
        step=choose_step(least, greatest, step, whole=bare_type(parameter) is int),
        value=str(least),
    )
    slider.layout.display = "none"
    slider.observe(lambda change: slid(change["new"]), names="value")
    return slider


def choose_step(least: Any, greatest: Any, step: Any, *, whole: bool) -> str:
    """How far one key press goes: what the notebook says, 1 for whole numbers, else about a hundredth of the way."""
    if step is not None and step > 0:
        return str(step)
    if whole:
        return "1"
    return str(Decimal(1).scaleb(math.floor(math.log10(float(greatest) - float(least))) - 2))


def find_position(text: str, limits: tuple[Any, Any, Any]) -> str | None:
    """Where the slider stands for the text of the field; None where it can't stand for it."""
    least, greatest, _ = limits
    try:
        number = Decimal(text.strip())
        within = Decimal(str(least)) <= number <= Decimal(str(greatest))
    except (InvalidOperation, ValueError):
        return None
    return text.strip() if within else None
