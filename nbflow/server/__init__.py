"""The Jupyter Server extension: flows, runs and schedules by HTTP and in the browser, under ``/nbflow``.

Nothing is imported here before Jupyter Server asks: the process that executes runs lives in this package too.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What Jupyter Server looks for in a package that it is told to load."""
    from nbflow.server.app import NbflowServer

    return [{"module": "nbflow.server", "app": NbflowServer}]
