"""Work done by many processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

T = TypeVar("T")

_LONGEST = 240
"""Seconds after which a child that hangs is killed: it must not outlive the tests."""


def run_together(count: int, work: Callable[[int], T]) -> list[T]:
    """``work(0)``, ``work(1)`` … each in a process of its own, begun at the same moment. A failure in one fails all."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    started = []
    for index in range(count):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(barrier, there, work, index))
        process.start()
        there.close()
        started.append((process, here))
    results: list[T] = []
    failures: list[str] = []
    for process, here in started:
        try:
            done, told = here.recv()
        except EOFError:
            done, told = False, "it died"
        process.join()
        (results if done else failures).append(told)
    assert not failures, f"{len(failures)} of {count} failed: {failures[0]}"
    return results


def _work(barrier: Barrier, answer: Connection, work: Callable[[int], Any], index: int) -> None:
    signal.alarm(_LONGEST)
    try:
        barrier.wait(60)
        answer.send((True, work(index)))
    except BaseException:
        answer.send((False, traceback.format_exc()))


def run_in_child(work: Callable[[], Any]) -> int:
    """*work* in a fork of this process; how the child ended: its exit status, or minus the signal that killed it."""
    return run_in_children([work])[0]


def run_in_children(works: Sequence[Callable[[], Any]]) -> list[int]:
    """The same for several at once."""
    pids = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            signal.alarm(_LONGEST)
            try:
                work()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(99)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
