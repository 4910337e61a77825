"""The journal of an attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbflow.engines.journal import FILE_NAME, Journal, forestall, is_locked, read_journal
from nbflow.errors import ConflictError
from nbflow.events import EventKind, parse_token


def test_events_are_numbered_and_read_on_from_any_token(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for number in range(5):
            journal.add(EventKind.LOG, {"stream": "stdout", "lines": [f"line {number} é \ud800"], "cell": 0})
        journal.flush()
        events = list(read_journal(tmp_path, attempt=3))
        assert [event.number for event in events] == [1, 2, 3, 4, 5]
        assert events[2].data["lines"] == ["line 2 é \ud800"]
        attempt, offset = parse_token(events[2].token)
        assert attempt == 3
        rest = list(read_journal(tmp_path, attempt=attempt, offset=offset))
        assert [event.number for event in rest] == [4, 5]


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(EventKind.STARTED, {"pid": 1})
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + whole[:10])
    events = list(read_journal(tmp_path, attempt=1))
    assert [event.number for event in events] == [1]
    assert events[0].offset == len(whole)


def test_what_a_crash_left_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add(EventKind.STARTED, {"pid": 1})
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + b'{"n":2,"t\n[]\nnull\n' + whole)
    assert [event.number for event in read_journal(tmp_path, attempt=1)] == [1, 1]


def test_an_attempt_begins_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        with pytest.raises(ConflictError, match="running elsewhere"):
            Journal(tmp_path)
        journal.add(EventKind.STARTED)
    with pytest.raises(ConflictError, match="begun before"):
        Journal(tmp_path)


def test_the_lock_tells_whether_the_runner_lives(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    code = f"from pathlib import Path; from nbflow.engines.journal import Journal; j = Journal(Path({str(tmp_path)!r})); print('ready', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert is_locked(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_locked(tmp_path)
    process.communicate()


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    with Journal(tmp_path):
        assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_an_attempt_that_has_not_begun_can_be_kept_from_it(tmp_path: Path) -> None:
    assert forestall(tmp_path / "new" / "a1")
    with pytest.raises(ConflictError, match="begun before"):
        Journal(tmp_path / "new" / "a1")
    [event] = read_journal(tmp_path / "new" / "a1", attempt=1)
    assert (event.kind, event.data["state"]) == (EventKind.ENDED, "not_started")
    assert not forestall(tmp_path / "new" / "a1")
    with Journal(tmp_path) as journal:
        assert not forestall(tmp_path)
        journal.add(EventKind.STARTED)
    assert not forestall(tmp_path)
