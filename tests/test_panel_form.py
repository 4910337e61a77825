"""The form behind the panel, without any widget: what is typed, what is wrong with it, what is passed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from nbflow.errors import ParameterError
from nbflow.events import Event, EventKind
from nbflow.parameters import Declaration, SourceCell, Text, read_declaration
from nbflow.parameters.values import dumps_exact
from nbflow.widgets.axes import Axes
from nbflow.widgets.controls import complete_path, find_choice, write_choice
from nbflow.widgets.form import UNSET, Form
from nbflow.widgets.kinds import Kind, find_kind, limits_of
from nbflow.widgets.log_buffer import KEPT, LogBuffer
from nbflow.widgets.preview import read_preview, show_preview
from nbflow.widgets.report import Progress
from nbflow.widgets.sliders import choose_step, find_position
from nbflow.widgets.snippets import to_command, to_python
from nbflow.widgets.texts import read_field, write_field

HEAD = """
import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Optional
from uuid import UUID
import pandas as pd
from nbflow import Choice, Pattern, Range, Secret
"""


def declare(source: str) -> Declaration:
    return read_declaration([SourceCell(source=HEAD + source, index=0, tags=("parameters",))])


def parameter(source: str) -> Any:
    return declare(source).parameters[0]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("x: bool = True", Kind.CHECK),
        ("x: bool", Kind.CHOICE),
        ("x: bool = some()", Kind.CHOICE),
        ("x: Optional[bool] = None", Kind.CHECK),
        ("x: int = 3", Kind.NUMBER),
        ("x = 0.5", Kind.NUMBER),
        ("x: Decimal", Kind.NUMBER),
        ("x: Literal['EU', 'US']", Kind.CHOICE),
        ("x: Annotated[int, Choice(1, 2)] = 1", Kind.CHOICE),
        ("x: Literal['EU', 'US'] | None = None", Kind.CHOICE),
        ("class C(enum.Enum):\n    A = 1\nx: C = C.A", Kind.CHOICE),
        ("x: date", Kind.DATE),
        ("x: datetime = datetime.now()", Kind.DATETIME),
        ("x: time | None = None", Kind.TIME),
        ("x: timedelta", Kind.TEXT),
        ("x: UUID", Kind.TEXT),
        ("x: pd.Timestamp", Kind.DATETIME),
        ("x: pd.Timedelta", Kind.TEXT),
        ("x: str = ''", Kind.TEXT),
        ("x: str = 'a\\nb'", Kind.LONG_TEXT),
        ("x = 'word ' * 1", Kind.TEXT),
        ("x: list[str] = []", Kind.LINES),
        ("x: tuple[int, str] = (1, 'a')", Kind.LINES),
        ("x: set[float] = {1.5}", Kind.LINES),
        ("x: list[list[int]] = []", Kind.JSON),
        ("x: list[dict[str, int]] = []", Kind.JSON),
        ("x: dict[str, float] = {}", Kind.JSON),
        ("x: list[Literal['a', 'b']] = ['a']", Kind.CHOICES),
        ("x: list[Literal['a', 'b']] = ['b', 'a']", Kind.LINES),
        ("x: list[Literal['a', 'b']] = ['a', 'a']", Kind.LINES),
        ("x: Path = Path('data.csv')", Kind.PATH),
        ("x: Secret", Kind.SECRET),
        ("x: Optional[Secret] = None", Kind.SECRET),
        ("x: int | str = 3", Kind.TEXT),
        ("x: Any = None", Kind.TEXT),
        ("x = 'a' #@param ['a', 'b'] {allow-input: true}", Kind.SUGGESTIONS),
        ("x = '2026-01-31' #@param {type: 'date'}", Kind.DATE),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_each_type_has_its_control(source: str, kind: Kind) -> None:
    assert find_kind(parameter(source)) is kind


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("x: int", [0, -5, 10**40]),
        ("x: float", [0.1, 1e300, float("nan"), float("inf"), -0.0]),
        ("x: str", ["a", "5", "true", " spaced ", "a\nb"]),
        ("x: Any", [5, "5", "a", None, "null", [1, "a"], {"a": [None]}, True]),
        ("x: int | str", [5, "a"]),
        ("x: int | None", [5]),
        ("x: list[str]", [[], ["a", "b"], ["[a"], ["a\nb"], [" a "], ["1"]]),
        ("x: list[int]", [[1, 2], []]),
        ("x: list", [[1, "1", None], ["a", [1]]]),
        ("x: tuple[int, str]", [[1, "1"]]),
        ("x: list[list[float]]", [[[1.0, 2.0], []]]),
        ("x: dict[str, list[float]]", [{"EU": [0.1]}, {}, {"é": []}]),
        ("x: dict[int, date]", [{"1": "2026-01-31"}]),
        ("x: date", ["2026-01-31"]),
        ("x: timedelta", ["P1DT2H", "-PT1S"]),
        ("x: Decimal", ["1.50", "NaN"]),
        ("x: Path", ["data/x.csv"]),
        ("x: Annotated[list[int], Choice(1, 2)]", [[2, 1]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_is_shown_is_read_back_as_it_was(source: str, values: list[Any]) -> None:
    declaration = declare(source)
    (declared,) = declaration.parameters
    for value in values:
        form = declaration.validate({"x": value}).json["x"]
        text = write_field(declaration, declared, form)
        read = declaration.validate({"x": read_field(declared, text)}).json["x"]
        assert dumps_exact(read) == dumps_exact(form), text


def test_lines_are_items_and_blank_ones_are_none() -> None:
    declared = parameter("x: list[int]")
    assert read_field(declared, "1\n\n  2 \n") == [1, 2]
    assert read_field(declared, "[1, 2]") == Text("[1, 2]")
    assert read_field(parameter("x: tuple[int, str]"), "1\n2") == [1, "2"]


def test_an_untouched_form_passes_nothing_and_lacks_what_is_required() -> None:
    form = Form(declare("day: date\nn: int = 3\nsince: datetime = datetime.now()\ntoken: Secret"))
    check = form.check()
    assert {name: fault.rule for name, fault in check.faults.items()} == {"day": "missing", "token": "missing"}
    assert form.to_values() == {}
    assert form.get_default("n") == 3
    assert form.get_default("since") is UNSET


def test_messages_are_those_of_every_other_door() -> None:
    declaration = declare("n: Annotated[int, Range(1, 100)] = 10\nregion: Literal['EU', 'US'] = 'EU'")
    form = Form(declaration)
    for raw in (Text("ten"), Text("1000"), Text("")):
        form.set("n", raw)
        with pytest.raises(ParameterError) as refused:
            declaration.validate({"n": raw})
        assert form.check().faults["n"] == refused.value.faults[0]


def test_broken_json_is_told_with_its_place() -> None:
    form = Form(declare("opts: dict[str, int] = {}"))
    form.set("opts", Text('{"a": 1,\n }'))
    message = form.check().faults["opts"].message
    assert message.startswith("expected dict, got")
    assert "not JSON at line 2" in message or "line 1" in message


def test_only_what_differs_from_the_default_is_changed_and_passed() -> None:
    form = Form(declare("n: int = 3\nflag: bool = True\nratio: float = 1\nname: str = 'x'"))
    form.set("n", Text("3"))
    form.set("flag", True)
    form.set("ratio", Text("1.0"))
    assert form.check().changed == frozenset()
    form.set("n", Text("4"))
    form.set("name", Text("wrong but text"))
    assert form.check().changed == {"n", "name"}
    assert set(form.to_values()) == {"n", "name"}
    form.set("n", UNSET)
    assert set(form.to_values()) == {"name"}


def test_true_is_not_one_and_none_is_not_unset() -> None:
    form = Form(declare("x: int | bool = 1\ny: int | None = 5"))
    form.set("x", True)
    form.set("y", None)
    assert form.check().changed == {"x", "y"}
    assert form.validate().typed == {"x": True, "y": None}


def test_values_of_a_run_fill_the_form_without_its_secrets() -> None:
    form = Form(declare("day: date\nn: int = 3\ntoken: Secret"))
    lost = form.fill({"day": "2026-01-31", "n": 3, "token": "********", "gone": 1})
    assert lost == ["gone"]
    assert form.get("token") is UNSET
    form.set("token", Text("abc"))
    assert form.validate().typed["day"] == datetime.date(2026, 1, 31)
    assert set(form.to_values()) == {"day", "token"}
    assert "abc" not in json.dumps(dict(form.check().json))
    form.clear_secrets()
    assert form.check().faults["token"].rule == "missing"


def test_choices_are_found_by_place_since_true_equals_one() -> None:
    choices = (1, True, "1", 0)
    assert [find_choice(value, choices) for value in (1, True, "1", 0, False, "x")] == [0, 1, 2, 3, -1, -1]
    assert [write_choice(choice, choices) for choice in choices] == ["1", "True", "'1'", "0"]


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ("x: Annotated[int, Range(1, 9)] = 1", (1, 9, None)),
        ("x: Annotated[float, Range(0, 1, 0.1)] = 0.5", (0, 1, 0.1)),
        ("x: Annotated[int, Range(1)] = 1", (1, None, None)),
        ("x = 3 #@param {type: 'slider', min: 0, max: 10, step: 2}", (0, 10, 2)),
        ("x: Annotated[float, Range(float('-inf'), 3)] = 1.0", (None, 3, None)),
        ("x: int = 3", (None, None, None)),
    ],
)
def test_limits_make_sliders(source: str, limits: tuple[Any, ...]) -> None:
    assert limits_of(parameter(source)) == limits


def test_a_slider_stands_where_the_number_is() -> None:
    assert choose_step(0.0, 1.0, None, whole=False) == "0.01"
    assert choose_step(1, 100, None, whole=True) == "1"
    assert find_position("5", (1, 9, None)) == "5"
    assert [find_position(text, (1, 9, None)) for text in ("10", "x", "", "nan")] == [None] * 4


def test_paths_are_completed_with_what_exists(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.csv").touch()
    (tmp_path / ".hidden").touch()
    assert complete_path("", tmp_path) == ("data/",)
    assert complete_path("data/o", tmp_path) == ("data/one.csv",)
    assert complete_path(".h", tmp_path) == (".hidden",)
    assert complete_path("nowhere/x", tmp_path) == ()
    assert complete_path("a\0b", tmp_path) == ()


def test_a_call_can_be_pasted_elsewhere() -> None:
    declaration = declare("region: str\nzones: list[str] = []\nopts: dict[str, float] = {}\ntoken: Secret")
    values = {"region": "it's", "zones": ["a", "b"], "opts": {"x": float("nan")}, "token": "********"}
    python = to_python("my report.ipynb", values)
    assert 'os.environ["TOKEN"]' in python
    compile(python, "pasted", "exec")
    calls: list[dict[str, Any]] = []

    class Told:
        def run(self, **given: Any) -> None:
            calls.append(given)

    body = python.replace("import nbflow\n", "")
    exec(body.replace('os.environ["TOKEN"]', "'t'"), {"nbflow": type("n", (), {"flow": lambda _: Told()})})
    assert calls[0]["region"] == "it's"
    assert calls[0]["zones"] == ["a", "b"]
    import shlex

    words = shlex.split(to_command("my report.ipynb", declaration, values).replace("\\\n", ""))
    assert words[:3] == ["nbflow", "run", "my report.ipynb"]
    given = {word.partition("=")[0]: Text(word.partition("=")[2]) for word in words[4::2]}
    assert given.pop("token") == "-"
    assert declaration.validate(given, partial=True).json["zones"] == ["a", "b"]


def log_event(*lines: str, stream: str = "stdout", partial: str | None = None) -> Event:
    data: dict[str, Any] = {"stream": stream, "lines": list(lines), "cell": 0}
    return Event(
        number=1,
        kind=EventKind.LOG,
        time=datetime.datetime.now(datetime.UTC),
        data=data if partial is None else {**data, "partial": partial},
    )


def test_the_log_keeps_the_newest_lines_and_numbers_them() -> None:
    buffer = LogBuffer()
    buffer.add([log_event(*(str(number) for number in range(KEPT + 7)))])
    lines = buffer.read()
    assert (lines.first, len(lines.lines), lines.lines[-1]) == (7, KEPT, ("stdout", str(KEPT + 6)))
    assert buffer.read(buffer.count - 2).lines == (("stdout", str(KEPT + 5)), ("stdout", str(KEPT + 6)))
    assert buffer.read(buffer.count).lines == ()


def test_an_unfinished_line_is_replaced_by_what_follows_on_its_stream() -> None:
    buffer = LogBuffer()
    buffer.add([log_event(partial="10%")])
    buffer.add([log_event("other", stream="stderr")])
    assert buffer.read().partial == {"stdout": "10%"}
    buffer.add([log_event("100%")])
    assert buffer.read().partial == {}
    assert buffer.read().lines == (("stderr", "other"), ("stdout", "100%"))


def test_lines_lose_colours_and_controls_and_never_get_endless() -> None:
    buffer = LogBuffer()
    buffer.add([log_event("\x1b[31mred\x1b[0m\x07", "x" * 10_000)])
    red, long = (text for _, text in buffer.read().lines)
    assert red == "red"
    assert len(long) < 5_000


def test_a_failed_cell_is_not_counted_as_done() -> None:
    def event(kind: EventKind, **data: Any) -> Event:
        return Event(number=1, kind=kind, time=datetime.datetime.now(datetime.UTC), data=data)

    progress = Progress().after(
        [
            event(EventKind.STARTED, cells=3),
            event(EventKind.CELL_STARTED, number=1, title="Load"),
            event(EventKind.CELL_FINISHED, number=1, status="completed"),
            event(EventKind.CELL_STARTED, number=2, title="Sum"),
            event(EventKind.CELL_FINISHED, number=2, status="failed"),
        ]
    )
    assert (progress.cells, progress.done, progress.number, progress.title) == (3, 1, 2, "Sum")


def test_the_preview_keeps_outputs_inside_a_sandbox(tmp_path: Path) -> None:
    evil = "</iframe><script>parent.x=1</script>\"'>"
    outputs = [
        {"output_type": "display_data", "data": {"text/html": ["<b>bold</b>", evil]}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": "<i>plain</i>"},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE: <v>\x1b[0m"]},
        {"output_type": "display_data", "data": {"image/png": "' onerror='x"}, "metadata": {}},
    ]
    path = tmp_path / "executed.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}]}))
    page = read_preview(path)
    assert "default-src 'none'" in page
    assert "&lt;i&gt;plain&lt;/i&gt;" in page
    assert "E: &lt;v&gt;" in page
    frame = show_preview(path)
    assert "sandbox=''" in frame
    assert "<script>" not in frame
    assert "</iframe><script" not in frame
    assert frame.count("<iframe") == 1
    assert "onerror='x" not in page


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"cells": [1]}', '{"cells": [{"cell_type": "code", "outputs": 3}]}']
)
def test_a_notebook_that_can_not_be_read_has_no_preview(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text(content)
    assert show_preview(path) == ""
    assert show_preview(tmp_path / "gone.ipynb") == ""


def test_axes_are_written_as_on_a_command_line() -> None:
    axes = Axes(declare("day: date\nn: int = 1\nregions: list[str] = []\ntoken: Secret"))
    assert axes.check({}).rows == 0
    assert set(axes.check({}).faults) == {"day", "token"}
    axes.set("day", "2026-01-01..2026-01-31")
    axes.set("n", "1, 2")
    check = axes.check({"token": Text("env:TOKEN"), "regions": ["EU", "US"], "n": 9})
    assert check.faults == {}
    assert (check.counts, check.rows) == ({"day": 31, "n": 2}, 62)
    assert check.values["regions"] == [["EU", "US"]]
    axes.set("n", "3")
    assert axes.check({"token": Text("env:TOKEN")}).rows == 31
    axes.set("n", "")
    assert "n" not in axes.check({}).values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1..x", "expected int, got '1..x'"),
        ("1,,2", "a value is empty"),
        ("9..1", "it ends before it starts"),
        ("[1", "not a JSON list"),
        ("1,200", "must be from 1 to 100"),
    ],
)
def test_a_wrong_axis_is_told_at_its_field(text: str, message: str) -> None:
    axes = Axes(declare("n: Annotated[int, Range(1, 100)] = 1"))
    axes.set("n", text)
    assert message in axes.check({}).faults["n"]
