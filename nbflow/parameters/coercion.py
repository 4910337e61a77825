"""What a text typed on a command line means, by the declared type.

A text that can't be read as its type is returned as it is: the validator then refuses it, with the same words as
anywhere else. The exception is JSON nested too deeply (``TooDeep``): that must not become a string.
"""

from __future__ import annotations

import enum
import math
import typing
from collections.abc import Callable
from typing import Any

from nbflow.parameters import hints
from nbflow.parameters.forms import enum_form
from nbflow.parameters.values import TooDeep, loads_exact

_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_PYTHON_WORDS = {"True": True, "False": False, "None": None}
_NULLS = ("null", "none")

Fits = Callable[[Any, Any], bool]
"""Whether a value is of a type."""


def read_text(text: str, hint: Any, fits: Fits) -> Any:
    """The value that *text* stands for where a value of type *hint* is wanted."""
    bare, _ = hints.split_annotated(hint)
    if bare is Any:
        return read_json_or_text(text)
    if hints.is_union(bare):
        return _read_union(text, bare, fits)
    if hints.is_literal(bare):
        return _read_choice(text, typing.get_args(bare), fits)
    if hints.is_enum(bare):
        return _read_member(text, bare, fits)
    container = hints.container_of(bare)
    if container is dict:
        return _read_json(text, text)
    if container is not None:
        return _read_items(text, bare, fits)
    return _read_scalar(text, bare)


def read_json_or_text(text: str) -> Any:
    """JSON where *text* is JSON, Python's ``True``, ``False`` and ``None``, else the text itself."""
    return _PYTHON_WORDS[text] if text in _PYTHON_WORDS else _read_json(text, text)


def _read_json(text: str, otherwise: Any) -> Any:
    try:
        return loads_exact(text)
    except TooDeep:
        raise
    except ValueError:
        return otherwise


def _read_scalar(text: str, kind: Any) -> Any:
    word = text.strip()
    if kind is bool:
        return _BOOLS.get(word.lower(), text)
    if kind is type(None):
        return None if word.lower() in _NULLS else text
    try:
        if kind is int:
            value = loads_exact(word) if word.removeprefix("-").isdigit() and word.isascii() else int(word)
            return value if type(value) is int else text
        number = float(word) if kind is float else 0.0
        # A number too large for a float must not become infinity; infinity has a name.
        return text if kind is not float or (math.isinf(number) and "inf" not in word.lower()) else number
    except ValueError:
        # Leading zeros are no JSON, but they are digits: 007 is 7.
        return _read_digits(word, text) if kind is int else text


def _read_digits(word: str, otherwise: str) -> Any:
    try:
        return int(word)
    except TooDeep:
        raise
    except ValueError:
        return otherwise


def _read_union(text: str, bare: Any, fits: Fits) -> Any:
    members = typing.get_args(bare)
    if type(None) in members and text.strip().lower() in _NULLS:
        return None
    # str takes everything, so it comes last, wherever it is declared.
    ordered = sorted((member for member in members if member is not type(None)), key=lambda member: member is str)
    for member in ordered:
        value = read_text(text, member, fits)
        if fits(value, member):
            return value
    return text


def _read_choice(text: str, choices: tuple[Any, ...], fits: Fits) -> Any:
    if text in choices:
        return text
    for choice in choices:
        value = read_text(text, type(choice), fits)
        if type(value) is type(choice) and value == choice:
            return choice
    return text


def _read_member(text: str, kind: type[enum.Enum], fits: Fits) -> Any:
    forms = tuple(enum_form(member) for member in kind)
    return text if text in kind.__members__ and text not in forms else _read_choice(text, forms, fits)


def _read_items(text: str, bare: Any, fits: Fits) -> Any:
    if text.lstrip().startswith("["):
        return _read_json(text, text)
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    arguments = tuple(part for part in typing.get_args(bare) if part is not Ellipsis) or (Any,)
    if hints.container_of(bare) is tuple and len(arguments) == len(parts):
        return [read_text(part, kind, fits) for part, kind in zip(parts, arguments, strict=True)]
    return [read_text(part, arguments[0], fits) for part in parts]
