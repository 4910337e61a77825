"""What Python kernels are asked besides the cells of a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from nbflow.engines.inside import SOURCE
from nbflow.parameters.readback import find_function, parse_readback, parse_values


def ask(expression: str) -> str:
    """A question for ``user_expressions``, whose answer is the expression's value (JSON) for :func:`read_answer`."""
    return f"{_find('tell')}({expression})"


@cache
def _find(name: str) -> str:
    """A function of ours there. No name is bound."""
    from importlib.resources import files

    source = files("nbflow.engines").joinpath("inside.py").read_text(encoding="utf-8")
    return find_function("nbflow.engines.inside", name, source)


def ask_set_up() -> str:
    """Has the kernel hand on what cells print as soon as it can."""
    return ask(f"{_find('set_up')}()")


def ask_hidden(names: list[str]) -> str:
    """The values of secret parameters that the notebook gets for itself, from its environment say."""
    found = f"{{name: value for name, value in globals().items() if name in {names} and isinstance(value, str)}}"
    return ask(f"__import__('json').dumps({found})")


CHILDREN = "getattr(__import__('sys').modules.get('nbflow.api.session'), 'wait_for_children', bool)() and None"


def ask_for_children() -> str:
    """Waits for what a run has left to do behind its last cell, where the notebook has submitted runs."""
    return ask(CHILDREN)


def read_answer(reply: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The answer in a reply to the question of that name; None when there is none."""
    answer = (reply.get("user_expressions") or {}).get(name) or {}
    if answer.get("status") != "ok":
        return None
    told = [one["value"] for one in reply.get("payload") or [] if one.get("source") == SOURCE]
    return parse_values(told[-1]) if told else parse_readback(answer.get("data", {}).get("text/plain", ""))
