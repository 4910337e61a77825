"""From the parameters of a request to the values of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbflow.parameters import Text
from nbflow.project.loading import LoadedFlow


def take_values(flow: LoadedFlow, given: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values as they are; a secret may be a reference, ``env:NAME`` or ``file:PATH``, which the server reads."""
    secret = {parameter.name for parameter in flow.declaration.parameters if parameter.secret}
    return {name: Text(value) if name in secret and isinstance(value, str) else value for name, value in given.items()}
