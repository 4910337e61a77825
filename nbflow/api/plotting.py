"""A backfill as a heat map, by state or by a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from nbflow.api.grid import LOOKS, Cells, Layout, find_worst, lay_out
from nbflow.api.results import restore_cell
from nbflow.errors import MissingExtraError, UsageError
from nbflow.lifecycle import RunState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIELDS = ("state", "output_path", "results", "started", "ended", "attempts")
_INCHES = 0.24
"""Of a cell, where there is room."""
_WIDEST, _HIGHEST = 16.0, 10.0
_SIGNS_UP_TO = 800
_LETTER = 0.085
"""Inches of a letter in a label."""


def plot_cells(cells: Cells, x: str | None, y: str | None, value: str, ax: Axes | None) -> Axes:
    """See :meth:`Backfill.plot`."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MissingExtraError("a plot", "plot") from None

    layout = lay_out(cells, x, y)
    numbers = None if value == "state" else _read_numbers(cells, value)
    if ax is None:
        engine = "compressed" if _choose_aspect(layout) == "equal" else "constrained"
        _, ax = pyplot.subplots(figsize=_choose_size(layout), layout=engine)
    ax.set_facecolor("none")
    members: dict[tuple[int, int], list[int]] = {}
    for index, place in enumerate(layout.places):
        members.setdefault(place, []).append(index)
    states = cells.states
    worst = {place: find_worst([states[index] for index in inside]) for place, inside in members.items()}
    if numbers is None:
        _draw_states(ax, layout, worst, Counter(states))
    else:
        _draw_numbers(
            ax, layout, worst, {place: [numbers[i] for i in inside] for place, inside in members.items()}, value
        )
    _draw_labels(ax, layout)
    return ax


def _read_numbers(cells: Cells, value: str) -> list[float | None]:
    """The result of each run, or its duration in seconds, or its attempts. Raises UsageError."""
    fields = cells.fields
    if value == "duration":
        times = zip(fields["started"], fields["ended"], strict=True)
        return [None if begun is None or ended is None else (ended - begun) / 1e6 for begun, ended in times]
    if value == "attempts":
        return list(map(float, fields["attempts"]))
    found = [restore_cell(results.get(value)) for results in fields["results"]]
    if all(number is None for number in found):
        known = sorted({name for results in fields["results"] for name in results})
        raise UsageError(f"value {value!r}: no run recorded it; there are {', '.join(['state', 'duration', *known])}")
    numbers = [float(each) if isinstance(each, int | float) else None for each in found]
    if all(number is None for number in numbers):
        raise UsageError(f"value {value!r}: a heat map needs numbers, and this is {type(found[0]).__name__}")
    return numbers


def _choose_size(layout: Layout) -> tuple[float, float]:
    longest = max(map(len, layout.rows), default=0)
    width = len(layout.columns) * _INCHES + longest * _LETTER + 2.6
    return min(max(width, 5.0), _WIDEST), min(max(len(layout.rows) * _INCHES + 1.2, 2.0), _HIGHEST)


def _draw_states(
    ax: Axes, layout: Layout, worst: Mapping[tuple[int, int], RunState], counts: Mapping[RunState, int]
) -> None:
    import numpy as np
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    order = list(LOOKS)
    grid = np.full((len(layout.rows), len(layout.columns)), np.nan)
    for place, state in worst.items():
        grid[place] = order.index(state)
    colours = ListedColormap([LOOKS[state][1] for state in order])
    ax.imshow(grid, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, aspect=_choose_aspect(layout), interpolation="none")
    _draw_signs(ax, worst, lambda state: True)
    handles = [
        Patch(facecolor=LOOKS[state][1], label=f"{LOOKS[state][0]} {state.value.replace('_', ' ')} ({counts[state]:,})")
        for state in order
        if counts.get(state)
    ]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0)


def _draw_numbers(
    ax: Axes,
    layout: Layout,
    worst: Mapping[tuple[int, int], RunState],
    numbers: Mapping[tuple[int, int], Sequence[float | None]],
    value: str,
) -> None:
    """The mean of each cell; a cell without a number is grey, with the sign of its state."""
    import numpy as np

    grid = np.full((len(layout.rows), len(layout.columns)), np.nan)
    for place, inside in numbers.items():
        known = [number for number in inside if number is not None]
        grid[place] = fmean(known) if known else np.nan
    empty = {place: state for place, state in worst.items() if np.isnan(grid[place])}
    backdrop = np.full(grid.shape, np.nan)
    for place in empty:
        backdrop[place] = 0.82
    aspect = _choose_aspect(layout)
    ax.imshow(backdrop, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="none")
    image = ax.imshow(np.ma.masked_invalid(grid), cmap="viridis", aspect=aspect, interpolation="none")
    figure: Any = ax.get_figure()
    figure.colorbar(image, ax=ax, label=value, shrink=0.9, pad=0.02)
    _draw_signs(ax, empty, lambda state: not state.is_success, colour="#000000")


def _draw_signs(
    ax: Axes,
    worst: Mapping[tuple[int, int], RunState],
    wanted: Callable[[RunState], bool],
    *,
    colour: str | None = None,
) -> None:
    """A sign in each cell, for whom colours are not enough; in a large grid only in those that need a look."""
    shown = {place: state for place, state in worst.items() if wanted(state)}
    if len(worst) > _SIGNS_UP_TO:
        shown = {place: state for place, state in shown.items() if state.is_terminal and not state.is_success}
    if len(shown) > _SIGNS_UP_TO:
        return
    for (row, column), state in shown.items():
        sign, _, ink = LOOKS[state]
        ax.text(column, row, sign, ha="center", va="center", color=colour or ink, fontsize=7, family="DejaVu Sans")


def _choose_aspect(layout: Layout) -> Literal["equal", "auto"]:
    """Square cells, unless that would make a thread of the grid."""
    return "equal" if 0.05 < len(layout.rows) / len(layout.columns) < 4 else "auto"


def _draw_labels(ax: Axes, layout: Layout) -> None:
    """As many labels as there is room for, on both sides."""
    position = ax.get_position()
    figure: Any = ax.get_figure()
    inches = figure.get_size_inches()
    columns = _thin(layout.columns, inches[0] * position.width, along=True)
    rows = _thin(layout.rows, inches[1] * position.height, along=False)
    is_long = len(columns) > 1 and max((len(layout.columns[place]) for place in columns), default=0) > 4
    ax.set_xticks(columns, [layout.columns[place] for place in columns])
    ax.set_yticks(rows, [layout.rows[place] for place in rows])
    if is_long and layout.rows[:1] != ("Mon",):
        ax.tick_params(axis="x", rotation=45)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.set_xlabel(layout.column_title)
    ax.set_ylabel(layout.row_title)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _thin(labels: Sequence[str], inches: float, *, along: bool) -> list[int]:
    """Places of the labels to show: evenly spaced, none touching the next."""
    named = [place for place, label in enumerate(labels) if label]
    room = max(int(inches / (0.3 if along else 0.17)), 1)
    step = -(-len(named) // room)
    return named[::step] if named else []
