"""The local engine: attempts as processes of this machine, followed by their journals."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from nbflow.engines.attempt import UNSAVED
from nbflow.engines.declared import Declarations
from nbflow.engines.journal import FILE_NAME, forestall, is_locked
from nbflow.engines.spec import AttemptSpec
from nbflow.errors import NbflowError
from nbflow.events import EventKind, decode_event
from nbflow.kernels.processes import Child, python_module
from nbflow.kernels.spawner import Spawner
from nbflow.lifecycle import AttemptRecord, AttemptState, Failure, FailureKind, Outcome
from nbflow.ports import Launch, Progress, Report

MODULE = "nbflow.engines.attempt"
PIPE_SIZE = 60_000
END_MARGIN = 4.0
LOG_MARK = b'"k":"log"'
MARK_WITHIN = 80
LAST_WORDS = 10_000
"""Bytes of standard error in which the last line is looked for."""
_NOT_STARTED = Outcome(state=AttemptState.NOT_STARTED)


@dataclass(slots=True, kw_only=True)
class _Followed:
    """An attempt that is looked after, and how far its journal was read."""

    attempt_id: str
    number: int
    folder: Path
    child: Child | None = None
    tie: int | None = None
    offset: int = 0
    started: bool = False
    is_claimed: bool = False
    """It was adopted, and its last owner had not seen it begin."""
    pid: int | None = None
    progress: Progress = field(default_factory=Progress)
    end: Mapping[str, Any] | None = None
    ended: datetime | None = None
    start_error: str | None = None


class LocalEngine:
    """Runs up to *slots* attempts at once, each in a process of its own."""

    name = "local"

    def __init__(self, spawner: Spawner | None, *, slots: int, settings: Mapping[str, Any] | None = None) -> None:
        self._spawner = spawner
        self._slots = slots
        self._settings = dict(settings or {})
        self._followed: dict[str, _Followed] = {}
        self._declarations = Declarations()
        self._lock = threading.Lock()

    def capacity(self) -> int:
        return self._slots

    def launch(self, launch: Launch) -> None:
        followed = _Followed(attempt_id=launch.attempt.id, number=launch.attempt.number, folder=launch.folder)
        assert self._spawner is not None
        try:
            launch.folder.mkdir(parents=True, mode=0o700)
            injection = self._declarations.inject(launch)
            spec = AttemptSpec.from_launch(launch, injection, **self._settings).encode()
            read_end, write_end = os.pipe()
            try:
                with open(launch.folder / "stderr.log", "wb", opener=_open_private) as errors:
                    followed.child = self._spawner.start(
                        python_module(MODULE, str(launch.folder)),
                        stdin=read_end,
                        stdout=errors.fileno(),
                        stderr=errors.fileno(),
                        cwd=launch.folder,
                        tied=launch.tied,
                    )
            finally:
                os.close(read_end)
            followed.pid = followed.child.pid
            followed.tie = _feed(write_end, spec, keep_open=launch.tied)
        except (OSError, NbflowError) as error:
            followed.start_error = f"the attempt could not be started: {error}"
        with self._lock:
            self._followed[launch.attempt.id] = followed

    def adopt(self, attempt: AttemptRecord, folder: Path) -> None:
        with self._lock:
            self._followed.setdefault(
                attempt.id,
                _Followed(
                    attempt_id=attempt.id,
                    number=attempt.number,
                    folder=folder,
                    pid=attempt.pid,
                    is_claimed=attempt.state is AttemptState.CLAIMED,
                ),
            )

    def kill(self, attempt_id: str, *, grace: float) -> None:
        followed = self._followed.get(attempt_id)
        if followed is None:
            return
        if followed.child is not None:
            # The runner itself gives its kernel the grace; it needs a little more to write its end record.
            followed.child.kill_tree(grace=grace + END_MARGIN if grace else 0.0)
        elif followed.pid is not None and is_locked(followed.folder):
            os.kill(followed.pid, signal.SIGTERM)

    def poll(self) -> list[Report]:
        with self._lock:
            all_followed = list(self._followed.values())
        reports = []
        for followed in all_followed:
            try:
                report = self._look_at(followed)
            except Exception as error:
                # One that can't be looked at now must not cost the others what they had to tell.
                logging.getLogger(__name__).exception("attempt %s can't be looked at", followed.attempt_id)
                if self._is_alive(followed):
                    continue
                failure = Failure(kind=FailureKind.LOST, message=f"what the runner left can't be read: {error}")
                outcome = Outcome(state=AttemptState.LOST, failure=failure)
                report = Report(attempt_id=followed.attempt_id, outcome=outcome)
            reports.append(report)
            if report.outcome is not None:
                with self._lock:
                    self._followed.pop(followed.attempt_id, None)
                _let_go(followed)
        return reports

    def wait(self, timeout: float, *, wake: int) -> None:
        with self._lock:
            children = [followed.child for followed in self._followed.values() if followed.child is not None]
        poll = select.poll()
        for descriptor in (wake, *(child.fileno() for child in children)):
            if descriptor >= 0:  # whoever asked for the exit of this one knows it
                poll.register(descriptor, select.POLLIN)
        poll.poll(timeout * 1000)

    def _look_at(self, followed: _Followed) -> Report:
        # Whether it lives is asked before its journal is read: what it wrote last is then never missed.
        alive = self._is_alive(followed)
        self._read_on(followed)
        outcome = None
        if followed.end is not None:
            outcome = _to_outcome(followed)
        elif not alive and followed.is_claimed and not followed.offset:
            # Its owner may have died before the runner began; one that is yet to begin must not, and one that began
            # in this moment is judged by the next look.
            outcome = _NOT_STARTED if forestall(followed.folder) else None
            followed.is_claimed = False
        elif not alive:
            outcome = _to_loss(followed)
        return Report(
            attempt_id=followed.attempt_id,
            started=followed.started,
            pid=followed.pid,
            progress=followed.progress,
            outcome=outcome,
        )

    def _is_alive(self, followed: _Followed) -> bool:
        if followed.child is not None:
            return followed.child.poll() is None
        return followed.start_error is None and is_locked(followed.folder)

    def _read_on(self, followed: _Followed) -> None:
        try:
            with open(followed.folder / FILE_NAME, "rb") as file:
                file.seek(followed.offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    followed.offset += len(line)
                    # The log is for those who watch; decoding all of it here would cost as much as printing it.
                    if LOG_MARK not in line[:MARK_WITHIN]:
                        _take_note(followed, line)
        except FileNotFoundError:
            return

    def close(self) -> None:
        with self._lock:
            all_followed = list(self._followed.values())
            self._followed.clear()
        for followed in all_followed:
            _let_go(followed)
        if self._spawner is not None:
            self._spawner.close()


def _let_go(followed: _Followed) -> None:
    if followed.tie is not None:
        os.close(followed.tie)
    if followed.child is not None:
        followed.child.close()


def _take_note(followed: _Followed, line: bytes) -> None:
    event = decode_event(line, attempt=followed.number, offset=followed.offset)
    if event is None:
        return
    progress = followed.progress
    match event.kind:
        case EventKind.STARTED:
            followed.started = True
            followed.pid = event.data.get("pid", followed.pid)
        case EventKind.VALUES:
            followed.progress = replace(progress, values=event.data["values"])
        case EventKind.RESULT:
            followed.progress = replace(progress, results={**progress.results, event.data["name"]: event.data["value"]})
        case EventKind.RENAMED:
            followed.progress = replace(progress, name=event.data["name"])
        case EventKind.ENDED:
            followed.end, followed.ended = event.data, event.time
        case _:
            pass


def _to_outcome(followed: _Followed) -> Outcome:
    end, progress = followed.end or {}, followed.progress
    failure = Failure.from_json(end["failure"]) if end.get("failure") else None
    return Outcome(
        state=AttemptState(end["state"]),
        failure=failure,
        values=progress.values,
        results=progress.results,
        name=progress.name,
        output_path=end.get("output_path"),
        log_lines=end.get("log_lines", 0),
        last_line=end.get("last_line", ""),
        ended=followed.ended,
    )


def _to_loss(followed: _Followed) -> Outcome:
    """The process is gone and left no end record."""
    status = followed.child.poll() if followed.child is not None else None
    if status == UNSAVED:
        message = f"the run's log could not be written: {followed.folder} is full, or a limit on files was reached; free some space"
        return Outcome(state=AttemptState.FAILED, failure=Failure(kind=FailureKind.SAVE, message=message))
    reason = followed.start_error or _describe_status(status) + _read_last_words(followed.folder)
    if not followed.started and followed.start_error:
        failure = Failure(kind=FailureKind.SETUP, message=reason)
        return Outcome(state=AttemptState.FAILED, failure=failure)
    progress = followed.progress
    output = followed.folder / "executed.ipynb"
    return Outcome(
        state=AttemptState.LOST,
        failure=Failure(kind=FailureKind.LOST, message=f"the runner died: {reason}"),
        values=progress.values,
        results=progress.results,
        name=progress.name,
        output_path=str(output) if output.exists() else None,
    )


def _describe_status(status: int | None) -> str:
    if status is None:
        return "it is gone"
    from nbflow.kernels.death import describe_exit

    return describe_exit(status).text


def _read_last_words(folder: Path) -> str:
    try:
        with open(folder / "stderr.log", "rb") as file:
            file.seek(-min(os.fstat(file.fileno()).st_size, LAST_WORDS), os.SEEK_END)
            text = file.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" ({text.splitlines()[-1][:200]})" if text else ""


def _feed(write_end: int, data: bytes, *, keep_open: bool) -> int | None:
    """Write the spec; the open end of the pipe when the attempt is tied to it. A spec that may fill the pipe gets a thread."""

    def write() -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(write_end, view) :]
        except BrokenPipeError:
            pass  # the process is gone: the poll will tell
        if not keep_open:
            os.close(write_end)

    if len(data) <= PIPE_SIZE:
        write()
    else:
        threading.Thread(target=write, name="nbflow-spec", daemon=True).start()
    return write_end if keep_open else None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
