"""``nbflow inspect``: the parameters of a flow, read without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import flow_argument, json_option
from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.errors import NbflowError, UsageError
from nbflow.records import show_default

if TYPE_CHECKING:
    from nbflow.parameters import Parameter
    from nbflow.project import LoadedFlow

EPILOG = """\b
Examples:
  nbflow inspect report.ipynb
  nbflow inspect sales/report --json-schema > report.schema.json
"""


@click.command("inspect", epilog=EPILOG, short_help="Show a flow's parameters.")
@flow_argument
@json_option
@click.option("--json-schema", "as_schema", is_flag=True, help="The JSON Schema of its values.")
def command(flow: str, as_json: bool, as_schema: bool) -> int:
    """Show the parameters of FLOW: names, types, defaults, help. Nothing is executed."""
    from nbflow.project import Project

    if as_json and as_schema:
        raise UsageError("--json and --json-schema: give one")
    with Project.open() as project:
        loaded = project.load(flow)
    if as_schema:
        write_json(loaded.declaration.json_schema())
    elif as_json:
        from nbflow.project.loading import notebook_to_json

        write_json(notebook_to_json(loaded))
    else:
        _write_text(loaded)
    return ExitCode.OK


def _show_type(parameter: Parameter) -> str:
    """The type; with its constraints as they are written, where it has any."""
    constrained = parameter.annotation is not None and "Annotated" in parameter.annotation
    return parameter.annotation if constrained and parameter.annotation else parameter.type_text


def list_parameters(loaded: LoadedFlow) -> list[tuple[str, str, str, str]]:
    """A row for each parameter: name, type, default, help."""
    return [
        (
            parameter.name,
            clean_line(_show_type(parameter)),
            "required" if parameter.required else clean_line(show_default(parameter), limit=60),
            clean_line(parameter.help),
        )
        for parameter in loaded.declaration.parameters
    ]


def _write_text(loaded: LoadedFlow) -> None:
    from nbflow.cli.table import write_table

    rows = list_parameters(loaded)
    write_line(describe_flow(loaded))
    if not rows:
        write_line("no parameters: tag a code cell 'parameters' to declare some")
        return
    write_line()
    write_table(("parameter", "type", "default", "help"), rows)


def describe_flow(loaded: LoadedFlow) -> str:
    """The flow in one line: label, version, language, kernel."""
    version = f" version {loaded.version.number}" if loaded.version else ""
    kernel = loaded.notebook.kernel_name
    return clean_line(f"{loaded.label}{version}: {loaded.notebook.language}" + (f", kernel {kernel}" if kernel else ""))


def format_parameters(reference: str, formatter: click.HelpFormatter) -> None:
    """The parameters of a flow as a section of ``nbflow run FLOW --help``."""
    from nbflow.project import Project

    try:
        with Project.open() as project:
            rows = list_parameters(project.load(reference))
    except NbflowError as error:
        formatter.write_paragraph()
        formatter.write_text(clean_line(str(error)))
        return
    with formatter.section(f"Parameters of {clean_line(reference)}"):
        if not rows:
            formatter.write_text("none")
            return
        names, types = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
        width = min(names + types, 60)
        formatter.write_dl(
            [
                (
                    f"{name:<{names}}  {kind}".ljust(width),
                    "; ".join(part for part in (help, _say_default(default)) if part),
                )
                for name, kind, default, help in rows
            ],
            col_max=64,
        )


def _say_default(default: str) -> str:
    return default if default == "required" else f"default {default}"
