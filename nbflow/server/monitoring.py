"""How the server is: for people, for load balancers and for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbflow import __version__
from nbflow.errors import NbflowError
from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter
from nbflow.server.handlers import ApiHandler

if TYPE_CHECKING:
    from nbflow.server.service import Service

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthHandler(ApiHandler):
    """``ok``, or ``degraded`` with what is missing."""

    _track_activity = False

    async def get(self) -> None:
        self.answer(await self.call(describe_health, self.service))


class MetricsHandler(ApiHandler):
    """Counts of runs by state, of schedules, and whether anybody executes."""

    _track_activity = False

    async def get(self) -> None:
        self.finish_as(await self.call(write_metrics, self.service), METRICS_TYPE)


def describe_health(service: Service) -> dict[str, Any]:
    missing = []
    worker = service.line.ask({"do": "ping"})
    if worker is None:
        missing.append(
            "no process executes runs; one is started if the server is to keep one, and its log says why not"
        )
    try:
        service.project.list_flows()
    except NbflowError as error:
        missing.append(str(error))
    return {
        "status": "degraded" if missing else "ok",
        "version": __version__,
        "worker": {"alive": worker is not None, "pid": worker["pid"] if worker else None},
        "detail": "; ".join(missing),
    }


def write_metrics(service: Service) -> bytes:
    """In the text format of Prometheus; a registry of its own, so that nothing outlives the answer."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    runs = Gauge("nbflow_runs", "Runs in the store, by state.", ["state"], registry=registry)
    counts = service.project.store.count_runs(RunFilter())
    for state in RunState:
        runs.labels(state.value).set(counts.get(state, 0))
    schedules = Gauge("nbflow_schedules", "Schedules, by whether they are paused.", ["paused"], registry=registry)
    found = service.project.schedules.find()
    for paused in (False, True):
        schedules.labels(str(paused).lower()).set(sum(one.paused is paused for one in found))
    worker = Gauge("nbflow_worker_up", "Whether a process executes runs.", registry=registry)
    worker.set(service.line.ask({"do": "ping"}) is not None)
    slots = Gauge("nbflow_slots", "How many runs may be executed at once.", registry=registry)
    slots.set(service.project.config.slots)
    return generate_latest(registry)
