"""From a call to a run record: every check is made here, before anything is recorded or started."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbflow.errors import KernelError, MissingExtraError, ParameterError, UsageError
from nbflow.lifecycle import Priority, RunOptions, RunRecord, RunState, find_template_fields, identity, new_run_id
from nbflow.notebooks import check_output_path, find_inside, render_path
from nbflow.parameters import ComputedDefault, Declaration, LiteralDefault, Values
from nbflow.project.loading import LoadedFlow

MAX_NAME = 200
MAX_DEPTH = 10
NO_KERNEL = "python3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The run inside which a run is submitted."""

    id: str
    root_id: str
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a new run beside its values."""

    options: RunOptions
    name: str | None = None
    tags: Sequence[str] = ()
    skip_completed: bool = False
    """Whether a completed run of the same identity will do."""
    detach: bool = False
    """Whether the run is executed by a process of its own."""
    parent: Parent | None = None
    run_id: str | None = None
    """The new run's, where somebody has chosen it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run that was asked for, checked, and not yet recorded."""

    run: RunRecord
    secrets: Mapping[str, str]


def prepare_run(
    flow: LoadedFlow,
    values: Values,
    order: Order,
    *,
    get_run: Callable[[str], RunRecord],
    now: datetime,
    confined_to: Path | None = None,
) -> Request:
    """The record of a run in state ``pending``, which may write and work only below *confined_to*.

    Raises OutputError, KernelError and UsageError for what can't be executed as asked.
    """
    options, parent = order.options, order.parent
    check_options(options)
    declaration = flow.declaration
    kernel = check_kernel(options.kernel or flow.notebook.kernel_name or NO_KERNEL)
    run_id = order.run_id or new_run_id()
    known = {**find_known_defaults(declaration), **values.typed}
    for template in (order.name, options.output):
        check_template(template, values.secrets)
    if options.output is not None:
        path = render_path(options.output, known)
        if confined_to is not None:
            path = str(find_inside(confined_to, path, "output"))
        output = check_output_path(path, source=flow.source_path if flow.version is None else None)
        options = replace(options, output=str(output))
    if options.cwd is not None:
        folder = options.cwd if confined_to is None else str(find_inside(confined_to, options.cwd, "working directory"))
        options = replace(options, cwd=check_folder(folder))
    same = find_identity(flow, declaration, values, kernel)
    run = RunRecord(
        id=run_id,
        state=RunState.PENDING,
        name=render_name(order.name, flow, declaration, known, run_id),
        notebook_hash=flow.notebook.hash,
        source_path=str(flow.source_path),
        flow=flow.version.full_name if flow.version else None,
        flow_version=flow.version.number if flow.version else None,
        parameters=values.json,
        options=options,
        tags=tuple(dict.fromkeys(check_tag(tag) for tag in order.tags)),
        identity=same,
        priority=Priority.INTERACTIVE,
        created=now,
        parent_id=parent.id if parent else None,
        root_id=parent.root_id if parent else run_id,
        depth=check_depth(parent, flow, get_run, same),
    )
    return Request(run=run, secrets=values.secrets)


def reuse_run(run: RunRecord, done: RunRecord) -> RunRecord:
    """A run that need not be executed: *done* is of the same identity, and completed."""
    return replace(
        run,
        state=RunState.SKIPPED,
        ended=run.created,
        reused_run_id=done.id,
        values=done.values,
        results=done.results,
        output_path=done.output_path,
        message=f"run {done.id} completed with the same notebook, values and kernel",
    )


