"""Every error nbflow raises.

::

    NbflowError
    ├── UsageError             a call that can't be meant: options that exclude each other, a bad name
    │   ├── ConfigError        nbflow.toml, [tool.nbflow] or an NBFLOW_ variable
    │   └── MissingExtraError  a feature whose optional dependencies are not installed
    ├── NotebookError          the notebook can't be read, or isn't one
    ├── OutputError            the output path can't be used
    ├── ParameterError         values that the flow's declaration refuses; carries every fault of the call
    │   └── RowError           rows of a backfill that it refuses; carries the faults with the rows' numbers
    ├── NotFoundError          no such flow, run or key
    ├── ConflictError          the store already holds something else under that name, or a state forbids it
    ├── KernelError            the kernel is unknown or could not start
    ├── StoreError             the store can't be opened, read or written
    ├── WaitTimeout            a wait ended before the run did; the run goes on
    └── RunError               a run ended otherwise than completed
        ├── RunFailed          the notebook raised
        ├── RunCrashed         the kernel, the runner or the machine died
        ├── RunTimedOut        the limit of the run or of a cell
        └── RunCancelled       somebody asked for its end

An error's text names the input, the rule and the remedy, in at most three lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NbflowError(Exception):
    """The root of all errors that nbflow raises on purpose."""


class UsageError(NbflowError):
    """A call that can't be meant."""


class ConfigError(UsageError):
    """A setting in ``nbflow.toml``, ``[tool.nbflow]`` or the environment is unusable."""


class MissingExtraError(UsageError):
    """A feature needs optional dependencies: ``pip install 'nbflow[extra]'``."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the {extra!r} extra: pip install 'nbflow[{extra}]'")
        self.extra = extra


class NotebookError(NbflowError):
    """The notebook can't be read, or isn't one."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class OutputError(NbflowError):
    """The executed notebook can't be written where the caller wants it."""

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with one parameter of a call."""

    parameter: str
    rule: str
    """Machine-readable: ``unknown``, ``missing``, ``type``, ``constraint``, ``name``, ``size``, ``secret``, ``token`` or ``unrepresentable``."""
    message: str
    """One line for people: what is wrong and what to do."""

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}"


class ParameterError(NbflowError):
    """Values that the flow's declaration refuses; all faults of the call together."""

    SHOWN = 3

    def __init__(self, faults: Sequence[Fault], *, hint: str = "") -> None:
        self.faults = tuple(faults)
        self.hint = hint
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [str(fault) for fault in self.faults]
        if len(lines) > self.SHOWN:
            more = len(lines) - self.SHOWN + 1
            rest = ", ".join(fault.parameter for fault in self.faults[self.SHOWN - 1 :])
            lines = [*lines[: self.SHOWN - 1], f"and {more} more: {rest}"]
        if self.hint and len(lines) < self.SHOWN:
            lines.append(self.hint)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """One thing wrong with a row of a backfill, or with several rows alike."""

    row: int
    """From 1; the first that has it."""
    rows: int = 1
    """How many have it."""
    fault: Fault

    def __str__(self) -> str:
        more = f" and {self.rows - 1:,} more" if self.rows > 1 else ""
        return f"row {self.row}{more}: {self.fault}"


class RowError(ParameterError):
    """Rows of a backfill that can't be run; nothing was recorded."""

    SHOWN = 20

    def __init__(self, row_faults: Sequence[RowFault], *, count: int, total: int) -> None:
        """*row_faults*: the first ones in the rows' order; *count*: how many rows are refused, of *total*."""
        self.row_faults = tuple(row_faults)
        self.count = count
        self.total = total
        super().__init__([each.fault for each in row_faults])

    def _text(self) -> str:
        lines = [str(each) for each in self.row_faults[: self.SHOWN]]
        noun = "row is" if self.count == 1 else "rows are"
        more = f" (the first {len(lines)} faults)" if len(self.row_faults) > len(lines) else ""
        return "\n".join([f"{self.count:,} of {self.total:,} {noun} refused, nothing was recorded{more}:", *lines])


class NotFoundError(NbflowError):
    """No such flow, run or key."""


class ConflictError(NbflowError):
    """The name is taken by something else, or the state of the thing forbids the change."""


class KernelError(NbflowError):
    """The kernel is unknown or could not start."""

    def __init__(self, message: str, *, kernel: str | None = None) -> None:
        super().__init__(message)
        self.kernel = kernel


class StoreError(NbflowError):
    """The store can't be opened, read or written."""


class WaitTimeout(NbflowError):
    """A wait ended before the run did; the run goes on."""

    def __init__(self, message: str, *, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class RunError(NbflowError):
    """A run ended otherwise than completed."""

    def __init__(
        self,
        message: str,
        *,
        run_id: str,
        cell_index: int | None = None,
        ename: str | None = None,
        evalue: str | None = None,
    ) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.cell_index = cell_index
        self.ename = ename
        self.evalue = evalue


class RunFailed(RunError):
    """The notebook raised."""


class RunCrashed(RunError):
    """The kernel, the runner or the machine died."""


class RunTimedOut(RunError):
    """The limit of the run or of one of its cells was reached."""


class RunCancelled(RunError):
    """Somebody asked for the end of the run."""
