"""Where a file can be opened in the browser: under the folder that the kernel's own Jupyter server serves."""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from urllib.parse import quote


def find_link(path: Path) -> str | None:
    """An address relative to the server's host; None where the server doesn't serve the file."""
    served = _find_server()
    if served is None:
        return None
    root, base_url = served
    try:
        relative = path.resolve().relative_to(root)
    except ValueError:
        return None
    # Jupyter doesn't serve what is hidden.
    if any(part.startswith(".") for part in relative.parts):
        return None
    return f"{base_url}lab/tree/{quote(relative.as_posix())}"


def show_notebook(path: Path, link: str | None) -> str:
    """The executed notebook: a link where it can be opened, and its path in any case."""
    place = f"<code>{escape(shorten(path))}</code>"
    if link is None:
        return f"<span class='nbflow-caption'>Executed notebook</span> {place}"
    address = escape(link, quote=True)
    return (
        f"<a class='nbflow-open' href='{address}' target='_blank' rel='noopener'>Open the executed notebook</a> {place}"
    )


def shorten(path: Path) -> str:
    """As people write it: from ``~`` where it is in their home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def _find_server() -> tuple[Path, str] | None:
    """Root folder and base URL of the server that started this kernel, from the file it leaves for its kernels."""
    pid = os.environ.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        told = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json").read_text(encoding="utf-8"))
        return Path(told["root_dir"]).resolve(), str(told["base_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
