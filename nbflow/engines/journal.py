"""The journal of an attempt: ``events.jsonl``, appended by the runner alone and read by everybody.

The runner holds an exclusive lock on the file for its whole life, so that "is it still running?" has an answer
that no clock and no process table can spoil.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from nbflow.errors import ConflictError
from nbflow.events import Event, EventKind, decode_event, encode_event
from nbflow.lifecycle import AttemptState

FILE_NAME = "events.jsonl"
READ_SIZE = 1 << 20
BUFFER_SIZE = 1 << 20


def get_attempt_folder(home: Path, run_id: str, number: int) -> Path:
    """Where attempt *number* of a run keeps its journal, its executed notebook and its kernel's stderr."""
    return home / "runs" / run_id[:2] / run_id / f"a{number}"


class Journal:
    """Appends numbered events; buffered until :meth:`flush`, or until there are many.

    Raises ConflictError when the attempt has begun before: whatever launches it twice is refused here at last.
    A full disk does not end the run: what can't be written is dropped and counted, and the file stays whole lines.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._file = open(self.path, "ab", buffering=0, opener=_open_private)  # noqa: SIM115
        self.error: OSError | None = None
        """Why something could not be written, the last time that this happened."""
        self.lost = 0
        """How many events could not be written."""
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._number = 0
        self._size = 0
        self._untold = 0
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._file.fileno()).st_size:
                raise ConflictError(f"{self.path}: this attempt has begun before")
        except BlockingIOError:
            self._file.close()
            raise ConflictError(f"{self.path}: this attempt is running elsewhere") from None
        except ConflictError:
            self._file.close()
            raise

    def add(self, kind: EventKind, data: Mapping[str, Any] | None = None) -> None:
        """Number the event and keep it for the next flush."""
        line = self._encode(kind, data or {})
        self._buffer.append(line)
        self._buffered += len(line)
        if self._buffered > BUFFER_SIZE:
            self.flush()

    def _encode(self, kind: EventKind, data: Mapping[str, Any]) -> bytes:
        self._number += 1
        return encode_event(Event(number=self._number, kind=kind, time=datetime.now(UTC), data=data))

    def flush(self) -> bool:
        """Hand what is kept to the operating system: it survives the death of this process. Whether that was possible."""
        if not self._buffer:
            return True
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._buffered = 0
        if self._untold:
            message = f"the log could not be written for a while: {self._untold} events are missing"
            data += self._encode(EventKind.LOG, {"stream": "nbflow", "lines": [message], "cell": None})
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written : written + READ_SIZE])
        except OSError as error:
            self._drop(data, written, error)
            return False
        self._size += len(data)
        self._untold = 0
        return True

    def _drop(self, data: bytes, written: int, error: OSError) -> None:
        """Keep the whole lines of what was written; readers wait for the ends of others in vain."""
        whole = data.rfind(b"\n", 0, written) + 1
        self._size += whole
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), self._size)
        missing = data.count(b"\n", whole)
        self.error = error
        self.lost += missing
        self._untold += missing

    def sync(self) -> bool:
        """Flush, and have it survive the death of the machine. Whether that was possible."""
        is_written = self.flush()
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.error = error
            return False
        return is_written

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def forestall(folder: Path) -> bool:
    """Make sure that an attempt which has not begun never does, whoever may still be about to start it.

    False when it has begun. The end record that is left says ``not_started``.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with Journal(folder) as journal:
            journal.add(EventKind.ENDED, {"state": AttemptState.NOT_STARTED.value, "failure": None})
            return journal.sync()
    except ConflictError:
        return False


def is_locked(folder: Path) -> bool:
    """Whether a runner holds the journal: proof that the attempt lives. False where there is none."""
    try:
        with open(folder / FILE_NAME, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_journal(folder: Path, *, attempt: int, offset: int = 0) -> Iterator[Event]:
    """Whole events behind *offset*, as many as there are now; a line that is still being written waits for later."""
    try:
        file = open(folder / FILE_NAME, "rb")  # noqa: SIM115
    except OSError:
        return
    with file:
        file.seek(offset)
        rest = b""
        while block := file.read(READ_SIZE):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            for line in lines:
                offset += len(line) + 1
                event = decode_event(line, attempt=attempt, offset=offset)
                if event is not None:
                    yield event


def find_journal_end(folder: Path) -> int:
    """The offset behind the last whole line; 0 where there is none."""
    try:
        with open(folder / FILE_NAME, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            while size:
                start = max(size - READ_SIZE, 0)
                file.seek(start)
                found = file.read(size - start).rfind(b"\n")
                if found >= 0:
                    return start + found + 1
                size = start
    except OSError:
        pass
    return 0
