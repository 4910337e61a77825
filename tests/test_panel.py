"""The panel as a front end sees it: messages in, widget state out. No browser."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import ipywidgets as W
import pytest

import nbflow
from nbflow.api.flow import Flow
from nbflow.errors import ParameterError, UsageError
from nbflow.lifecycle import RunState
from nbflow.project import Project
from nbflow.widgets.links import find_link
from nbflow.widgets.own import OwnPanel, find_own_path
from nbflow.widgets.panel import Panel, panel
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def tell(widget: W.Widget, **state: Any) -> None:
    """What a front end says when a person changed the widget."""
    widget._handle_msg({"content": {"data": {"method": "update", "state": state}}})


def say(widget: W.Widget, **content: Any) -> None:
    """A message of the widget's own front end."""
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def click(button: W.Button) -> None:
    say(button, event="click")


def walk(widget: Any) -> Iterator[W.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def button(made: W.Widget, text: str) -> W.Button:
    (found,) = [one for one in walk(made) if isinstance(one, W.Button) and one.description == text]
    return found


def by_class(made: W.Widget, css_class: str) -> list[W.Widget]:
    return [one for one in walk(made) if css_class in getattr(one, "_dom_classes", ())]


def row(made: W.Widget, name: str) -> W.Widget:
    (found,) = by_class(made, f"nbflow-p-{name}")
    return found


def control(made: W.Widget, name: str) -> W.Widget:
    (found,) = by_class(row(made, name), "nbflow-control")
    return found


def below(made: W.Widget, name: str) -> str:
    (found,) = by_class(row(made, name), "nbflow-below")
    return str(found.value)


def text_of(made: W.Widget) -> str:
    return "\n".join(str(one.value) for one in walk(made) if isinstance(one, W.HTML))


MakePanel = Callable[..., Panel]


@pytest.fixture
def make_panel(make_notebook: NotebookFactory, flow: Callable[[Path], Flow]) -> Iterator[MakePanel]:
    """``make_panel("n: int = 3", ["print(n)"])``: the panel of such a notebook, closed when the test ends."""
    made: list[Panel] = []

    def make(parameters: str, cells: list[str] | None = None, **options: Any) -> Panel:
        path = make_notebook(cells or [], parameters=parameters)
        made.append(Panel(flow(path).options(**options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_wrong_value_is_told_at_its_field_while_it_is_typed(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 3  # how many\nday: str = 'x'")
    run = button(made, "Run")
    assert not run.disabled
    tell(control(made, "n"), value="3x")
    assert "expected int, got &#x27;3x&#x27;" in below(made, "n")
    assert "nbflow-wrong" in row(made, "n")._dom_classes
    assert run.disabled
    assert "to correct: n" in text_of(made)
    tell(control(made, "n"), value="4")
    assert "nbflow-message" not in below(made, "n")
    assert not run.disabled
    assert made.values == {"n": 4}


def test_values_come_in_the_order_of_the_declaration(make_panel: MakePanel) -> None:
    made = make_panel("\n".join(f"{name}: int = 0" for name in "zyxwv"))
    for name in "xzvyw":
        tell(control(made, name), value="1")
    assert "".join(made.values) == "zyxwv"


def test_what_is_missing_keeps_run_from_being_pressed(make_panel: MakePanel) -> None:
    made = make_panel("from datetime import date\nday: date\nsure: bool")
    assert button(made, "Run").disabled
    assert "missing: day, sure" in text_of(made)
    assert control(made, "day").description == "day *"
    with pytest.raises(ParameterError):
        made.submit()
    tell(control(made, "day"), value={"year": 2026, "month": 0, "date": 31})
    tell(control(made, "sure"), value=1, index=2)
    assert made.values == {"day": "2026-01-31", "sure": False}
    assert not button(made, "Run").disabled


def test_a_changed_value_is_marked_and_can_be_reset(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 3\nname: str = 'a'")
    (reset,) = by_class(row(made, "n"), "nbflow-reset")
    assert reset.disabled
    tell(control(made, "n"), value="7")
    assert not reset.disabled
    assert ">changed<" in below(made, "n")
    click(reset)
    assert control(made, "n").value == "3"
    assert made.values == {}
    tell(control(made, "name"), value="b")
    click(button(made, "Reset all"))
    assert control(made, "name").value == "a"
    assert button(made, "Reset all").disabled


def test_an_emptied_field_is_no_default(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 3\nname: str = 'a'\nzones: list[str] = ['UTC']\nsince = len('abc')")
    for name in ("n", "name", "zones"):
        tell(control(made, name), value="")
    assert "expected int" in made.faults["n"]
    assert made.values["name"] == ""
    assert made.values["zones"] == []
    tell(control(made, "since"), value="5")
    assert made.values["since"] == 5
    tell(control(made, "since"), value="")
    assert "since" not in made.values


def test_an_optional_one_can_be_not_set(make_panel: MakePanel) -> None:
    made = make_panel("x: int | None = None\ny: int | None = 5")
    (x_off,), (y_off,) = (by_class(row(made, name), "nbflow-not-set") for name in ("x", "y"))
    assert (x_off.value, y_off.value) == (True, False)
    assert control(made, "x").disabled
    tell(y_off, value=True)
    assert made.values == {"y": None}
    tell(x_off, value=False)
    assert not control(made, "x").disabled
    assert "expected" in made.faults["x"]
    tell(control(made, "x"), value="8")
    assert made.values == {"x": 8, "y": None}
    (reset,) = by_class(row(made, "x"), "nbflow-reset")
    click(reset)
    assert x_off.value is True
    assert made.values == {"y": None}


def test_a_computed_default_shows_its_expression(make_panel: MakePanel) -> None:
    made = make_panel("from datetime import datetime, timedelta\nsince: datetime = datetime.now() - timedelta(days=1)")
    assert "computed in each run: <code>datetime.now() - timedelta(days=1)</code>" in below(made, "since")
    assert made.values == {}


def test_moments_are_passed_with_the_zone_that_is_shown(make_panel: MakePanel) -> None:
    made = make_panel(
        "from datetime import datetime, timezone, timedelta\n"
        "a: datetime = datetime(2026, 1, 31, 12, 30)\n"
        "b: datetime = datetime(2026, 1, 31, 12, 30, tzinfo=timezone(timedelta(hours=5)))"
    )
    (zone_a,), (zone_b,) = (by_class(row(made, name), "nbflow-zone") for name in ("a", "b"))
    assert {place: label for label, place in zone_a.options}[zone_a.value] == "no time zone"
    assert {place: label for label, place in zone_b.options}[zone_b.value] == "UTC+05:00"
    assert made.values == {}
    tell(zone_a, value=1, index=1)
    assert made.values == {"a": "2026-01-31T12:30:00+00:00"}


def test_a_number_between_limits_has_a_slider_that_moves_with_it(make_panel: MakePanel) -> None:
    made = make_panel("from typing import Annotated\nfrom nbflow import Range\nn: Annotated[int, Range(1, 100)] = 10")
    (slider,) = [one for one in walk(made) if type(one).__name__ == "Slider"]
    assert (slider.value, slider.least, slider.greatest, slider.step) == ("10", "1", "100", "1")
    assert slider.layout.display == "none"
    say(slider, type="ready")
    assert slider.layout.display == ""
    tell(slider, value="42")
    assert control(made, "n").value == "42"
    assert made.values == {"n": 42}
    tell(control(made, "n"), value="1000")
    assert slider.value == "42"
    assert "must be from 1 to 100" in made.faults["n"]


def test_hostile_text_is_only_ever_text(make_panel: MakePanel) -> None:
    made = make_panel(
        f"from typing import Literal\nx: Literal[{HOSTILE!r}] = {HOSTILE!r}  # {HOSTILE}\ny: int = len({HOSTILE!r})"
    )
    made.set(y=HOSTILE)
    made._frame.say(HOSTILE)
    made._view.fail(HOSTILE)
    click(button(made, "Copy as Python"))
    assert "<img" not in text_of(made)
    assert "&lt;img" in text_of(made)
    assert not any(getattr(one, "description_allow_html", False) for one in walk(made))


def test_a_secret_is_in_no_state_and_gone_once_the_run_has_it(make_panel: MakePanel) -> None:
    made = make_panel("from nbflow import Secret\ntoken: Secret")
    (field,) = [one for one in walk(made) if type(one).__name__ == "SecretInput"]
    say(field, type="ready")
    assert not [one for one in walk(made) if isinstance(one, W.Password)]
    say(field, type="text", text="s3cret-value")
    assert not button(made, "Run").disabled
    assert made.values == {"token": "********"}
    state = json.dumps(W.Widget.get_manager_state(), default=str)
    assert "SecretInput" in state
    assert "s3cret-value" not in state
    click(button(made, "Copy as Python"))
    assert "s3cret-value" not in text_of(made)
    values = made._form.take_values()
    assert values == {"token": "s3cret-value"}
    assert made.faults["token"].startswith("required")


@pytest.fixture
def without_anywidget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nbflow.widgets.live", None)


@pytest.mark.usefixtures("without_anywidget")
def test_without_anywidget_there_are_plain_fields(make_panel: MakePanel) -> None:
    made = make_panel(
        "from typing import Annotated\nfrom nbflow import Range, Secret\ntoken: Secret\nn: Annotated[int, Range(1, 9)] = 1"
    )
    (field,) = [one for one in walk(made) if isinstance(one, W.Password)]
    tell(field, value="s3cret-value")
    assert made.values == {"token": "********"}
    made._form.take_values()
    assert field.value == ""
    assert "s3cret-value" not in json.dumps(W.Widget.get_manager_state(), default=str)


def test_a_path_is_completed_from_the_flow_s_folder(make_panel: MakePanel, tmp_path: Path) -> None:
    (tmp_path / "data.csv").touch()
    made = make_panel("from pathlib import Path\nsource: Path = Path('x')")
    tell(control(made, "source"), value="da")
    assert control(made, "source").options == ("data.csv",)


def test_thirty_parameters_are_checked_and_told_once_a_change(make_panel: MakePanel) -> None:
    made = make_panel("\n".join(f"x{number}: int = {number}" for number in range(30)))
    changes: list[str] = []
    for one in by_class(made, "nbflow-below"):
        one.observe(lambda change: changes.append(change["new"]), names="value")
    tell(control(made, "x7"), value="8")
    assert len(changes) == 1


@pytest.mark.kernel
def test_run_shows_log_results_and_history(make_panel: MakePanel) -> None:
    made = make_panel(
        "n: int = 3",
        ["# Print\nfor i in range(n):\n    print('line', i, '<b>')", "import nbflow\nnbflow.record('rows', n)\nn"],
    )
    (view,) = [one for one in walk(made) if type(one).__name__ == "LogView"]
    sent: list[Any] = []
    view.send = lambda content, buffers=None: sent.append((content, buffers))
    tell(control(made, "n"), value="2")
    click(button(made, "Run"))
    click(button(made, "Run"))
    run = made.wait(60)
    assert run is not None
    assert run.state is RunState.COMPLETED
    assert run.results == {"rows": 2}
    text = text_of(made)
    assert "completed" in text
    assert re.search("rows.*2", text)
    assert re.search(r"(\d+) of \1 cells", text)
    lines = [line for content, _ in sent if content["type"] == "lines" for line in content["lines"]]
    assert ("stdout", "line 1 <b>") in lines
    say(view, type="whole")
    (whole,) = [buffers for content, buffers in sent if content["type"] == "whole"]
    assert whole[0].decode().splitlines()[:2] == ["line 0 <b>", "line 1 <b>"]
    assert view.get_state()["tail"]["lines"][0] == ("stdout", "line 0 <b>")
    assert "sandbox=''" in text
    assert not button(made, "Run").disabled
    assert button(made, "Cancel").disabled
    assert len(made._history.list.options) == 1
    assert not [one for one in threading.enumerate() if one.name == "nbflow-panel"]
    click(button(made, "Reset all"))
    click(button(made, "Use these values"))
    assert made.values == {"n": 2}
    click(button(made, "Run again"))
    again = made.wait(60)
    assert again is not None
    assert again.id != run.id
    assert again.given == {"n": 2}


@pytest.mark.kernel
def test_a_run_is_cancelled_and_another_panel_of_the_cell_takes_it_over(
    make_panel: MakePanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = iter([("cell", "first"), ("cell", "second")])
    monkeypatch.setattr("nbflow.widgets.cells.find_cell", lambda: next(cells))
    flow = make_panel("", ["import time\nprint('up')\ntime.sleep(600)"]).flow
    first = panel(flow)
    click(button(first, "Run"))
    wait_until(lambda: first._view.log.count, 60)
    follower = first._follower
    second = panel(flow)
    follower.join(10)
    assert not follower.is_alive
    assert first.comm is None
    wait_until(lambda: second._view.log.count, 60)
    assert second.run.id == first.run.id
    assert button(second, "Run").disabled
    click(button(second, "Cancel"))
    assert second.wait(60).state is RunState.CANCELLED
    assert not button(second, "Run").disabled
    second.close()


def test_a_notebook_that_changed_is_read_anew_before_it_runs(
    make_panel: MakePanel, make_notebook: NotebookFactory
) -> None:
    made = make_panel("n: int = 3")
    tell(control(made, "n"), value="5")
    make_notebook([], parameters="n: int = 3\nday: str")
    click(button(made, "Run"))
    assert "day: required" in text_of(made)
    assert made.run is None
    assert made.values == {"n": 5}
    assert control(made, "day").description == "day *"


def test_a_flow_that_is_gone_is_told_in_the_panel(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 3")
    made.flow.path.unlink()
    click(button(made, "Run"))
    assert "does not exist; check the path" in text_of(made)
    assert made.run is None
    assert not button(made, "Run").disabled


def test_what_goes_wrong_in_the_thread_is_told_and_ends_it(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 3", kernel="no-such-kernel")
    click(button(made, "Run"))
    made.wait(30)
    assert "no-such-kernel" in text_of(made)
    assert not button(made, "Run").disabled


def test_a_registered_flow_has_its_name_version_and_newest_parameters(
    project: Project, make_notebook: NotebookFactory
) -> None:
    project.register(make_notebook([], parameters="n: int = 3", name="report.ipynb"), project="community")
    made = Panel(Flow(project.load("community/report"), project))
    assert "<b>community/report</b>" in text_of(made)
    assert "version 1" in text_of(made)
    click(button(made, "Copy as command"))
    assert "nbflow run community/report" in text_of(made)
    project.register(make_notebook([], parameters="m: int", name="report.ipynb"), project="community")
    click(button(made, "Run"))
    assert control(made, "m").description == "m *"
    assert made.run is None
    made.close()


def test_names_of_other_languages_have_fields_too(make_notebook: NotebookFactory, flow: Callable[[Path], Flow]) -> None:
    path = make_notebook([], parameters="my.count <- 3L\nregion <- 'EU'", kernel="ir", language="R")
    made = Panel(flow(path))
    tell(control(made, "my_count"), value="4")
    assert made.values == {"my.count": 4}
    click(button(made, "Copy as Python"))
    assert "&#x27;my.count&#x27;: 4" in text_of(made)
    made.close()


def test_a_language_without_a_reader_takes_values_as_json(
    make_notebook: NotebookFactory, flow: Callable[[Path], Flow]
) -> None:
    made = Panel(flow(make_notebook([], parameters="let x = 3;", kernel="deno", language="typescript")))
    (field,) = [one for one in walk(made) if isinstance(one, W.Textarea)]
    assert field.description == "other values"
    for text, message in (("{", "not JSON"), ("[1]", "expected {")):
        tell(field, value=text)
        assert message in text_of(made)
        assert button(made, "Run").disabled
    tell(field, value='{"x": 4, "y": null}')
    assert made.values == {"x": 4, "y": None}
    assert made._form.form.to_values() == {"x": 4, "y": None}
    assert made._write_command().split()[-1] == "y=null"
    click(button(made, "Reset all"))
    assert (field.value, made.values) == ("", {})
    made.close()


def test_a_link_leads_only_to_what_the_server_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    assert find_link(root / "a.ipynb") is None
    (tmp_path / "jpserver-4711.json").write_text(json.dumps({"root_dir": str(root), "base_url": "/user/x/"}))
    assert find_link(root / "my runs" / "a b.ipynb") == "/user/x/lab/tree/my%20runs/a%20b.ipynb"
    assert find_link(root / ".nbflow" / "a.ipynb") is None
    assert find_link(tmp_path / "a.ipynb") is None


def test_closing_leaves_no_widget_behind(make_panel: MakePanel) -> None:
    def count() -> int:
        return len(W.Widget.get_manager_state()["state"])

    before = count()
    made = make_panel("n: int = 3\nx: int | None = None")
    assert count() > before
    made.close()
    assert count() == before


def axis(made: Panel, name: str) -> W.Text:
    (field,) = [one for one in walk(by_class(made, f"nbflow-axis-{name}")[0]) if isinstance(one, W.Text)]
    return field


def test_axes_are_counted_and_checked_while_they_are_typed(make_panel: MakePanel) -> None:
    made = make_panel("n: int\nregion: str = 'EU'")
    tell(made._tabs, selected_index=2)
    assert "required" in text_of(by_class(made, "nbflow-axis-n")[0])
    tell(axis(made, "n"), value="1..x")
    assert "expected int" in text_of(by_class(made, "nbflow-axis-n")[0])
    assert made._backfill.start_button.disabled
    tell(axis(made, "n"), value="1..5")
    tell(axis(made, "region"), value="EU, US")
    assert "10 rows" in text_of(made)
    assert made._backfill.start_button.description == "Start 10 runs"
    assert not made._backfill.start_button.disabled
    wait_until(lambda: "10 to run" in text_of(made), 30)
    assert text_of(made).count("<tr><td>") == 10
    tell(made._backfill.active, value="many")
    click(made._backfill.start_button)
    assert "at once: expected a whole number" in text_of(made)


@pytest.mark.kernel
def test_a_backfill_is_started_drawn_and_found_done(make_panel: MakePanel) -> None:
    made = make_panel("n: int = 0", ["1 / n"])
    tell(made._tabs, selected_index=2)
    tell(axis(made, "n"), value="0..2")
    click(made._backfill.start_button)
    made._backfill.join(120)
    text = text_of(made)
    assert "completed with failures" in text
    assert "2 completed" in text
    assert "1 failed" in text
    assert len(re.findall("role='listitem'", text)) == 3
    assert 'aria-label="failed: n=0"' in text
    assert made._backfill.cancel_button.disabled
    wait_until(lambda: "2 completed before" in text_of(made), 30)
    assert made._backfill.start_button.disabled


# nbflow.panel() inside a notebook


@pytest.fixture
def own(make_notebook: NotebookFactory, flow: Callable[[Path], Flow]) -> Callable[..., OwnPanel]:
    def make(parameters: str, namespace: dict[str, Any]) -> OwnPanel:
        return OwnPanel(flow(make_notebook([], parameters=parameters)), namespace)

    return make


def test_own_parameters_show_and_set_what_the_kernel_holds(own: Callable[..., OwnPanel]) -> None:
    namespace: dict[str, Any] = {"n": 7, "unrelated": 1}
    made = own("from datetime import date\nn: int = 3\nday: date = date(2026, 1, 31)", namespace)
    assert control(made, "n").value == "7"
    assert ">changed<" in below(made, "n")
    tell(control(made, "n"), value="x")
    assert button(made, "Apply").disabled
    tell(control(made, "n"), value="8")
    click(button(made, "Apply"))
    assert "applied" in text_of(made)
    assert {name: value for name, value in namespace.items() if not name.startswith("__")} == {
        "n": 8,
        "day": date(2026, 1, 31),
        "unrelated": 1,
    }


def test_applied_values_have_the_kernel_s_own_types(own: Callable[..., OwnPanel]) -> None:
    source = "import enum\nclass Color(enum.Enum):\n    RED = 'red'\n    BLUE = 'blue'\ncolor: Color = Color.RED"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made = own(source, namespace)
    tell(control(made, "color"), value=1, index=2)
    click(button(made, "Apply"))
    assert namespace["color"] is namespace["Color"].BLUE


def test_secrets_are_applied_and_not_asked_for_again(own: Callable[..., OwnPanel]) -> None:
    namespace: dict[str, Any] = {}
    made = own("from nbflow import Secret\ntoken: Secret", namespace)
    assert button(made, "Apply").disabled
    (field,) = [one for one in walk(made) if type(one).__name__ == "SecretInput"]
    say(field, type="text", text="abc")
    click(button(made, "Apply"))
    assert namespace["token"] == "abc"
    assert not button(made, "Apply").disabled
    click(button(made, "Apply"))
    assert namespace["token"] == "abc"


def test_what_no_field_can_show_is_named_and_left_alone(own: Callable[..., OwnPanel]) -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1]})
    namespace: dict[str, Any] = {"x": frame}
    made = own("x: int\ny: int = 2", namespace)
    assert "x holds a DataFrame" in text_of(made)
    click(button(made, "Apply"))
    assert namespace["x"] is frame
    assert namespace["y"] == 2


def test_the_notebook_s_own_path_comes_from_the_front_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "report.ipynb"
    path.touch()
    assert find_own_path({"JPY_SESSION_NAME": str(path)}, {}) == path
    assert find_own_path({"JPY_SESSION_NAME": "elsewhere/report.ipynb"}, {}) == path
    assert find_own_path({}, {"__vsc_ipynb_file__": str(path)}) == path
    for environ in ({}, {"JPY_SESSION_NAME": "console-1"}, {"JPY_SESSION_NAME": str(tmp_path / "renamed.ipynb")}):
        with pytest.raises(UsageError, match=r"pass it: nbflow.panel\(\"report.ipynb\"\)"):
            find_own_path(environ, {})


def test_panel_outside_of_a_notebook_asks_for_a_path() -> None:
    with pytest.raises(UsageError, match="pass it"):
        nbflow.panel()


@pytest.mark.kernel
def test_an_executed_notebook_saves_no_secret_of_its_panel(
    make_notebook: NotebookFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that nbclient stores of a page with a panel in it, whose secret was typed by a front end."""
    import nbformat

    monkeypatch.setenv("NBFLOW_HOME", str(tmp_path / "home"))
    from nbclient import NotebookClient

    make_notebook([], parameters="from nbflow import Secret\ntoken: Secret\nn: int = 3", name="flow.ipynb")
    typed = (
        "import nbflow\nmade = nbflow.panel('flow.ipynb')\n"
        "def walk(w):\n    yield w\n    for c in getattr(w, 'children', ()): yield from walk(c)\n"
        "(field,) = [w for w in walk(made) if type(w).__name__ == 'SecretInput']\n"
        "data = {'method': 'custom', 'content': {'type': 'text', 'text': 's3cret' + '-value'}}\n"
        "field._handle_msg({'content': {'data': data}, 'buffers': []})\n"
        "assert made.values == {'token': '********'}\nmade"
    )
    path = make_notebook([typed, "made.values"], name="page.ipynb")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=120).execute()
    saved = nbformat.writes(notebook)
    assert "SecretInput" in saved
    assert "s3cret-value" not in saved
    assert "********" in saved
