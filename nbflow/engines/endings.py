"""How an execution ended, in words and as a record."""

from __future__ import annotations

from nbflow.engines.kernel import KernelDied
from nbflow.engines.session import Ending
from nbflow.lifecycle import AttemptState, Failure, FailureKind

TRACEBACK_CHARACTERS = 20_000
MESSAGE_CHARACTERS = 300
CHILD_ERRORS = ("RunFailed", "RunCrashed", "RunTimedOut", "RunCancelled")


def _at(count: int | None) -> str:
    """A cell is named as its notebook shows it: ``In [count]``."""
    return "" if count is None else f" in cell In [{count}]"


def shorten(text: str) -> str:
    """At most 300 characters: the middle goes first, since the cause of a chain of errors is at its end."""
    half = MESSAGE_CHARACTERS // 2
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:half].rstrip()} … {text[-half:].lstrip()}"


def describe_error(ename: str, evalue: str, traceback: str, count: int, cell_index: int) -> Ending:
    """The reply to the *count*-th executed cell was an error."""
    if ename == "SystemExit":
        if evalue in ("", "0", "None", "False"):
            return Ending(state=AttemptState.SUCCEEDED)
        message = f"sys.exit({evalue}){_at(count)}"
        failure = Failure(kind=FailureKind.EXIT, message=message, ename=ename, evalue=evalue, cell_index=cell_index)
        return Ending(state=AttemptState.FAILED, failure=failure)
    first = evalue.strip().split("\n", 1)[0]
    failure = Failure(
        kind=FailureKind.EXCEPTION,
        # A child's error names its own cell: that of the wait for it would only bury the cause.
        message=shorten(f"{ename}{': ' if first else ''}{first}") + ("" if ename in CHILD_ERRORS else _at(count)),
        ename=ename,
        evalue=evalue[:TRACEBACK_CHARACTERS],
        traceback=traceback[-TRACEBACK_CHARACTERS:],
        cell_index=cell_index,
    )
    return Ending(state=AttemptState.FAILED, failure=failure)


def describe_death(error: KernelDied, count: int | None = None, cell_index: int | None = None) -> Ending:
    """The kernel's process ended by itself: the attempt is lost, whatever its exit status."""
    death = error.death
    failure = Failure(
        kind=FailureKind.OUT_OF_MEMORY if death.out_of_memory else FailureKind.KERNEL_DIED,
        message=f"the kernel died{_at(count)}: it {death.text}",
        cell_index=cell_index,
        signal=death.signal,
    )
    return Ending(state=AttemptState.LOST, failure=failure)


def describe_timeout(
    kind: FailureKind, limit: float, count: int | None = None, cell_index: int | None = None
) -> Ending:
    """A limit was reached; *limit* is in seconds."""
    if kind is FailureKind.RUN_TIMEOUT:
        text = f"the run reached its limit of {limit:g} s{_at(count)} (--timeout)"
    else:
        text = f"cell In [{count}] reached its limit of {limit:g} s (--cell-timeout)"
    return Ending(state=AttemptState.TIMED_OUT, failure=Failure(kind=kind, message=text, cell_index=cell_index))


def describe_stop(reason: str, count: int | None = None, cell_index: int | None = None) -> Ending:
    """Somebody ended the attempt: a signal, or the end of the process it belonged to."""
    if reason == "owner gone":
        failure = Failure(
            kind=FailureKind.LOST,
            message=f"stopped{_at(count)}: the process that started the run is gone",
            cell_index=cell_index,
        )
        return Ending(state=AttemptState.LOST, failure=failure)
    failure = Failure(
        kind=FailureKind.CANCELLED,
        message=f"stopped by {reason}{_at(count)}",
        cell_index=cell_index,
        signal=reason,
    )
    return Ending(state=AttemptState.CANCELLED, failure=failure)
