"""Keeps a worker running for as long as the server does."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from nbflow.config import Config, to_environment

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEALTHY = 60.0
"""Seconds after which a worker that ends is started again at once."""
GOODBYE = 15.0
"""Seconds that a worker gets to end by itself."""
KEPT_BACK = ("NBFLOW_RUN_ID", "NBFLOW_RUN_CONTEXT", "NBFLOW_API_URL", "NBFLOW_API_TOKEN", "JUPYTER_TOKEN")
"""Variables of the server that are no business of the notebooks it executes."""


class Supervisor:
    """A thread that starts a worker, waits for its end, and starts the next one, the sooner the longer it lived."""

    def __init__(self, config: Config, folder: Path, log: logging.Logger) -> None:
        """*folder*: the working directory of the worker."""
        self._config = config
        self._folder = folder
        self._log = log
        self._worker: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="nbflow-supervisor", daemon=True)

    @property
    def pid(self) -> int | None:
        """The worker's, while there is one."""
        worker = self._worker
        return worker.pid if worker is not None and worker.poll() is None else None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the worker; what it executes goes on."""
        with self._lock:
            self._closing.set()
            worker = self._worker
        if worker is None:
            return
        assert worker.stdin is not None
        worker.stdin.close()
        for end in (worker.terminate, worker.kill):
            try:
                worker.wait(GOODBYE)
                break
            except subprocess.TimeoutExpired:
                end()
        self._thread.join(timeout=GOODBYE)

    def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while (worker := self._launch()) is not None:
            started = time.monotonic()
            code = worker.wait()
            if self._closing.is_set():
                return
            lived = time.monotonic() - started
            pause = SHORTEST_PAUSE if lived > HEALTHY else min(pause * 2, LONGEST_PAUSE)
            self._log.warning(
                "the process that executes runs ended (status %s); the next one starts in %g s", code, pause
            )
            self._closing.wait(pause)

    def _launch(self) -> subprocess.Popen[bytes] | None:
        environment = {key: value for key, value in os.environ.items() if key not in KEPT_BACK}
        with self._lock:
            if self._closing.is_set():
                return None
            self._worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "nbflow.server.worker"],
                stdin=subprocess.PIPE,
                cwd=self._folder,
                env={**environment, **to_environment(self._config)},
                # Ctrl-C in a terminal is the server's to hear, which then ends its worker.
                start_new_session=True,
            )
            return self._worker
