"""The panel as a person meets it: JupyterLab 4, Notebook 7 and Voila in a real Chromium."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import panel_notebooks as notebooks
from tests.browser_fixtures import CheckAccessibility
from tests.jupyter_fixtures import JupyterServer, OpenNotebook, wait_for_kernel

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.kernel]
ROOT = Path(__file__).parents[1]
TOUR = "08-the-panel.ipynb"
SECRET = "hunter2-is-no-secr"  # as long as the notebook asks


def show(name: str, *others: str) -> list[str]:
    """The cells of a notebook with a panel for each of these flows."""
    return ["import nbflow", *(f"nbflow.panel({flow!r})" for flow in (name, *others))]


def find_panel(page: Page, place: int = 0) -> Locator:
    panel = page.locator(".nbflow-panel").nth(place)
    panel.get_by_role("button", name="Run", exact=True).wait_for()
    return panel


def find_row(panel: Locator, name: str) -> Locator:
    return panel.locator(f".nbflow-p-{name}")


def find_field(panel: Locator, name: str) -> Locator:
    """By its label, as a screen reader says it; those that are required carry a mark."""
    return panel.get_by_label(re.compile(rf"^{name}( \*)?$"))


def press_run(panel: Locator) -> None:
    panel.get_by_role("button", name="Run", exact=True).click()


def see_state(panel: Locator, word: str) -> None:
    from playwright.sync_api import expect

    expect(panel.locator(".nbflow-state").first).to_contain_text(word)


def execute(page: Page, code: str) -> str:
    """What *code* prints in the notebook's kernel, asked through the page's own connection."""
    return str(
        page.evaluate(
            """async (code) => {
                const panel = jupyterapp.shell.currentWidget
                const kernel = (panel.sessionContext ?? panel.content.sessionContext).session.kernel
                const future = kernel.requestExecute({code})
                let printed = ''
                future.onIOPub = (message) => { printed += message.content.text ?? '' }
                await future.done
                return printed
            }""",
            code,
        )
    )


def save(page: Page) -> None:
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")


def set_theme(page: Page, name: str) -> None:
    page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {name}")
    page.wait_for_function("(light) => document.body.dataset.jpThemeLight === light", arg=str(name == "Light").lower())


def test_from_a_wrong_value_to_a_result_in_jupyterlab(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, check_accessibility: CheckAccessibility
) -> None:
    from playwright.sync_api import expect

    jupyter_server.put("report.ipynb", notebooks.REPORT, notebooks.REPORT_CELLS)
    page = open_notebook("lab", show("report.ipynb"), name="lab.ipynb")
    panel = find_panel(page)
    run, cancel = (panel.get_by_role("button", name=name, exact=True) for name in ("Run", "Cancel"))

    # a wrong value: the message stands at the field, and nothing can be started
    rows = find_field(panel, "rows")
    rows.fill("1000")
    expect(find_row(panel, "rows")).to_contain_text("must be from 1 to 100")
    expect(rows).to_have_attribute("aria-invalid", "true")
    expect(run).to_be_disabled()
    check_accessibility(page, within=".nbflow-panel")
    rows.fill("20")
    expect(find_row(panel, "rows")).not_to_contain_text("must be")
    expect(find_row(panel, "rows")).to_contain_text("changed")
    expect(rows).not_to_have_attribute("aria-invalid", "true")

    # a run that waits: its log is here at once, and the kernel is free
    find_field(panel, "hold").check()
    find_field(panel, "token").fill(SECRET)
    run.click()
    log = panel.get_by_role("log")
    expect(log).to_contain_text("waiting")
    expect(run).to_be_disabled()
    assert execute(page, "print(6 * 7)") == "42\n"
    expect(find_field(panel, "token")).to_have_value("")

    # what is saved now holds no secret, and a page opened again finds the run
    save(page)
    saved = (jupyter_server.notebooks / "lab.ipynb").read_text(encoding="utf-8")
    assert "widget-view" in saved
    assert SECRET not in saved
    page.reload()
    wait_for_kernel(page)
    panel = find_panel(page)
    expect(log).to_contain_text("waiting")
    see_state(panel, "running")
    cancel.click()
    see_state(panel, "cancelled")
    expect(run).to_be_enabled()

    # another one, to its end
    find_field(panel, "hold").uncheck()
    find_field(panel, "note").fill("second")
    run.click()
    expect(log).to_contain_text("the end")
    see_state(panel, "completed")
    expect(panel.locator(".nbflow-results").first).to_contain_text("second")
    expect(panel.frame_locator("iframe").first.locator("body")).to_contain_text("sold")
    check_accessibility(page, within=".nbflow-panel")
    set_theme(page, "Dark")
    check_accessibility(page, within=".nbflow-panel")

    # the values of the run before
    panel.get_by_role("tab", name="Recent runs").click()
    runs = panel.get_by_label("Recent runs").locator("option")
    expect(runs).to_have_count(2)
    check_accessibility(page, within=".nbflow-panel")
    set_theme(page, "Light")
    panel.locator(".nbflow-history select").select_option(index=1)
    panel.get_by_role("button", name="Use these values").click()
    expect(find_field(panel, "hold")).to_be_checked()
    expect(find_field(panel, "note")).to_have_value("")
    expect(find_field(panel, "rows")).to_have_value("20")
    save(page)
    assert SECRET not in (jupyter_server.notebooks / "lab.ipynb").read_text(encoding="utf-8")
    assert SECRET not in execute(page, "import ipywidgets; print(ipywidgets.Widget.get_manager_state())")


DAYS = "import datetime\nday: datetime.date = datetime.date(2026, 2, 1)"


def test_a_month_is_backfilled_from_the_panel_and_its_failed_days_are_run_again(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, check_accessibility: CheckAccessibility
) -> None:
    from playwright.sync_api import expect

    jupyter_server.put("days.ipynb", DAYS, ["assert day.weekday() != 0, f'nothing is open on {day}'"])
    page = open_notebook("lab", show("days.ipynb"), name="backfill.ipynb")
    panel = find_panel(page)
    panel.get_by_role("tab", name="Backfill").click()
    day = panel.locator(".nbflow-axis-day input")
    day.fill("2026-02-30..2026-02-28")
    expect(panel.locator(".nbflow-axis-day .nbflow-message")).to_be_visible()
    expect(panel.get_by_role("button", name="Start backfill")).to_be_disabled()
    day.fill("2026-02-01..2026-02-10")
    expect(panel.locator(".nbflow-rows")).to_contain_text("10 rows")
    panel.get_by_role("button", name="Dry run").click()
    expect(panel.locator(".nbflow-plan")).to_contain_text("2026-02-10")
    check_accessibility(page, within=".nbflow-panel")
    panel.get_by_role("button", name="Start 10 runs").click()
    state = panel.locator(".nbflow-backfill-state")
    expect(state).to_contain_text("8 completed")
    expect(state).to_contain_text("2 failed")
    check_accessibility(page, within=".nbflow-panel")

    # mended, and only what failed is run again
    jupyter_server.put("days.ipynb", DAYS, ["print('open on', day)"])
    panel.get_by_label("earlier runs").select_option("run those again that did not complete")
    again = panel.get_by_role("button", name="Start 2 runs")
    expect(again).to_be_enabled()
    again.click()
    expect(state).to_contain_text("10 completed")
    expect(state).to_contain_text("2 of 10 rows run")


def press_until(page: Page, key: str, wanted: Locator, most: int = 60) -> None:
    """Press *key* until *wanted* has the focus, as somebody without a mouse does."""
    for _ in range(most):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{most} times {key} did not lead to {wanted}")


def test_by_keyboard_alone_in_notebook_7(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, check_accessibility: CheckAccessibility
) -> None:
    from playwright.sync_api import expect

    jupyter_server.put("keyboard.ipynb", notebooks.REPORT, notebooks.REPORT_CELLS)
    page = open_notebook("notebook", show("keyboard.ipynb"), name="notebook.ipynb")
    panel = find_panel(page)
    panel.get_by_role("tab", name="Run", exact=True).focus()

    press_until(page, "Tab", find_field(panel, "region"))
    page.keyboard.press("ArrowDown")
    press_until(page, "Tab", find_field(panel, "rows"))
    page.keyboard.press("Control+a")
    page.keyboard.type("0")
    expect(find_row(panel, "rows")).to_contain_text("must be from 1 to 100")
    page.keyboard.type("1")
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    expect(panel.get_by_role("slider")).to_have_value("1")
    press_until(page, "Tab", panel.get_by_role("slider"))
    page.keyboard.press("ArrowRight")
    expect(find_field(panel, "rows")).to_have_value("2")
    press_until(page, "Tab", find_field(panel, "hold"))
    page.keyboard.press("Space")
    press_until(page, "Tab", panel.get_by_role("button", name="Run", exact=True))
    page.keyboard.press("Enter")
    expect(panel.get_by_role("log")).to_contain_text("waiting")
    press_until(page, "Tab", panel.get_by_role("button", name="Cancel"))
    page.keyboard.press("Space")
    see_state(panel, "cancelled")
    press_until(page, "Shift+Tab", find_field(panel, "hold"))
    page.keyboard.press("Space")
    press_until(page, "Tab", panel.get_by_role("button", name="Run", exact=True))
    page.keyboard.press("Enter")
    see_state(panel, "completed")
    expect(panel.get_by_role("log")).to_contain_text("report for US on 2026-01-31 with 2 rows")
    press_until(page, "Shift+Tab", panel.get_by_role("tab", name="Run", exact=True))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    press_until(page, "Tab", panel.locator(".nbflow-history select"))
    page.keyboard.press("End")
    press_until(page, "Tab", panel.get_by_role("button", name="Use these values"))
    page.keyboard.press("Enter")
    expect(find_field(panel, "hold")).to_be_checked()
    check_accessibility(page, within=".nbflow-panel")


def test_as_an_app_by_voila(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, check_accessibility: CheckAccessibility
) -> None:
    from playwright.sync_api import expect

    jupyter_server.put("app.ipynb", notebooks.REPORT, notebooks.REPORT_CELLS)
    page = open_notebook("voila", show("app.ipynb"), name="voila.ipynb")
    panel = find_panel(page)
    find_field(panel, "rows").fill("x")
    expect(find_row(panel, "rows")).to_contain_text("int")
    expect(panel.get_by_role("button", name="Run", exact=True)).to_be_disabled()
    find_field(panel, "rows").fill("7")
    find_field(panel, "hold").check()
    press_run(panel)
    expect(panel.get_by_role("log")).to_contain_text("waiting")
    panel.get_by_role("button", name="Cancel").click()
    see_state(panel, "cancelled")
    find_field(panel, "hold").uncheck()
    press_run(panel)
    expect(panel.locator(".nbflow-results").first).to_contain_text("7")
    check_accessibility(page, within=".nbflow-panel")


def read_fields(panel: Locator) -> dict[str, Any]:
    return dict(
        panel.evaluate(
            """(panel) => Object.fromEntries([...panel.querySelectorAll('.nbflow-field')].map((row) => {
                const name = [...row.classList].find((one) => one.startsWith('nbflow-p-')).slice(9)
                const field = row.querySelector('.nbflow-control :is(input, select, textarea)')
                return [name, field.type === 'checkbox' ? field.checked : field.value]
            }))"""
        )
    )


def test_thirty_parameters_of_all_types_beside_hostile_texts(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, check_accessibility: CheckAccessibility
) -> None:
    from playwright.sync_api import expect

    jupyter_server.put("thirty.ipynb", notebooks.THIRTY, ["print(sorted(name for name in dir() if name[0] != '_'))"])
    jupyter_server.put("hostile.ipynb", notebooks.HOSTILE, notebooks.HOSTILE_CELLS)
    page = open_notebook("lab", show("thirty.ipynb", "hostile.ipynb"), name="several.ipynb")
    thirty, hostile = find_panel(page, 0), find_panel(page, 1)
    fields = read_fields(thirty)
    assert len(fields) == 31
    assert {name: fields[name] for name in ("flag", "big", "price", "colour", "day", "clock")} == {
        "flag": True, "big": "123456789012345678901234567890", "price": "19.90", "colour": "green", "day": "2026-03-29",
        "clock": "08:15",
    }  # fmt: skip
    assert fields["moment"].startswith("2026-03-28T12:30")
    assert fields["aware"].startswith("2026-03-28T12:30")
    assert fields["words"] == "one\ntwo"
    expect(thirty.locator(".nbflow-todo").first).to_contain_text("missing: sure, needed")
    check_accessibility(page, within=".nbflow-panel")
    find_field(thirty, "sure").select_option(label="True")
    find_field(thirty, "needed").fill("here")
    press_run(thirty)

    # the other panel meanwhile: text from outside stays text
    expect(find_field(hostile, "text")).to_have_value(notebooks.HOSTILE_TEXT)
    find_field(hostile, "code").fill("<img src=x onerror=window.hacked=11>")
    expect(find_row(hostile, "code")).to_contain_text("window.hacked=11")
    find_field(hostile, "code").fill("x")
    press_run(hostile)
    see_state(hostile, "failed")
    expect(hostile.get_by_role("log")).to_contain_text("<script>window.hacked=5</script>")
    expect(hostile.frame_locator("iframe").first.locator("body")).to_contain_text("shown safely")
    assert page.evaluate("window.hacked") is None
    assert "several.ipynb" in page.url
    assert hostile.locator("script, img[src='x']").count() == 0
    see_state(thirty, "completed")
    check_accessibility(page, within=".nbflow-panel")


def test_the_tour_sets_its_own_parameters_and_runs_another_notebook(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer, request: pytest.FixtureRequest
) -> None:
    from playwright.sync_api import expect

    for name in (TOUR, "01-first-run.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, jupyter_server.notebooks)
    page = open_notebook("lab", None, name=TOUR, viewport={"width": 1180, "height": 1000})
    own, first = page.locator(".nbflow-panel").nth(0), find_panel(page, 1)
    outputs = page.locator(".jp-OutputArea-output")
    expect(outputs.filter(has_text="changes from 1940 to 1959").first).to_contain_text("Europe/Berlin")

    find_field(own, "first").fill("1899")
    expect(find_row(own, "first")).to_contain_text("must be from 1900 to 2030")
    expect(own.get_by_role("button", name="Apply")).to_be_disabled()
    find_field(own, "first").fill("1968")
    find_field(own, "years").fill("4")
    find_field(own, "place").select_option("Europe/London")
    own.get_by_role("button", name="Apply").click()
    expect(own).to_contain_text("applied")
    assert execute(page, "print(place, first, years, night)") == "Europe/London 1968 4 False\n"
    page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 5")
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-below')")
    expect(outputs.filter(has_text="changes from 1968 to 1971").first).to_contain_text("Europe/London")

    first = find_panel(page, 1)
    find_field(first, "planet").select_option("Mars")
    press_run(first)
    see_state(first, "completed")
    expect(first.get_by_role("log")).to_contain_text("Mars: the day through one year")
    expect(first.locator(".nbflow-results").first).to_contain_text("widest_swing")
    if request.config.getoption("--write-screenshots"):
        page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
        page.set_viewport_size({"width": 1180, "height": 820})
        first.evaluate("(panel) => panel.closest('.jp-Cell').scrollIntoView()")
        page.screenshot(path=ROOT / ".github" / "panel.png")


def test_a_log_of_20000_lines_neither_floods_nor_freezes_the_page(
    open_notebook: OpenNotebook, jupyter_server: JupyterServer
) -> None:
    from playwright.sync_api import expect

    received = 0

    def count(frame: str | bytes) -> None:
        nonlocal received
        received += len(frame)

    jupyter_server.put("lines.ipynb", notebooks.MANY_LINES, notebooks.MANY_LINES_CELLS)
    page = open_notebook("lab", show("lines.ipynb"), name="log.ipynb", run=False)
    page.on("websocket", lambda socket: socket.on("framereceived", count))
    page.reload()
    wait_for_kernel(page)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    panel = find_panel(page)
    find_field(panel, "pause").fill("0.01")
    press_run(panel)
    expect(panel.get_by_role("log")).to_contain_text("line 100 of")

    # while it pours in, the form answers
    find_field(panel, "lines").fill("3")
    expect(find_row(panel, "lines")).to_contain_text("changed")

    expect(panel.get_by_role("log")).to_contain_text("line 19999 of 20000")
    see_state(panel, "completed")
    expect(panel.locator(".nbflow-log-count")).to_contain_text("20,000 lines")
    assert panel.locator(".nbflow-line").count() <= 5_001
    at_the_end = "(pane) => pane.scrollHeight - pane.scrollTop - pane.clientHeight < 20"
    assert panel.get_by_role("log").evaluate(at_the_end)
    assert received < 5_000_000, "each line crosses the wire once"
    with page.expect_download() as download:
        panel.get_by_role("button", name="Whole log").click()
    assert len(download.value.path().read_text(encoding="utf-8").splitlines()) == 20_000
