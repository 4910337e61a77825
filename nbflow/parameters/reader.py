"""The reading of values in a kernel, each as JSON of limited length.

Like ``forms``, with which it goes there as text, it imports the standard library only. Forks of nbflow's fork server have
it already.
"""

from __future__ import annotations

import itertools
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from nbflow.parameters.forms import NoForm, json_form


def short(value: Any) -> dict[str, str]:
    """The beginning of its repr, for a value that has no JSON form or too long a one."""
    try:
        text = hex(value) if type(value) is int else reprlib.repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return {"$repr": text if len(text) <= 200 else text[:197] + "..."}


def count(value: Any, left: int) -> int:
    """How much is *left* of a limit once the value is paid for. Raises NoForm before a large one is gone through."""
    if left < 0:
        raise NoForm("too large")
    if type(value) is str:
        return left - len(value)
    if type(value) in (list, tuple, set, frozenset, dict):
        for item in itertools.chain(value, value.values() if type(value) is dict else ()):
            left = count(item, left - 1)
    return left - 1


def read(value: Any, limit: int) -> str:
    """The value as JSON of *limit* characters at the most."""
    try:
        count(value, limit)
        text = json.dumps(json_form(value))
        if len(text) <= limit:
            return text
    except Exception:
        pass  # whatever it is, the others are read
    return json.dumps(short(value))


def read_all(names: Sequence[str], namespace: Mapping[str, Any], limit: int) -> str:
    """A JSON object of those of the *names* that exist."""
    pairs = [(name, namespace[name]) for name in names if name in namespace]
    return "{" + ", ".join(f"{json.dumps(name)}: {read(value, limit)}" for name, value in pairs) + "}"
