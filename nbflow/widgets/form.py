"""What a person has filled in, apart from any widget: values as they were typed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nbflow.errors import Fault, ParameterError
from nbflow.parameters import Declaration, LiteralDefault, Parameter, Text, Values
from nbflow.parameters.forms import NoForm, json_form
from nbflow.parameters.values import MASK, dumps_exact, loads_exact
from nbflow.widgets.texts import find_json_error


class Unset(Enum):
    """What a field holds that was left alone: the parameter keeps its default."""

    UNSET = "unset"


UNSET = Unset.UNSET
OTHERS = "other values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is to be said of a form as it is filled in now."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    """By parameter; a fault that is no parameter's own stands under the one it names."""
    changed: frozenset[str] = frozenset()
    """Whose value is not the default."""
    json: Mapping[str, Any] = field(default_factory=dict)
    """The values that are right, in JSON form; secrets are masked."""

    @property
    def is_right(self) -> bool:
        return not self.faults


class Form:
    """The fields of one declaration. Not safe for threads: its owner holds a lock."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.excused: frozenset[str] = frozenset()
        """Parameters that need no value here, though they are required."""
        self._raw: dict[str, Any] = {}
        self.others_text = ""
        """The values of parameters that are not declared, as JSON."""
        self._others: dict[str, Any] = {}
        self._others_fault: Fault | None = None
        self._defaults = {parameter.name: self._find_default(parameter) for parameter in declaration.parameters}

    def _find_default(self, parameter: Parameter) -> Any:
        """In JSON form, as validation would leave it; UNSET where it is not known without running anything."""
        if not isinstance(parameter.default, LiteralDefault) or parameter.secret:
            return UNSET
        value = parameter.default.value
        try:
            return self.declaration.validate({parameter.name: value}, partial=True).json[parameter.name]
        except ParameterError:
            pass
        try:
            return json_form(value)
        except NoForm:
            return UNSET

    def get_default(self, name: str) -> Any:
        """The default in JSON form; UNSET where it is computed, secret, or there is none."""
        return self._defaults[name]

    def get(self, name: str) -> Any:
        """What was typed or chosen; UNSET where nothing was."""
        return self._raw.get(name, UNSET)

    def has_value(self, name: str) -> bool:
        """Whether a value stands in the field."""
        return self.shown(name) is not UNSET

    def shown(self, name: str) -> Any:
        """The value that stands in the field, in JSON form; UNSET where that is none."""
        raw = self.get(name)
        return self._defaults[name] if raw is UNSET else raw

    def set(self, name: str, raw: Any) -> None:
        """*raw*: a ``Text`` as typed, a typed value, or UNSET for the default."""
        if raw is UNSET:
            self._raw.pop(name, None)
        else:
            self._raw[name] = raw

    def set_others(self, text: str) -> None:
        """Values for names that can't be read from the notebook, as a JSON object: for languages without a reader."""
        self.others_text, self._others, self._others_fault = text, {}, None
        if not text.strip():
            return
        try:
            given = loads_exact(text)
        except ValueError as error:
            self._others_fault = Fault(parameter=OTHERS, rule="type", message=f"not JSON: {error}")
            return
        if isinstance(given, dict):
            self._others = given
        else:
            self._others_fault = Fault(parameter=OTHERS, rule="type", message='expected {"name": value, …}')

    def clear(self) -> None:
        """Everything back to its default."""
        self._raw.clear()
        self.set_others("")

    def clear_secrets(self) -> None:
        for parameter in self.declaration.parameters:
            if parameter.secret:
                self._raw.pop(parameter.name, None)

    def fill(self, values: Mapping[str, Any]) -> list[str]:
        """Take over the values of a run, in JSON form; the names that this declaration no longer has."""
        self.clear()
        for name, form in values.items():
            parameter = self.declaration.get(name)
            if parameter is not None and not (parameter.secret or form == MASK):
                self._raw[name] = form
        unknown = [name for name in values if self.declaration.get(name) is None]
        if not self.declaration.accepts_undeclared:
            return unknown
        if unknown:
            self.set_others(dumps_exact({name: values[name] for name in unknown}))
        return []

    def check(self) -> Check:
        """Every fault, worded as everywhere else, and what differs from the defaults."""
        faults: dict[str, Fault] = {}
        try:
            self.declaration.validate({**self._raw, **self._others})
        except ParameterError as error:
            for fault in error.faults:
                if fault.rule != "missing" or fault.parameter not in self.excused:
                    faults.setdefault(fault.parameter, self._explain(fault))
        if self._others_fault is not None:
            faults[OTHERS] = self._others_fault
        json = self._take_right(faults)
        changed = {name for name in (*self._raw, *self._others) if name in faults or self._differs(name, json)}
        return Check(faults=faults, changed=frozenset(changed), json=json)

    def _explain(self, fault: Fault) -> Fault:
        """The fault, and where the JSON breaks off that it is about."""
        parameter, raw = self.declaration.get(fault.parameter), self.get(fault.parameter)
        where = find_json_error(parameter, raw) if parameter is not None and isinstance(raw, Text) else ""
        if not where or fault.rule != "type" or (parameter is not None and parameter.secret):
            return fault
        return Fault(parameter=fault.parameter, rule=fault.rule, message=f"{fault.message} ({where})")

    def _take_right(self, faults: Mapping[str, Fault]) -> Mapping[str, Any]:
        given = {**self._raw, **self._others}
        right = {name: raw for name, raw in given.items() if name not in faults}
        try:
            return self.declaration.validate(right, partial=True).json
        except ParameterError:  # too large in all
            return {}

    def _differs(self, name: str, json: Mapping[str, Any]) -> bool:
        default = self._defaults.get(name, UNSET)
        return default is UNSET or name not in json or dumps_exact(json[name]) != dumps_exact(default)

    def to_values(self) -> dict[str, Any]:
        """What is passed to a run: whatever differs from the defaults, as it was typed."""
        changed = self.check().changed
        return {name: raw for name, raw in {**self._raw, **self._others}.items() if name in changed}

    def validate(self) -> Values:
        """What is filled in, checked and typed, defaults left out. Raises ParameterError."""
        return self.declaration.validate(self.to_values())
