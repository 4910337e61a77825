"""The last outputs of an executed notebook as a page for a sandboxed frame: no scripts, nothing from the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from nbflow.widgets.log_buffer import clean_line

CELLS = 3
"""How many of the last cells with outputs are shown."""
LONGEST = 400_000
"""Characters of one output."""
LARGEST_FILE = 50_000_000
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; base-uri 'none'"
)
STYLE = (
    "html{background:#fff;color:#1f2328;font:14px/1.45 system-ui,sans-serif}body{margin:8px 12px}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:12.5px/1.45 ui-monospace,monospace;margin:4px 0}"
    "table{border-collapse:collapse;font-size:12.5px}td,th{padding:2px 8px;text-align:right;border-bottom:1px solid #ddd}"
    "img,svg{max-width:100%;height:auto}.error{color:#a40e26}hr{border:0;border-top:1px solid #ddd;margin:8px 0}"
)


def read_preview(path: Path) -> str:
    """The page; empty where there are no outputs or no readable notebook."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return ""
        notebook = json.loads(path.read_bytes())
        cells = [cell for cell in notebook["cells"] if cell.get("cell_type") == "code" and cell.get("outputs")]
        parts = ["".join(_show_outputs(cell)) for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    shown = [part for part in parts if part][-CELLS:]
    if not shown:
        return ""
    head = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>Last outputs</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body><main>{'<hr>'.join(shown)}</main></body></html>"


def show_preview(path: Path) -> str:
    """The frame around :func:`read_preview`; empty where that is."""
    page = read_preview(path)
    if not page:
        return ""
    return (
        "<div class='nbflow-caption'>Last outputs</div>"
        "<iframe class='nbflow-preview' title='Last outputs of the executed notebook' sandbox='' "
        f"referrerpolicy='no-referrer' tabindex='0' srcdoc=\"{escape(page, quote=True)}\"></iframe>"
    )


def _show_outputs(cell: Mapping[str, Any]) -> Iterator[str]:
    for output in cell["outputs"]:
        match output.get("output_type"):
            case "stream":
                yield _pre(_join(output.get("text")))
            case "error":
                trace = "\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])
                yield _pre(trace, "error")
            case _:
                yield _show_bundle(output.get("data") or {})


def _show_bundle(data: Mapping[str, Any]) -> str:
    for mime in ("image/png", "image/jpeg", "image/gif"):
        if mime in data:
            return f"<img alt='output' src='data:{mime};base64,{escape(_join(data[mime]).strip(), quote=True)}'>"
    for mime in ("text/html", "image/svg+xml"):
        text = _join(data.get(mime))
        if text and len(text) <= LONGEST:
            return f"<div>{text}</div>"  # as it is: the frame runs no scripts and reaches no network
    return _pre(_join(data.get("text/markdown") or data.get("text/plain")))


def _pre(text: str, look: str = "") -> str:
    lines = text[:LONGEST].split("\n")
    cleaned = "\n".join(clean_line(line) for line in lines[-200:])
    return f"<pre class='{look}'>{escape(cleaned)}</pre>" if cleaned.strip() else ""


def _join(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text or "")
