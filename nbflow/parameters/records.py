"""The words of a declaration: source cells, parameters, their defaults, and what a reader has to say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCell:
    """A cell of a notebook as a reader of source sees it."""

    source: str
    index: int
    """Position among all cells of the notebook, from 0."""
    kind: str = "code"
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoDefault:
    """The parameter has no default: a value is required."""


@dataclass(frozen=True, slots=True)
class LiteralDefault:
    """A default that is known without running anything: a literal, or a constructor with literal arguments."""

    value: Any
    source: str = ""


@dataclass(frozen=True, slots=True)
class ComputedDefault:
    """A default that the kernel computes anew in every run."""

    source: str


Default = NoDefault | LiteralDefault | ComputedDefault
NO_DEFAULT = NoDefault()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A name that a flow declares: type, default, constraints and help."""

    name: str
    annotation: str | None = None
    """As written in the notebook, or in its ``# type:`` comment; None where there is none."""
    type_text: str = "Any"
    """The type as people read it: ``int``, ``list[float]``, ``Literal['EU', 'US']``."""
    python_type: Any = Any
    """The type as typing and pydantic read it, constraints included."""
    default: Default = NO_DEFAULT
    help: str = ""
    secret: bool = False
    inferred: bool = False
    """True when the type comes from the default, not from an annotation."""
    choices: tuple[Any, ...] = ()
    """The values to choose from, in JSON form, where they are finite; None is not among them."""
    widget: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Hints for a control: ``minimum``, ``maximum``, ``step``, ``label``, ``kind``, ``allow_input``."""
    line: int = 1
    """In its cell, from 1."""

    @property
    def required(self) -> bool:
        """Whether a call must give a value."""
        return isinstance(self.default, NoDefault)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a notebook that its author should know; reading goes on in spite of it."""

    rule: str
    severity: Literal["error", "warning", "info"]
    message: str
    """One line: what is wrong and what to do."""
    cell_index: int | None = None
    line: int | None = None
    """In the cell, from 1."""
    parameter: str | None = None


class Text(str):
    """A value as it was typed on a command line: coerced by the declared type rather than taken as a string."""

    __slots__ = ()
