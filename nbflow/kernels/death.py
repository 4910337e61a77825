"""How a process ended, in words."""

from __future__ import annotations

import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KernelExit:
    """The end of a process."""

    status: int | None
    signal: str | None
    text: str


def describe_exit(returncode: int) -> KernelExit:
    """*returncode* as Popen has it: negative for a signal."""
    if returncode >= 0:
        return KernelExit(returncode, None, f"it exited with status {returncode}")
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return KernelExit(None, name, f"killed by {name}")
