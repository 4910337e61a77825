"""Checking the values of a call against a declaration: all faults together, before any kernel starts."""

from __future__ import annotations

import difflib
import enum
import keyword
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nbflow.errors import Fault, ParameterError
from nbflow.parameters import hints
from nbflow.parameters.adapters import fits, make_adapter
from nbflow.parameters.coercion import read_text
from nbflow.parameters.defaults import infer_type
from nbflow.parameters.forms import MAX_DEPTH, NoForm, json_form
from nbflow.parameters.literals import literal
from nbflow.parameters.markers import Secret
from nbflow.parameters.records import Parameter, Text
from nbflow.parameters.scalars import is_from, show
from nbflow.parameters.values import MASK, MAX_BYTES, TooDeep, Values, dumps_exact, loads_exact

_SHOWN_NAMES = 12
_LONGEST_MESSAGE = 300
_TOO_DEEP = f"nested deeper than {MAX_DEPTH}; pass the path of a file"
_MAX_SECRET_FILE = 64 * 1024
_ADVICE_FOR_TABLES = "pass a list, or the path of a file"


class _Refused(Exception):
    """One value is refused; carries the fault's rule and message."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """Validates calls of one declaration; keeps pydantic's validators between calls."""

    parameters: Mapping[str, Parameter]
    accepts_undeclared: bool = False
    python: bool = True
    _adapters: dict[str, TypeAdapter[Any]] = field(default_factory=dict)

    def validate(
        self, values: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, partial: bool = False
    ) -> Values:
        """*values* checked and typed; ParameterError with every fault. *partial*: required ones may be missing."""
        return self._collect(values, os.environ if environ is None else environ, {}, partial=partial)

    def restore(self, json_form: Mapping[str, Any], secrets: Mapping[str, str]) -> Values:
        """The values whose stored JSON form is given; a secret is taken from *secrets*, and left out without it."""
        masked = {name for name, value in json_form.items() if self._is_secret(name) and value == MASK}
        given = {name: secrets.get(name, value) if name in masked else value for name, value in json_form.items()}
        absent = {name: MASK for name in masked if name not in secrets}
        return self._collect({name: given[name] for name in given if name not in absent}, {}, absent, partial=True)

    def _is_secret(self, name: str) -> bool:
        return name in self.parameters and self.parameters[name].secret

    def _collect(
        self, values: Mapping[str, Any], environ: Mapping[str, str], absent: Mapping[str, str], *, partial: bool
    ) -> Values:
        faults: list[Fault] = []
        typed: dict[str, Any] = {}
        forms: dict[str, Any] = dict(absent)
        secrets: dict[str, str] = {}
        for given, value in values.items():
            name = unicodedata.normalize("NFKC", given) if isinstance(given, str) else given
            fault = self._check_name(name) or self._check_twice(name, typed)
            if fault is not None:
                faults.append(fault)
                continue
            parameter = self.parameters.get(name) or Parameter(name=name)
            try:
                typed[name], forms[name] = self._check_value(parameter, value, environ)
            except _Refused as refused:
                faults.append(Fault(parameter=name, rule=refused.rule, message=_one_line(refused.message)))
                typed.setdefault(name, None)
                continue
            if parameter.secret and isinstance(typed[name], str):
                secrets[name] = Secret(typed[name])
                forms[name] = MASK
        if not partial:
            faults.extend(self._find_missing(typed))
        faults.extend(_check_size(forms, secrets) if not faults else [])
        if faults:
            raise ParameterError(faults, hint=self._hint(faults))
        return Values(typed=typed, json=forms, secrets=secrets)

    # names

    def _check_name(self, name: Any) -> Fault | None:
        if not isinstance(name, str):
            return Fault(parameter=show(name), rule="name", message="a parameter's name must be a string")
        declared = name in self.parameters
        wrong = _name_problem(name) if self.python or not declared else None
        if wrong is not None:
            return Fault(parameter=_printable(name), rule="name", message=f"{wrong}; no value can be passed to it")
        if declared or self.accepts_undeclared:
            return None
        near = difflib.get_close_matches(name, self.parameters, n=1) or _same_but_case(name, self.parameters)
        if near:
            message = f"no such parameter; did you mean {near[0]!r}?"
        elif self.parameters:
            message = f"no such parameter; declared: {_list_names(self.parameters)}"
        else:
            message = "no such parameter; this notebook declares none (tag the cell that assigns it 'parameters')"
        return Fault(parameter=name, rule="unknown", message=message)

    def _check_twice(self, name: str, typed: Mapping[str, Any]) -> Fault | None:
        if name not in typed:
            return None
        return Fault(parameter=name, rule="name", message="given twice, in two spellings of the same name")

    def _find_missing(self, given: Mapping[str, Any]) -> Iterator[Fault]:
        for parameter in self.parameters.values():
            if parameter.required and parameter.name not in given:
                message = f"required, but no value was given (type {parameter.type_text})"
                yield Fault(parameter=parameter.name, rule="missing", message=message)

    def _hint(self, faults: Sequence[Fault]) -> str:
        guessed = any(fault.rule == "unknown" and "did you mean" in fault.message for fault in faults)
        return f"declared: {_list_names(self.parameters)}" if guessed else ""

    # values

    def _check_value(self, parameter: Parameter, value: Any, environ: Mapping[str, str]) -> tuple[Any, Any]:
        """``(typed, JSON form)``. What would not come back from its JSON form as it is, is refused."""
        if isinstance(value, Text):
            value = self._read_text(parameter, str(value), environ)
        typed = self._apply(parameter, _take(value))
        try:
            form = json_form(typed)
            text = dumps_exact(form)
            # Two halves of a pair of surrogates become one character in JSON: only its text shows that.
            again = self._apply(parameter, loads_exact(text) if "\\ud" in text else form)
            if literal(typed) == literal(again):
                return again, form
        except (NoForm, _Refused, ValueError) as error:
            raise _Refused("unrepresentable", f"can't be kept as JSON ({error})") from None
        what = "" if parameter.secret else f": {show(typed)} is read back as {show(again)}"
        raise _Refused("unrepresentable", f"can't be told apart in JSON by the type {parameter.type_text}{what}")

    def _read_text(self, parameter: Parameter, text: str, environ: Mapping[str, str]) -> Any:
        if parameter.secret:
            return _read_secret(text, environ)
        try:
            return read_text(text, parameter.python_type, fits)
        except TooDeep:
            raise _Refused("size", _TOO_DEEP) from None

    def _apply(self, parameter: Parameter, value: Any) -> Any:
        adapter = self._adapters.get(parameter.name)
        if adapter is None:
            adapter = self._adapters[parameter.name] = make_adapter(parameter.python_type)
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise _explain(parameter, value, error) from None
        except RecursionError:
            raise _Refused("size", _TOO_DEEP) from None


