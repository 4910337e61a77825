"""A project whose store, and whose work, are a server's."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import accumulate, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from nbflow.config import Config
from nbflow.errors import NotFoundError, OutputError, UsageError
from nbflow.events import Event, EventKind
from nbflow.flows import FlowVersion, check_name
from nbflow.lifecycle import RunOptions, RunRecord
from nbflow.notebooks import check_output_path, render_path, write_atomically
from nbflow.parameters import Finding, Values
from nbflow.ports import Store
from nbflow.project import Project
from nbflow.project.loading import LoadedFlow, load_file
from nbflow.project.remote.connection import Connection
from nbflow.project.remote.reading import read_event, read_finding, read_run, read_version
from nbflow.project.remote.requests import drop_missing, write_flow, write_options, write_values
from nbflow.project.remote.store import RemoteStore, quote, refuse

if TYPE_CHECKING:
    from nbflow.project.remote.backfills import RemoteBackfills
    from nbflow.project.remote.schedules import RemoteSchedules
    from nbflow.project.submission import Order, Parent

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
PAGE = 10_000
REPORT_PATIENCE = 330.0


class RemoteProject(Project):
    """What a project does, asked of the server that the configuration names. The token is read from the environment."""

    look_pause = 0.25

    def __init__(self, config: Config) -> None:
        """Raises ConfigError where the server may not be talked to in this way."""
        super().__init__(config)
        assert config.server is not None
        self.connection = Connection(
            config.server,
            lambda: os.environ.get("NBFLOW_API_TOKEN", "").strip() or None,
            allow_http=config.allow_http,
            tell=self._pass_on,
        )
        self._remote = RemoteStore(self.connection)
        self._outputs: dict[str, Path] = {}
        self._delivered: set[str] = set()
        self._known_parents: dict[str, bool] = {}

    def _pass_on(self, text: str) -> None:
        if self.tell is not None:
            self.tell(text)
        else:
            import logging

            logging.getLogger("nbflow").warning("%s", text)

    @property
    def store(self) -> Store:
        """The reads that a server answers."""
        return cast(Store, self._remote)

    @cached_property
    def schedules(self) -> RemoteSchedules:
        from nbflow.project.remote.schedules import RemoteSchedules

        return RemoteSchedules(self)

    @cached_property
    def backfills(self) -> RemoteBackfills:
        from nbflow.project.remote.backfills import RemoteBackfills

        return RemoteBackfills(self)

    def close(self) -> None:
        """What runs on the server goes on."""

    # -- flows ----------------------------------------------------------------------------------------------------

    def register(
        self, path: str | os.PathLike[str], *, project: str, name: str | None = None
    ) -> tuple[FlowVersion, bool]:
        flow = load_file(path)
        name = check_name(flow.label if name is None else name, "flow name")
        place = f"flows/{quote(check_name(project, 'project'))}/{quote(name)}"
        reply = self.connection.ask("PUT", place, content=flow.notebook.content)
        return read_version(reply.json), reply.status == 201

    def find_drift(self, version: FlowVersion) -> list[Finding]:
        told = self.connection.get(f"flows/{quote(version.project)}/{quote(version.name)}", version=version.number)
        return [read_finding(each) for each in told["drift"]]

    def remove_flow(self, project: str, name: str) -> None:
        self.connection.ask("DELETE", f"flows/{quote(project)}/{quote(name)}")

    def list_flow_limits(self) -> dict[str, int]:
        limits: dict[str, int] = self.connection.get("limits")["limits"]
        return limits

    def set_flow_limit(self, flow: str, limit: int | None) -> None:
        self.connection.ask("PUT", "limits", body={"flow": flow, "limit": limit})

    # -- runs -----------------------------------------------------------------------------------------------------

    def _submit(self, flow: LoadedFlow, values: Values, order: Order) -> RunRecord:
        """As here, but executed by the server whoever waits; ``options.output`` is a file of this machine."""
        output = self._check_output(flow, values.typed, order)
        body = {
            **write_flow(flow),
            "parameters": write_values(values),
            "name": order.name,
            "tags": list(order.tags),
            "skip_completed": order.skip_completed,
            "parent_id": self.find_known_parent(order.parent),
            "options": write_options(replace(order.options, output=None)),
        }
        run = read_run(self.connection.post("runs", drop_missing(body), key=uuid.uuid4().hex))
        if output is not None and not run.state.is_terminal:
            self._outputs[run.id] = output
        return run

    def _check_output(self, flow: LoadedFlow, typed: Mapping[str, Any], order: Order) -> Path | None:
        from nbflow.project.submission import find_known_defaults

        output = order.options.output
        if output is None:
            return None
        if order.detach:
            raise UsageError(
                f"output {output}: it is fetched when the run ends, and nobody waits for that\n"
                "leave out --detach, or fetch it then: nbflow runs open RUN"
            )
        path = render_path(output, {**find_known_defaults(flow.declaration), **typed})
        return check_output_path(path, source=flow.source_path if flow.version is None else None)

    def find_known_parent(self, parent: Parent | None) -> str | None:
        """The parent's id, where it runs on the same server: elsewhere nobody knows it."""
        if parent is None:
            return None
        if parent.id not in self._known_parents:
            try:
                self._known_parents[parent.id] = self._remote.get_run(parent.id).id == parent.id
            except NotFoundError:
                self._known_parents[parent.id] = False
        return parent.id if self._known_parents[parent.id] else None

    def get_run(self, run_id: str) -> RunRecord:
        return self._deliver(self._remote.get_run(run_id))

    def _deliver(self, run: RunRecord) -> RunRecord:
        """The run; once it has ended, with its executed notebook where that was wanted. Raises OutputError."""
        target = self._outputs.get(run.id)
        if target is None or not run.state.is_terminal:
            return run
        if run.output_path is None:
            return run
        if run.id not in self._delivered:
            write_atomically(target, [self.connection.ask("GET", f"runs/{run.id}/notebook").body])
            if run.options.report:
                self._fetch_report(run.id, target.with_suffix(f".{run.options.report}"))
            self._delivered.add(run.id)
        return replace(run, output_path=str(target))

    def read_events(self, run_id: str, *, after: str | None = None) -> list[Event]:
        found: list[Event] = []
        while True:
            told = self.connection.ask(
                "GET",
                f"runs/{quote(run_id)}/events",
                query={"after": after, "limit": PAGE},
            ).json
            found += map(read_event, told["events"])
            after = told["next"]
            if len(told["events"]) < PAGE:
                return found

    def read_journal(self, run: RunRecord, *, after: str | None = None) -> Iterator[Event]:
        return iter(self.read_events(run.id, after=after))

    def read_hooks(self, run_id: str) -> list[dict[str, Any]]:
        return list(self.connection.get(f"runs/{quote(run_id)}/hooks")["hooks"])

    def watch(self, run_id: str, *, after: str | None = None) -> Iterator[Event]:
        """What happens, as it happens, whatever becomes of the connection meanwhile."""
        seen: Any = None
        run_id = self._remote.get_run(run_id).id
        for kind, data in self.connection.stream(f"runs/{run_id}/events", after=after):
            if kind == "end":
                return
            event = read_event(data)
            # Each time it is taken up again the state is told first.
            if event.kind is not EventKind.STATE or event.data != seen:
                seen = event.data if event.kind is EventKind.STATE else seen
                yield event

    def wait(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        from nbflow.project.watching import wait_for_end

        pauses = accumulate(repeat(FIRST_PAUSE), lambda pause, _: min(1.5 * pause, LONGEST_PAUSE))

        def rest(_: str, longest: float) -> None:
            threading.Event().wait(min(next(pauses), longest))

        return self._deliver(wait_for_end(lambda: self._remote.get_run(run_id), rest, timeout=timeout))

    def cancel(self, run_id: str, *, reason: str = "user", hurry: bool = False) -> RunRecord:
        body = {"reason": reason, "hurry": hurry}
        return read_run(self.connection.post(f"runs/{quote(run_id)}/cancel", body, is_safe=True))

    def rename(self, run_id: str, name: str) -> RunRecord:
        return read_run(self.connection.ask("PATCH", f"runs/{quote(run_id)}", body={"name": name}).json)

    def retry(self, run_id: str, *, detach: bool = False) -> RunRecord:
        return read_run(self.connection.post(f"runs/{quote(run_id)}/retry"))

    def rerun(
        self,
        run_id: str,
        values: Mapping[str, Any] | None = None,
        *,
        options: RunOptions | None = None,
        name: str | None = None,
        tags: Sequence[str] | None = None,
        detach: bool = False,
        parent: Parent | None = None,
        new_id: str | None = None,
    ) -> RunRecord:
        from nbflow.project.submission import keep_values

        before = self._remote.get_run(run_id)
        declaration = self.load_run(before.id).declaration
        given = dict(values or {})
        same = keep_values(before, declaration, given)
        checked = declaration.validate({**declaration.restore(same).typed, **given})
        body = {
            "parameters": {key: value for key, value in write_values(checked).items() if key not in same},
            "name": name,
            "tags": None if tags is None else list(tags),
            "parent_id": self.find_known_parent(parent),
            "options": None if options is None else write_options(options),
        }
        place = f"runs/{before.id}/rerun"
        return read_run(self.connection.post(place, drop_missing(body), key=uuid.uuid4().hex))

    def load_run(self, run_id: str) -> LoadedFlow:
        run = self._remote.get_run(run_id)
        self._remote.remember(run.notebook_hash, f"runs/{run.id}/source")
        return super().load_run(run.id)

    # -- what runs leave behind -----------------------------------------------------------------------------------

    def find_output(self, run: RunRecord) -> Path | None:
        """A copy in the cache of this machine; what has ended is fetched once."""
        if run.output_path is None or run.id in self._outputs:
            return super().find_output(run)
        copy = self._find_cache(run) / f"{Path(run.output_path).stem}.ipynb"
        if not (copy.exists() and run.state.is_terminal):
            try:
                content = self.connection.ask("GET", f"runs/{run.id}/notebook").body
            except NotFoundError:
                return None
            _write_copy(copy, content)
        return copy

    def write_report(self, run_id: str, path: Path | None = None) -> Path:
        run = self._remote.get_run(run_id)
        if run.output_path is None:
            raise UsageError(f"run {run.id} left no executed notebook to report on")
        target = path or self._find_cache(run) / f"{Path(run.output_path).stem}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        self._fetch_report(run.id, target)
        return target

    def _fetch_report(self, run_id: str, target: Path) -> None:
        page = self.connection.ask("GET", f"runs/{run_id}/report", timeout=REPORT_PATIENCE).body
        write_atomically(target, [page])

    def _find_cache(self, run: RunRecord) -> Path:
        import hashlib

        import platformdirs

        server = hashlib.sha256(self.connection.url.encode()).hexdigest()[:12]
        return Path(platformdirs.user_cache_dir("nbflow")) / "runs" / server / f"{run.id}.{run.attempts}"

    # -- what only the server's own machine can do -------------------------------------------------------------------

    def serve(self, **_: Any) -> NoReturn:
        refuse(self.connection, "serving runs and schedules")

    def prune(self, *, before: datetime) -> NoReturn:
        refuse(self.connection, "prune")

    def start_dispatcher(self) -> NoReturn:
        refuse(self.connection, "executing runs in this process")

    def find_owner(self) -> NoReturn:
        refuse(self.connection, "executing runs in this process")


def _write_copy(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"{path.parent}: the folder for copies can't be made: {error.strerror}") from None
    write_atomically(path, [content], private=True)
