"""A flow: a notebook seen as a callable."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nbflow.api.run import Run
from nbflow.api.session import find_parent, get_project
from nbflow.errors import UsageError
from nbflow.lifecycle import RunOptions
from nbflow.parameters import Finding, Parameter
from nbflow.project import LoadedFlow, Project

if TYPE_CHECKING:
    from datetime import timedelta

    from nbflow.api.backfills import Backfill
    from nbflow.api.listing import Runs
    from nbflow.api.schedules import Schedule
    from nbflow.backfilling import BackfillPlan
    from nbflow.parameters import Declaration
    from nbflow.project.rows import Exclude
    from nbflow.scheduling import Cron, Every


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a flow is called from Python; never mixed with the notebook's parameters."""

    name: str | None = None
    """Template of the run's name over the parameters: ``"sales-{region}-{day:%Y-%m}"``."""
    tags: tuple[str, ...] = ()
    skip_completed: bool = False
    """Let a completed run with the same notebook, values and kernel stand for this one."""
    detach: bool = False
    """Execute in a process of its own, which outlives this one."""
    stream_logs: bool = False
    """``run`` shows the log while it waits."""
    raise_on_failure: bool = True
    """``run`` raises RunError unless the run completes."""
    run: RunOptions = RunOptions()  # noqa: RUF009 - frozen


_CALL = tuple(field.name for field in fields(CallOptions) if field.name != "run")
_RUN = tuple(field.name for field in fields(RunOptions))


