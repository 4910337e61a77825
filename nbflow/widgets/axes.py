"""What is filled in for a backfill, apart from any widget: values for each parameter, written as on a command line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbflow.backfilling.axes import read_axis
from nbflow.errors import ParameterError, UsageError
from nbflow.parameters import Declaration, Text

CHECKED = 500
"""Values of an axis that are looked at while it is typed; all are when the backfill is planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxesCheck:
    """What is to be said of the axes as they are filled in now."""

    faults: Mapping[str, str] = field(default_factory=dict)
    """By parameter."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many values each axis has; a parameter with one value for all rows is not among them."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """As a backfill takes them."""

    @property
    def rows(self) -> int:
        """How many rows the product has; 0 without an axis."""
        return math.prod(self.counts.values()) if self.counts else 0


class Axes:
    """The texts of one declaration's axes. Not safe for threads: its owner holds a lock."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._texts: dict[str, str] = {}

    def set(self, name: str, text: str) -> None:
        """An empty *text*: the parameter keeps the value of the form."""
        if text.strip():
            self._texts[name] = text
        else:
            self._texts.pop(name, None)

    def check(self, constants: Mapping[str, Any]) -> AxesCheck:
        """*constants*: what the form holds for the parameters that are no axis."""
        faults: dict[str, str] = {}
        counts: dict[str, int] = {}
        # A list of the form is one value, not an axis.
        values: dict[str, Any] = {
            name: [value] if isinstance(value, list | tuple | set | frozenset) else value
            for name, value in constants.items()
            if name not in self._texts
        }
        for name, text in self._texts.items():
            try:
                values[name] = read_axis(name, text)
                self._check_values(name, values[name])
            except ParameterError as error:
                faults[name] = error.faults[0].message
            except UsageError as error:
                faults[name] = str(error)
            if isinstance(values.get(name), list):
                counts[name] = len(values[name])
        for parameter in self.declaration.parameters:
            if parameter.required and parameter.name not in values and parameter.name not in faults:
                faults[parameter.name] = f"required, but no value was given (type {parameter.type_text})"
        return AxesCheck(faults=faults, counts=counts, values=values)

    def _check_values(self, name: str, values: Any) -> None:
        for value in values[:CHECKED] if isinstance(values, list) else [values]:
            self.declaration.validate({name: Text(value) if isinstance(value, str) else value}, partial=True)
