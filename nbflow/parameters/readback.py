"""Reading the values that a run really uses back from its Python kernel, computed defaults included."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from nbflow.parameters.values import loads_exact

MAX_VALUE = 64 * 1024
"""Characters of JSON that one value may take; of a longer one the beginning of its repr is kept."""
_READER = "nbflow.parameters.reader"


def readback_expression(names: Sequence[str]) -> str:
    """A Python expression whose value is JSON: the current values of *names*, without those that don't exist.

    For ``user_expressions``. It binds no name in the kernel and needs nothing of nbflow there; where the reader is loaded,
    as in forks of the fork server, the kernel need not compile it.
    """
    builtins, modules = '__import__("builtins")', '__import__("sys").modules'
    loaded = f"{builtins}.getattr({modules}.get({_READER!r}), 'read_all', None)"
    made = f"(lambda space: ({builtins}.exec({_read_source()!r}, space), space['read_all'])[1])({{'__name__': 'nbflow_readback'}})"
    return f"({loaded} or {made})({list(names)!r}, {builtins}.globals(), {MAX_VALUE})"


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
