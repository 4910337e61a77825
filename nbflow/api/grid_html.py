"""The grid of a backfill as HTML: a cell a run, its state by sign and colour, linked to the executed notebook."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbflow.api.grid import LOOKS, Cells, Layout, find_worst, lay_out
from nbflow.lifecycle import RunState

MAX_CELLS = 2_000
BAND = 60
"""Columns side by side; more go on below."""
_CELL = 16
_LETTER = 7
_STYLE = """
.nbflow-grid{border-collapse:separate;border-spacing:1px;margin:4px 0;font-size:11px;line-height:1}
.nbflow-grid td,.nbflow-grid th{padding:0;border:0;height:16px;min-width:16px;max-width:16px;text-align:center;
background:none;font-weight:normal;overflow:visible;white-space:nowrap}
.nbflow-grid th{text-align:left}
.nbflow-grid th[scope=row]{max-width:none;padding-right:6px;text-align:right}
.nbflow-grid td b,.nbflow-key b{display:block;width:16px;height:16px;line-height:16px;border-radius:3px;
font-weight:normal;text-align:center}
.nbflow-key b{display:inline-block;font-size:11px}
.nbflow-key{margin:4px 0}
.nbflow-key span{margin-right:12px;white-space:nowrap}
.nbflow-grid a,.nbflow-grid a:hover{color:inherit;text-decoration:none}
"""


def show_grid(cells: Cells, *, limit: int = MAX_CELLS) -> str:
    """The grid and its key. Above *limit* cells neighbours share one, which shows what most needs a look."""
    if not cells.fields["state"]:
        return ""
    layout = lay_out(cells).coarsened(limit)
    members: dict[tuple[int, int], list[int]] = {}
    for index, place in enumerate(layout.places):
        members.setdefault(place, []).append(index)
    states = cells.states
    drawn = {place: _draw(cells, states, inside) for place, inside in members.items()}
    bands = [
        _draw_band(layout, drawn, range(start, min(start + BAND, len(layout.columns))))
        for start in range(0, len(layout.columns), BAND)
    ]
    shared = max(map(len, members.values()))
    note = f" <small>a cell stands for up to {shared:,} rows</small>" if shared > 1 else ""
    style = f"<style>{_STYLE}{state_styles()}</style>"
    return f"{style}<div style='overflow-x:auto'>{''.join(bands)}</div>{show_key(Counter(states))}{note}"


def show_key(counts: Mapping[RunState, int]) -> str:
    """How many runs are in each state, and how that looks."""
    parts = [
        f"<span><b class='nbflow-{state.value}' aria-hidden='true'>{sign}</b> {counts[state]:,} {_words(state)}</span>"
        for state, (sign, _, _) in LOOKS.items()
        if counts.get(state)
    ]
    return f"<div class='nbflow-key'>{''.join(parts)}</div>"


def state_styles() -> str:
    return "".join(
        f".nbflow-{state.value}{{background:{colour};color:{ink}}}" for state, (_, colour, ink) in LOOKS.items()
    )


def _words(state: RunState) -> str:
    return state.value.replace("_", " ")


def _draw(cells: Cells, states: Sequence[RunState], inside: Sequence[int]) -> str:
    """One cell: a sign, in words for whoever can't see it, and a link where there is a notebook."""
    state = find_worst([states[index] for index in inside])
    sign = LOOKS[state][0]
    shown = next(index for index in inside if states[index] is state)
    title = _describe(cells, shown, state)
    look = f"class='nbflow-{state.value}'"
    if len(inside) > 1:
        counts = Counter(states[index] for index in inside)
        told = ", ".join(f"{count} {_words(each)}" for each, count in counts.most_common())
        title = f"{len(inside)} rows: {told}; {title}"
        main = counts.most_common(1)[0][0]
        if main is not state:  # filled from below by the share of those that need a look
            share = max(100 * counts[state] // len(inside), 10)
            fill = f"linear-gradient(to top,{LOOKS[state][1]} {share}%,{LOOKS[main][1]} {share}%)"
            look = f"style='background:{fill};color:{LOOKS[main][2]}'"
    path = cells.fields["output_path"][shown]
    if path:
        sign = f"<a href='{escape(link_to(path))}' target='_blank'>{sign}</a>"
    return f"<td title='{escape(title)}'><b {look}>{sign}</b></td>"


def _describe(cells: Cells, index: int, state: RunState) -> str:
    given: Mapping[str, Any] = cells.fields["parameters"][index]
    values = ", ".join(f"{name}={str(given[name])[:40]}" for name in cells.axes if name in given)
    failure = cells.fields["failure"][index]
    why = f": {failure['ename'] or failure['message'][:80]}" if failure and not state.is_success else ""
    return f"{values or cells.fields['name'][index]} {_words(state)}{why}"


def link_to(path: str) -> str:
    """Relative to the working directory where the file lies below it: Jupyter opens that; else by its full address."""
    try:
        return quote(Path(path).relative_to(os.getcwd()).as_posix())
    except (ValueError, OSError):
        return Path(path).as_uri() if os.path.isabs(path) else quote(path)


def _draw_band(layout: Layout, drawn: Mapping[tuple[int, int], str], columns: range) -> str:
    head = ""
    labels = thin_labels([layout.columns[column] for column in columns])
    if any(labels):
        title = escape(layout.row_title)
        cells = "".join(f"<th scope='col'>{escape(label)}</th>" for label in labels)
        head = f"<thead><tr><th scope='row'>{title}</th>{cells}</tr></thead>"
    body = ""
    for row, label in enumerate(layout.rows):
        line = "".join(drawn.get((row, column), "<td></td>") for column in columns)
        body += f"<tr><th scope='row'>{escape(label)}</th>{line}</tr>"
    caption = f"runs by {', '.join(filter(None, (layout.column_title, layout.row_title)))}"
    return f"<table class='nbflow-grid' aria-label='{escape(caption)}'>{head}<tbody>{body}</tbody></table>"


def thin_labels(labels: Sequence[str]) -> list[str]:
    """As many as can stand side by side without touching; the last only where it ends within the grid."""
    shown: list[str] = []
    free = 0
    for index, label in enumerate(labels):
        left = index * _CELL
        fits = bool(label) and left >= free
        if fits:
            free = left + len(label) * _LETTER + _LETTER
        shown.append(label if fits else "")
    return shown
