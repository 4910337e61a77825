"""The notifier: a queue of state changes, and a thread that has the hooks called one after the other.

What is asked for is written down beside the run, and so is what was done: when a notebook's run ends, and its kernel
with it, whoever looks after that run does for its children what the kernel did not come to.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from nbflow.hooks import Hook
from nbflow.lifecycle import RunRecord, RunState

FILE_NAME = "hooks.jsonl"
ASKED_NAME = "hooks-asked.jsonl"
GROUP = "nbflow.hooks"
DRAIN_SECONDS = 60.0
LAST_RECORDS = 5.0
"""Seconds beyond that in which it is written down what was not told."""
LOOK_AGAIN = 1.0
NO_TIME = f"nbflow ended before it could end: hooks get {DRAIN_SECONDS:g} s then, all together"
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
        children_of: Callable[[str], Sequence[RunRecord]],
        environment: Mapping[str, str],
        path: str | None,
    ) -> None:
        """*folder_of* gives a run's folder, where its hooks are recorded, and *children_of* the runs that it submitted.

        *path*: where dotted paths are found besides.
        """
        self._hooks = tuple(hooks)
        self._folder_of = folder_of
        self._children_of = children_of
        self._environment = dict(environment)
        self._path = path
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._end = float("inf")

    @property
    def is_needed(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._hooks)

    def tell(self, run: RunRecord, old: RunState | None) -> None:
        """The run came from state *old* (None: it is new) to the one that it has."""
        if run.state is old or not self._hooks:
            return
        for hook in self._hooks:
            if hook.wants(run):
                self._write(run, ASKED_NAME, {"hook": hook.label, "old": old, "new": run.state})
                self._put(partial(self._call, hook, run, old, run.state))
        if run.state.is_terminal:
            self._put(partial(self._make_up_for, run))

    def _put(self, task: Callable[[], None]) -> None:
        self._queue.put(task)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="nbflow-hooks", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Have everything told, for a minute at the most; what there is no time for then is recorded as that."""
        if self._thread is not None:
            self._end = time.monotonic() + DRAIN_SECONDS
            self._queue.put(None)
            self._thread.join(DRAIN_SECONDS + LAST_RECORDS)

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except Exception:
                logging.getLogger(__name__).exception("hooks could not be seen to")

    def _call(self, hook: Hook, run: RunRecord, old: RunState | None, new: RunState) -> None:
        began = time.monotonic()
        try:
            error = self._carry_out(hook, run, old, new)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        if error:
            logging.getLogger(__name__).warning("hook %s failed for run %s: %s", hook.label, run.id, error)
        record = {
            "time": datetime.now(UTC).isoformat(),
            "hook": hook.label,
            "old": old,
            "new": new,
            "error": error or None,
            "seconds": round(time.monotonic() - began, 3),
        }
        self._write(run, FILE_NAME, record)

    def _make_up_for(self, run: RunRecord) -> None:
        """Have the hooks called that a notebook asked for, for its children, and did not live to see called."""
        hooks = {hook.label: hook for hook in self._hooks}
        for child in self._children_of(run.id):
            folder = self._folder_of(child.id)
            done = Counter(_key(record) for record in _read(folder / FILE_NAME))
            for asked in _read(folder / ASKED_NAME):
                done[_key(asked)] -= 1
                if done[_key(asked)] < 0 and asked["hook"] in hooks:
                    old = RunState(str(asked["old"])) if asked["old"] else None
                    self._call(hooks[str(asked["hook"])], child, old, RunState(str(asked["new"])))
            self._make_up_for(child)

    def _carry_out(self, hook: Hook, run: RunRecord, old: RunState | None, new: RunState) -> str:
        """Why it failed; empty where it did not."""
        if time.monotonic() >= self._end:
            return NO_TIME
        message = {"hook": hook.to_json(), "run_id": run.id, "old": old, "new": new, "path": self._path}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nbflow.api.calling"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )
        limit = time.monotonic() + hook.timeout
        asked: bytes | None = json.dumps(message).encode()
        while (left := min(limit, self._end) - time.monotonic()) > 0:
            try:
                # The end may be set meanwhile.
                output, _ = process.communicate(asked, timeout=min(left, LOOK_AGAIN))
            except subprocess.TimeoutExpired:
                asked = None  # it is sent on nevertheless
                continue
            return "" if process.returncode == 0 else output.decode("utf-8", "replace").strip()[-ERROR_CHARACTERS:]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.communicate()
        return f"it did not end within {hook.timeout:g} s" if time.monotonic() >= limit else NO_TIME

    def _write(self, run: RunRecord, name: str, record: Mapping[str, object]) -> None:
        with suppress(OSError):
            folder = self._folder_of(run.id)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(folder / name, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


def read_hook_records(folder: Path) -> list[dict[str, object]]:
    """What was recorded of the hooks of a run."""
    return _read(folder / FILE_NAME)


def _read(path: Path) -> list[dict[str, object]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []


def _key(record: Mapping[str, object]) -> tuple[object, ...]:
    return record["hook"], record["old"], record["new"]
