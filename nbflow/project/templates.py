"""A schedule's values: checked when it is made, resolved for each run, secrets kept as references only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from nbflow.errors import ConflictError, Fault, NotFoundError, ParameterError
from nbflow.lifecycle import RunRecord
from nbflow.parameters import Declaration, Secret, Text, Values
from nbflow.parameters.validation import read_secret
from nbflow.parameters.values import MASK, dumps_exact
from nbflow.ports import Store
from nbflow.scheduling import ScheduleRecord
from nbflow.scheduling.tokens import Moment, find_faults, has_tokens, render_values

_HINT = "every run of the schedule needs these: -p NAME=VALUE, or parameters={...}"
_STAND_IN = "secret"


def check_values(declaration: Declaration, given: Mapping[str, Any], moment: Moment) -> dict[str, Any]:
    """The values as a schedule keeps them. Raises ParameterError with every fault, required ones without a value included.

    Tokens are checked with what they stand for at *moment*, and as they are before the first success.
    """
    faults = find_faults(given)
    kept, secret_faults = keep_references(declaration, given)
    faults += secret_faults
    refused = {fault.parameter for fault in faults}
    sound = {name: value for name, value in kept.items() if name not in refused}
    first = Moment(scheduled=moment.scheduled)
    later = Moment(scheduled=moment.scheduled, last_success=moment.scheduled)
    json_form: Mapping[str, Any] = {}
    for when in (first, later):
        try:
            json_form = resolve_values(declaration, sound, when).json
        except ParameterError as error:
            known = {(fault.parameter, fault.rule) for fault in faults}
            faults += [
                _explain_missing(fault, sound)
                for fault in error.faults
                if fault.parameter not in refused and (fault.parameter, fault.rule) not in known
            ]
    faults += _find_unkept(sound)
    if faults:
        missing = any(fault.rule == "missing" for fault in faults)
        raise ParameterError(faults, hint=_HINT if missing else "")
    return {name: value if _is_template(value) else _plain(name, value, json_form) for name, value in sound.items()}


def resolve_values(declaration: Declaration, parameters: Mapping[str, Any], moment: Moment) -> Values:
    """The values of one run; a secret is there in name only. Raises ParameterError, TokenError."""
    values = render_values(parameters, moment)
    for name in _list_secrets(declaration):
        if name in values:
            values[name] = Secret(_STAND_IN)
    return declaration.validate(values)


def find_secrets(store: Store, run: RunRecord) -> dict[str, str]:
    """The secrets of a run of a schedule or backfill, read now from where the references point. Raises ParameterError."""
    masked = [name for name, value in run.parameters.items() if value == MASK]
    if (run.schedule_id is None and run.backfill_id is None) or not masked:
        return {}
    try:
        if run.backfill_id is not None:
            references = store.get_backfill(run.backfill_id).parameters
        else:
            references = store.get_schedule(run.schedule_id or "").parameters
    except NotFoundError:
        message = "its reference was kept in the schedule or backfill, which was removed"
        raise ParameterError([Fault(parameter=masked[0], rule="secret", message=message)]) from None
    return read_references({name: references[name] for name in masked if name in references})


def find_secrets_again(store: Store, run: RunRecord, declaration: Declaration) -> Mapping[str, str]:
    """What a run is to be given once more: schedules know where their secrets are. Raises ConflictError."""
    names = {name for name in _list_secrets(declaration) if name in run.parameters}
    found = find_secrets(store, run) if names else {}
    if names - found.keys():
        raise ConflictError(f"run {run.id} had secrets, which are kept nowhere; use rerun and give them again")
    return found


def read_references(references: Mapping[str, Any]) -> dict[str, str]:
    """What ``env:NAME`` and ``file:PATH`` stand for in this process."""
    return {
        name: read_secret(name, text, environ=os.environ) for name, text in references.items() if _is_reference(text)
    }


def make_moment(schedule: ScheduleRecord, time: datetime, last_success: datetime | None) -> Moment:
    zone = schedule.zone
    return Moment(scheduled=time.astimezone(zone), last_success=last_success and last_success.astimezone(zone))


def show_parameters(schedule: ScheduleRecord, declaration: Declaration | None, time: datetime) -> dict[str, Any]:
    """What a run that could not be prepared was to be given, as far as that can be told."""
    moment = make_moment(schedule, time.astimezone(UTC), None)
    try:
        shown = {
            name: str(value) if isinstance(value, Text) else value
            for name, value in render_values(schedule.parameters, moment).items()
        }
    except ValueError:
        shown = dict(schedule.parameters)
    secret = set(_list_secrets(declaration)) if declaration else {k for k, v in shown.items() if _is_reference(v)}
    return {name: MASK if name in secret else value for name, value in shown.items()}


def _list_secrets(declaration: Declaration) -> list[str]:
    return [parameter.name for parameter in declaration.parameters if parameter.secret]


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:")) and len(value.partition(":")[2]) > 0


def keep_references(
    declaration: Declaration, given: Mapping[str, Any], *, keeper: str = "schedule"
) -> tuple[dict[str, Any], list[Fault]]:
    """*given* with its secrets as references to where they are, and what is wrong with those."""
    kept, faults = dict(given), []
    for name in _list_secrets(declaration):
        if name not in given:
            continue
        value = given[name]
        if isinstance(value, Secret) or not _is_reference(value) or has_tokens(value):
            message = f"a {keeper} keeps no secret; give where to read it when a run starts: env:NAME or file:PATH"
            faults.append(Fault(parameter=name, rule="secret", message=message))
        elif value.startswith("file:"):
            kept[name] = "file:" + os.path.abspath(os.path.expanduser(value.removeprefix("file:")))
        else:
            kept[name] = str(value)
    return kept, faults


def _explain_missing(fault: Fault, given: Mapping[str, Any]) -> Fault:
    if fault.rule != "missing" or fault.parameter not in given:
        return fault
    message = "required, and last_success has no value before the first success; give the parameter a default"
    return Fault(parameter=fault.parameter, rule=fault.rule, message=message)


def _is_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_template, value.values()))
    return any(map(_is_template, value)) if isinstance(value, list) else has_tokens(value)


def _plain(name: str, value: Any, json_form: Mapping[str, Any]) -> Any:
    """In JSON form; a secret's reference as it is."""
    return str(value) if json_form.get(name) == MASK and _is_reference(value) else json_form.get(name, value)


def _find_unkept(values: Mapping[str, Any]) -> Iterable[Fault]:
    """Tokens within values that are no JSON: those can't be kept as they are."""
    for name, value in values.items():
        if not isinstance(value, str) and _is_template(value):
            try:
                dumps_exact(value)
            except (TypeError, ValueError):
                message = "values beside tokens must be JSON: write dates and paths as texts"
                yield Fault(parameter=name, rule="token", message=message)
