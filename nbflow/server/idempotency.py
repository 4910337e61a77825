"""One run for one ``Idempotency-Key``, however often, from wherever and at the same time it is asked for.

The key is kept in the store, with the id that the run is to have: who comes second, or comes back after a crash between
the two steps, records the same id, which the store takes once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from nbflow.errors import ConflictError, NotFoundError
from nbflow.lifecycle import RunRecord, new_run_id
from nbflow.parameters.values import dumps_exact
from nbflow.project import Project
from nbflow.project.pairs import RESERVED
from nbflow.server.problems import Problem

PREFIX = f"{RESERVED}idempotency/"
LONGEST = 200
FIELD = "Idempotency-Key"


class Once:
    """Makes a run, or finds the one that was made for the same key."""

    def __init__(self, project: Project, key: str | None) -> None:
        """Raises Problem for a key that is none."""
        if key is not None and not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
            message = f"expected 1 to {LONGEST} printable ASCII characters"
            raise Problem(HTTPStatus.BAD_REQUEST, f"{FIELD}: {message}", errors={FIELD: message})
        self._project = project
        self._key = key

    def make(self, request: Any, submit: Callable[[str | None], RunRecord]) -> tuple[RunRecord, bool]:
        """The run, and whether it had been made before. *request*: what the key stands for, in JSON form and without secrets.

        Raises what *submit* does, and Problem where the key has made a run for another request.
        """
        if self._key is None:
            return submit(None), False
        entry = self._claim(self._key, request)
        run_id = str(entry["run"])
        try:
            return self._project.get_run(run_id), True
        except NotFoundError:
            pass
        try:
            return submit(run_id), False
        except ConflictError:  # somebody was faster
            return self._project.get_run(run_id), True

    def _claim(self, key: str, request: Any) -> dict[str, Any]:
        name = PREFIX + hashlib.sha256(key.encode("ascii")).hexdigest()
        digest = hashlib.sha256(dumps_exact(request, sort_keys=True).encode("ascii")).hexdigest()
        now = datetime.now(UTC)
        fresh = {"run": new_run_id(), "request": digest, "time": now.isoformat()}
        entry = self._put(name, None, fresh)
        if entry["request"] != digest and not self._has_run(entry):
            # What was asked for first was refused: the key is free for what was meant.
            entry = self._put(name, entry, fresh)
        if entry["request"] != digest:
            message = "this key was used for another request; choose a new one for each run"
            raise Problem(HTTPStatus.CONFLICT, f"{FIELD}: {message}", errors={FIELD: message})
        return entry

    def _put(self, name: str, known: dict[str, Any] | None, fresh: dict[str, Any]) -> dict[str, Any]:
        """What is kept under *name* now: *fresh*, if it was *known* until now."""
        entry: dict[str, Any] = self._project.store.kv_update(
            name, lambda current: fresh if current == known else current, default=None, now=datetime.now(UTC)
        )
        return entry

    def _has_run(self, entry: dict[str, Any]) -> bool:
        try:
            self._project.get_run(str(entry["run"]))
        except NotFoundError:
            return False
        return True
