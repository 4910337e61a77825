"""nbflow: run Jupyter notebooks with other values than the ones typed into them.

>>> import nbflow
>>> run = nbflow.flow("report.ipynb").run(region="EU")  # doctest: +SKIP

Names are imported when they are first used: a notebook that only says ``nbflow.record("rows", 3)`` loads next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.api.backfills import Backfill, Backfills, backfills
    from nbflow.api.children import create_flow_run, wait_all, wait_for_flow_run
    from nbflow.api.flow import Flow, flow, run
    from nbflow.api.inside import CurrentRun, current_run, record
    from nbflow.api.listing import Runs, runs
    from nbflow.api.pairs import kv
    from nbflow.api.run import Run
    from nbflow.api.schedules import Schedule, Schedules, schedules
    from nbflow.backfilling import BackfillState, date_range
    from nbflow.errors import (
        ConfigError,
        ConflictError,
        KernelError,
        MissingExtraError,
        NbflowError,
        NotebookError,
        NotFoundError,
        OutputError,
        ParameterError,
        RunCancelled,
        RunCrashed,
        RunError,
        RunFailed,
        RunTimedOut,
        StoreError,
        UsageError,
        WaitTimeout,
    )
    from nbflow.lifecycle import RunState
    from nbflow.parameters import Choice, Parameter, Pattern, Range, Secret
    from nbflow.scheduling import cron, every
    from nbflow.widgets.panel import panel

__version__ = "0.1.0"

_HOME = {
    "nbflow.api.backfills": ("Backfill", "Backfills", "backfills"),
    "nbflow.api.children": ("create_flow_run", "wait_all", "wait_for_flow_run"),
    "nbflow.api.flow": ("Flow", "flow", "run"),
    "nbflow.api.inside": ("CurrentRun", "current_run", "record"),
    "nbflow.api.listing": ("Runs", "runs"),
    "nbflow.api.pairs": ("kv",),
    "nbflow.api.run": ("Run",),
    "nbflow.api.schedules": ("Schedule", "Schedules", "schedules"),
    "nbflow.backfilling": ("BackfillState", "date_range"),
    "nbflow.errors": (
        "ConfigError",
        "ConflictError",
        "KernelError",
        "MissingExtraError",
        "NbflowError",
        "NotFoundError",
        "NotebookError",
        "OutputError",
        "ParameterError",
        "RunCancelled",
        "RunCrashed",
        "RunError",
        "RunFailed",
        "RunTimedOut",
        "StoreError",
        "UsageError",
        "WaitTimeout",
    ),
    "nbflow.parameters": ("Choice", "Parameter", "Pattern", "Range", "Secret"),
    "nbflow.lifecycle": ("RunState",),
    "nbflow.scheduling": ("cron", "every"),
    "nbflow.widgets.panel": ("panel",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [  # noqa: RUF022 - by subject
    "__version__",
    "flow",
    "run",
    "runs",
    "create_flow_run",
    "wait_for_flow_run",
    "wait_all",
    "date_range",
    "backfills",
    "cron",
    "every",
    "schedules",
    "panel",
    "Flow",
    "Run",
    "Runs",
    "RunState",
    "Backfill",
    "Backfills",
    "BackfillState",
    "Schedule",
    "Schedules",
    "Parameter",
    "Range",
    "Choice",
    "Pattern",
    "Secret",
    "record",
    "current_run",
    "CurrentRun",
    "kv",
    "NbflowError",
    "UsageError",
    "ConfigError",
    "MissingExtraError",
    "NotebookError",
    "OutputError",
    "ParameterError",
    "NotFoundError",
    "ConflictError",
    "KernelError",
    "StoreError",
    "WaitTimeout",
    "RunError",
    "RunFailed",
    "RunCrashed",
    "RunTimedOut",
    "RunCancelled",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    # Kept, also since a submodule of the same name ("runs") replaces the attribute when it is imported.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
