"""The web UI as a new user meets it: register a notebook, run it, watch, cancel, schedule; in a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from nbflow.config import load_config
from nbflow.lifecycle import RunRecord, RunState, new_run_id
from nbflow.project import Project
from tests.browser_fixtures import CheckAccessibility, OpenPage
from tests.web_fixtures import Visit, WebServer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def expect(found: Any) -> Any:
    from playwright.sync_api import expect as playwright_expect

    return playwright_expect(found)


def is_ready(page: Page) -> None:
    """Its script has shown what it was to show first."""
    page.locator("body[data-ready]").wait_for(state="attached")


def get_state(page: Page) -> Any:
    return page.locator("#state .state")


def register(server: WebServer, name: str) -> str:
    """A flow of its own for a test, from the report's notebook."""
    server.request("POST", "flows", {"project": "web", "name": name, "path": "report.ipynb"})
    return f"web/{name}"


@pytest.mark.kernel
def test_a_new_user_registers_a_notebook_runs_it_for_a_day_and_sees_how_it_went(
    visit: Visit, check_accessibility: CheckAccessibility
) -> None:
    page = visit("flows#register")
    page.get_by_label("A path on the server").check()
    page.get_by_label("Path, below the server's folder").fill("report.ipynb")
    page.get_by_label("Project").fill("sales")
    expect(page.get_by_label("Flow name")).to_have_value("report")
    expect(page.locator("#register-preview")).to_contain_text("day: date")
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/flows/sales/report")

    page.get_by_role("button", name="Run", exact=True).click()
    problem = page.get_by_role("alert")
    expect(problem).to_be_focused()
    expect(problem).to_contain_text("day: required")
    check_accessibility(page)
    page.get_by_label("n", exact=True).fill("500")
    expect(page.locator('[data-name="n"] .field-error')).to_contain_text("must be from 1 to 100")
    page.get_by_label("n", exact=True).fill("12")
    page.get_by_label("day", exact=True).fill("2026-01-31")
    expect(problem).to_be_hidden()
    page.get_by_role("button", name="Run", exact=True).click()

    page.wait_for_url("**/runs/*")
    expect(get_state(page)).to_have_text("completed", timeout=60_000)
    expect(page.get_by_role("log")).to_contain_text("loading 2026-01-31 EU")
    values = page.get_by_role("table", name="Values used")
    expect(values.get_by_role("row", name="day 2026-01-31 given")).to_be_visible()
    expect(values.get_by_role("row", name="region EU default")).to_be_visible()
    expect(values.get_by_role("row", name=re.compile(r"since \d{4}.* computed"))).to_be_visible()
    check_accessibility(page)
    page.get_by_role("tab", name="Results").click()
    expect(page.locator("#results")).to_contain_text("84")
    page.get_by_role("tab", name="Timeline").click()
    expect(page.get_by_role("row", name=re.compile("check"))).to_be_visible()
    page.get_by_role("tab", name="Notebook").click()
    frame = page.locator("iframe")
    expect(frame).to_have_attribute("sandbox", "allow-scripts")
    expect(page.frame_locator("iframe").get_by_text("loading 2026-01-31 EU")).to_be_visible(timeout=60_000)

    page.get_by_role("link", name="Run again with edits").click()
    expect(page.get_by_label("n", exact=True)).to_have_value("12")
    page.get_by_label("day", exact=True).fill("2026-01-13")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(get_state(page)).to_have_text("failed", timeout=60_000)
    expect(page.locator("#failure")).to_contain_text("ValueError: no data for 2026-01-13")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


@pytest.mark.kernel
def test_a_run_is_watched_and_cancelled(visit: Visit) -> None:
    page = visit("flows/demo/slow")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_role("log")).to_contain_text("begun", timeout=60_000)
    expect(get_state(page)).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(get_state(page)).to_have_text("cancelled", timeout=60_000)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


@pytest.mark.kernel
def test_ten_thousand_lines_are_shown_filtered_and_left_where_one_reads(visit: Visit) -> None:
    page = visit("flows/demo/loud")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url("**/runs/*")
    count = page.locator("#log-count")
    expect(count).to_have_text("10,000 lines", timeout=60_000)
    expect(page.locator("#log .line")).to_have_count(10_000)
    page.get_by_placeholder("filter").fill("line 77")
    expect(count).to_have_text("111 of 10,000 lines")
    page.get_by_placeholder("filter").fill("")
    follow = page.get_by_label("follow")
    expect(follow).to_be_checked()
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -2000)
    expect(follow).not_to_be_checked()


