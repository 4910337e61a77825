"""Backfills to look at: frame, heat map and grid."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from nbflow.api.backfills import Backfill, Backfills
from nbflow.api.grid import LOOKS, Layout, lay_out, read_cells
from nbflow.api.grid_html import MAX_CELLS
from nbflow.backfilling import BackfillRecord
from nbflow.errors import UsageError
from nbflow.lifecycle import Failure, FailureKind, RunState
from nbflow.project import Project
from tests.store_fixtures import NOW, later, make_run

Make = Callable[..., Backfill]
FAILURE = Failure(kind=FailureKind.EXCEPTION, message="cell 3: bad <b>", ename="ValueError")


@pytest.fixture
def make(project: Project) -> Make:
    """A backfill with these rows of values, every seventh of which failed."""

    def made(rows: Sequence[Mapping[str, Any]], axes: tuple[str, ...] = (), **fields: Any) -> Backfill:
        record = BackfillRecord(
            id="b1", name="many", flow="/n/report.ipynb", notebook_hash="h", axes=axes, created=NOW, ready=True
        )
        project.store.add_backfill(record)
        runs = []
        for number, values in enumerate(rows, start=1):
            bad = number % 7 == 0
            result = {} if bad else {"total": number, "word": "x"}
            done = {"state": RunState.FAILED if bad else RunState.COMPLETED, "failure": FAILURE if bad else None}
            times = {"started": NOW, "ended": later(2), "attempts": 1, "output_path": f"/out/r'{number}.ipynb"}
            given = {**done, **times, "results": result, "parameters": values, "backfill_id": "b1"}
            runs.append(make_run(**{**given, "backfill_row": number, **fields}))
        project.store.add_runs(runs)
        return Backfill(record, project)

    return made


def days(count: int) -> list[dict[str, str]]:
    return [{"day": (date(2025, 1, 1) + timedelta(days=index)).isoformat()} for index in range(count)]


def layout_of(backfill: Backfill, *axes: str) -> Layout:
    return lay_out(read_cells(backfill.project.store, backfill.id, backfill.axes), *axes)


def test_the_frame_has_a_row_for_each_row_in_their_order(make: Make, project: Project) -> None:
    frame = make(days(20), ("day",)).to_frame()
    assert list(frame.columns[:2]) == ["row", "id"]
    assert frame["row"].tolist() == list(range(1, 21))
    assert frame["day"].dt.day.tolist() == list(range(1, 21))
    assert frame["state"].value_counts().to_dict() == {"completed": 18, "failed": 2}


def test_days_make_a_calendar(make: Make) -> None:
    layout = layout_of(make(days(365), ("day",)))
    assert layout.rows == ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    assert layout.columns[0] == "Jan 2025"
    assert [label for label in layout.columns if label][1:] == [
        *("Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ]
    assert layout.places[0] == (2, 0)  # a Wednesday
    assert len(set(layout.places)) == 365


def test_two_axes_stand_at_right_angles(make: Make) -> None:
    rows = [{"n": n, "region": region} for n in (1, 2, 5) for region in ("US", "EU")]
    layout = layout_of(make(rows, ("n", "region")))
    assert (layout.columns, layout.rows) == (("1", "2", "5"), ("US", "EU"))
    assert layout.places == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


def test_other_rows_make_a_strip_and_hours_a_day_each(make: Make, project: Project) -> None:
    layout = layout_of(make([{"x": index} for index in range(120)]))
    assert (layout.rows, len(layout.columns)) == (("row 1", "row 51", "row 101"), 50)
    assert layout.places[119] == (2, 19)
    project.store.remove_backfill("b1")
    hours = [{"at": (datetime(2026, 1, 1) + timedelta(hours=index)).isoformat()} for index in range(48)]
    layout = layout_of(make(hours, ("at",)))
    assert (layout.rows, layout.columns[:2]) == (("2026-01-01", "2026-01-02"), ("00:00", "01:00"))


@pytest.mark.parametrize("axes", [("n",), ("n", "k"), ()])
def test_a_large_backfill_is_drawn_in_few_cells(make: Make, axes: tuple[str, ...]) -> None:
    backfill = make([{"n": index // 3, "k": index % 3} for index in range(9000)], axes)
    layout = layout_of(backfill).coarsened(MAX_CELLS)
    assert len(set(layout.places)) <= MAX_CELLS
    assert len(layout.places) == 9000
    shown = backfill._repr_html_()
    assert len(shown) < 600_000
    assert "a cell stands for up to" in shown


def test_every_cell_says_in_words_what_it_shows(make: Make) -> None:
    shown = make([{"day": "2026-01-31", "region": "<EU>"}] * 14, ("day", "region"), state=RunState.FAILED)._repr_html_()
    titles = [html.unescape(text) for text in re.findall(r"<td title='([^']*)'", shown)]
    assert titles == ["14 rows: 14 failed; day=2026-01-31, region=<EU> failed"]
    assert "<EU>" not in shown
    assert "14 of 14 done, 14 failed" in shown
    assert "role='progressbar'" in shown
    assert ".resume()" in shown


def test_a_cell_leads_to_its_notebook_and_names_its_error(make: Make) -> None:
    shown = make(days(20), ("day",))._repr_html_()
    assert len(re.findall(r"<a href='file:///out/r%27\d+\.ipynb'", shown)) == 20
    assert "day=2025-01-07 failed: ValueError" in shown
    for state in (RunState.FAILED, RunState.COMPLETED):
        assert LOOKS[state][0] in shown


def test_signs_and_colours_tell_states_apart() -> None:
    assert set(LOOKS) == set(RunState)
    waiting = {RunState.PENDING, RunState.SCHEDULED}
    assert len({sign for sign, _, _ in LOOKS.values()}) == len(LOOKS)
    assert len({LOOKS[state][1] for state in RunState if state not in waiting}) == len(LOOKS) - 2


def test_empty_backfills_show_too(make: Make) -> None:
    backfill = make([])
    assert "0 of 0 done" in backfill._repr_html_()
    assert "many" in Backfills([backfill])._repr_html_()


@pytest.fixture
def figures() -> Iterator[None]:
    import matplotlib

    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.mark.usefixtures("figures")
def test_the_plot_shows_states_with_a_key_and_readable_labels(make: Make) -> None:
    ax = make(days(365), ("day",)).plot()
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["✘ failed (52)", "✔ completed (313)"]
    assert ax.get_yticklabels()[0].get_text() == "Mon"
    figure: Any = ax.get_figure()
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert len(boxes) == 12
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


@pytest.mark.usefixtures("figures")
def test_the_plot_shows_a_result_on_axes_of_ones_own(make: Make) -> None:
    from matplotlib import pyplot

    rows = [{"n": n, "region": region} for n in (1, 2, 5) for region in ("US", "EU", "APAC")]
    backfill = make(rows, ("n", "region"))
    _, own = pyplot.subplots()
    ax = backfill.plot(x="region", y="n", value="total", ax=own)
    assert ax is own
    assert [label.get_text() for label in ax.get_xticklabels()] == ["US", "EU", "APAC"]
    image: Any = ax.get_images()[-1].get_array()
    assert image.filled(-1).tolist() == [[1, 2, 3], [4, 5, 6], [-1, 8, 9]]
    mean: Any = backfill.plot(x="n", value="duration").get_images()[-1].get_array()
    assert mean.max() == 2


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({"x": "nope"}, "no run has a parameter of that name; there are day"),
        ({"value": "nope"}, "there are state, duration, total, word"),
        ({"value": "word"}, "a heat map needs numbers, and this is str"),
    ],
)
def test_a_plot_of_what_is_not_there_names_what_is(make: Make, call: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make(days(20), ("day",)).plot(**call)
