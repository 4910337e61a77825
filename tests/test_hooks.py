"""What is called when a run changes its state."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_notebook

from nbflow.api.calling import render_message
from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.config import load_config
from nbflow.errors import ConfigError
from nbflow.hooks import Hook, read_hook
from nbflow.lifecycle import RunState
from nbflow.notifications.notifier import Notifier, read_hook_records
from nbflow.project import Project
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until
from tests.store_fixtures import make_run


class Posted(list[dict[str, Any]]):
    url: str


@pytest.fixture
def webhook() -> Iterator[Posted]:
    """A server that keeps what is posted to it."""
    posted = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    posted.url = f"127.0.0.1:{server.server_port}/hook"
    yield posted
    server.shutdown()
    thread.join()
    server.server_close()


def run_with(tmp_path: Path, settings: str, path: Path, **values: Any) -> tuple[Run, list[dict[str, Any]]]:
    """One run under ``nbflow.toml`` with these *settings*; the run and the records of its hooks, once all were told."""
    (tmp_path / "nbflow.toml").write_text(f'home = "home"\n{settings}')
    with Project(load_config({}, tmp_path)) as project:
        run = Flow(project.load(path), project).options(raise_on_failure=False).run(values)
    project = Project(load_config({}, tmp_path))
    try:
        run = Run(project.get_run(run.id), project)
        return run, run.hooks
    finally:
        project.close()


@pytest.mark.kernel
def test_a_function_gets_the_flow_the_run_and_both_states(make_notebook: NotebookFactory, tmp_path: Path) -> None:
    (tmp_path / "my_hooks.py").write_text(
        "def rename(flow, run, old, new):\n"
        "    with open(f'{__file__}.txt', 'a') as file:\n"
        "        print(flow.name, run.id, old, new, run.parameters, file=file)\n"
        "    if new == 'completed':\n"
        "        run.rename(f'sales of {run.parameters[\"region\"]}')\n"
    )
    path = make_notebook(["1"], parameters="from nbflow import Secret\nregion = 'EU'\ntoken: Secret")
    run, records = run_with(tmp_path, 'hooks = ["my_hooks:rename"]\n', path, token="s3cr3t")
    assert run.name == "sales of EU"
    told = (tmp_path / "my_hooks.py.txt").read_text().splitlines()
    assert [line.split()[2:4] for line in told] == [
        ["None", "pending"],
        ["pending", "running"],
        ["running", "completed"],
    ]
    assert "s3cr3t" not in "".join(told)
    assert [(record["hook"], record["new"], record["error"]) for record in records] == [
        ("my_hooks:rename", state, None) for state in ("pending", "running", "completed")
    ]


@pytest.mark.kernel
def test_the_hooks_of_children_are_called_though_their_parents_kernel_is_gone(
    make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    (tmp_path / "my_hooks.py").write_text("def note(*told): pass\n")
    make_notebook(["1"], name="child.ipynb")
    nest = "import nbflow\nnbflow.flow({!r}).map([{{}}] * {})"
    make_notebook([nest.format("child.ipynb", 1)], name="middle.ipynb")
    path = make_notebook([nest.format("middle.ipynb", 1)], name="top.ipynb")
    run, records = run_with(tmp_path, 'hooks = ["my_hooks:note"]\n', path)
    with Project(load_config({}, tmp_path)) as project:
        [middle] = Run(project.get_run(run.id), project).children
        [child] = middle.children
        for told in (records, middle.hooks, child.hooks):
            assert [(record["new"], record["error"]) for record in told] == [
                (state, None) for state in ("pending", "running", "completed")
            ]


@pytest.mark.kernel
def test_an_installed_package_brings_hooks_by_its_entry_points(
    make_notebook: NotebookFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "hooky-1.0.dist-info").mkdir(parents=True)
    (site / "hooky-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hooky\nVersion: 1.0\n")
    (site / "hooky-1.0.dist-info" / "entry_points.txt").write_text("[nbflow.hooks]\nnote = hooky:note\n")
    (site / "hooky.py").write_text("def note(flow, run, old, new): raise ValueError(f'heard of {new}')\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    run, records = run_with(tmp_path, "", make_notebook(["1"]))
    assert run.state is RunState.COMPLETED
    assert [record["hook"] for record in records] == ["hooky:note"] * 3
    assert "heard of completed" in str(records[-1]["error"])


def test_what_a_hanging_hook_leaves_no_time_for_is_recorded_and_nothing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, time\nfrom pathlib import Path\nPath(__file__).with_name('pid').write_text(str(os.getpid()))\n"
        "def hangs(*a): time.sleep(600)\n"
    )
    (tmp_path / "nbflow.toml").write_text('home = "home"\n')
    with Project(load_config({}, tmp_path)) as project:
        run = make_run(source_path=str(tmp_path / "report.ipynb"))
        project.store.put_notebook(run.notebook_hash, nbformat.writes(new_notebook()).encode())
        project.store.add_runs([run])
    notifier = Notifier(
        [Hook(call="slow:hangs")],
        folder_of=lambda run_id: tmp_path / run_id,
        children_of=lambda run_id: (),
        environment={"NBFLOW_HOME": str(tmp_path / "home")},
        path=str(tmp_path),
    )
    notifier.tell(run, None)
    notifier.tell(replace(run, state=RunState.RUNNING), RunState.PENDING)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 30)
    monkeypatch.setattr("nbflow.notifications.notifier.DRAIN_SECONDS", 0.1)
    notifier.close()
    records = read_hook_records(tmp_path / run.id)
    assert [(record["new"], str(record["error"])[:12]) for record in records] == [
        ("pending", "nbflow ended"),
        ("running", "nbflow ended"),
    ]
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


@pytest.mark.kernel
def test_a_hook_that_fails_hangs_or_is_missing_harms_no_run(make_notebook: NotebookFactory, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import os, time\ndef fails(*a): raise ValueError('no such luck')\ndef hangs(*a): time.sleep(60)\n"
        "def dies(*a): os._exit(9)\nvalue = 3\n"
    )
    names = ("bad:fails", "bad:hangs", "bad:dies", "bad:missing", "bad:value", "nowhere:f")
    settings = "".join(f'[[hooks]]\ncall = "{name}"\nstates = ["completed"]\n' for name in names)
    settings = settings.replace('"bad:hangs"\n', '"bad:hangs"\ntimeout = 2\n')
    run, records = run_with(tmp_path, settings, make_notebook(["1"]))
    assert run.state is RunState.COMPLETED
    errors = {record["hook"]: record["error"] for record in records}
    assert list(errors) == list(names)
    assert "ValueError: no such luck" in errors["bad:fails"]
    assert errors["bad:hangs"] == "it did not end within 2 s"
    assert "has no attribute 'missing'" in errors["bad:missing"]
    assert errors["bad:value"].endswith("it is a int, not a function")
    assert "put its module beside nbflow.toml" in errors["nowhere:f"]


@pytest.mark.kernel
def test_a_webhook_is_posted_the_facts_and_the_message(
    make_notebook: NotebookFactory, tmp_path: Path, webhook: Posted
) -> None:
    settings = (
        f'[[hooks]]\nurl = "http://{webhook.url}"\nstates = ["failed"]\n'
        'template = "{parameters[region]}: {state}{colon} {message}"\n'
        f'[[hooks]]\nurl = "json://{webhook.url}"\nstates = ["failed"]\n'
        '[[hooks]]\nurl = "http://127.0.0.1:9/none"\nstates = ["failed"]\nflow = "sales/*"\n'
    )
    path = make_notebook(["raise ValueError('no')"], parameters="region = 'EU'")
    run, records = run_with(tmp_path, settings, path, region="US")
    assert [record["error"] for record in records] == [None, None]
    direct, by_apprise = webhook
    assert direct["text"] == "US: failed: ValueError: no in cell In [3]"
    assert (direct["id"], direct["state"], direct["old_state"]) == (run.id, "failed", "running")
    assert direct["parameters"] == {"region": "US"}
    assert by_apprise["title"] == "nbflow: failed"
    assert run.name in by_apprise["message"]


def test_a_url_with_a_password_is_not_shown_whole() -> None:
    assert read_hook("https://user:secret@example.org/x?token=abc").label == "https://example.org"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('hooks = ["no colon"]', "expected package.module:function"),
        ('hooks = ["a:b:c"]', "expected package.module:function"),
        ('hooks = "a:b"', "expected a list"),
        ('[[hooks]]\ncall = "a:b"\nurl = "json://x"', "either 'call'"),
        ('[[hooks]]\ncall = "a:b"\nstates = ["done"]', "there are scheduled, pending"),
        ('[[hooks]]\ncall = "a:b"\nwhen = 1', "unknown key 'when'"),
    ],
)
def test_a_hook_that_cant_be_is_refused_at_once(tmp_path: Path, settings: str, message: str) -> None:
    (tmp_path / "nbflow.toml").write_text(settings)
    with pytest.raises(ConfigError, match=message):
        load_config({}, tmp_path)


def test_a_template_reaches_no_attributes() -> None:
    facts = {"name": "n", "flow": "f", "state": "failed", "message": "", "parameters": {"x": [1, 2]}}
    assert render_message("{name} {parameters[x][1]}", facts) == "n 2"
    with pytest.raises(Exception, match="template"):
        render_message("{name.__class__}", facts)
