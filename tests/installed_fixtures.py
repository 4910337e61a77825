"""Modules that are installed for the time of a test."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

AddModule = Callable[[str, str], None]


@pytest.fixture
def installed() -> Iterator[AddModule]:
    """Put modules into site-packages, for the time of a test."""
    folder = Path(sysconfig.get_path("purelib"))
    written: list[Path] = []

    def add(name: str, source: str) -> None:
        path = folder / f"{name}.py"
        written.append(path)
        path.write_text(source)

    yield add
    for path in written:
        path.unlink(missing_ok=True)
