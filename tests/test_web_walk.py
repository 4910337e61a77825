"""The whole way of a new user, from an empty server to a month that was backfilled and tried again, in one go."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser_fixtures import OpenPage
from tests.jupyter_fixtures import find_free_port
from tests.project_fixtures import wait_until
from tests.web_fixtures import WebServer, serving, write_notebooks

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

pytestmark = [pytest.mark.browser, pytest.mark.kernel]


def expect(found: Any) -> Any:
    from playwright.sync_api import expect as playwright_expect

    return playwright_expect(found)


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[WebServer]:
    """``nbflow server`` as it is typed, with nothing in its store."""
    (tmp_path / "notebooks").mkdir()
    write_notebooks(tmp_path / "notebooks")
    port = find_free_port()
    command = [sys.executable, "-m", "nbflow", "server", "--no-browser", f"--port={port}"]
    settings = ["--IdentityProvider.token=walk", "--ServerApp.port_retries=0"]
    with serving([*command, "--", *settings], tmp_path, f"http://127.0.0.1:{port}/nbflow/", "walk") as server:
        yield server


def register(page: Page, path: str) -> None:
    page.get_by_label("A path on the server").check()
    page.get_by_label("Path, below the server's folder").fill(path)
    page.get_by_label("Project").fill("sales")
    page.get_by_role("button", name="Register", exact=True).click()
    page.wait_for_url(f"**/flows/sales/{path.removesuffix('.ipynb')}")


def count_attempts(server: WebServer, day: str) -> tuple[str, int]:
    (run,) = server.request("GET", f"runs?parameter=day={day}")["runs"]
    return run["state"], run["attempts"]


def test_a_new_user_gets_from_an_empty_server_to_a_month_that_is_retried(
    empty_server: WebServer, open_page: OpenPage
) -> None:
    page = open_page()
    page.goto(f"{empty_server.url}?token={empty_server.token}")  # as the server prints it

    expect(page.get_by_text("No flows yet.")).to_be_visible()
    notes: FilePayload = {"name": "notes.ipynb", "mimeType": "text/plain", "buffer": b"hello"}
    page.get_by_label("Notebook", exact=True).set_input_files(notes)
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("notes.ipynb is no notebook: choose a file that Jupyter has saved.")
    page.get_by_role("button", name="Register report.ipynb").click()  # it lies in the server's folder
    expect(page.locator("#register-preview")).to_contain_text("day: date")
    register(page, "report.ipynb")
    page.get_by_label("day", exact=True).fill("2026-01-31")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_role("log")).to_contain_text("loading 2026-01-31 EU")
    expect(page.locator("#state .state")).to_have_text("completed")

    page.get_by_role("link", name="Flows", exact=True).click()
    page.get_by_text("Register a notebook").click()
    register(page, "slow.ipynb")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_role("log")).to_contain_text("begun")
    page.get_by_role("tab", name="Notebook").click()
    expect(page.frame_locator("iframe").get_by_text("time.sleep(600)")).to_be_visible()  # while it runs
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#state .state")).to_have_text("cancelled")
    expect(page.locator("#message")).to_have_text("Cancelled in cell 1.")
    page.get_by_role("tab", name="Timeline").click()
    expect(page.get_by_role("row", name=re.compile("cancelled"))).to_have_count(2)  # the attempt and its cell

    page.get_by_role("link", name="Schedules", exact=True).click()
    page.get_by_label("New schedule of").select_option("sales/report")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="New schedule").click()
    page.locator("#s-region").select_option("US")
    page.get_by_label("at", exact=True).fill("06:30")
    expect(page.locator("#schedule-preview tbody tr")).to_have_count(5)
    page.get_by_role("button", name="Create schedule").click()
    expect(page.get_by_role("article")).to_contain_text("every day at 06:30")

    page.get_by_role("tab", name="Backfill").click()
    page.locator("#axes").get_by_label("From", exact=True).fill("2026-01-01")
    page.locator("#axes").get_by_label("To, included").fill("2026-01-31")
    page.get_by_role("button", name="Start 30 runs").click()  # the last of the month ran already
    page.wait_for_url("**/backfills/*")
    state = page.locator("#state .state")
    expect(state).to_have_text("completed with failures", timeout=180_000)
    expect(page.locator('.cell[data-of="completed"]')).to_have_count(29)
    expect(page.locator(".cells-label")).to_have_text("2026-01")
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(page.locator("#note")).to_contain_text("1 of 30 rows run")
    expect(state).to_have_text("completed with failures")

    page.get_by_role("link", name="Runs", exact=True).click()
    rows = page.locator(".runs tbody tr")
    expect(rows).to_have_count(32)
    page.get_by_label("Value").fill("day=2026-01-13")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Retry 1 failed").click()
    page.get_by_role("button", name="Retry them").click()
    expect(page.get_by_text("1 run tried again.")).to_be_visible()
    wait_until(lambda: count_attempts(empty_server, "2026-01-13") == ("failed", 3), 60)
    page.go_back()
    expect(rows).to_have_count(32)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download CSV").click()
    with open(saved.value.path(), encoding="utf-8", newline="") as file:
        told = {row["day"]: row for row in csv.DictReader(file)}
    assert (told["2026-01-02"]["state"], told["2026-01-02"]["rows"]) == ("completed", "70")
    assert re.search("no data for 2026-01-13", told["2026-01-13"]["message"])