def test_a_form_has_a_fitting_control_for_each_type_and_its_json_is_the_same(visit: Visit) -> None:
    page = visit("flows/demo/types?p.day=2026-02-01&p.names=x,y&p.token=leaked")
    is_ready(page)
    kinds = {"day": "date", "at": "time", "when": "datetime-local", "token": "password", "draft": "checkbox"}
    for name, kind in kinds.items():
        expect(page.locator(f"#p-{name}")).to_have_attribute("type", kind)
    expect(page.locator("#p-token")).to_have_value("")  # a secret is not taken from an address
    expect(page.locator("#p-names")).to_have_value("x\ny")
    expect(page.locator('[data-name="names"] .mark')).to_be_visible()
    page.get_by_label("Reset names").click()
    expect(page.locator("#p-names")).to_have_value("a\nb")
    page.locator("#p-who").fill("me")
    expect(page.locator("#p-who-none")).not_to_be_checked()

    page.get_by_role("button", name="JSON").click()
    text = page.get_by_label("Parameters as JSON")
    shown = text.input_value()
    for line in (
        '"day": "2026-02-01"',
        '"when": "2026-01-01T00:00:00+02:00"',
        '"big": 12345678901234567890',
        '"who": "me"',
    ):
        assert line in shown
    text.fill('{"top": null, "opts": {"US": 1.5}, "price": "2.25"}')
    page.get_by_role("button", name="JSON").click()
    expect(page.locator("#p-top-none")).to_be_checked()
    expect(page.locator("#p-opts")).to_have_value('{"US":1.5}')
    expect(page.locator("#p-day")).to_have_value("2026-01-31")
    page.locator("#p-opts").fill("{")
    expect(page.locator('[data-name="opts"] .field-error')).to_contain_text("not JSON")
    page.locator("#p-opts").fill("{}")
    page.locator("#p-token").fill("s3cret")

    page.get_by_role("button", name="Copy as").click()
    copied = page.get_by_label("Text to copy")
    expect(copied).to_have_value(re.compile(r"^nbflow run demo/types .*-p top=null"))
    for kind in ("Command line", "curl", "Python", "Link"):
        page.get_by_role("button", name=kind).click()
        assert "s3cret" not in copied.input_value()
    expect(copied).to_have_value(re.compile(r"/some/where/nbflow/flows/demo/types\?p\.price=2\.25"))


def test_a_schedule_shows_what_comes_next_before_it_is_made(
    visit: Visit, web_server: WebServer, check_accessibility: CheckAccessibility
) -> None:
    flow = register(web_server, "planned")
    page = visit(f"flows/{flow}#schedules")
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("day: where the value comes from").select_option("the day before")
    page.locator("#s-n").fill("33")
    page.get_by_label("at", exact=True).fill("06:30")
    page.get_by_label("by the clock of").fill("Asia/Tokyo")
    preview = page.locator("#schedule-preview tbody tr")
    expect(preview).to_have_count(5)
    now = datetime.now(UTC) + timedelta(hours=9)
    due = now.date() + timedelta(days=now.hour * 60 + now.minute >= 390)
    expect(preview.first).to_contain_text(f"{due} 06:30")
    expect(preview.first).to_contain_text(f"day={due - timedelta(days=1)}")
    page.get_by_role("button", name="Create schedule").click()
    card = page.get_by_role("article")
    expect(card).to_contain_text("every day at 06:30")
    check_accessibility(page)
    card.get_by_role("button", name="Edit").click()
    expect(page.locator("#s-n")).to_have_value("33")
    page.locator("#s-n").fill("44")
    page.get_by_role("button", name="Save changes").click()
    expect(card).to_contain_text("n=44")
    card.get_by_role("button", name="Pause").click()
    expect(card).to_contain_text("paused")
    card.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("No schedule.")).to_be_visible()


def record_runs(server: WebServer, flow: str, count: int) -> None:
    """Runs that ended, without their having been executed."""
    with Project(load_config({"NBFLOW_HOME": str(server.home)}, server.folder)) as project:
        loaded = project.load(flow)
        now = datetime.now(UTC)
        runs = []
        for number in range(count):
            run_id = new_run_id()
            state = RunState.FAILED if number % 3 == 0 else RunState.COMPLETED
            runs.append(
                RunRecord(
                    id=run_id,
                    root_id=run_id,
                    state=state,
                    flow=flow,
                    flow_version=1,
                    name=f"past-{number}",
                    tags=("<b>old</b>",),
                    parameters={"day": "2026-01-01"},
                    notebook_hash=loaded.notebook.hash,
                    source_path=str(loaded.source_path),
                    created=now,
                    started=now,
                    ended=now + timedelta(seconds=number),
                )
            )
        project.store.add_runs(runs)


