"""A group of commands kept as one module each, imported when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class CommandFolder(click.Group):
    """The commands found as ``<package>.<name>.command``, listed in the given order."""

    def __init__(
        self,
        name: str,
        package: str,
        commands: Sequence[str],
        *,
        help: str,
        epilog: str = "",
        default: str | None = None,
    ) -> None:
        super().__init__(name, help=help, epilog=epilog, context_settings=CONTEXT, no_args_is_help=default is None)
        self._package = package
        self._names = tuple(commands)
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._names:
            return None
        command = import_module(f"{self._package}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With a default command, options that come without a command's name are its own."""
        if (
            self._default
            and not ctx.resilient_parsing
            and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names))
        ):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._names and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self._names, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._names)}"
            ctx.fail(f"no such command {args[0]!r}; {advice}")
        return super().resolve_command(ctx, args)
