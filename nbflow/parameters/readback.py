"""Reading the values that a run really uses back from its Python kernel, computed defaults included."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from nbflow.parameters.values import loads_exact

MAX_VALUE = 64 * 1024
"""Characters of JSON that one value may take; of a longer one the beginning of its repr is kept."""
_READER = "nbflow.parameters.reader"
_BUILTINS = '__import__("builtins")'


def readback_expression(names: Sequence[str]) -> str:
    """A Python expression whose value is JSON: the current values of *names*, without those that don't exist.

    For ``user_expressions``. It binds no name in the kernel and needs nothing of nbflow there; where the reader is loaded,
    as in forks of the fork server, the kernel need not compile it.
    """
    return f"{find_function(_READER, 'read_all', _read_source())}({list(names)!r}, {_BUILTINS}.globals(), {MAX_VALUE})"


def find_function(module: str, name: str, source: str) -> str:
    """A Python expression for a function in the kernel: the module's where that is loaded, else compiled from *source*."""
    loaded = f'{_BUILTINS}.getattr(__import__("sys").modules.get({module!r}), {name!r}, None)'
    made = (
        f"(lambda space: ({_BUILTINS}.exec({source!r}, space), space[{name!r}])[1])({{'__name__': 'nbflow_readback'}})"
    )
    return f"({loaded} or {made})"


def parse_readback(reply_text: str) -> dict[str, Any]:
    """The values of a ``text/plain`` reply, in JSON form; empty when it is not what the expression gives."""
    try:
        return parse_values(ast.literal_eval(reply_text))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return {}


def parse_values(text: Any) -> dict[str, Any]:
    """The values that the expression's own value stands for, in JSON form; empty when it is not what it gives."""
    try:
        values = loads_exact(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _read_source() -> str:
    """The reader and the module that makes JSON forms, in one: the kernel's answer is made by the same rules as ours."""
    from importlib.resources import files

    folder = files("nbflow.parameters")
    forms, reader = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("forms.py", "reader.py"))
    _, _, reader = reader.partition("from nbflow.parameters.forms import NoForm, json_form\n")
    return f"{forms}\nimport itertools, reprlib\nfrom typing import Mapping, Sequence\n{reader}"
