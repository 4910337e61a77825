"""A flow's declaration: its parameters in order, the schema made of them, and the check of a call's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbflow.parameters.records import Finding, LiteralDefault, Parameter

if TYPE_CHECKING:
    from nbflow.errors import Fault
    from nbflow.parameters.validation import Validator
    from nbflow.parameters.values import Values


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a notebook declares. Made by ``read_declaration``."""

    language: str = "python"
    cell_index: int | None = None
    """Of the cell tagged ``parameters``; None when there is none."""
    parameters: tuple[Parameter, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What reading met: lines that are no Python, types that are not known."""
    accepts_undeclared: bool = False
    """True for a language whose cell can't be read: any name is passed on, with any JSON value."""

    @cached_property
    def _by_name(self) -> Mapping[str, Parameter]:
        return MappingProxyType({parameter.name: parameter for parameter in self.parameters})

    @cached_property
    def _validator(self) -> Validator:
        from nbflow.parameters.validation import Validator

        return Validator(parameters=self._by_name, accepts_undeclared=self.accepts_undeclared, python=self._is_python)

    @property
    def _is_python(self) -> bool:
        return self.language.lower().startswith(("python", "ipython"))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(self._by_name)

    def get(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return self._by_name.get(name)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of a call's values; strict JSON, safe to show."""
        from nbflow.parameters.schema import json_schema

        return json_schema(self.parameters, language=self.language, accepts_undeclared=self.accepts_undeclared)

    def validate(
        self, values: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, partial: bool = False
    ) -> Values:
        """*values* checked and typed; ParameterError with every fault of the call. *partial*: required ones may be missing.

        A ``Text`` is read by the declared type. A secret given as ``Text`` may be ``env:NAME``, looked up in *environ*
        (the process's own by default), or ``file:PATH``.
        """
        checked = self._validator.validate(values, environ=environ, partial=partial)
        self._check_writable(checked)
        return checked

    def _check_writable(self, values: Values) -> None:
        """What another language can't hold is refused here, before a kernel starts, not when its cell is written."""
        if self._is_python:
            return
        from nbflow.parameters import languages
        from nbflow.parameters.injection import render_injection

        if languages.can_render(self.language):
            render_injection(self, values, kernel_name="", language=self.language)

    def restore(self, json_form: Mapping[str, Any], secrets: Mapping[str, str] = MappingProxyType({})) -> Values:
        """The values whose ``Values.json`` was stored; a secret that *secrets* lacks is left out."""
        return self._validator.restore(json_form, secrets)

    def check_defaults(self) -> tuple[Fault, ...]:
        """What the declaration would refuse if its own literal defaults were passed."""
        from nbflow.errors import ParameterError

        faults: list[Fault] = []
        for parameter in self.parameters:
            if isinstance(parameter.default, LiteralDefault) and not parameter.secret:
                try:
                    self._validator.validate({parameter.name: parameter.default.value}, partial=True)
                except ParameterError as error:
                    faults.extend(error.faults)
        return tuple(faults)
