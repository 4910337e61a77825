"""The notebook as nbformat's node, ready to be executed; nbformat is imported only here, and only when called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbflow.errors import NotebookError
from nbflow.notebooks import files, formats

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
MINOR = 5
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TRANSIENT = ("orig_nbformat", "orig_nbformat_minor", "signature")
_OUTPUT_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "stream": {"name": "stdout", "text": ""},
    "display_data": {"data": {}, "metadata": {}},
    "execute_result": {"data": {}, "metadata": {}, "execution_count": None},
    "error": {"ename": "", "evalue": "", "traceback": []},
}


def to_nbformat(content: bytes) -> NotebookNode:
    """The notebook upgraded to format 4.5 or later; raises NotebookError where ``read_notebook`` does.

    What Jupyter mends when it opens a notebook is mended here too: missing or repeated cell ids, missing metadata,
    sources and outputs, tags that are no list. Its cells are those that ``read_notebook`` shows, one for one.
    """
    from nbformat import from_dict

    raw = files.parse_content(content)
    version = formats.find_version(raw)
    minor = raw.get("nbformat_minor")
    keep = isinstance(minor, int) and version == 4 and minor > MINOR
    try:
        whole = {
            **({key: value for key, value in raw.items() if key != "worksheets"} if version == 4 else {}),
            "cells": _mend_cells(formats.upgrade_cells(raw), version),
            "metadata": _mend_metadata(raw),
            "nbformat": 4,
            "nbformat_minor": minor if keep else MINOR,
        }
        return from_dict(whole)
    except RecursionError:
        raise NotebookError(
            "the notebook's outputs or metadata are nested too deeply; clear its outputs and save it again"
        ) from None


def insert_parameters(node: NotebookNode, source: str | None, *, report_mode: bool = False) -> int | None:
    """Put *source* where papermill would, in a cell tagged ``injected-parameters``; its index.

    That is in place of an earlier injected cell, else right after the first code cell tagged ``parameters``, else on
    top. Unlike papermill's, an earlier injected cell above the tagged one is moved below it, since the defaults would
    win otherwise, and with *source* None every earlier one is removed, so that no value of another run remains.
    """
    old = [index for index, cell in enumerate(node["cells"]) if _is_injected(cell)]
    stays = [cell for cell in node["cells"] if not _is_injected(cell)]
    node["cells"] = stays
    if source is None:
        return None
    below = next((index + 1 for index, cell in enumerate(stays) if _is_tagged_code(cell, PARAMETERS_TAG)), 0)
    place = max(below, old[0]) if old else below
    stays.insert(place, _make_injected(source, report_mode=report_mode))
    return place


def _make_injected(source: str, *, report_mode: bool) -> NotebookNode:
    from nbformat import from_dict
    from nbformat.v4.nbbase import random_cell_id

    metadata: dict[str, Any] = {"tags": [INJECTED_TAG]}
    if report_mode:
        metadata["jupyter"] = {"source_hidden": True}
    # Not by new_code_cell: its validation takes as long as the execution of a short cell.
    whole = {"id": random_cell_id(), "cell_type": "code", "metadata": metadata, "execution_count": None}
    return from_dict({**whole, "source": source, "outputs": []})


def _is_tagged_code(cell: Mapping[str, Any], tag: str) -> bool:
    return cell.get("cell_type") == "code" and tag in (cell.get("metadata", {}).get("tags") or ())


def _is_injected(cell: Mapping[str, Any]) -> bool:
    """A cell that carries both tags declares parameters: it must not be lost."""
    return _is_tagged_code(cell, INJECTED_TAG) and not _is_tagged_code(cell, PARAMETERS_TAG)


def _mend_metadata(raw: Mapping[str, Any]) -> dict[str, Any]:
    metadata = raw.get("metadata")
    made = (
        {key: value for key, value in metadata.items() if key not in _TRANSIENT} if isinstance(metadata, dict) else {}
    )
    if formats.find_version(raw) < 4:
        made.pop("name", None)
    for key in ("kernelspec", "language_info", "papermill", "widgets"):
        if not isinstance(made.get(key, {}), dict):
            del made[key]
    if "kernelspec" in made:
        made["kernelspec"] = _mend_kernelspec(made["kernelspec"], formats.find_kernel(raw))
    if not isinstance(made.get("language_info", {}).get("name", ""), str):
        del made["language_info"]
    return made


def _mend_kernelspec(spec: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    if name is None:
        return {key: value for key, value in spec.items() if key != "name"}
    return {"display_name": name, **spec}


def _mend_cells(cells: Sequence[dict[str, Any]], version: int) -> list[dict[str, Any]]:
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        tags = formats.find_tags(cell)
        _mend_cell_metadata(cell["metadata"], tags)
        cell["id"] = _mend_id(cell, index, seen)
        if cell["cell_type"] == "code":
            count = cell.get("execution_count")
            cell["execution_count"] = count if isinstance(count, int) and not isinstance(count, bool) else None
            cell["outputs"] = list(_mend_outputs(cell.get("outputs"), version))
        else:
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
    return list(cells)


def _mend_cell_metadata(metadata: dict[str, Any], tags: tuple[str, ...]) -> None:
    if "tags" in metadata:
        metadata["tags"] = list(tags)
    for key in ("papermill", "jupyter", "execution"):
        if not isinstance(metadata.get(key, {}), dict):
            del metadata[key]
    metadata.pop("trusted", None)


def _mend_id(cell: Mapping[str, Any], index: int, seen: set[str]) -> str:
    """The cell's own id where it is valid and new; else one that is the same in every run of this notebook."""
    name = cell.get("id")
    attempt = 0
    while not isinstance(name, str) or not _CELL_ID.fullmatch(name) or name in seen:
        text = f"{index}\n{attempt}\n{cell['source']}".encode("utf-8", "surrogatepass")
        name = hashlib.sha256(text).hexdigest()[:8]
        attempt += 1
    seen.add(name)
    return name


def _mend_outputs(outputs: Any, version: int) -> Iterable[dict[str, Any]]:
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict) or not isinstance(output.get("output_type"), str):
            continue
        made = _upgrade_output(output) if version < 4 else dict(output)
        if made is None:
            continue
        for key, default in _OUTPUT_DEFAULTS.get(made["output_type"], {}).items():
            value = made.get(key)
            if value is None or (isinstance(default, dict) and not isinstance(value, dict)):
                made[key] = default
        if made["output_type"] == "stream":
            made["text"] = _join_text(made["text"])
        if isinstance(made.get("data"), dict):
            made["data"] = {mime: _join_mime(mime, value) for mime, value in made["data"].items()}
        yield made


def _upgrade_output(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """An output of formats 1 to 3 as format 4 has it; None where it is beyond repair."""
    from nbformat.v3 import nbbase
    from nbformat.v4.convert import upgrade_output

    joined = {key: _join_lines(value) if key != "traceback" else value for key, value in output.items()}
    try:
        return dict(upgrade_output(nbbase.from_dict(joined)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _join_lines(value: Any) -> Any:
    if not _is_lines(value):
        return value
    return ("" if value and value[0].endswith(("\n", "\r")) else "\n").join(value)


def _join_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(value) if _is_lines(value) else ""


def _join_mime(mime: str, value: Any) -> Any:
    is_json = mime == "application/json" or (mime.startswith("application/") and mime.endswith("+json"))
    return "".join(value) if not is_json and _is_lines(value) else value


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)
