"""A real Chromium, a page of its own for each test, and what a failed test leaves to look at.

While a browser is open, Playwright's event loop runs in the main thread, in which nothing else could start one: the
tests in a browser are the last of their file, and the browser is closed with the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

OpenPage = Callable[..., "Page"]
CheckAccessibility = Callable[..., None]

INSTALL = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core; pip install '.[test]'"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing from outside is needed
)
PATIENCE = 60_000
"""Milliseconds that a page is given, on a machine that others load too."""
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-screenshots", action="store_true", help="make the pictures in .github anew")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def find_chromium() -> str:
    """Chromium's path; without one, the test is skipped, or fails where every check has to run."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path is not None:
            return path
    return leave_out("Chromium")


def leave_out(missing: str) -> Any:
    message = f"{missing} is not installed: {INSTALL}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The one Chromium of a test file; no request of its pages leaves this machine."""
    executable = find_chromium()
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        leave_out("Playwright")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, headless=True, args=[*FLAGS], timeout=90_000, env=dict(os.environ)
        )
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenPage]:
    """``open_page(color_scheme="dark", timezone_id="Asia/Tokyo")``: a page in a context of its own.

    Options are those of Playwright's ``new_context``; ``allowed_errors`` (texts) names errors of pages that aren't ours.
    A test whose page raised an error in JavaScript fails. One that failed leaves ``page-1.png`` and ``page-1.yaml``
    (what a screen reader would find) in its temporary folder, or in the folder named by ``NBFLOW_TEST_SCREENSHOTS``.
    """
    opened: list[Page] = []
    errors: list[str] = []

    def make(*, allowed_errors: tuple[str, ...] = (), **options: Any) -> Page:
        defaults = {
            "locale": "en-GB",
            "timezone_id": "Europe/Berlin",
            "reduced_motion": "reduce",
            "viewport": {"width": 1280, "height": 900},
        }
        page = browser.new_context(**{**defaults, **options}).new_page()
        page.set_default_timeout(PATIENCE)
        opened.append(page)

        def note(error: object) -> None:
            if not any(allowed in str(error) for allowed in allowed_errors):
                errors.append(str(error))

        page.on("pageerror", note)
        return page

    yield make
    if errors or request.node.stash.get(FAILED, False):
        keep_what_is_seen(opened, find_screenshot_folder(request.node.name, tmp_path))
    for page in opened:
        page.context.close()
    assert not errors, "the page raised: " + "; ".join(errors)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of its own, 1280 × 900, British English, in Berlin, without animations."""
    return open_page()


def find_screenshot_folder(name: str, otherwise: Path) -> Path:
    chosen = os.environ.get("NBFLOW_TEST_SCREENSHOTS")
    folder = Path(chosen) / "".join(letter if letter.isalnum() else "-" for letter in name) if chosen else otherwise
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep_what_is_seen(pages: list[Page], folder: Path) -> None:
    from playwright.sync_api import Error

    for number, page in enumerate(pages, start=1):
        try:
            page.screenshot(path=folder / f"page-{number}.png", full_page=True, timeout=10_000)
            text = page.locator("body").aria_snapshot(timeout=10_000)
        except Error as error:  # a page that crashed can't be photographed
            text = str(error)
        (folder / f"page-{number}.yaml").write_text(f"# {page.url}\n{text}\n", encoding="utf-8")
        print(f"screenshot: {folder / f'page-{number}.png'}")


@pytest.fixture
def check_accessibility() -> CheckAccessibility:
    """``check_accessibility(page, within=".nbflow-panel")``: axe-core finds no violation there."""

    def check(page: Page | Locator, *, within: str | None = None, without: tuple[str, ...] = ()) -> None:
        source = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
        page.evaluate(f"() => {{ {source} }}")  # evaluated, not added: no content policy forbids it
        rules = {rule: {"enabled": False} for rule in without}
        found = page.evaluate("([place, rules]) => axe.run(place ?? document, {rules})", [within, rules])
        assert found["passes"], "axe-core looked at nothing"
        assert not found["violations"], "\n".join(
            f"{one['id']} ({one['impact']}): {one['help']}\n"
            + "\n".join(f"    {node['html'][:160]}  {node['failureSummary']}" for node in one["nodes"][:5])
            for one in found["violations"]
        )

    return check
