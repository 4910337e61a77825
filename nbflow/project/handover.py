"""Leaving runs to the process that executes what is tied to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Handover(Protocol):
    """The way from who records runs to who executes them. A run with secrets is of use only where these are known."""

    def announced(self, run_id: str, secrets: Mapping[str, str]) -> AbstractContextManager[str | None]:
        """Inside, the run is recorded, tied to the dispatcher that is given: None, or the one that has its secrets now.

        Raises StoreError when there are secrets, and nobody to give them to.
        """

    def cancel_soon(self, run_id: str, *, hurry: bool) -> None:
        """A cancel is in the store: see to it now, if there is anybody."""

    def wake(self) -> None:
        """There is something new in the store."""
