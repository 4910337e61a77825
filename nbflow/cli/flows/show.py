"""``nbflow flows show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import flow_argument, json_option
from nbflow.cli.console import write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.errors import UsageError
from nbflow.records import finding_to_json, flow_to_json, parameter_to_json

if TYPE_CHECKING:
    from nbflow.flows import FlowVersion
    from nbflow.parameters import Finding
    from nbflow.project import LoadedFlow


@click.command("show", short_help="Show a flow, its versions and its drift.")
@flow_argument
@json_option
def command(flow: str, as_json: bool) -> int:
    """Show a registered flow: versions, parameters, and how its file differs from the registered version."""
    from nbflow.project import Project

    with Project.open() as project:
        loaded = project.load(flow)
        if loaded.version is None:
            raise UsageError(f"{flow}: is a file, not a registered flow; see its parameters: nbflow inspect {flow}")
        versions = project.list_versions(loaded.version.project, loaded.version.name)
        drift = project.find_drift(loaded.version)
    if as_json:
        _write_json(loaded, loaded.version, versions, drift)
    else:
        _write_text(loaded, loaded.version, versions, drift)
    return ExitCode.OK


def _write_json(loaded: LoadedFlow, version: FlowVersion, versions: list[FlowVersion], drift: list[Finding]) -> None:
    write_json(
        {
            **flow_to_json(version),
            "schema": version.schema,
            "parameters": [parameter_to_json(parameter) for parameter in loaded.declaration.parameters],
            "versions": [flow_to_json(one) for one in versions],
            "drift": [finding_to_json(finding, version.source_path) for finding in drift],
        }
    )


def _write_text(loaded: LoadedFlow, version: FlowVersion, versions: list[FlowVersion], drift: list[Finding]) -> None:
    from nbflow.cli.check import format_finding
    from nbflow.cli.inspect import list_parameters
    from nbflow.cli.table import format_time, write_facts, write_table

    write_facts(
        [
            ("flow", version.full_name),
            ("version", str(version.number)),
            ("registered", format_time(version.registered)),
            ("file", version.source_path),
            ("drift", "none" if not drift else ""),
        ]
    )
    for finding in drift:
        write_line(f"  {format_finding(version.source_path, finding)}")
    rows = list_parameters(loaded)
    if rows:
        write_line()
        write_table(("parameter", "type", "default", "help"), rows)
    if len(versions) > 1:
        write_line()
        rows_of_versions = [(str(one.number), format_time(one.registered), one.notebook_hash[:12]) for one in versions]
        write_table(("version", "registered", "content"), rows_of_versions)
