"""``nbflow runs``: finding, showing, ending and repeating runs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli_fixtures import CommandLine, read_until
from tests.conftest import NotebookFactory

pytestmark = pytest.mark.kernel

WAIT = "import threading\nprint('waiting', flush=True)\nthreading.Event().wait(60)"
Submit = Callable[..., dict[str, Any]]


@pytest.fixture
def submit(cli: CommandLine, make_notebook: NotebookFactory) -> Submit:
    """Runs a small notebook to its end; the run as JSON. ``x=0`` makes it fail."""
    path = make_notebook(
        ["# Say it\nprint('x is', x)", "import nbflow\nnbflow.record('ratio', 6 / x)"],
        parameters="from datetime import datetime\nx: int = 1\nlabel: str = 'plain'\nwhen: datetime = datetime.now()",
        name="small.ipynb",
    )

    def run(*options: object) -> dict[str, Any]:
        found = cli("run", path, "--json", *options).json
        assert isinstance(found, dict)
        return found

    return run


def test_runs_are_listed_newest_first_and_filtered(cli: CommandLine, submit: Submit) -> None:
    first = submit("-p", "x=2", "--tag", "a", "--name", "report-{x}")
    second = submit("-p", "x=0", "--tag", "a", "--tag", "b")
    listed = [run["id"] for run in cli("runs", "--json").json]
    assert listed == [second["id"], first["id"]]
    for options, expected in [
        (["--state", "failed"], [second]),
        (["--state", "failed", "--state", "completed"], [second, first]),
        (["--tag", "a"], [second, first]),
        (["--tag", "a", "--tag", "b"], [second]),
        (["--name", "REPORT"], [first]),
        (["-p", "x=2"], [first]),
        (["-p", "label=plain", "-p", "x=0"], [second]),
        (["-p", "label=fancy"], []),
        (["--flow", first["source_path"]], [second, first]),
        (["--flow", "other/flow"], []),
        (["--since", "1h"], [second, first]),
        (["--since", "2999-01-01"], []),
        (["--limit", "1"], [second]),
        (["--limit", "0"], [second, first]),
    ]:
        found = cli("runs", "ls", *options, "--json").json
        assert [run["id"] for run in found] == [run["id"] for run in expected], options
    table = cli("runs").out.splitlines()
    assert table[0].split() == ["run", "state", "name", "started", "took", "parameters"]
    assert "report-2" in table[2]
    assert "x=2" in table[2]
    assert cli("runs", "--state", "crashed").out == ""
    wrong = cli("runs", "ls", "-p", "x")
    assert (wrong.code, "expected NAME=VALUE" in wrong.err) == (2, True)


def test_a_run_is_shown_with_given_and_default_values(cli: CommandLine, submit: Submit) -> None:
    run = submit("-p", "x=3", "--tag", "nightly")
    answer = cli("runs", "show", run["id"][:6])
    assert answer.code == 0
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert f"run {run['id']}" in lines
    assert "state completed" in lines
    assert "x 3 (given)" in lines
    assert "label plain (default)" in lines
    assert any(line.startswith("when 20") and line.endswith("(default)") for line in lines)
    assert "ratio 2.0" in lines
    assert f"notebook {run['output_path']}" in lines
    shown = cli("runs", "show", run["id"], "--json").json
    assert shown["values"]["x"] == 3
    assert [one["state"] for one in shown["tries"]] == ["succeeded"]


def test_a_failed_run_is_shown_with_its_traceback(cli: CommandLine, submit: Submit) -> None:
    run = submit("-p", "x=0")
    answer = cli("runs", "show", run["id"])
    assert "ZeroDivisionError: division by zero" in answer.out
    assert "nbflow.record('ratio', 6 / x)" in answer.out
    assert run["failure"]["ename"] == "ZeroDivisionError"


def test_an_unknown_run_is_told(cli: CommandLine) -> None:
    for command in ("show", "logs", "cancel", "retry", "rerun", "open", "report"):
        answer = cli("runs", command, "abcdef")
        assert answer.code == 2
        assert "abcdef" in answer.err
        assert len(answer.error_lines) <= 3


def test_logs_are_what_was_printed(cli: CommandLine, submit: Submit) -> None:
    run = submit("-p", "x=2")
    assert "x is 2" in cli("runs", "logs", run["id"]).out.splitlines()
    assert {"stream": "stdout", "text": "x is 2"}.items() <= cli("runs", "logs", run["id"], "--json").json[0].items()
    followed = cli("runs", "logs", run["id"], "--follow", "--json")
    assert followed.code == 0
    assert "x is 2" in [json.loads(line)["text"] for line in followed.out.splitlines()]
    assert cli("runs", "logs", submit("-p", "x=0")["id"], "--follow").code == 1


def test_a_run_is_cancelled_from_elsewhere(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    process = cli.start("run", make_notebook([WAIT]))
    read_until(process, "waiting")
    run_id = cli("runs", "--state", "running", "--json").json[0]["id"]
    answer = cli("runs", "cancel", run_id, "--wait")
    assert answer.code == 0
    assert answer.out == f"{run_id}  cancelled\n"
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert cli("runs", "cancel", run_id).out == f"{run_id}  cancelled\n"


def test_following_can_be_left_without_ending_the_run(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    import signal

    path = make_notebook([
        "import os, time\nprint('waiting', flush=True)\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\nprint('went on')"
    ])  # fmt: skip
    run_id = cli("run", path, "--detach").out.strip()
    process = cli.start("runs", "logs", run_id, "--follow")
    read_until(process, "waiting")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    (path.parent / "go").touch()
    followed = cli("runs", "logs", run_id, "--follow")
    assert followed.code == 0
    assert "went on" in followed.out


def test_a_failed_run_is_tried_again_under_its_own_id(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import os\nassert os.path.exists('ready'), 'not ready'"])
    run = cli("run", path, "--json").json
    assert run["state"] == "failed"
    (path.parent / "ready").touch()
    again = cli("runs", "retry", run["id"][:8], "--json").json
    assert again["id"] == run["id"]
    assert again["state"] == "completed"
    assert again["attempts"] == 2
    answer = cli("runs", "retry", run["id"])
    assert answer.code == 2
    assert len(cli("runs", "--json").json) == 1
    assert "attempts" in cli("runs", "show", run["id"]).out


def test_a_run_is_repeated_with_other_values(cli: CommandLine, submit: Submit) -> None:
    run = submit("-p", "x=2", "-p", "label=first")
    for spelling in (["-p", "x=3"], ["-p", "x", "3"]):
        again = cli("runs", "rerun", run["id"], *spelling, "--json").json
        assert again["id"] != run["id"]
        assert again["parameters"] == {"x": 3, "label": "first"}
        assert again["results"] == {"ratio": 2.0}
    assert cli("runs", "rerun", run["id"], "-p", "y=3").code == 2


def test_a_secret_is_given_again_when_a_run_is_repeated(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["import nbflow\nnbflow.record('length', len(token) * x)"],
        parameters="from nbflow import Secret\ntoken: Secret\nx: int = 1",
    )
    run = cli("run", path, "-p", "token=-", "--json", stdin="hunter2\n").json
    again = cli("runs", "rerun", run["id"], "-p", "token=-", "-p", "x=2", "--json", stdin="hunter22\n").json
    assert again["results"] == {"length": 16}
    assert cli("runs", "rerun", run["id"]).code == 2


def test_the_executed_notebook_is_found_again(cli: CommandLine, submit: Submit) -> None:
    run = submit()
    assert cli("runs", "open", run["id"]).out == f"{run['output_path']}\n"
    Path(run["output_path"]).unlink()
    answer = cli("runs", "open", run["id"])
    assert answer.code == 2
    assert run["id"] in answer.err


def test_a_report_is_written_or_the_extra_is_named(cli: CommandLine, submit: Submit) -> None:
    run = submit()
    answer = cli("runs", "report", run["id"], "-o", cli.cwd / "report.html")
    try:
        import nbconvert  # noqa: F401
    except ImportError:
        assert answer.code == 2
        assert "pip install" in answer.err
    else:
        assert answer.out == f"{cli.cwd / 'report.html'}\n"
        assert "x is" in (cli.cwd / "report.html").read_text()


def test_old_runs_are_pruned_only_when_they_are_old(cli: CommandLine, submit: Submit) -> None:
    run = submit()
    assert "0 runs" in cli("prune", "--older-than", "1h").out
    dry = cli("prune", "--older-than", "2999-01-01", "--dry-run")
    assert run["id"] in dry.out
    assert "would" in dry.err
    assert len(cli("runs", "--json").json) == 1
    assert "1 run deleted" in cli("prune", "--older-than", "2999-01-01").out
    assert cli("runs", "--json").json == []
    assert not Path(run["output_path"]).exists()


def test_a_store_that_can_not_be_opened_is_exit_6(
    cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    for args in (["runs"], ["kv", "get", "k"], ["run", make_notebook(["1"])]):
        answer = cli(*args, env={"NBFLOW_HOME": str(blocked / "home")})
        assert answer.code == 6, answer
        assert 1 <= len(answer.error_lines) <= 3
    wrong = cli("runs", env={"NBFLOW_SLOTS": "many"})
    assert wrong.code == 2
    assert "NBFLOW_SLOTS" in wrong.err


def test_two_runs_share_a_store_at_the_same_time(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print(x)"], parameters="x: int = 0")
    running: list[subprocess.Popen[str]] = [cli.start("run", path, "-p", f"x={n}") for n in range(3)]
    for process in running:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert sorted(run["parameters"]["x"] for run in cli("runs", "--json").json) == [0, 1, 2]
