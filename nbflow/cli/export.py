"""Writing a table of runs to a file, for the commands that have ``--to``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbflow.cli.console import clean_line, write_json, write_line
from nbflow.cli.exits import ExitCode

if TYPE_CHECKING:
    from nbflow.ports import RunFilter
    from nbflow.project import Project


def write_runs(project: Project, wanted: RunFilter, path: Path, *, as_json: bool) -> int:
    """One row a run; the exit code. Whether the file can be written is checked first."""
    from nbflow.api.exporting import check_target, export_frame
    from nbflow.api.frames import read_frame

    check_target(path)
    frame = read_frame(project.store, wanted)
    export_frame(frame, path)
    if as_json:
        write_json({"path": str(path), "runs": len(frame), "columns": [str(name) for name in frame.columns]})
    else:
        noun = "run" if len(frame) == 1 else "runs"
        write_line(clean_line(f"{len(frame):,} {noun} written to {path}"))
    return ExitCode.OK
