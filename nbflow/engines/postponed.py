"""papermill, imported without what it needs for the rarest notebooks alone.

It brings pyarrow along for Hadoop clusters (50 MB of memory), and by way of nbformat the grammars of internationalised
resource identifiers, whose parsers take a second to build. Both are imported when they are called for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_RARE = {"pyarrow.fs": ("FileSelector", "HadoopFileSystem"), "rfc3987_syntax": ("is_valid_syntax",)}


class _Late:
    """A name of a module that is imported when the name is called."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(import_module(self._module), self._name)(*arguments, **options)


def import_papermill() -> None:
    """Import papermill; what is imported already stays as it is."""
    if "papermill" in sys.modules:
        return
    with _postponed():
        import_module("papermill.engines")


@contextmanager
def _postponed() -> Iterator[None]:
    """Who imports the rare modules meanwhile gets names that import them when they are called."""
    stands = []
    for module, names in _RARE.items():
        if module not in sys.modules and find_spec(module.partition(".")[0]) is not None:
            stand = sys.modules[module] = ModuleType(module)
            vars(stand).update({name: _Late(module, name) for name in names})
            stands.append(module)
    try:
        yield
    finally:
        for module in stands:
            del sys.modules[module]