def _explain(parameter: Parameter, value: Any, error: ValidationError) -> _Refused:
    """The first thing wrong, where it is, how many more there are, and what to do."""
    details = error.errors(include_url=False)
    first = details[0]
    rule = first["type"] if first["type"] in ("constraint", "unrepresentable") else "type"
    place = "".join(f"[{part!r}]" for part in first["loc"] if part != "[key]")
    message = first["msg"].replace("{name}", parameter.name)
    if rule == "constraint" and not parameter.secret and "got" not in message and not place:
        message = f"{message}, got {show(value)}"
    if len(details) > 1:
        message += f" (and {len(details) - 1} more such)"
    if rule == "type" and parameter.inferred:
        kind = hints.type_text(infer_type(value))
        if kind not in ("Any", parameter.type_text):
            message += f"; the type comes from the default: annotate {parameter.name}: {kind} if that is meant"
    return _Refused(rule, f"at {place}: {message}" if place else message)


def _take(value: Any) -> Any:
    """*value* as plain Python; a class of the caller's that fails while it is looked at is refused."""
    try:
        return _normalise(value)
    except _Refused:
        raise
    except Exception as error:
        kind = type(value).__name__
        raise _Refused("unrepresentable", f"a {kind} that can't be read ({type(error).__name__}: {error})") from None


