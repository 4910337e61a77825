"""``nbflow server``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import click

from nbflow.cli.exits import ExitCode
from nbflow.errors import MissingExtraError, UsageError

EPILOG = """\b
Examples:
  nbflow server
  nbflow server --port 8899 --no-browser
  nbflow server -- --ServerApp.ip=0.0.0.0 --IdentityProvider.token=...

\b
It serves the notebooks below the folder it is started in. Runs go on when it is stopped, and are taken up by the next
one. What follows -- is configuration of Jupyter Server; nbflow server -- --help-all lists it.
"""


@click.command("server", epilog=EPILOG, short_help="Serve flows by HTTP and in the browser.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen; 8888 or the next that is free.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--base-url", metavar="URL", help="The path before all addresses: /user/me/.")
@click.argument("config", nargs=-1, type=click.UNPROCESSED)
def command(port: int | None, no_browser: bool, base_url: str | None, config: tuple[str, ...]) -> int:
    """Serve flows, runs and schedules: the web page, the HTTP API, and a process that executes what is asked for."""
    stray = [word for word in config if not word.startswith("-")]
    if stray:
        raise UsageError(f"nbflow server {stray[0]}: expected options only; it serves the folder that it is started in")
    start_server("nbflow server", config, port=port, no_browser=no_browser, base_url=base_url)
    return ExitCode.OK


def start_server(
    command: str, config: Sequence[str], *, port: int | None, no_browser: bool, base_url: str | None
) -> None:
    """Put the server in the place of this process. Raises MissingExtraError, which names *command*."""
    if find_spec("jupyter_server") is None:
        raise MissingExtraError(command, "server")
    argv = list(config)
    if port is not None:
        argv.append(f"--ServerApp.port={port}")
    if no_browser:
        argv.append("--ServerApp.open_browser=False")
    if base_url is not None:
        argv.append(f"--ServerApp.base_url={base_url}")
    # Without -P it would import what lies in the folder that it serves.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "nbflow.server", *argv])
