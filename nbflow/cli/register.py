"""``nbflow register``: keep a notebook under a name, as an immutable version."""

from __future__ import annotations

from pathlib import Path

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.records import flow_to_json

EPILOG = """\b
Examples:
  nbflow register report.ipynb --project sales
  nbflow run sales/report -p region=EU
"""


@click.command("register", epilog=EPILOG, short_help="Give a notebook a name and a version.")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--project", "project_name", metavar="P", required=True, help="Project the flow belongs to.")
@click.option("--name", metavar="N", help="Name of the flow; the file's name without .ipynb when left out.")
@json_option
def command(path: Path, project_name: str, name: str | None, as_json: bool) -> int:
    """Register the notebook at PATH: runs of PROJECT/NAME use this content, whatever happens to the file.

    Registering the same content again changes nothing; other content becomes the next version.
    """
    from nbflow.project import Project

    with Project.open() as project:
        version, new = project.register(path, project=project_name, name=name)
    if as_json:
        write_json({**flow_to_json(version), "new": new})
    else:
        verb = "registered" if new else "unchanged:"
        write_line(f"{verb} {version.full_name} version {version.number}")
    return ExitCode.OK