def _normalise(value: Any, depth: int = 0) -> Any:
    """numpy's scalars and subclasses of plain types as the plain values they stand for; containers are copied."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if depth >= MAX_DEPTH:
        raise _Refused("size", _TOO_DEEP)
    if isinstance(value, dict):
        return {_normalise(key, depth + 1): _normalise(item, depth + 1) for key, item in value.items()}
    for container in (list, tuple, set, frozenset):
        if isinstance(value, container):
            items = [_normalise(item, depth + 1) for item in value]
            return items if container is list else container(items)
    if isinstance(value, enum.Enum):
        return value
    for plain in (str, int, float):
        if isinstance(value, plain):
            # Not str(value): a subclass may say there what it likes.
            return getattr(plain, f"__{plain.__name__}__")(value)
    if is_from(value, "numpy") or is_from(value, "pandas"):
        return _normalise_foreign(value)
    return value


def _normalise_foreign(value: Any) -> Any:
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind in ("Timestamp", "Timedelta", "datetime64", "timedelta64"):
        return None if str(value) == "NaT" else value
    if any(base.__name__ == "generic" for base in type(value).__mro__):
        item = value.item()
        if type(item) in (bool, int, float, str):
            return item
    package = type(value).__module__.partition(".")[0]
    raise _Refused("unrepresentable", f"a {package} {kind} can't be passed; {_ADVICE_FOR_TABLES}")


def read_secret(name: str, text: str, *, environ: Mapping[str, str]) -> str:
    """The secret that ``env:NAME`` or ``file:PATH`` stands for. Raises ParameterError when it is not there."""
    try:
        return Secret(_read_secret(text, environ))
    except _Refused as refused:
        raise ParameterError([Fault(parameter=name, rule=refused.rule, message=refused.message)]) from None


def _read_secret(text: str, environ: Mapping[str, str]) -> str:
    scheme, colon, name = text.partition(":")
    if not colon or scheme not in ("env", "file"):
        return text
    if scheme == "env":
        if name not in environ:
            raise _Refused("secret", f"the environment variable {name} is not set")
        return environ[name]
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(_MAX_SECRET_FILE + 1)
        if len(content) > _MAX_SECRET_FILE:
            raise _Refused("secret", f"the file {name} is too large for a secret")
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _Refused("secret", f"the file {name} can't be read ({reason})") from None


def _check_size(forms: Mapping[str, Any], secrets: Mapping[str, str]) -> Iterator[Fault]:
    sizes = {name: len(dumps_exact(form)) for name, form in forms.items()}
    sizes.update({name: len(secret) for name, secret in secrets.items()})
    total = sum(sizes.values()) + sum(len(name) + 6 for name in sizes)
    if total > MAX_BYTES:
        largest = max(sizes, key=lambda name: sizes[name])
        limit = f"{MAX_BYTES // 1024} KiB"
        message = (
            f"the values take {-(-total // 1024)} KiB as JSON, and {limit} is the limit; pass a path or URL instead"
        )
        yield Fault(parameter=largest, rule="size", message=message)


def _name_problem(name: str) -> str | None:
    if not name.isidentifier():
        return "not a valid name"
    if keyword.iskeyword(name):
        return "a keyword of Python"
    if name.startswith("__") and name.endswith("__"):
        return "a name reserved by Python"
    return None


def _one_line(message: str) -> str:
    text = " ".join(message.splitlines())
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."


def _printable(name: str) -> str:
    text = name if name.isprintable() and name else repr(name)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _same_but_case(name: str, declared: Mapping[str, Parameter]) -> list[str]:
    return [other for other in declared if other.lower() == name.lower()]


def _list_names(declared: Mapping[str, Parameter]) -> str:
    names = list(declared)
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more