def keep_values(run: RunRecord, declaration: Declaration, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values, in JSON form, that a run shares with one like it: no secrets, and nothing that is given anew."""
    secret = {parameter.name for parameter in declaration.parameters if parameter.secret}
    return {key: value for key, value in run.parameters.items() if key not in secret and key not in given}


def check_options(options: RunOptions) -> None:
    for field, least in (("retries", 0), ("retries_on_loss", 0), ("retry_delay", 0), ("retry_backoff", 1)):
        if getattr(options, field) < least:
            raise UsageError(f"{field} = {getattr(options, field)}: expected {least} or more")
    for field in ("timeout", "cell_timeout", "start_timeout"):
        value = getattr(options, field)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{field} = {value}: expected seconds, more than 0")
    if options.engine != "local":
        raise UsageError(f"engine {options.engine!r}: unknown; there is 'local'")
    if options.report not in (None, "html"):
        raise UsageError(f"report {options.report!r}: unknown; there is 'html'")
    if options.report and find_spec("nbconvert") is None:
        raise MissingExtraError("an HTML report", "report")


def check_kernel(name: str) -> str:
    """Raises KernelError for a kernel that is not installed: told before anything starts."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    specs = KernelSpecManager()
    try:
        specs.get_kernel_spec(name)
    except NoSuchKernel:
        known = ", ".join(sorted(specs.find_kernel_specs())) or "none"
        raise KernelError(
            f"kernel {name!r} is not installed; installed: {known}\nchoose one with -k, or install it", kernel=name
        ) from None
    return name


def check_template(template: str | None, secrets: Mapping[str, str]) -> None:
    """Names and paths are shown to everybody."""
    for field in find_template_fields(template or ""):
        if field in secrets:
            raise UsageError(f"template {template!r}: {{{field}}} is a secret, which no name may show; leave it out")


def check_folder(path: str) -> str:
    if not os.path.isdir(path):
        raise UsageError(f"working directory {path}: no such folder")
    return os.path.abspath(path)


def check_tag(tag: str) -> str:
    if not tag or len(tag) > 100 or not tag.isprintable() or "," in tag:
        raise UsageError(f"tag {tag!r}: expected 1 to 100 printable characters without a comma")
    return tag


def check_depth(parent: Parent | None, flow: LoadedFlow, get_run: Callable[[str], RunRecord], same: str = "") -> int:
    """How deep the run lies below the top of its tree.

    Raises UsageError beyond 10, and for a cycle: a run inside one of its own identity (*same*) would go on for ever, where
    one with other values may well come to an end.
    """
    depth = parent.depth + 1 if parent else 0
    names, is_cycle = [flow.label], False
    above = parent.id if parent else None
    while above is not None and len(names) <= MAX_DEPTH + 1:
        run = get_run(above)
        names.append(run.flow or Path(run.source_path).stem)
        if same and run.identity == same:
            is_cycle = True
            break
        above = run.parent_id
    if is_cycle:
        raise UsageError(
            f"a cycle of runs with the same values: {_join(names)}\n"
            "let the notebook that runs itself stop sooner, or give it a value that differs each time"
        )
    if depth > MAX_DEPTH:
        again = names[: names.index(flow.label, 1) + 1] if flow.label in names[1:] else names
        raise UsageError(
            f"runs are nested more than {MAX_DEPTH} deep: {_join(again)}\nlet the notebook that runs itself stop sooner"
        )
    return depth


def _join(names: Sequence[str]) -> str:
    """From the top down."""
    return " → ".join(reversed(names))


def find_known_defaults(declaration: Declaration) -> dict[str, Any]:
    """The defaults that are known without running anything."""
    return {
        parameter.name: parameter.default.value
        for parameter in declaration.parameters
        if isinstance(parameter.default, LiteralDefault) and not parameter.secret
    }


def find_identity(flow: LoadedFlow, declaration: Declaration, values: Values, kernel: str) -> str:
    """Empty where a default is computed: nobody knows before the run whether its values are those of another one."""
    for parameter in declaration.parameters:
        if isinstance(parameter.default, ComputedDefault) and parameter.name not in values.json:
            return ""
    if values.secrets:
        return ""
    try:
        used = declaration.validate({**find_known_defaults(declaration), **values.typed}).json
    except ParameterError:  # a default that its own declaration refuses
        used = values.json
    return identity(flow.notebook.hash, used, kernel)


def render_name(
    template: str | None, flow: LoadedFlow, declaration: Declaration, known: Mapping[str, Any], run_id: str
) -> str:
    """The run's name. A field over a computed default stays as it is: the runner fills it in when the value is known."""
    if template is None:
        return f"{flow.label.rpartition('/')[2]}-{run_id[:6]}"
    if not template.strip() or len(template) > MAX_NAME:
        raise UsageError(f"run name {template!r}: expected 1 to {MAX_NAME} characters")
    fields = find_template_fields(template)
    unknown = [field for field in fields if field not in known]
    computed = {p.name for p in declaration.parameters if isinstance(p.default, ComputedDefault)}
    if any(field not in computed for field in unknown):
        missing = next(field for field in unknown if field not in computed)
        raise UsageError(f"run name {template!r}: {{{missing}}} is no parameter of {flow.label} with a value")
    if unknown:
        return template
    return clean_name(render_path(template, known))


def clean_name(text: str) -> str:
    """One printable line of at most 200 characters."""
    return re.sub(r"[^\S ]|[\x00-\x1f\x7f]", " ", text).strip()[:MAX_NAME] or "unnamed"
