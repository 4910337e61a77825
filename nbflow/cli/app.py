"""``nbflow app``."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from nbflow.cli.exits import ExitCode
from nbflow.cli.server import start_server

EPILOG = """\b
Examples:
  nbflow app report.ipynb
  nbflow app sales/report --port 8899 --no-browser

\b
The address that it prints holds a token: who has it may run this one flow, and watch and cancel its runs; nothing else
is reached with it. The notebook is executed in the folder that the app is started in. What follows -- is configuration of Jupyter Server, as for nbflow server.
"""


@click.command("app", epilog=EPILOG, short_help="Serve one flow's form as an app.")
@click.argument("flow", metavar="NOTEBOOK")
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen; 8888 or the next that is free.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--base-url", metavar="URL", help="The path before all addresses: /user/me/.")
@click.argument("config", nargs=-1, type=click.UNPROCESSED)
def command(flow: str, port: int | None, no_browser: bool, base_url: str | None, config: tuple[str, ...]) -> int:
    """Serve a notebook, or a registered flow, as an app: its form, and what its runs come to."""
    place, folder = _find_place(flow)
    settings = [*config, f"--NbflowServer.default_url=/nbflow/app/{quote(place)}", f"--NbflowServer.only={place}"]
    if folder is not None:
        settings.append(f"--ServerApp.root_dir={folder}")
    start_server("nbflow app", settings, port=port, no_browser=no_browser, base_url=base_url)
    return ExitCode.OK


def _find_place(flow: str) -> tuple[str, Path | None]:
    """What the app's address says of the flow, and the folder to serve where it is another than this one."""
    from nbflow.project import Project

    with Project.open() as project:
        loaded = project.load(flow)
    if loaded.version is not None:
        return loaded.version.full_name, None
    path, here = Path(os.path.abspath(flow)), Path.cwd()
    if path.is_relative_to(here):
        return str(path.relative_to(here)), None
    return path.name, path.parent
