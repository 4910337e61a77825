"""The line between the web process and the worker: JSON lines over a Unix socket that only this user can reach.

It carries what must never be stored (secrets) and what should not wait (a run that was recorded, a cancel). Where the
worker listens is in a file that it holds locked for life: one worker a home, whichever server started it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from nbflow.errors import StoreError

FILE_NAME = "worker.json"
SOCKET_NAME = "line"
LONGEST_LINE = 4 * 1024 * 1024
TIMEOUT = 5.0
PATIENCE = 10.0
"""Seconds that a run with secrets waits for a worker that is about to start."""
PAUSE = 0.1

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Post:
    """The worker's end: taken by one process of a home at a time, for as long as that lives."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = home / FILE_NAME
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        self._folder: str | None = None
        self._server: socketserver.BaseServer | None = None

    def take(self) -> bool:
        """Whether nobody else has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def listen(self, answer: Answer) -> None:
        """Begin to answer. What one that was killed left behind goes."""
        self._remove_leftover()
        self._folder = tempfile.mkdtemp(prefix="nbflow-")
        path = os.path.join(self._folder, SOCKET_NAME)
        self._server = _Server(path, answer)
        threading.Thread(target=self._server.serve_forever, name="nbflow-line", daemon=True).start()
        self._write({"pid": os.getpid(), "socket": path})

    def close(self) -> None:
        """Answer no more, and let another one take the place."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._write({})
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._file.close()

    def _remove_leftover(self) -> None:
        known = _read_place(self._path).get("socket")
        folder = os.path.dirname(str(known)) if known else ""
        with suppress(OSError):
            if os.path.basename(folder).startswith("nbflow-") and os.stat(folder).st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, place: Mapping[str, Any]) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps(place))
        self._file.flush()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, answer: Answer) -> None:
        self.answer = answer
        super().__init__(path, _Talk)


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast(_Server, self.server)
        with suppress(OSError, ValueError):
            while line := self.rfile.readline(LONGEST_LINE):
                self.wfile.write(json.dumps(server.answer(json.loads(line))).encode() + b"\n")


class Line:
    """The web process's end; a ``nbflow.project.handover.Handover``."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME

    @contextmanager
    def announced(self, run_id: str, secrets: Mapping[str, str]) -> Iterator[str | None]:
        """A run without secrets is anybody's; one with secrets belongs to the worker that has them in its memory."""
        if not secrets:
            yield None
        else:
            owner = self._announce(run_id, secrets)
            try:
                yield owner
            except BaseException:
                self.ask({"do": "forget", "run": run_id})
                raise
        self.wake()

    def _announce(self, run_id: str, secrets: Mapping[str, str]) -> str:
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.ask({"do": "expect", "run": run_id, "secrets": dict(secrets)})
            if answer is not None:
                return str(answer["dispatcher"])
            if time.monotonic() > deadline:
                raise StoreError(
                    "the process that executes runs does not answer, so the run's secrets can't be handed to it\n"
                    "try again; the server's log says why"
                )
            time.sleep(PAUSE)

    def cancel_soon(self, run_id: str, *, hurry: bool) -> None:
        self.ask({"do": "cancel", "run": run_id, "hurry": hurry})

    def wake(self) -> None:
        self.ask({"do": "wake"})

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None where there is none."""
        place = _read_place(self._path)
        if not place.get("socket"):
            return None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
                talk.settimeout(TIMEOUT)
                talk.connect(str(place["socket"]))
                talk.sendall(json.dumps(message).encode() + b"\n")
                with talk.makefile("rb") as lines:
                    answer = json.loads(lines.readline(LONGEST_LINE))
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None


def _read_place(path: Path) -> dict[str, Any]:
    try:
        place = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return place if isinstance(place, dict) else {}
