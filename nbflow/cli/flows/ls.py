"""``nbflow flows ls``."""

from __future__ import annotations

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.records import flow_to_json


@click.command("ls", short_help="List registered flows.")
@click.option("--project", "project_name", metavar="P", help="Only those of one project.")
@json_option
def command(project_name: str | None, as_json: bool) -> int:
    """List the registered flows, each with its newest version."""
    from nbflow.cli.table import format_time, write_table
    from nbflow.project import Project

    with Project.open() as project:
        flows = project.list_flows(project_name)
    if as_json:
        write_json([flow_to_json(flow) for flow in flows])
    elif not flows:
        write_line("no registered flows; add one: nbflow register NOTEBOOK --project NAME", error=True)
    else:
        rows = [(flow.full_name, str(flow.number), format_time(flow.registered), flow.source_path) for flow in flows]
        write_table(("flow", "version", "registered", "file"), rows)
    return ExitCode.OK
