"""papermill's command line, understood: a line that works there works here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

ALIASES: Mapping[str, str] = {
    "--parameter": "-p",
    "--parameters": "-p",
    "--parameters_raw": "-r",
    "--parameters_file": "-f",
    "--parameters_yaml": "-y",
    "--parameters_base64": "-b",
    "--execution-timeout": "--cell-timeout",
    "--start_timeout": "--start-timeout",
    "--no-log-output": "--no-logs",
    "--help-notebook": "--help",
}
# What each of these asks for is what nbflow does anyway, or concerns a part that nbflow does not have.
MOOT_FLAGS = (
    "--log-output",
    "--progress-bar",
    "--request-save-on-cell-execute/--no-request-save-on-cell-execute",
    "--prepare-execute",
)
MOOT_VALUES = ("--autosave-cell-every", "--log-level", "--language", "-l")


def accept_moot_options(function: F) -> F:
    """Add papermill's options that mean nothing here, hidden and without effect."""
    for declaration in MOOT_FLAGS:
        function = click.option(declaration, is_flag=True, hidden=True, expose_value=False)(function)
    return click.option(*MOOT_VALUES, "moot_value", multiple=True, hidden=True, expose_value=False)(function)


class PairCommand(click.Command):
    """A command with ``-p``, which takes papermill's spelling of it, and of its other options, beside nbflow's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta.setdefault("nbflow.args", list(args))
        try:
            args = translate(self, args)
        except click.UsageError as error:
            if ctx.resilient_parsing:  # completion, in the middle of -p NAME VALUE: the rest of the line still counts
                return self.parse_args(ctx, args[:-1])
            if not wants_help(args):
                error.ctx = ctx
                raise
        return super().parse_args(ctx, args)


def wants_help(args: Sequence[str]) -> bool:
    """Whether a command line asks for help, whatever else it holds."""
    return bool({"-h", "--help", "--help-notebook"} & set(args))


def translate(command: click.Command, args: Sequence[str]) -> list[str]:
    """*args* in one spelling: papermill's names become ours, and ``-p k=v`` becomes papermill's pair ``-p k v``.

    Raises click.UsageError where ``-p k`` is followed by nothing, or by another option of the command.
    """
    options = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    rest = list(args)
    out: list[str] = []
    while rest:
        token = rest.pop(0)
        if token == "--":
            return [*out, token, *rest]
        written, attached = _split_option(token)
        option = ALIASES.get(written, written)
        if option == "-p":
            out += ["-p", *_take_pair(written, attached, rest, options)]
            continue
        out.append(option + token[len(written) :])
        known = options.get(option)
        if isinstance(known, click.Option) and not known.is_flag and attached is None:
            out += rest[: known.nargs]
            del rest[: known.nargs]
    return out


def _split_option(token: str) -> tuple[str, str | None]:
    """``("-p", "k=v")`` of ``-pk=v``, ``("--parameters", "k=v")`` of ``--parameters=k=v``; no second half for a bare option."""
    if token.startswith("--"):
        name, equals, attached = token.partition("=")
        return name, attached if equals else None
    if token.startswith("-") and len(token) > 2:
        return token[:2], token[2:]
    return token, None


def _take_pair(
    option: str, attached: str | None, rest: list[str], options: Mapping[str, click.Parameter]
) -> tuple[str, str]:
    if attached is None and not rest:
        raise click.UsageError(f"{option} needs NAME=VALUE or NAME VALUE")
    head = rest.pop(0) if attached is None else attached
    name, equals, value = head.partition("=")
    if equals:
        return name, value
    if not rest or rest[0] in options or rest[0] in ALIASES:
        advice = f"; if {rest[0]!r} is meant as its value, write {option} {head}={rest[0]}" if rest else ""
        raise click.UsageError(f"{option} {head}: has no value; write {option} {head}=VALUE{advice}")
    return name, rest.pop(0)
