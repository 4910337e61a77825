"""Reading the values that a run really uses back from its Python kernel, computed defaults included."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from nbflow.parameters.values import loads_exact

MAX_VALUE = 64 * 1024
"""Characters of JSON that one value may take; of a longer one the beginning of its repr is kept."""

_READER = """
import itertools, reprlib

def short(value):
    try:
        text = hex(value) if type(value) is int else reprlib.repr(value)
    except Exception:
        text = "<%s>" % type(value).__name__
    return {"$repr": text if len(text) <= 200 else text[:197] + "..."}

def count(value, left):
    if left < 0:
        raise NoForm("too large")
    if type(value) is str:
        return left - len(value)
    if type(value) in (list, tuple, set, frozenset, dict):
        for item in itertools.chain(value, value.values() if type(value) is dict else ()):
            left = count(item, left - 1)
    return left - 1

def read(name, value, limit):
    try:
        count(value, limit)
        text = json.dumps(json_form(value))
        if len(text) <= limit:
            return text
    except Exception:
        pass
    return json.dumps(short(value))

def read_all(names, namespace, limit):
    pairs = [(name, namespace[name]) for name in names if name in namespace]
    return "{%s}" % ", ".join("%s: %s" % (json.dumps(name), read(name, value, limit)) for name, value in pairs)
"""


def readback_expression(names: Sequence[str]) -> str:
    """A Python expression whose value is JSON: the current values of *names*, without those that don't exist.

    For ``user_expressions``. It needs nothing of nbflow in the kernel and binds no name there.
    """
    source = _read_forms() + _READER
    builtins = '__import__("builtins")'
    return (
        f"(lambda space: ({builtins}.exec({source!r}, space), "
        f"space['read_all']({list(names)!r}, {builtins}.globals(), {MAX_VALUE}))[1])({{'__name__': 'nbflow_readback'}})"
    )


def parse_readback(reply_text: str) -> dict[str, Any]:
    """The values of a ``text/plain`` reply, in JSON form; empty when it is not what the expression gives."""
    try:
        values = loads_exact(ast.literal_eval(reply_text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _read_forms() -> str:
    """The text of the module that makes JSON forms: the kernel's answer is then made by the same rules as ours."""
    from importlib.resources import files

    return files("nbflow.parameters").joinpath("forms.py").read_text(encoding="utf-8")
