"""Parameter values from the options of ``nbflow run``, in nbflow's spelling and in papermill's."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbflow.cli.files import parse_yaml, read_parameter_file
from nbflow.errors import Fault, ParameterError, UsageError

if TYPE_CHECKING:
    from nbflow.parameters import Declaration


def collect_values(
    *,
    encoded: Sequence[str] = (),
    files: Sequence[Path] = (),
    yaml: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
    raw: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """The values of all parameter options. papermill's order of precedence, lowest first: -b, -f, -y, -p, -r."""
    from nbflow.parameters import Text

    values: dict[str, Any] = {}
    for text in encoded:
        values |= parse_yaml(_decode(text), "-b")
    for path in files:
        values |= read_parameter_file(path)
    for text in yaml:
        values |= parse_yaml(text, "-y")
    values |= {name: Text(value) for name, value in pairs}
    return values | dict(raw)


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise UsageError("-b: expected a mapping written as YAML or JSON in UTF-8, then as base64") from None


def ask_for_secrets(values: Mapping[str, Any], declaration: Declaration) -> dict[str, Any]:
    """*values* with every secret given as ``-`` asked for: hidden on a terminal, else one line of standard input each."""
    answered = dict(values)
    for name, value in values.items():
        parameter = declaration.get(name)
        if value == "-" and parameter is not None and parameter.secret:
            answered[name] = type(value)(_read_secret(name))
    return answered


def _read_secret(name: str) -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        secret = getpass.getpass(f"{name}: ", stream=sys.stderr)
    else:
        secret = sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""
    if not secret:
        message = "no value came; type it, or pipe it as one line: printf '%s\\n' \"$TOKEN\" | nbflow run …"
        raise ParameterError([Fault(parameter=name, rule="missing", message=message)])
    return secret
