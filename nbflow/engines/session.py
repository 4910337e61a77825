"""The session of one attempt: what the executing client is told, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nbflow.engines.masking import Mask
from nbflow.events import EventKind
from nbflow.lifecycle import AttemptState, Failure


class Listener(Protocol):
    """Where events go: the attempt's journal, or nowhere when papermill alone runs the engine."""

    def add(self, kind: EventKind, data: Mapping[str, Any] | None = None) -> None: ...

    def flush(self) -> bool:
        """Hand on what was added; whether that was possible."""


class Saver(Protocol):
    """Where the executed notebook goes: ``notebooks.NotebookWriter``, or nowhere."""

    @property
    def error(self) -> Exception | None:
        """Why the last save failed; None when it succeeded."""

    def mark_dirty(self, index: int) -> None:
        """The cell changed other than in its outputs."""

    def request(self) -> None:
        """Save soon, apart from this thread."""

    def close(self) -> bool:
        """Save for the last time; whether that succeeded."""


class NoListener:
    def add(self, kind: EventKind, data: Mapping[str, Any] | None = None) -> None: ...

    def flush(self) -> bool:
        return True


class NoSaver:
    error: Exception | None = None

    def mark_dirty(self, index: int) -> None: ...

    def request(self) -> None: ...

    def close(self) -> bool:
        return True


@dataclass(slots=True, kw_only=True)
class Session:
    """What one execution needs beyond the notebook. Times are in seconds."""

    connection_folder: Path
    """Of the kernel's connection file and sockets; nobody else may enter it."""
    listener: Listener = field(default_factory=NoListener)
    saver: Saver = field(default_factory=NoSaver)
    make_saver: Callable[[Any], Saver] | None = None
    """Makes the saver for the notebook that papermill hands to the engine."""
    is_last: bool = False
    """The process has nothing else to do: signals are not for others after this, and nobody but us marks in the notebook
    where the execution failed, which papermill does where it is in charge."""
    is_saved: bool = True
    """Whether the last save succeeded; else see ``saver.error``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the kernel's environment."""
    has_secrets: bool = False
    """Whether the notebook declares any, or was given one."""
    hidden: Sequence[str] = ()
    """Secret parameters that were not given: their values are the kernel's, and only masked here."""
    secrets_source: str = field(default="", repr=False)
    """Code that assigns the secrets, executed silently once ``declared_until`` is done."""
    mask: Mask = field(default_factory=lambda: Mask(()))
    declaring: Collection[int] = ()
    """Indices of the cells that set parameters."""
    declared_until: int | None = None
    """The last of them; after it the values are read back."""
    readback: str = ""
    """Expression for that, in Python; empty: nothing is read back."""
    start_timeout: float = 60.0
    timeout: float | None = None
    cell_timeout: float | None = None
    grace: float = 5.0
    """How long a kernel that was interrupted may clean up."""
    output_limit: int = 10_000_000
    """Characters of printed text that the notebook keeps for one cell; the journal keeps all."""
    log_path: Path | None = None
    tied_descriptor: int | None = None
    """When reading it gives end-of-file, the process that this attempt belongs to is gone."""
    ending: Ending | None = None
    values: Mapping[str, Any] | None = None
    results: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    render_name: Callable[[Mapping[str, Any]], str] | None = None
    """Makes the run's name from the values, where it depends on one that only the kernel could compute."""
    log_lines: int = 0
    last_line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the execution of the cells ended."""

    state: AttemptState
    failure: Failure | None = None
