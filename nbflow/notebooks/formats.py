"""One view of the cells of notebook formats 1 to 4, tolerant of everything that Jupyter tolerates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_KERNEL_LANGUAGES = {"ir": "R", "bash": "bash", "julia": "julia", "scala": "scala", "matlab": "matlab"}


def find_version(raw: Mapping[str, Any]) -> int:
    """The major version of the format; notebooks without one are of version 1."""
    return int(raw.get("nbformat", 1))


def upgrade_cells(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The cells as format 4 has them, each a new mapping with ``cell_type``, ``source`` (str) and ``metadata``.

    Outputs are left as they are.
    """
    version = find_version(raw)
    return [_upgrade_cell(cell, version) for cell in _find_cells(raw) if isinstance(cell, dict)]


def find_tags(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """The tags of an upgraded cell; a lone string counts as one tag."""
    tags = cell["metadata"].get("tags")
    if isinstance(tags, str):
        return (tags,)
    return tuple(dict.fromkeys(tag for tag in tags if isinstance(tag, str))) if isinstance(tags, list) else ()


def find_kernel(raw: Mapping[str, Any]) -> str | None:
    """The name in the notebook's kernelspec."""
    name = _section(raw, "metadata", "kernelspec").get("name")
    return name if isinstance(name, str) and name else None


def find_language(raw: Mapping[str, Any]) -> str:
    """The language as the notebook names it; else what its kernel's name implies; else Python."""
    metadata = _section(raw, "metadata")
    named = (
        _section(raw, "metadata", "language_info").get("name"),
        _section(raw, "metadata", "kernelspec").get("language"),
        metadata.get("language"),
        *(cell.get("language") for cell in _find_cells(raw) if isinstance(cell, dict) and find_version(raw) < 4),
    )
    for name in named:
        if isinstance(name, str) and name.strip():
            return name.strip()
    family = (find_kernel(raw) or "").lower().partition("-")[0]
    return _KERNEL_LANGUAGES.get(family, "python")


def _find_cells(raw: Mapping[str, Any]) -> Iterator[Any]:
    cells = raw.get("cells")
    if isinstance(cells, list):
        yield from cells
        return
    for sheet in raw.get("worksheets") or ():
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list):
            yield from sheet["cells"]


def _upgrade_cell(cell: dict[str, Any], version: int) -> dict[str, Any]:
    made = {**cell, "metadata": dict(_section(cell, "metadata"))}
    kind = cell.get("cell_type")
    made["cell_type"] = kind if isinstance(kind, str) and kind else "raw"
    made["source"] = _join(_find_source(cell), version)
    if version >= 4:
        return made
    for old in ("input", "code", "text", "language", "prompt_number", "rendered"):
        made.pop(old, None)
    if kind == "code":
        made["execution_count"] = cell.get("prompt_number")
    if kind == "heading":
        level = made.pop("level", 1)
        made["source"] = f"{'#' * (level if isinstance(level, int) else 1)} {' '.join(made['source'].splitlines())}"
    if "collapsed" in made:
        made["metadata"]["collapsed"] = made.pop("collapsed")
    if kind in ("heading", "html", "text"):
        made["cell_type"] = "markdown"
    return made


def _find_source(cell: Mapping[str, Any]) -> Any:
    """Code was called ``code`` in format 1, ``input`` in 2 and 3, ``source`` in 4; prose ``text``, then ``source``."""
    return next((cell[key] for key in ("source", "input", "code", "text") if cell.get(key) is not None), "")


def _join(source: Any, version: int) -> str:
    if isinstance(source, str):
        return source
    lines = [line for line in source if isinstance(line, str)] if isinstance(source, list) else []
    # Formats 2 and 3 were at times written without the line ends.
    bare = version < 4 and not (lines and lines[0].endswith(("\n", "\r")))
    return ("\n" if bare else "").join(lines)


def _section(raw: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping under *keys*; empty where something else, or nothing, is there."""
    here: Any = raw
    for key in keys:
        here = here.get(key) if isinstance(here, dict) else None
    return here if isinstance(here, dict) else {}
