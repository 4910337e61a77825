"""JupyterLab: a notebook is run as a flow from the file browser, and flows are a tile in the launcher."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from tests.browser_fixtures import OpenPage
from tests.jupyter_fixtures import ALLOWED_ERRORS, LAB, JupyterServer


def test_the_script_is_named_for_its_content_so_that_no_browser_keeps_an_old_one() -> None:
    script = LAB / json.loads((LAB / "package.json").read_text())["jupyterlab"]["_build"]["load"]
    digest = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    assert script.name == f"remoteEntry.{digest}.js"
    assert [path.name for path in script.parent.iterdir()] == [script.name]


@pytest.mark.browser
def test_a_notebook_is_run_as_a_flow_from_the_file_browser_and_the_launcher_opens_flows(
    jupyter_server: JupyterServer, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    from tests.conftest import notebook_content

    notebook = notebook_content([], parameters="from datetime import date\nday: date  # which day")
    (jupyter_server.notebooks / "by day.ipynb").write_text(json.dumps(notebook))
    page = open_page(allowed_errors=ALLOWED_ERRORS)
    seen: list[tuple[int, str]] = []
    page.on("response", lambda answer: seen.append((answer.status, answer.url)))
    page.goto(f"{jupyter_server.url}/lab?reset&token={jupyter_server.token}")
    page.get_by_role("listitem", name=re.compile("Name: by day.ipynb")).click(button="right")
    page.get_by_role("menuitem", name="Run as flow…").click()
    form = page.frame_locator('iframe[title="Run by day.ipynb"]')
    expect(form.get_by_label("day", exact=True)).to_have_attribute("type", "date")
    expect(form.get_by_text("which day")).to_be_visible()
    page.get_by_role("tab", name="Launcher").click()
    page.locator(".jp-LauncherCard", has_text="Flows").click()
    expect(page.frame_locator('iframe[title="Flows"]').get_by_role("heading", name="Flows")).to_be_visible()
    page.frame_locator('iframe[title="Flows"]').get_by_role("link", name="Schedules").click()
    expect(page.frame_locator('iframe[title="Flows"]').get_by_role("heading", name="Schedules")).to_be_visible()
    asked = [(status, url) for status, url in seen if url.startswith("http")]
    assert [url for _, url in asked if "/nbflow/" in url]
    assert [(status, url) for status, url in asked if status >= 400 or not url.startswith(jupyter_server.url)] == []