class Flow:
    """A notebook as a callable; made by :func:`flow`.

    >>> report = nbflow.flow("report.ipynb")                       # doctest: +SKIP
    >>> run = report.run(region="EU")                              # doctest: +SKIP
    >>> run = report.options(timeout=600, tags=["nightly"]).submit(region="US")    # doctest: +SKIP
    """

    def __init__(self, loaded: LoadedFlow, project: Project, options: CallOptions | None = None) -> None:
        self._loaded = loaded
        self._project = project
        self._options = options or CallOptions()

    @property
    def name(self) -> str:
        """``report`` for ``report.ipynb``, or the registered name ``community/report``."""
        return self._loaded.label

    @property
    def path(self) -> Path:
        """The notebook file; of a registered flow, the file that was registered."""
        return self._loaded.source_path

    @property
    def version(self) -> int | None:
        """Number of the registered version; None for a file."""
        return self._loaded.version.number if self._loaded.version else None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the notebook declares, in order."""
        return self._loaded.declaration.parameters

    @property
    def declaration(self) -> Declaration:
        """The parameters as one thing, which checks the values of a call."""
        return self._loaded.declaration

    @property
    def project(self) -> Project:
        """Where its runs are recorded."""
        return self._project

    @property
    def reference(self) -> str:
        """What its runs are filed under: ``community/report``, or the absolute path of the notebook."""
        return self._loaded.reference

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of a call's values."""
        return self._loaded.declaration.json_schema()

    def check(self) -> list[Finding]:
        """What ``nbflow check`` says of the notebook."""
        from nbflow.parameters.check import check_notebook

        return check_notebook(self._loaded.notebook)

    def options(self, **changes: Any) -> Self:
        """The same flow, called in another way.

        Of the call: ``name``, ``tags``, ``skip_completed``, ``detach``, ``stream_logs``, ``raise_on_failure``. Of the
        execution: ``kernel``, ``cwd``, ``output``, ``engine``, ``start_timeout``, ``timeout``, ``cell_timeout`` (seconds),
        ``retries``, ``retry_delay``, ``retry_backoff``, ``retries_on_loss``, ``report``, ``report_mode``.
        Raises UsageError for any other name.
        """
        for name in changes:
            if name not in _CALL and name not in _RUN:
                near = difflib.get_close_matches(name, (*_CALL, *_RUN), n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join((*_CALL, *_RUN))}"
                raise UsageError(f"option {name!r} is unknown; {hint}")
        execution = {key: _to_plain(value) for key, value in changes.items() if key in _RUN}
        call = {key: value for key, value in changes.items() if key in _CALL}
        if "tags" in call:
            call["tags"] = (call["tags"],) if isinstance(call["tags"], str) else tuple(call["tags"])
        options = replace(self._options, **call, run=replace(self._options.run, **execution))
        return type(self)(self._loaded, self._project, options)

    def reload(self) -> Self:
        """The same flow as its notebook is now; of a registered one the newest version, unless one was asked for."""
        loaded = self._loaded
        reference = loaded.version.full_name if loaded.version else loaded.source_path
        version = loaded.version.number if loaded.version and loaded.pinned else None
        return type(self)(self._project.load(reference, version=version), self._project, self._options)

    def submit(self, parameters: Mapping[str, Any] | None = None, /, **values: Any) -> Run:
        """Start a run and return at once. Values are keywords, or a mapping for names that can't be keywords.

        Raises ParameterError with every fault of the values; nothing is started then.
        """
        options, parent = self._options, find_parent()
        if options.detach and parent is not None:
            raise UsageError(
                "option detach: what a notebook starts ends with its run, so that nothing is left behind\n"
                "leave detach out (the run ends when its children have), or start the other run from outside"
            )
        record = self._project.submit(
            self._loaded,
            {**(parameters or {}), **values},
            options.run,
            name=options.name,
            tags=options.tags,
            skip_completed=options.skip_completed,
            detach=options.detach,
            parent=parent,
        )
        return Run(record, self._project)

    def run(self, parameters: Mapping[str, Any] | None = None, /, **values: Any) -> Run:
        """Execute the notebook with these values and wait for its end.

        Raises ParameterError before anything starts, and RunFailed, RunCrashed, RunTimedOut or RunCancelled unless the run
        completes (``options(raise_on_failure=False)`` returns it instead). Ctrl-C cancels the run.
        """
        run = self.submit(parameters, **values)
        return run.wait(
            stream_logs=self._options.stream_logs,
            raise_on_failure=self._options.raise_on_failure,
            cancel_on_interrupt=True,
        )

    def map(
        self,
        values: Iterable[Mapping[str, Any]],
        /,
        *,
        max_workers: int = 4,
        stream_logs: bool = False,
        raise_on_failure: bool = True,
    ) -> Runs:
        """One run for each mapping of values, at most *max_workers* of them submitted at a time; all of them, ended.

        All values are checked before the first run begins. Ctrl-C cancels the runs. With *stream_logs* their lines appear
        here, each marked with its run.

        >>> report.map([{"region": "EU"}, {"region": "US"}], max_workers=2).to_frame()    # doctest: +SKIP
        """
        from nbflow.api.children import map_flow

        return map_flow(
            self, values, max_workers=max_workers, stream_logs=stream_logs, raise_on_failure=raise_on_failure
        )

    def schedule(
        self,
        when: Cron | Every | None = None,
        /,
        parameters: Mapping[str, Any] | None = None,
        *,
        cron: str | None = None,
        every: str | float | timedelta | None = None,
        **settings: Any,
    ) -> Schedule:
        """Have the flow run by itself, with these values and this flow's options; checked now, as a call would be.

        >>> report.schedule(nbflow.cron("0 7 * * 1-5"), {"region": "EU"}, timezone="Europe/Berlin")  # doctest: +SKIP
        >>> report.schedule(every="10min", parameters={"day": "{{ scheduled_date - 1d }}"})          # doctest: +SKIP

        *settings*: ``name``; ``timezone`` (UTC); ``starts`` and ``ends``; ``catchup``, what becomes of fire times missed while
        nothing was running: ``"none"``, ``"latest"`` (default) or ``"all"``, the newest ``catchup_limit`` (100);
        ``overlap``, what becomes of one at which an earlier run has not ended: ``"skip"`` (default), ``"queue"`` or
        ``"allow"``; ``misfire_grace``, by how many seconds one may be late (60).
        In values, ``{{ scheduled_date }}``, ``{{ scheduled_time }}`` and ``{{ last_success }}`` stand for the run's own; a
        secret is a reference: ``"env:NAME"`` or ``"file:PATH"``.
        Raises ParameterError with every fault, required parameters without a value included.
        """
        from nbflow.api.schedules import Schedule, check_settings, choose_when

        options = self._options
        if options.skip_completed:
            raise UsageError("skip_completed: a schedule runs at each of its times; leave it out")
        chosen = {"tags": options.tags, **check_settings(settings)}
        made = self._project.schedules.create(
            self._loaded,
            choose_when(when, cron, every),
            parameters,
            options=options.run,
            run_name=options.name,
            **chosen,
        )
        return Schedule(made, self._project)

    def backfill(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        rows: Any = None,
        exclude: Exclude = None,
        max_active_runs: int = 4,
        max_failures: int | None = None,
        run_backwards: bool = False,
        reprocess_behavior: str = "none",
        skip_completed: bool = False,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: int = 0,
        wait: bool = True,
        **axes: Any,
    ) -> Backfill:
        """One run for each row of values, and wait for the end of all; what failed is in the table, and raises nothing.

        >>> report.backfill(day=nbflow.date_range("2026-01-01", "2026-12-31"), region=["EU", "US"])     # doctest: +SKIP
        >>> report.backfill(rows="customers.csv", exclude=[{"region": "US"}], max_failures=10)          # doctest: +SKIP

        A list, tuple, range, array or iterator is an axis, anything else a value of all rows; the rows are the product of the
        axes. *rows* (a CSV, JSON lines or Parquet file, a DataFrame, or mappings) is a table whose rows are combined with
        them. A list as a value is an axis of one: ``[["a", "b"]]``. Names that are options here go into *values*.
        *exclude*: mappings, each of which excludes the rows that have all its values, or a function of a row's values.

        *max_active_runs* rows run at once; *max_failures*: begin no more once so many failed; *run_backwards*: the last row
        first; *priority*: among backfills, higher first. *reprocess_behavior*, of rows whose values this flow ran with before:
        ``"none"`` leaves them alone, ``"failed"`` runs those again that did not complete, ``"completed"`` all. The same rows
        are no second backfill: the earlier one is returned, and goes on where it was interrupted. *skip_completed*: rows that
        completed with this very notebook are ``skipped``. Everything else comes from :meth:`options`.

        ``wait=False``, or :meth:`submit_backfill`, returns at once; rows are run as long as this process lives, or on their
        own with ``options(detach=True)``. Ctrl-C ends the rows that run and leaves the others: :meth:`Backfill.resume`.
        Raises RowError with the faults of all rows; nothing is recorded then.
        """
        from nbflow.api.backfills import Backfill

        options = self._options
        started = self._project.backfills.create(
            self._loaded,
            {**(values or {}), **axes},
            rows=rows,
            exclude=exclude,
            detach=options.detach,
            max_active_runs=max_active_runs,
            max_failures=max_failures,
            run_backwards=run_backwards,
            reprocess_behavior=reprocess_behavior,
            skip_completed=skip_completed or options.skip_completed,
            name=name,
            priority=priority,
            **self._row_settings(tags),
        )
        backfill = Backfill(started.backfill, self._project, message=started.message)
        return backfill.wait() if wait and started.goes_on else backfill

    def submit_backfill(self, values: Mapping[str, Any] | None = None, /, **settings: Any) -> Backfill:
        """:meth:`backfill` without the wait."""
        return self.backfill(values, **{**settings, "wait": False})

    def plan_backfill(
        self,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        rows: Any = None,
        exclude: Exclude = None,
        reprocess_behavior: str = "none",
        skip_completed: bool = False,
        **axes: Any,
    ) -> BackfillPlan:
        """A dry run: how many rows there are, the first and last of them, and what :meth:`backfill` would do with each."""
        return self._project.backfills.plan(
            self._loaded,
            {**(values or {}), **axes},
            rows=rows,
            exclude=exclude,
            reprocess_behavior=reprocess_behavior,
            skip_completed=skip_completed or self._options.skip_completed,
            **self._row_settings(()),
        )

    def _row_settings(self, tags: Sequence[str]) -> dict[str, Any]:
        """What the options say of a backfill's runs."""
        options = self._options
        own = (tags,) if isinstance(tags, str) else tuple(tags)
        return {
            "options": options.run,
            "run_name": options.name,
            "tags": (*options.tags, *own),
            "parent": find_parent(),
        }

    @property
    def max_runs(self) -> int | None:
        """How many runs of the flow may go on at once, whoever submitted them; None for any number. May be set."""
        return self._project.list_flow_limits().get(self._loaded.reference)

    @max_runs.setter
    def max_runs(self, limit: int | None) -> None:
        self._project.set_flow_limit(self._loaded.reference, limit)

    def __repr__(self) -> str:
        parameters = ", ".join(f"{p.name}: {p.type_text}" for p in self.parameters)
        return f"<flow {self.name}({parameters})>"

    def _repr_html_(self) -> str:
        from nbflow.api.display import show_flow

        return show_flow(self)


def _to_plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.total_seconds() if hasattr(value, "total_seconds") else value


def flow(reference: str | os.PathLike[str], *, version: int | None = None) -> Flow:
    """The flow at a path, or registered as ``project/name`` (the newest version unless *version* says otherwise).

    Raises NotebookError when the notebook can't be read and NotFoundError when nothing of that name is registered.
    """
    project = get_project()
    return Flow(project.load(reference, version=version), project)


def run(reference: str | os.PathLike[str], parameters: Mapping[str, Any] | None = None, /, **values: Any) -> Run:
    """``flow(reference).run(...)``: execute a notebook with these values and wait for its end. Raises as these two do."""
    return flow(reference).run(parameters, **values)
