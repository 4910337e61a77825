"""One function for each kind of value: the typed value, from Python or from its JSON form, or a refusal.

Strict on purpose: a string is no number, a bool is no int, and nothing is rounded. numpy's and pandas' scalars are
told by their module, so neither is imported unless a value or type of theirs is at hand.
"""

from __future__ import annotations

import decimal
import enum
import math
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticCustomError

from nbflow.parameters.forms import NoForm, enum_form, json_form
from nbflow.parameters.markers import Secret, is_one_of

_NAMED_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def refuse(expected: str, value: Any, advice: str = "") -> PydanticCustomError:
    """The error that says what was expected and what came."""
    return PydanticCustomError("type", "{why}", {"why": f"expected {expected}, got {show(value)}{advice}"})


def show(value: Any) -> str:
    """A short description of *value* for a message; survives any repr."""
    kind = type(value).__name__
    try:
        text = repr(value)
    except Exception:
        return f"a {kind}"
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return text if kind in ("NoneType", "bool") or "\n" in text else f"the {kind} {text}".replace("the str ", "")


def as_bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise refuse("bool (true or false)", value)


def as_int(value: Any) -> int:
    if type(value) is int:
        return value
    raise refuse("int", value)


def as_float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            raise refuse("float", "an integer too large for one") from None
        if number != value:
            raise refuse("float", value, ", which a float can't hold exactly")
        return number
    if type(value) is str and value in _NAMED_FLOATS:
        return _NAMED_FLOATS[value]
    raise refuse("float", value)


def as_str(value: Any) -> str:
    if type(value) is str:
        return value
    raise refuse("str", value)


def as_none(value: Any) -> None:
    if value is not None:
        raise refuse("null", value)


def as_decimal(value: Any) -> decimal.Decimal:
    if type(value) is decimal.Decimal and not value.is_snan():
        return value
    try:
        if type(value) is int:
            return decimal.Decimal(value)
        if type(value) is float:
            # A number of JSON means the digits that were written, not the nearest binary fraction.
            return decimal.Decimal(repr(value))
        if type(value) is str and not decimal.Decimal(value).is_snan():
            return decimal.Decimal(value)
    except (decimal.InvalidOperation, ValueError):
        pass
    raise refuse("Decimal", value)


def as_path(value: Any) -> pathlib.Path:
    if isinstance(value, str | pathlib.Path) and "\x00" not in str(value):
        return pathlib.Path(value)
    raise refuse("path", value)


def as_uuid(value: Any) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=value.int)
    try:
        return uuid.UUID(as_str(value))
    except ValueError:
        raise refuse("UUID", value) from None


def as_secret(value: Any) -> Secret:
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return Secret(value)
    # Not even a wrong value is shown: it may be the secret in another shape.
    raise PydanticCustomError("type", "expected str, got a value of another type")


def as_json(value: Any) -> Any:
    """Only what JSON itself knows; a date is not silently a string."""
    if type(value) in (list, dict):
        _check_json_items(value)
        return value
    if value is None or type(value) in (bool, int, float, str):
        return value
    kind = type(value).__name__
    try:
        json_form(value)
        advice = f"{kind} is not a JSON value; annotate {{name}}: {'pd.' * is_from(value, 'pandas')}{kind}"
    except NoForm:
        advice = f"{kind} is not a JSON value; pass numbers, strings, lists and dictionaries, or the path of a file"
    raise PydanticCustomError("unrepresentable", "{why}", {"why": advice})


def _check_json_items(value: Any) -> None:
    """Walks lists and dictionaries of undeclared content; iterative calls are bounded by the depth checked before."""
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                why = f"the key {show(key)} is not a string; annotate {{name}}: dict[{type(key).__name__}, Any]"
                raise PydanticCustomError("unrepresentable", "{why}", {"why": why})
            as_json(item)
    else:
        for item in value:
            as_json(item)


def as_one_of(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    """For ``Literal``: the choice itself, so that 1.0 given for 1 is 1."""

    def choose(value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            for choice in choices:
                if is_one_of(value, (choice,)):
                    return choice
        names = ", ".join("null" if choice is None else repr(choice) for choice in choices)
        raise PydanticCustomError("constraint", "{why}", {"why": f"must be one of {names}; got {show(value)}"})

    return choose


def as_member(kind: type[enum.Enum]) -> Callable[[Any], enum.Enum]:
    """For an enumeration of the notebook: by member of the same name, by JSON form, or by name."""

    def choose(value: Any) -> enum.Enum:
        if isinstance(value, enum.Enum):
            if type(value).__name__ == kind.__name__ and value.name in kind.__members__:
                return kind.__members__[value.name]
        else:
            for member in kind:
                if type(value) in (bool, int, float, str) and is_one_of(value, (enum_form(member),)):
                    return member
            if type(value) is str and value in kind.__members__:
                return kind.__members__[value]
        names = ", ".join(repr(enum_form(member)) for member in kind)
        raise PydanticCustomError("constraint", "{why}", {"why": f"must be one of {names}; got {show(value)}"})

    return choose


def is_from(value: Any, package: str, *names: str) -> bool:
    """Whether *value* is of a package, told without importing it."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == package and (not names or kind.__name__ in names)
