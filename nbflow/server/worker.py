"""The process beside the web process: makes the runs of schedules and executes what is tied to nobody.

``python -m nbflow.server.worker``. It ends when its standard input does, that is with the server that started it, however
that ended; the notebooks that it executes go on, and the next worker takes them up. Of several on one home, one works and
the others wait for its end.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

from nbflow.project import Project
from nbflow.server.line import Post

LOOK = 0.2
FAILED = 1


def main() -> int:
    """Work until standard input ends or SIGTERM comes."""
    logging.basicConfig(format="[nbflow worker] %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    with Project.open_local() as project:
        post = Post(project.config.home)
        try:
            while not post.take():
                if stop.wait(LOOK):
                    return 0
            return _work(project, post, stop)
        finally:
            post.close()


def _wait_for_end(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    stop.set()


def _work(project: Project, post: Post, stop: threading.Event) -> int:
    service = project.serve()
    dispatcher = service.dispatcher

    def answer(message: dict[str, Any]) -> dict[str, Any]:
        match message.get("do"):
            case "expect":
                dispatcher.expect(message["run"], message["secrets"])
            case "forget":
                dispatcher.forget(message["run"])
            case "cancel":
                dispatcher.cancel_soon(message["run"], hurry=message["hurry"])
            case "wake":
                dispatcher.wake()
        return {"dispatcher": dispatcher.id, "pid": dispatcher.record.pid}

    service.start()
    post.listen(answer)
    try:
        while not stop.wait(LOOK):
            if service.error is not None:
                logging.getLogger(__name__).error("%s", service.error)
                return FAILED
        return 0
    finally:
        service.close()


if __name__ == "__main__":
    sys.exit(main())
