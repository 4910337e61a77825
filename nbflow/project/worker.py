"""A process that executes one run and ends: what ``--detach`` leaves behind. ``python -m nbflow.project.worker RUN``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from nbflow.config import Config, to_environment
from nbflow.errors import ConflictError


def spawn_worker(config: Config, run_id: str, secrets: Mapping[str, str]) -> int:
    """Start a worker that outlives this process; its pid. The secrets travel in a pipe."""
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(config.home / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "nbflow.project.worker", run_id],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=config.home,
            env={**os.environ, **to_environment(config)},
            start_new_session=True,
        )
    assert worker.stdin is not None
    with worker.stdin:
        worker.stdin.write(json.dumps(dict(secrets)).encode())
    return worker.pid


def main(run_id: str) -> int:
    """Execute the run, unless somebody else does."""
    from nbflow.project import Project, expecting

    secrets = json.load(sys.stdin)
    with Project.open() as project:
        dispatcher = project.start_dispatcher()
        run = project.get_run(run_id)
        try:
            with expecting(dispatcher, run, secrets):
                project.store.tie_run(run.id, dispatcher.id)
        except ConflictError:
            return 0  # a server was faster, or it was cancelled
        project.wait(run.id)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
