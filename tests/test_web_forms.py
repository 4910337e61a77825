"""Forms that make many runs: rows from a file, and schedules of whatever notebook; in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nbflow.config import load_config
from nbflow.project import Project
from nbflow.project.loading import load_file
from nbflow.scheduling import every
from tests.browser_fixtures import CheckAccessibility
from tests.conftest import notebook_content
from tests.web_fixtures import REPORT, Visit, WebServer

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload

pytestmark = pytest.mark.browser


def expect(found: Any) -> Any:
    from playwright.sync_api import expect as playwright_expect

    return playwright_expect(found)


def as_file(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


@pytest.mark.kernel
def test_the_rows_of_a_backfill_come_from_a_file_once_it_is_right(
    visit: Visit, web_server: WebServer, check_accessibility: CheckAccessibility
) -> None:
    web_server.request("POST", "flows", {"project": "web", "name": "tables", "path": "report.ipynb"})
    page = visit("flows/web/tables#backfill")
    chooser = page.get_by_label("Rows from a CSV file")
    chooser.set_input_files(as_file("days.csv", "day,region,n\n2026-01-01,EU,1\n2026-01-40,MARS,2\n"))
    faults = page.get_by_role("region", name="Rows that can't be used").get_by_role("row")
    expect(faults.nth(1)).to_contain_text("2day")
    expect(faults.nth(2)).to_contain_text("2region")
    expect(page.locator("#backfill-go")).to_be_disabled()
    check_accessibility(page)
    assert page.locator("#b-region").is_hidden()  # a column needs no value for all

    chooser.set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": "day\n\xff".encode("latin-1")})
    expect(page.get_by_text("x.csv: no text in UTF-8")).to_be_visible()
    chooser.set_input_files(as_file("days.csv", "day;region\n2026-01-01;EU\n2026-01-02;US\n"))
    expect(page.get_by_text("2 runs will be created.")).to_be_visible()
    page.get_by_role("button", name="Add a parameter").click()
    page.locator("#axes select").first.select_option("n")
    page.locator("#axes").get_by_label("From", exact=True).fill("1")
    page.locator("#axes").get_by_label("To, included").fill("2")
    expect(page.get_by_text("4 runs will be created.")).to_be_visible()
    page.get_by_role("button", name="Copy as").click()
    copied = page.get_by_label("Text to copy")
    command = "nbflow backfill create web/tables -p n=1..2 --step n=1 --rows days.csv"
    expect(copied).to_have_value(command)
    page.get_by_role("button", name="curl").click()
    assert '"table":"day;region' in copied.input_value()
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Remove this parameter").click()
    page.get_by_role("button", name="Start 2 runs").click()
    page.wait_for_url("**/backfills/*")
    expect(page.locator("#state .state")).to_have_text("completed", timeout=90_000)
    expect(page.get_by_role("link", name="day=2026-01-02, region=US: completed")).to_be_visible()


def test_a_schedule_of_a_notebook_that_is_not_registered_is_changed_too(
    visit: Visit, web_server: WebServer, tmp_path: Path, check_accessibility: CheckAccessibility
) -> None:
    notebook = tmp_path / "elsewhere.ipynb"
    notebook.write_text(json.dumps(notebook_content(["print(day)"], parameters=REPORT)))
    with Project(load_config({"NBFLOW_HOME": str(web_server.home)}, tmp_path)) as project:
        values = {"day": "{{ scheduled_date }}"}
        project.schedules.create(load_file(notebook), every("1d"), values, name="elsewhere", paused=True)
    page = visit("schedules")
    card = page.get_by_role("article", name="Schedule elsewhere")
    expect(card).to_contain_text("not registered")
    card.get_by_role("button", name="Edit").click()
    page.locator("#s-n").fill("33")
    expect(page.locator("#schedule-preview tbody tr")).to_have_count(5)
    expect(page.locator("#schedule-preview tbody tr").first).to_contain_text("n=33")
    check_accessibility(page)
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("article")).to_contain_text("n=33")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("article")).to_contain_text("active")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_focused()

    notebook.unlink()
    page.reload()
    expect(page.get_by_text("can't be edited here")).to_be_visible()
    expect(page.get_by_text("elsewhere.ipynb does not exist")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    page.wait_for_url("**/schedules")
