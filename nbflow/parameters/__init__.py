"""Parameters: what a flow declares in its tagged cell, read without executing anything."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.parameters.declaration import Declaration
    from nbflow.parameters.markers import Choice, Pattern, Range, Secret
    from nbflow.parameters.reading import read_declaration
    from nbflow.parameters.records import (
        ComputedDefault,
        Default,
        Finding,
        LiteralDefault,
        NoDefault,
        Parameter,
        SourceCell,
        Text,
    )
    from nbflow.parameters.values import Values

__all__ = [
    "Choice",
    "ComputedDefault",
    "Declaration",
    "Default",
    "Finding",
    "LiteralDefault",
    "NoDefault",
    "Parameter",
    "Pattern",
    "Range",
    "Secret",
    "SourceCell",
    "Text",
    "Values",
    "read_declaration",
]

_HOME = {
    "declaration": ("Declaration",),
    "markers": ("Choice", "Pattern", "Range", "Secret"),
    "reading": ("read_declaration",),
    "records": (
        "ComputedDefault",
        "Default",
        "Finding",
        "LiteralDefault",
        "NoDefault",
        "Parameter",
        "SourceCell",
        "Text",
    ),
    "values": ("Values",),
}


def __getattr__(name: str) -> Any:
    # Imported when first used: a notebook that only wants Secret loads markers, nothing else.
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