def test_the_runs_that_are_shown_are_those_that_the_address_asks_for(visit: Visit, web_server: WebServer) -> None:
    flow = register(web_server, "past")
    record_runs(web_server, flow, 240)
    page = visit(f"runs?flow={flow}")
    rows = page.locator(".runs tbody tr")
    expect(rows).to_have_count(100)
    expect(page.locator(".tag").first).to_have_text("<b>old</b>")  # text, whatever it looks like
    page.get_by_role("link", name="Next page").click()
    expect(rows.first).to_contain_text("past-139")
    page.get_by_role("link", name="failed 80").click()
    page.wait_for_url(re.compile(r"state=failed"))
    expect(rows).to_have_count(80)
    page.get_by_label("Name has").fill("past-23")
    page.wait_for_url(re.compile(r"name=past-23"))
    expect(rows).to_have_count(3)
    page.reload()
    expect(rows).to_have_count(3)
    expect(page.get_by_label("Name has")).to_have_value("past-23")
    page.get_by_label("Name has").fill("no such run")
    expect(page.get_by_text("No run fits.")).to_be_visible()


@pytest.mark.kernel
def test_a_backfill_is_counted_before_it_starts_and_its_failures_are_retried(
    visit: Visit, web_server: WebServer, check_accessibility: CheckAccessibility
) -> None:
    flow = register(web_server, "past-days")
    page = visit(f"flows/{flow}#backfill")
    axes = page.locator("#axes")
    axes.get_by_label("From", exact=True).fill("2026-01-12")
    axes.get_by_label("To, included").fill("2026-01-14")
    expect(page.get_by_text("3 runs will be created.")).to_be_visible()
    page.get_by_role("button", name="Add a parameter").click()
    page.locator("#axis-2").select_option("region")
    expect(page.get_by_text("6 runs will be created.")).to_be_visible()
    axes.get_by_label("US", exact=True).uncheck()
    axes.get_by_label("EU", exact=True).uncheck()
    expect(page.locator("#backfill-go")).to_be_disabled()
    axes.get_by_label("EU", exact=True).check()
    check_accessibility(page)
    page.get_by_role("button", name="Start 3 runs").click()
    page.wait_for_url("**/backfills/*")
    expect(get_state(page)).to_have_text("completed with failures", timeout=90_000)
    cells = page.locator(".cell")
    expect(cells).to_have_count(3)
    expect(page.get_by_role("link", name="day=2026-01-13, region=EU: failed")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("button", name="failed 1").click()
    expect(page.locator("#runs tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Retry 1 failed").click()
    expect(page.locator("#note")).to_contain_text("1 of 3 rows run")


@pytest.mark.kernel
def test_an_app_is_a_form_with_what_its_run_comes_to_beside_it(
    visit: Visit, check_accessibility: CheckAccessibility
) -> None:
    page = visit("app/report.ipynb")
    assert page.get_by_role("link", name="Runs").count() == 0  # the form, and no way to anything else
    page.get_by_label("day", exact=True).fill("2026-01-31")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(get_state(page)).to_have_text("completed", timeout=60_000)
    expect(page.locator("#results")).to_contain_text("70")
    expect(page.get_by_role("log")).to_contain_text("loading 2026-01-31 EU")
    check_accessibility(page)
    page.reload()
    expect(page.locator("#results")).to_contain_text("70")


def test_who_is_not_logged_in_sees_no_page_and_a_token_leaves_the_address(
    open_page: OpenPage, web_server: WebServer
) -> None:
    page = open_page()
    page.goto(f"{web_server.url}runs")
    assert "/login" in page.url
    page.goto(f"{web_server.url}runs?state=failed&token={web_server.token}")
    assert page.url == f"{web_server.url}runs?state=failed"
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


PAGES = (
    "flows",
    "flows/demo/types",
    "flows/demo/types#schedules",
    "flows/demo/types#versions",
    "runs",
    "schedules",
    "kv",
)


def test_every_page_is_accessible_in_both_themes_and_fits_a_telephone(
    visit: Visit, web_server: WebServer, check_accessibility: CheckAccessibility
) -> None:
    web_server.request("PUT", "kv/last", {"day": "2026-01-31"})
    page = visit("flows", width=400)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for path in PAGES:
        page.goto("about:blank")
        page.goto(f"{web_server.url}{path}")
        is_ready(page)
        page.emulate_media(color_scheme="light")
        check_accessibility(page)
        page.emulate_media(color_scheme="dark")  # nothing but colours is another then
        found = page.evaluate("axe.run(document, {runOnly: ['color-contrast', 'link-in-text-block']})")
        assert found["passes"]
        assert not found["violations"], found["violations"][0]["nodes"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    assert not said, "the content policy, or an answer, refused something"
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
