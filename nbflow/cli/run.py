"""``nbflow run``: execute a flow with other values than the ones typed into it, and watch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nbflow.cli.arguments import Seconds, file_option, json_option, parameter_option, watch_options
from nbflow.cli.completion import complete_flow
from nbflow.cli.papermill import PairCommand, accept_moot_options, wants_help
from nbflow.errors import UsageError

EPILOG = """\b
Examples:
  nbflow run report.ipynb -p region=EU -p n=20
  nbflow run report.ipynb -f january.yaml -o january.ipynb
  nbflow run sales/report -p token=env:API_TOKEN --retries 2
  nbflow run report.ipynb --detach        then: nbflow runs logs RUN --follow

\b
A secret's value: env:NAME, file:PATH, or - to be asked for it.
papermill's spelling is understood too: nbflow run in.ipynb out.ipynb -p n 20 -r zip 01234
"""


class RunCommand(PairCommand):
    """Shows the notebook's own parameters in its help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["nbflow.flow"] = self._find_flow(ctx, args)
        return super().parse_args(ctx, args)

    def _find_flow(self, ctx: click.Context, args: list[str]) -> str | None:
        """The FLOW on a command line whose ``--help`` is answered before anything else is looked at."""
        if not wants_help(args):
            return None
        with click.Context(self, parent=ctx.parent, resilient_parsing=True) as context:
            super().parse_args(context, [arg for arg in args if arg not in ("-h", "--help", "--help-notebook")])
            return context.params.get("flow")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        flow = ctx.meta.get("nbflow.flow")
        if flow:
            from nbflow.cli.inspect import format_parameters

            format_parameters(flow, formatter)


@click.command("run", cls=RunCommand, epilog=EPILOG, short_help="Run a notebook and watch it.")
@click.argument("flow", metavar="FLOW", shell_complete=complete_flow)
@click.argument("output", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path))
@parameter_option("A parameter's value, coerced by its declared type. Repeatable; NAME VALUE works too.")
@file_option("Values from a JSON (.json) or YAML file.")
@click.option("-y", "--parameters-yaml", "yaml", metavar="YAML", multiple=True, help="Values as YAML.")
@click.option(
    "-r",
    "--parameters-raw",
    "raw",
    metavar="NAME VALUE",
    nargs=2,
    multiple=True,
    help="A value taken as a string, whatever it looks like.",
)
@click.option(
    "-b",
    "--parameters-base64",
    "encoded",
    metavar="TEXT",
    multiple=True,
    help="Values as YAML in base64.",
)
@click.option(
    "-o",
    "--output",
    "output_option",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Where the executed notebook goes.",
)
@click.option("-k", "--kernel", metavar="NAME", help="Another kernel than the notebook names.")
@click.option("--cwd", metavar="DIR", help="Folder to run in, instead of the notebook's own.")
@click.option("--name", metavar="TEXT", help="Name of the run; {parameter} is filled in: 'sales-{region}-{day:%Y-%m}'.")
@click.option("--tag", "tags", multiple=True, help="Label to find the run by. Repeatable.")
@click.option(
    "--retries", type=click.IntRange(min=0), metavar="N", default=0, help="Try again so often when the notebook fails."
)
@click.option("--retry-delay", type=Seconds(), default=0.0, help="Wait before each retry: 30, 5min.")
@click.option(
    "--retries-on-loss",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="The same when its kernel or machine dies.",
)
@click.option("--timeout", type=Seconds(), help="Limit for the whole run.")
@click.option("--cell-timeout", type=Seconds(), help="Limit for each cell.")
@click.option("--start-timeout", type=Seconds(), default=60.0, help="Limit for the kernel's start; 60 s.")
@click.option("--engine", metavar="NAME", default="local", help="Where it runs: local.")
@click.option("--skip-completed", is_flag=True, help="Reuse a completed run of the same notebook and values.")
@watch_options
@click.option("--no-progress-bar", "no_bar", is_flag=True, help="Only the notebook's lines and the summary.")
@click.option(
    "--report", type=click.Choice(["html"]), metavar="html", help="Write a report beside the executed notebook."
)
@click.option("--report-mode/--no-report-mode", default=False, help="Hide the cells' sources in the executed notebook.")
@click.option("--stdout-file", type=click.Path(path_type=Path), hidden=True)
@click.option("--stderr-file", type=click.Path(path_type=Path), hidden=True)
@json_option
@accept_moot_options
def command(flow: str, **options: Any) -> int:
    """Run a notebook as a flow, and watch it until it ends.

    FLOW is a notebook's path, or PROJECT/NAME. `nbflow run FLOW --help` shows its parameters.
    """
    from nbflow.cli.display import open_stream_file
    from nbflow.cli.values import ask_for_secrets, collect_values
    from nbflow.cli.watching import finish_run
    from nbflow.project import Project

    with Project.open() as project:
        values = collect_values(**{kind: options[kind] for kind in ("encoded", "files", "yaml", "pairs", "raw")})
        loaded = project.load(flow)
        values = ask_for_secrets(values, loaded.declaration)
        detach = not options["watch"]
        files = [open_stream_file(path, name) for name in ("stdout", "stderr") if (path := options[f"{name}_file"])]
        run = project.submit(
            loaded,
            values,
            make_options(options),
            name=options["name"],
            tags=options["tags"],
            skip_completed=options["skip_completed"],
            detach=detach,
        )
        return finish_run(
            project,
            run,
            detach=detach,
            as_json=options["as_json"],
            logs=options["logs"],
            bar=not options["no_bar"],
            files=files,
        )


def make_options(options: dict[str, Any]) -> Any:
    """The RunOptions that a command line asks for."""
    from nbflow.lifecycle import RunOptions

    output = _choose_output(options["output"], options["output_option"])
    engine = "local" if options["engine"] == "nbflow" else options["engine"]  # papermill's name for us
    same = (
        "kernel",
        "cwd",
        "retries",
        "retry_delay",
        "retries_on_loss",
        "timeout",
        "cell_timeout",
        "start_timeout",
        "report",
        "report_mode",
    )
    return RunOptions(output=str(output) if output else None, engine=engine, **{name: options[name] for name in same})


def _choose_output(positional: Path | None, option: Path | None) -> Path | None:
    if positional and option and positional != option:
        raise UsageError(f"two outputs: {str(positional)!r} and -o {str(option)!r}; give one")
    return option or positional
