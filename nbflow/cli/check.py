"""``nbflow check``: what is wrong, or soon will be, with the parameters of notebooks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbflow.cli.arguments import json_option
from nbflow.cli.completion import complete_flow
from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode
from nbflow.errors import NotebookError, StoreError, UsageError
from nbflow.records import finding_to_json

if TYPE_CHECKING:
    from nbflow.parameters import Finding

EPILOG = """\b
Examples:
  nbflow check report.ipynb
  nbflow check --strict notebooks/           in CI: warnings count too
  nbflow check sales/report                  also: drift between file and registered version

\b
Of a scheduled flow also: schedules that can't run any more, dates that stay the same in every run.

Exit code 1 when a finding is an error (with --strict: or a warning), else 0.
"""
SKIPPED_FOLDERS = ("node_modules", "__pycache__", "site-packages")


@click.command("check", epilog=EPILOG, short_help="Find faults in notebooks' parameters.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=complete_flow)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@json_option
def command(paths: tuple[str, ...], strict: bool, as_json: bool) -> int:
    """Check notebooks, folders of notebooks and registered flows. Nothing is executed."""
    counting = ("error", "warning") if strict else ("error",)
    notebooks = 0
    found: list[tuple[str, Finding]] = []
    with schedule_check() as check_schedules:
        for path in paths:
            for label, findings in _check_reference(path):
                findings += check_schedules(label)
                notebooks += 1
                found += [(label, finding) for finding in findings]
                if not as_json:
                    for finding in findings:
                        write_line(format_finding(label, finding))
    if as_json:
        write_json([finding_to_json(finding, label) for label, finding in found])
    else:
        write_line(_count(notebooks, [finding.severity for _, finding in found]), error=True)
    return ExitCode.FAILED if any(finding.severity in counting for _, finding in found) else ExitCode.OK


def format_finding(label: str, finding: Finding) -> str:
    """``path: cell N: severity: rule: message``; cells count from 1, as people count."""
    where = "" if finding.cell_index is None else f" cell {finding.cell_index + 1}"
    line = f" line {finding.line}" if where and finding.line else ""
    place = f"{where}{',' if line else ''}{line}:" if where else ""
    return clean_line(f"{label}:{place} {finding.severity}: {finding.rule}: {finding.message}", limit=2000)


def _check_reference(reference: str) -> Iterator[tuple[str, list[Finding]]]:
    from nbflow.flows import is_flow_name

    if os.path.isdir(reference):
        for path in find_notebooks(Path(reference)):
            yield str(path), check_file(path)
    elif os.path.exists(reference) or not is_flow_name(reference):
        if not os.path.exists(reference):
            raise UsageError(f"{reference!r}: no such file, folder or registered flow")
        yield reference, check_file(Path(reference))
    else:
        yield reference, _check_registered(reference)


def find_notebooks(folder: Path) -> Iterator[Path]:
    """Every notebook below *folder*, by name; hidden folders and those of installed packages are left out."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED_FOLDERS)
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".ipynb"))


def check_file(path: Path) -> list[Finding]:
    """The findings for one file; one that can't be read is a finding too."""
    from nbflow.notebooks import read_notebook
    from nbflow.parameters import Finding
    from nbflow.parameters.check import check_notebook

    try:
        return check_notebook(read_notebook(path))
    except NotebookError as error:
        return [Finding(rule="unreadable", severity="error", message=" ".join(str(error).split()))]


def _check_registered(name: str) -> list[Finding]:
    from nbflow.parameters.check import check_notebook
    from nbflow.project import Project

    with Project.open() as project:
        loaded = project.load(name)
        drift = project.find_drift(loaded.version) if loaded.version else []
        return [*check_notebook(loaded.notebook), *drift]


@contextmanager
def schedule_check() -> Iterator[Callable[[str], list[Finding]]]:
    """What tells about the schedules of a notebook or flow; nothing where there is no store yet: a check makes none."""
    from nbflow.config import load_config
    from nbflow.project import Project

    config = load_config(os.environ, Path.cwd())
    if config.server is None and config.database is None and not (config.home / "nbflow.db").exists():
        yield lambda label: []
        return
    with Project.make(config) as project:
        try:
            is_usable = bool(project.schedules.find())
        except StoreError as error:
            write_line(f"schedules are not looked at: {clean_line(str(error))}", error=True)
            is_usable = False

        def check(label: str) -> list[Finding]:
            with suppress(NotebookError):
                return project.schedules.check(project.load(label))
            return []

        yield check if is_usable else lambda label: []


def _count(notebooks: int, severities: list[str]) -> str:
    counts = {severity: severities.count(severity) for severity in ("error", "warning", "info")}
    parts = [_plural(count, severity) for severity, count in counts.items() if count or severity != "info"]
    return f"{_plural(notebooks, 'notebook')} checked: {', '.join(parts)}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
