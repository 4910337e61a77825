"""``nbflow``: the entry point, and the one boundary between errors and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from nbflow import __version__
from nbflow.cli.commands import CommandFolder
from nbflow.cli.console import StreamError, discard, has_lost_reader, prepare_streams, write_error, write_line
from nbflow.cli.exits import ExitCode, exit_code_of_error
from nbflow.errors import NbflowError

COMMANDS = (
    "run",
    "inspect",
    "check",
    "register",
    "flows",
    "runs",
    "backfill",
    "schedule",
    "scheduler",
    "server",
    "app",
    "kv",
    "prune",
)

HELP = """Run Jupyter notebooks as flows: with typed parameters, live logs and recorded runs.

\b
Examples:
  nbflow inspect report.ipynb                    what parameters it has
  nbflow run report.ipynb -p region=EU           run it, watching its log
  nbflow run report.ipynb --help                 its parameters and all options
  nbflow runs                                    what ran, and how it ended
  nbflow register report.ipynb --project sales   give it a name and a version
  nbflow run sales/report -p region=US
  nbflow backfill create sales/report -p day=2026-01-01..2026-01-31 -p region=EU,US
  nbflow schedule create sales/report --cron "0 7 * * 1-5" -p region=EU
"""

EPILOG = """\b
Exit codes: 0 completed, 1 the notebook failed, 2 bad usage, input or parameters,
3 the kernel could not start, 4 it died, 5 timed out, 6 the store or the output
could not be written, 130 and 143 cancelled by SIGINT and SIGTERM.

\b
Completion: eval "$(_NBFLOW_COMPLETE=bash_source nbflow)" in ~/.bashrc, or
zsh_source, or fish_source.
"""


def build() -> click.Group:
    """The whole command line."""
    group = CommandFolder("nbflow", "nbflow.cli", COMMANDS, help=HELP, epilog=EPILOG)
    group.params.append(
        click.Option(
            ["--server"],
            metavar="URL",
            expose_value=False,
            callback=_choose_server,
            help="Ask an nbflow server instead of this machine; its token is read from NBFLOW_API_TOKEN.",
        )
    )
    version = click.version_option(__version__, prog_name="nbflow", message="%(prog)s %(version)s")
    return version(group)


def _choose_server(context: click.Context, parameter: click.Parameter, url: str | None) -> None:
    """What the command, and whatever it starts, is asked of."""
    if url is None or context.resilient_parsing:
        return
    before = os.environ.get("NBFLOW_API_URL")
    os.environ["NBFLOW_API_URL"] = url
    context.call_on_close(lambda: _restore_server(before))


def _restore_server(before: str | None) -> None:
    if before is None:
        os.environ.pop("NBFLOW_API_URL", None)
    else:
        os.environ["NBFLOW_API_URL"] = before


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code. Every error of ours is told in at most three lines."""
    prepare_streams()
    try:
        return _invoke(sys.argv[1:] if argv is None else argv)
    except click.Abort:
        return ExitCode.SIGINT
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except click.UsageError as error:
        hint = f"\nsee: {error.ctx.command_path} --help" if error.ctx else ""
        write_error(error.format_message() + hint)
        return ExitCode.USAGE
    except click.ClickException as error:
        write_error(error.format_message())
        return ExitCode.USAGE
    except NbflowError as error:
        _show_traceback()
        write_error(str(error))
        return exit_code_of_error(error)
    except StreamError as error:
        write_error(str(error))
        return ExitCode.NOT_WRITTEN
    except Exception as error:
        return _take_unexpected(error)


def _invoke(args: Sequence[str]) -> int:
    group = build()
    instruction = os.environ.get("_NBFLOW_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, "nbflow", "_NBFLOW_COMPLETE", instruction)
    try:
        with group.make_context("nbflow", list(args)) as context:
            code = group.invoke(context)
    except click.exceptions.NoArgsIsHelpError as error:
        write_line(error.ctx.get_help() if error.ctx else "")
        return ExitCode.OK
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    return int(code or 0)


def _show_traceback() -> bool:
    """Whether the traceback of the error being handled was asked for, and shown."""
    if not os.environ.get("NBFLOW_TRACEBACK"):
        return False
    import traceback

    write_line(traceback.format_exc(), error=True)
    return True


def _take_unexpected(error: Exception) -> int:
    if isinstance(error, BrokenPipeError) and has_lost_reader(sys.stdout):  # `| head` has seen enough
        discard(sys.stdout)
        return ExitCode.OK
    if not _show_traceback():
        write_error(f"nbflow met a bug of its own: {type(error).__name__}: {error}\nNBFLOW_TRACEBACK=1 shows where")
    return ExitCode.BUG
