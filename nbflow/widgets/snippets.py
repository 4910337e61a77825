"""The call that a form stands for, to be pasted elsewhere: as Python and as a command."""

from __future__ import annotations

import keyword
import math
import shlex
from collections.abc import Mapping
from typing import Any

from nbflow.parameters import Declaration
from nbflow.parameters.values import MASK, dumps_exact
from nbflow.widgets.texts import write_field

BUILTIN_NAMES = frozenset({"self", "parameters"})


def to_python(reference: str, values: Mapping[str, Any]) -> str:
    """``nbflow.flow(…).run(…)``; *values* in JSON form."""
    shown = {name: _write_secret(name) if value == MASK else to_source(value) for name, value in values.items()}
    head = "import os\n\nimport nbflow\n\n" if MASK in values.values() else "import nbflow\n\n"
    if all(name.isidentifier() and not keyword.iskeyword(name) and name not in BUILTIN_NAMES for name in shown):
        arguments = [f"{name}={text}" for name, text in shown.items()]
        left, right = "", ""
    else:
        arguments = [f"{name!r}: {text}" for name, text in shown.items()]
        left, right = "{", "}"
    call = f"run = nbflow.flow({to_source(reference)}).run("
    line = f"{call}{left}{', '.join(arguments)}{right})"
    if len(line) <= 100:
        return head + line
    inner = "".join(f"    {argument},\n" for argument in arguments)
    return f"{head}{call}{left}\n{inner}{right})"


def to_command(reference: str, declaration: Declaration, values: Mapping[str, Any]) -> str:
    """``nbflow run … -p …``; *values* in JSON form, secrets asked for."""
    words = ["nbflow", "run", shlex.quote(reference)]
    for name, value in values.items():
        parameter = declaration.get(name)
        if value == MASK:
            words.append(f"-p {shlex.quote(name)}=-")
        else:
            text = dumps_exact(value) if parameter is None else _write_text(declaration, name, value)
            words.append(f"-p {shlex.quote(f'{name}={text}')}")
    line = " ".join(words)
    return line if len(line) <= 100 else " \\\n  ".join([" ".join(words[:3]), *words[3:]])


def _write_text(declaration: Declaration, name: str, value: Any) -> str:
    parameter = declaration.get(name)
    assert parameter is not None
    if isinstance(value, list):  # items one a line are the panel's own
        return dumps_exact(value)
    return write_field(declaration, parameter, value)


def to_source(form: Any) -> str:
    """A JSON form as Python writes it."""
    if isinstance(form, float) and not math.isfinite(form):
        return f'float("{form}")'
    if isinstance(form, list):
        return f"[{', '.join(to_source(item) for item in form)}]"
    if isinstance(form, dict):
        return f"{{{', '.join(f'{to_source(key)}: {to_source(value)}' for key, value in form.items())}}}"
    if isinstance(form, str):
        quoted = repr(form)
        return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in form and "'" not in form else quoted
    return repr(form)


def _write_secret(name: str) -> str:
    return f'os.environ["{name.upper()}"]'
