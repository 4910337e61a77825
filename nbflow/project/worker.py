"""A process that executes one run, or one backfill, and ends: what ``--detach`` leaves behind.

``python -m nbflow.project.worker RUN``, or ``... --backfill BACKFILL OWNER``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from nbflow.config import Config, to_environment
from nbflow.errors import ConflictError


def spawn_worker(config: Config, arguments: Sequence[str], secrets: Mapping[str, str]) -> int:
    """Start a worker that outlives this process; its pid. The secrets travel in a pipe."""
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(config.home / "worker.log", "ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "nbflow.project.worker", *arguments],
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
    from nbflow.project import Project

    secrets = json.load(sys.stdin)
    with Project.open_local() as project:
        try:
            project.execute(run_id, secrets)
        except ConflictError:
            return 0  # a server was faster, or it was cancelled
        project.wait(run_id)
    return 0


def work_on(backfill_id: str, owner: str) -> int:
    """Begin the rows of the backfill that waits for a worker under the name *owner*, until none is left."""
    from nbflow.project import Project

    with Project.open_local() as project:
        try:
            project.backfills.adopt(backfill_id, owner)
        except ConflictError:
            return 0  # cancelled, or resumed by somebody else, before this process was there
        project.backfills.wait(backfill_id)
    return 0


if __name__ == "__main__":
    sys.exit(work_on(*sys.argv[2:]) if sys.argv[1] == "--backfill" else main(sys.argv[1]))
