"""Exit codes, and which error or ended run has which."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from nbflow.errors import (
    KernelError,
    NbflowError,
    OutputError,
    RunCancelled,
    RunCrashed,
    RunFailed,
    RunTimedOut,
    StoreError,
    WaitTimeout,
)

if TYPE_CHECKING:
    from nbflow.lifecycle import RunRecord


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    FAILED = 1
    """The notebook raised, or ``check`` found an error."""
    USAGE = 2
    """Bad usage, input or parameters; nothing was started."""
    KERNEL_START = 3
    DIED = 4
    TIMED_OUT = 5
    NOT_WRITTEN = 6
    """The store or the output could not be written."""
    BUG = 70
    SIGHUP = 129
    SIGINT = 130
    SIGTERM = 143


_BY_ERROR: tuple[tuple[type[NbflowError], ExitCode], ...] = (
    (KernelError, ExitCode.KERNEL_START),
    (StoreError, ExitCode.NOT_WRITTEN),
    (OutputError, ExitCode.USAGE),
    (WaitTimeout, ExitCode.TIMED_OUT),
    (RunFailed, ExitCode.FAILED),
    (RunCrashed, ExitCode.DIED),
    (RunTimedOut, ExitCode.TIMED_OUT),
    (RunCancelled, ExitCode.SIGINT),
)


def exit_code_of_error(error: NbflowError) -> ExitCode:
    """The code for an error that ended a command; 2 where nothing more is known."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.USAGE


def exit_code_of_run(run: RunRecord) -> ExitCode:
    """The code for a run that has ended."""
    from nbflow.lifecycle import FailureKind, RunState

    kind = run.failure.kind if run.failure else None
    match run.state:
        case RunState.COMPLETED | RunState.SKIPPED:
            return ExitCode.OK
        case RunState.FAILED:
            return ExitCode.NOT_WRITTEN if kind is FailureKind.SAVE else ExitCode.FAILED
        case RunState.CRASHED:
            return ExitCode.KERNEL_START if kind is FailureKind.KERNEL_START else ExitCode.DIED
        case RunState.TIMED_OUT:
            return ExitCode.TIMED_OUT
        case RunState.CANCELLED:
            return {"SIGTERM": ExitCode.SIGTERM, "SIGHUP": ExitCode.SIGHUP}.get(
                run.cancel_reason or "", ExitCode.SIGINT
            )
        case _:
            raise ValueError(f"run {run.id} has not ended: {run.state}")
