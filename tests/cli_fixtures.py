"""The real command line in a process of its own, with a store of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = (sys.executable, "-m", "nbflow")
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON."""
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is not strict JSON"))

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


class CommandLine:
    """``cli("runs", "ls")`` runs a command and waits for it; ``cli.start(...)`` leaves it running."""

    def __init__(self, home: Path, cwd: Path) -> None:
        self.home = home
        self.cwd = cwd
        self._started: list[subprocess.Popen[str]] = []

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NBFLOW_", "_NBFLOW_"))}
        return {**kept, "NBFLOW_HOME": str(self.home), "NO_COLOR": "", "TERM": "xterm-256color", **(extra or {})}

    def __call__(
        self, *args: object, stdin: str | None = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Answer:
        done = subprocess.run(
            [*COMMAND, *map(str, args)],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=self.environment(env),
            cwd=cwd or self.cwd,
            timeout=PATIENCE,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *args: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=self.environment(env),
            cwd=self.cwd,
        )
        self._started.append(process)
        return process

    def on_terminal(
        self,
        *args: object,
        typed: str = "",
        wait_for: str = "",
        env: Mapping[str, str] | None = None,
        columns: int = 100,
    ) -> Answer:
        """Run on a pseudo-terminal; ``out`` is everything a person's terminal received.

        *typed* is typed when *wait_for* has been seen.
        """
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(self.cwd)
            os.execvpe(COMMAND[0], [*COMMAND, *map(str, args)], {**self.environment(env), "COLUMNS": str(columns)})
        received = b""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], 1.0)
            try:
                block = os.read(master, 65536) if ready else None
            except OSError:  # what Linux answers when the other side is closed
                block = b""
            if block == b"":
                break
            received += block or b""
            if typed and wait_for.encode() in received:
                os.write(master, typed.encode())
                typed = ""
        else:
            os.kill(pid, signal.SIGKILL)
        os.close(master)
        _, status = os.waitpid(pid, 0)
        return Answer(code=os.waitstatus_to_exitcode(status), out=received.decode("utf-8", "replace"), err="")

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line with an empty store, in an empty folder."""
    (tmp_path / "work").mkdir()
    line = CommandLine(tmp_path / "home", tmp_path / "work")
    yield line
    line.close()


def read_until(process: subprocess.Popen[str], text: str, *, stream: str = "stdout") -> str:
    """What the process wrote up to and with the line that holds *text*."""
    seen = ""
    pipe = getattr(process, stream)
    for line in pipe:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came; {stream} was {seen!r}")
