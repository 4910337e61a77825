"""The process that a dispatcher is in, and whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta

from nbflow.lifecycle import DispatcherRecord

GONE = -1.0
"""In the record of a dispatcher that left while attempts went on: no process began then."""


def describe_process(*, serves_all: bool, now: datetime) -> DispatcherRecord:
    """This process as a dispatcher."""
    return DispatcherRecord(
        id=secrets.token_hex(6),
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=read_process_start(os.getpid()) or 0.0,
        started=now,
        heartbeat=now,
        serves_all=serves_all,
    )


def read_process_start(pid: int) -> float | None:
    """When the process began, in its host's clock ticks; None where there is none (or only its zombie), or no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else float(fields[19])


def is_alive(dispatcher: DispatcherRecord, *, lease: float, now: datetime) -> bool:
    """Whether the process lives: asked of its own host's process table, else judged by its heartbeat."""
    if dispatcher.host == socket.gethostname() and os.path.isdir("/proc/self"):
        return read_process_start(dispatcher.pid) == dispatcher.process_started
    return now - dispatcher.heartbeat < timedelta(seconds=lease)
