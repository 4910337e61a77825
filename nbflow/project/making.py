"""From the rows of a backfill to run records: what all of them share is checked and made once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from nbflow.backfilling import BackfillRecord
from nbflow.errors import ParameterError
from nbflow.lifecycle import Priority, RunOptions, RunRecord, RunState, identity, lane_of, new_run_id
from nbflow.notebooks import check_output_path, find_inside, render_path
from nbflow.parameters import ComputedDefault
from nbflow.project.loading import LoadedFlow
from nbflow.project.rows import Row
from nbflow.project.submission import (
    NO_KERNEL,
    Parent,
    check_depth,
    check_folder,
    check_kernel,
    check_options,
    check_template,
    find_known_defaults,
    render_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMaker:
    """Makes the runs of one backfill with one notebook."""

    flow: LoadedFlow
    kernel: str
    has_secrets: bool
    defaults: Mapping[str, Any]
    """Those that are known, in JSON form."""
    unknown: tuple[str, ...]
    """Parameters whose values nobody knows before the run, unless they are given."""
    depth: int

    @classmethod
    def prepare(
        cls,
        flow: LoadedFlow,
        options: RunOptions,
        *,
        has_secrets: bool,
        parent: Parent | None,
        get_run: Callable[[str], RunRecord],
    ) -> RunMaker:
        """Raises KernelError, UsageError for what no row could be executed with."""
        check_options(options)
        defaults: dict[str, Any] = {}
        refused: list[str] = []
        for name, value in find_known_defaults(flow.declaration).items():
            try:
                defaults |= flow.declaration.validate({name: value}, partial=True).json
            except ParameterError:  # a default that its own declaration refuses
                refused.append(name)
        computed = [one.name for one in flow.declaration.parameters if isinstance(one.default, ComputedDefault)]
        return cls(
            flow=flow,
            kernel=check_kernel(options.kernel or flow.notebook.kernel_name or NO_KERNEL),
            has_secrets=has_secrets,
            defaults=defaults,
            unknown=(*computed, *refused),
            depth=check_depth(parent, flow, get_run),
        )

    def identify(self, parameters: Mapping[str, Any]) -> str:
        """As ``find_identity``; empty where the values are not known before the run."""
        if self.has_secrets or any(name not in parameters for name in self.unknown):
            return ""
        return identity(self.flow.notebook.hash, {**self.defaults, **parameters}, self.kernel)

    def make(self, row: Row, backfill: BackfillRecord, now: datetime, parent: Parent | None) -> RunRecord:
        run_id = new_run_id()
        version = self.flow.version
        return RunRecord(
            id=run_id,
            state=RunState.PENDING,
            name=row.name or f"{self.flow.label.rpartition('/')[2]}-{run_id[:6]}",
            notebook_hash=self.flow.notebook.hash,
            source_path=str(self.flow.source_path),
            flow=version.full_name if version else None,
            flow_version=version.number if version else None,
            parameters=row.parameters,
            options=backfill.options if row.output is None else replace(backfill.options, output=row.output),
            tags=backfill.tags,
            identity=self.identify(row.parameters),
            priority=Priority.BACKFILL,
            created=now,
            parent_id=parent.id if parent else None,
            root_id=parent.root_id if parent else run_id,
            depth=self.depth,
            tied_to=lane_of(backfill.id),
            backfill_id=backfill.id,
            backfill_row=row.number,
        )

    def renew(self, run: RunRecord) -> RunRecord:
        """The run as it is executed with this notebook."""
        version = self.flow.version
        return replace(
            run,
            notebook_hash=self.flow.notebook.hash,
            flow_version=version.number if version else None,
            identity=self.identify(run.parameters),
        )


def skip(run: RunRecord, done: RunRecord) -> RunRecord:
    """The run, for which a completed one stands."""
    return replace(
        run,
        state=RunState.SKIPPED,
        ended=run.created,
        tied_to=None,
        reused_run_id=done.id,
        values=done.values,
        results=done.results,
        output_path=done.output_path,
        message=f"run {done.id} completed with the same notebook, values and kernel",
    )


def make_absolute(options: RunOptions) -> RunOptions:
    """Another process, in another folder, may go on with it."""
    output = None if options.output is None else os.path.abspath(options.output)
    return replace(options, output=output, cwd=None if options.cwd is None else check_folder(options.cwd))


class Rendering:
    """Names and output paths of rows; what holds for a whole folder is checked once."""

    def __init__(
        self,
        flow: LoadedFlow,
        *,
        name: str | None,
        output: str | None,
        secrets: Mapping[str, str],
        confined_to: Path | None = None,
    ) -> None:
        """*confined_to*: the folder below which outputs may lie."""
        for template in (name, output):
            check_template(template, secrets)
        self._flow = flow
        self._name = name
        self._output = output
        self._defaults = find_known_defaults(flow.declaration)
        self._source = flow.source_path if flow.version is None else None
        self._confined_to = confined_to
        self._folders: set[str] = set()

    def __call__(self, typed: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """``(name, output)``; None where there is no template."""
        if self._name is None and self._output is None:
            return None, None
        known = {**self._defaults, **typed}
        name = None
        if self._name is not None:
            name = render_name(self._name, self._flow, self._flow.declaration, known, "")
        return name, None if self._output is None else self._check(render_path(self._output, known))

    def _check(self, path: str) -> str:
        if self._confined_to is not None:
            path = str(find_inside(self._confined_to, path, "output"))
        absolute = os.path.abspath(path)
        folder = os.path.dirname(absolute)
        if folder not in self._folders or os.path.lexists(absolute) or path.endswith(os.sep):
            check_output_path(path, source=self._source)
            self._folders.add(folder)
        return str(Path(absolute))
