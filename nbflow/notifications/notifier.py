"""The notifier: a queue of state changes, and a thread that has the hooks called one after the other."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path

from nbflow.hooks import Hook
from nbflow.lifecycle import RunRecord, RunState

FILE_NAME = "hooks.jsonl"
GROUP = "nbflow.hooks"
DRAIN_SECONDS = 60.0
ERROR_CHARACTERS = 2_000


def find_installed_hooks() -> list[Hook]:
    """The hooks that installed packages bring, by the entry point group ``nbflow.hooks``."""
    return [Hook(call=point.value) for point in entry_points(group=GROUP)]


class Notifier:
    """Tells the hooks what happens; never raises, never waits."""

    def __init__(
        self,
        hooks: Sequence[Hook],
        *,
        folder_of: Callable[[str], Path],
        environment: Mapping[str, str],
        path: str | None,
    ) -> None:
        """*folder_of* gives a run's folder, where its hooks are recorded; *path*: where dotted paths are found besides."""
        self._hooks = tuple(hooks)
        self._folder_of = folder_of
        self._environment = dict(environment)
        self._path = path
        self._queue: queue.SimpleQueue[tuple[Hook, RunRecord, RunState | None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def is_needed(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._hooks)

    def tell(self, run: RunRecord, old: RunState | None) -> None:
        """The run came from state *old* (None: it is new) to the one that it has."""
        if run.state is old:
            return
        for hook in self._hooks:
            if hook.wants(run):
                self._queue.put((hook, run, old))
                self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="nbflow-hooks", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Have everything told, for a minute at the most."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(DRAIN_SECONDS)

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            hook, run, old = item
            began = time.monotonic()
            try:
                error = self._carry_out(hook, run, old)
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            self._record(hook, run, old, error, time.monotonic() - began)

    def _carry_out(self, hook: Hook, run: RunRecord, old: RunState | None) -> str:
        """Why it failed; empty where it did not."""
        message = {"hook": hook.to_json(), "run_id": run.id, "old": old, "new": run.state, "path": self._path}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nbflow.api.calling"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(json.dumps(message).encode(), timeout=hook.timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.communicate()
            return f"it did not end within {hook.timeout:g} s"
        return "" if process.returncode == 0 else output.decode("utf-8", "replace").strip()[-ERROR_CHARACTERS:]

    def _record(self, hook: Hook, run: RunRecord, old: RunState | None, error: str, seconds: float) -> None:
        record = {
            "time": datetime.now(UTC).isoformat(),
            "hook": hook.label,
            "old": old,
            "new": run.state,
            "error": error or None,
            "seconds": round(seconds, 3),
        }
        if error:
            logging.getLogger(__name__).warning("hook %s failed for run %s: %s", hook.label, run.id, error)
        with suppress(OSError):
            folder = self._folder_of(run.id)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(folder / FILE_NAME, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


def read_hook_records(folder: Path) -> list[dict[str, object]]:
    """What was recorded of the hooks of a run."""
    try:
        return [json.loads(line) for line in (folder / FILE_NAME).read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
