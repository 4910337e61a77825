"""What is put right when a store is opened: runs whose processes died, flows whose files moved on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from nbflow.config import Config
from nbflow.dispatcher.attempts import finish, recover
from nbflow.dispatcher.process import describe_process, is_alive
from nbflow.engines.journal import get_attempt_folder
from nbflow.engines.local import LocalEngine
from nbflow.errors import NbflowError
from nbflow.flows import FlowVersion
from nbflow.lifecycle import RunRecord, RunState
from nbflow.parameters import Finding
from nbflow.ports import Store
from nbflow.project.loading import load_file

PATIENCE = 3.0
"""Seconds that the processes of a dead owner get to be gone; the guardian needs two at the most."""


def settle(store: Store, config: Config) -> list[tuple[RunRecord, RunState]]:
    """End what dead processes of this host left behind: the runs, each with its state before. Quick where nothing is."""
    ended: list[tuple[RunRecord, RunState]] = []
    now = datetime.now(UTC)
    if all(is_alive(dispatcher, lease=config.lease, now=now) for dispatcher in store.list_dispatchers()):
        known = {dispatcher.id for dispatcher in store.list_dispatchers()}
        if all(attempt.owner in known for attempt in store.list_open_attempts()):
            return ended
    owner = describe_process(serves_all=False, now=now)
    store.add_dispatcher(owner)
    engine = LocalEngine(None, slots=0)
    try:
        folder_of = partial(get_attempt_folder, config.home)
        lease = timedelta(seconds=config.lease)
        adopted = recover(store, engine, folder_of=folder_of, owner=owner, lease=lease, now=now, is_passing=True)
        waiting = {attempt.id: (attempt, run) for attempt, run in adopted}
        for cancelled in (attempt for attempt, run in adopted if run.state is RunState.CANCELLING):
            engine.kill(cancelled.id, grace=config.grace)
        deadline = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < deadline:
            for report in engine.poll():
                if report.attempt_id not in waiting:
                    continue
                attempt, run = waiting.pop(report.attempt_id)
                if report.outcome is not None:
                    finished = finish(store, attempt, report.outcome, now=datetime.now(UTC))
                    if finished is not None:
                        ended.append((finished, RunState.CANCELLING if finished.cancel_reason else RunState.RUNNING))
                elif run.tied_to is not None or run.state is RunState.CANCELLING:
                    waiting[attempt.id] = (attempt, run)  # its processes are about to end; others tied to nobody go on
            if waiting:
                threading.Event().wait(0.05)
    finally:
        # What still lives is left to the next one that looks: its owner is nobody now.
        with suppress(NbflowError):
            store.remove_dispatcher(owner.id, now=datetime.now(UTC))
    return ended


def find_drift(version: FlowVersion) -> list[Finding]:
    """How the registered file differs from its version now; empty where it does not."""
    from nbflow.parameters.check import describe_drift

    path = Path(version.source_path)
    try:
        flow = load_file(path)
    except NbflowError as error:
        message = f"{version.full_name}: its file can't be read any more: {error}"
        return [Finding(rule="drift", severity="warning", message=message)]
    return describe_drift(version.schema, flow.declaration.json_schema(), version.notebook_hash, flow.notebook.hash)
