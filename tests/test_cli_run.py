"""``nbflow run`` from outside: what it prints, the exit code, what is left behind."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli_fixtures import CommandLine, read_until
from tests.conftest import NotebookFactory

pytestmark = pytest.mark.kernel

HANG = "import threading\nprint('waiting', flush=True)\nthreading.Event().wait(60)"


def test_a_run_shows_its_cells_its_log_and_its_results(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["# Count\nfor n in range(x):\n    print('row', n)", "import nbflow\nnbflow.record('rows', x * 2)", "x + 39"],
        parameters="x: int = 1  # how many",
    )
    answer = cli("run", path, "-p", "x=3")
    assert answer.code == 0
    assert answer.out.splitlines()[:3] == ["row 0", "row 1", "row 2"]
    assert "42" in answer.out.splitlines()
    assert "completed in" in answer.out
    assert "result rows  6" in answer.out
    assert "executed.ipynb" in answer.out
    assert "[3/5] Count" in answer.error_lines
    assert answer.error_lines[-1].startswith("[5/5]")


def test_wrong_values_end_before_a_kernel_starts(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["open('started', 'w')"], parameters="x: int = 1\ncolour: str = 'red'")
    for pair, told in [("x=abc", "x"), ("y=3", "x"), ("color=blue", "colour"), ("x=1.5", "int"), ("class=1", "class")]:
        answer = cli("run", path, "-p", pair)
        assert answer.code == 2
        assert answer.out == ""
        assert 1 <= len(answer.error_lines) <= 3
        assert told in answer.err
    assert not (path.parent / "started").exists()
    assert cli("runs", "ls", "--json").json == []


def test_all_faults_of_a_call_come_together(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(parameters="a: int\nb: int\nc: int\nd: int\ne: float = 1.0")
    answer = cli("run", path, "-p", "e=x")
    assert answer.code == 2
    assert len(answer.error_lines) <= 3
    for name in "abcde":
        assert f"{name}" in answer.err.replace("error", "")


@pytest.mark.parametrize("spelling", ["pair", "equals", "json", "yaml", "inline", "base64"])
def test_every_way_to_give_values_reaches_the_notebook(
    cli: CommandLine,
    make_notebook: NotebookFactory,
    tmp_path: Path,
    spelling: str,
) -> None:
    path = make_notebook(
        ["import json, nbflow\nnbflow.record('seen', repr((n, text, day, table)))"],
        parameters="from datetime import date\nn: int = 0\ntext: str = ''\nday: date = date(2000, 1, 1)\ntable: dict = {}",
    )
    values = {"n": -5, "text": "a=b \u2028 😀", "day": "2026-01-31", "table": {"k": [1e22, None]}}
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    for name in ("values.json", "values.yaml"):
        (tmp_path / name).write_text(json.dumps(values), encoding="utf-8")
    options = {
        "pair": [part for name, text in written.items() for part in ("-p", name, text)],
        "equals": [part for name, text in written.items() for part in ("-p", f"{name}={text}")],
        "json": ["-f", str(tmp_path / "values.json")],
        "yaml": ["-f", str(tmp_path / "values.yaml")],
        "inline": ["-y", json.dumps(values)],
        "base64": ["-b", base64.b64encode(json.dumps(values).encode()).decode()],
    }[spelling]
    answer = cli("run", path, *options, "--json")
    assert answer.code == 0, answer.err
    import datetime

    expected = (-5, values["text"], datetime.date(2026, 1, 31), {"k": [1e22, None]})
    assert answer.json["results"]["seen"] == repr(expected)
    assert answer.json["parameters"] == values


def test_json_is_all_there_is_on_standard_output(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print('hello')"], parameters="odd: list[float] = []")
    answer = cli("run", path, "--json", "--tag", "t", "--name", "n", "-p", "odd=[NaN, Infinity]")
    assert answer.json["state"] == "completed"
    assert answer.json["tags"] == ["t"]
    assert answer.json["name"] == "n"
    assert answer.json["parameters"]["odd"] == ["NaN", "Infinity"]
    assert "hello" in answer.error_lines


def test_no_logs_and_no_progress_bar_leave_the_summary(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    answer = cli("run", make_notebook(["print('hello')"]), "--no-logs", "--no-progress-bar")
    assert answer.code == 0
    assert "hello" not in answer.out
    assert answer.out.startswith("completed")
    assert answer.err == ""


def test_a_failure_names_cell_error_and_the_way_on(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["x = 1", "# Divide\nx / 0", "print('never')"])
    answer = cli("run", path)
    assert answer.code == 1
    assert "never" not in answer.out
    assert "failed in" in answer.err
    assert "2 of 3: Divide" in answer.err
    assert "ZeroDivisionError: division by zero" in answer.err
    assert "x / 0" in answer.err
    assert "executed.ipynb" in answer.err
    assert "nbflow runs show" in answer.err
    assert "Traceback (most recent call last):\n  File" not in answer.err


@pytest.mark.parametrize(
    ("cells", "options", "code", "state"),
    [
        (["import sys\nsys.exit(0)"], [], 0, "completed"),
        (["import sys\nsys.exit(3)"], [], 1, "failed"),
        (["import os\nos._exit(7)"], [], 4, "crashed"),
        (["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"], [], 4, "crashed"),
        ([HANG], ["--timeout", "2"], 5, "timed_out"),
        ([HANG], ["--execution-timeout", "1"], 5, "timed_out"),
        ([{"source": "1 / 0", "tags": ["raises-exception"]}, "1"], [], 0, "completed"),
    ],
    ids=["exit0", "exit3", "os_exit", "sigkill", "run-timeout", "cell-timeout", "raises-exception"],
)
def test_the_exit_code_tells_how_it_ended(
    cli: CommandLine,
    make_notebook: NotebookFactory,
    cells: list[str],
    options: list[str],
    code: int,
    state: str,
) -> None:
    answer = cli("run", make_notebook(cells), *options, "--json", "--no-logs")
    assert answer.json["state"] == state
    assert answer.code == code


def test_an_unknown_kernel_is_told_before_anything_starts(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    answer = cli("run", make_notebook(["1"]), "-k", "no-such-kernel")
    assert answer.code == 3
    assert len(answer.error_lines) <= 3
    assert "no-such-kernel" in answer.err


def test_a_kernel_that_does_not_start_is_exit_3(
    cli: CommandLine, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    kernel = tmp_path / "jupyter" / "kernels" / "broken" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false", "{connection_file}"], "display_name": "b", "language": "python"}))
    answer = cli("run", make_notebook(["1"]), "-k", "broken", env={"JUPYTER_PATH": str(tmp_path / "jupyter")})
    assert answer.code == 3
    assert answer.out == ""
    assert "crashed" in answer.err
    assert "'broken'" in answer.err


@pytest.mark.parametrize(("signals", "code", "reason"), [
    ([signal.SIGINT], 130, "SIGINT"),
    ([signal.SIGTERM], 143, "SIGTERM"),
    ([signal.SIGHUP], 129, "SIGHUP"),
    ([signal.SIGINT, signal.SIGINT], 130, "SIGINT"),
])  # fmt: skip
def test_a_signal_cancels_the_run(
    cli: CommandLine,
    make_notebook: NotebookFactory,
    signals: list[signal.Signals],
    code: int,
    reason: str,
) -> None:
    stubborn = "try:\n    wait()\nfinally:\n    wait()" if len(signals) > 1 else "wait()"
    path = make_notebook(
        [f"import threading\nwait = lambda: threading.Event().wait(60)\nprint('waiting', flush=True)\n{stubborn}"]
    )
    process = cli.start("run", path)
    read_until(process, "waiting")
    for number, note in zip(signals, ("cancelling", "killing"), strict=False):
        process.send_signal(number)
        read_until(process, note, stream="stderr")
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    run = cli("runs", "ls", "--json").json[0]
    assert run["state"] == "cancelled"
    assert run["cancel_reason"] == reason
    assert "waiting" in cli("runs", "logs", run["id"]).out.splitlines()
    if len(signals) == 1:
        notebook = json.loads(Path(run["output_path"]).read_text())
        assert "waiting" in json.dumps([cell.get("outputs") for cell in notebook["cells"]])


def test_a_reader_that_has_seen_enough_does_not_stop_the_run(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["for n in range(20000):\n    print('line', n)", "open('done', 'w').close()"])
    process = cli.start("run", path)
    assert process.stdout is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert (path.parent / "done").exists()


def test_detached_runs_go_on_by_themselves(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print('hello')"], parameters="x: int = 1")
    answer = cli("run", path, "-p", "x=2", "--detach")
    assert answer.code == 0
    run_id = answer.out.strip()
    followed = cli("runs", "logs", run_id, "--follow")
    assert followed.code == 0
    assert "hello" in followed.out.splitlines()
    shown = cli("runs", "show", run_id, "--json").json
    assert shown["state"] == "completed"
    assert shown["parameters"] == {"x": 2}


def test_the_executed_notebook_goes_where_it_is_wanted(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print(x)"], parameters="x: int = 1")
    assert cli("run", path, "out-{x}.ipynb", "-p", "x", "7").code == 0
    notebook = json.loads((cli.cwd / "out-7.ipynb").read_text())
    assert notebook["metadata"]["papermill"]["parameters"] == {"x": 7}
    assert cli("run", path, "a.ipynb", "-o", "b.ipynb").code == 2


@pytest.mark.parametrize("output", ["missing/out.ipynb", ".", "same"])
def test_an_output_that_can_not_be_is_refused_first(
    cli: CommandLine, make_notebook: NotebookFactory, output: str
) -> None:
    path = make_notebook(["open('started', 'w')"])
    answer = cli("run", path, "-o", path if output == "same" else output)
    assert answer.code == 2
    assert len(answer.error_lines) <= 3
    assert not (path.parent / "started").exists()


def test_a_completed_run_is_reused_where_that_is_wanted(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import nbflow\nnbflow.record('twice', x * 2)"], parameters="x: int = 1")
    first = cli("run", path, "-p", "x=4", "--json").json
    again = cli("run", path, "-p", "x=4", "--skip-completed")
    assert again.code == 0
    assert "skipped" in again.out
    assert first["id"] in again.out
    assert "8" in again.out
    assert cli("run", path, "-p", "x=5", "--skip-completed", "--json").json["state"] == "completed"


def test_a_failing_notebook_is_tried_again(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["from pathlib import Path\nmark = Path('mark')\nknown = mark.exists()\nmark.touch()\nassert known"]
    )
    answer = cli("run", path, "--retries", "2", "--retry-delay", "0.1")
    assert answer.code == 0, answer.err
    assert "attempt 2" in answer.err
    run = cli("runs", "ls", "--json").json[0]
    assert run["attempts"] == 2


def test_a_secret_is_read_from_standard_input_and_shown_nowhere(
    cli: CommandLine, make_notebook: NotebookFactory
) -> None:
    path = make_notebook(
        ["print(len(token), token)", "import nbflow\nnbflow.record('length', len(token))"],
        parameters="from nbflow import Secret\ntoken: Secret",
    )
    for options, stdin, env in [
        (["-p", "token=-"], "hunter2-piped\n", {}),
        (["-p", "token", "-"], "hunter2-piped\n", {}),
        (["-p", "token=env:MY_TOKEN"], "", {"MY_TOKEN": "hunter2-piped"}),
    ]:
        answer = cli("run", path, *options, stdin=stdin, env=env)
        assert answer.code == 0, answer.err
        assert "result length  13" in answer.out
        assert "hunter2" not in answer.out + answer.err
    everything = b"".join(file.read_bytes() for file in cli.home.rglob("*") if file.is_file())
    assert b"hunter2" not in everything
    empty = cli("run", path, "-p", "token=-")
    assert empty.code == 2
    assert "token" in empty.err


def test_a_secret_is_asked_for_hidden_on_a_terminal(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["import nbflow\nnbflow.record('length', len(token))"], parameters="from nbflow import Secret\ntoken: Secret"
    )
    answer = cli.on_terminal("run", path, "-p", "token=-", typed="hunter2\n", wait_for="token:")
    assert answer.code == 0
    assert "token:" in answer.out
    assert "hunter2" not in answer.out
    assert "result length  7" in answer.out


def test_a_terminal_sees_the_bar_the_colours_and_nothing_dangerous(
    cli: CommandLine, make_notebook: NotebookFactory
) -> None:
    path = make_notebook([
        "# Prepare\nprint('\\x1b[31mred\\x1b[0m \\x1b]0;evil\\x07title')",
        "# Progress\nimport sys, time\nfor n in range(3):\n    print(f'\\r{n} of 3', end='', flush=True)\n    time.sleep(0.3)\nprint()",
    ])  # fmt: skip
    answer = cli.on_terminal("run", path)
    assert answer.code == 0
    assert "cell 2 of 2" in answer.out
    assert "Progress" in answer.out
    assert "\x1b[31mred" in answer.out
    assert "\x1b]0" not in answer.out
    assert "evil" not in answer.out
    assert "2 of 3" in answer.out
    assert "completed" in answer.out
    plain = cli.on_terminal("run", path, env={"NO_COLOR": "1"})
    assert "\x1b[31m" not in plain.out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_no_encoding_makes_printing_fail(cli: CommandLine, make_notebook: NotebookFactory, encoding: str) -> None:
    path = make_notebook(["print('é 😀')"])
    answer = cli("run", path, "--name", "é😀", env={"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert answer.code == 0, answer.err
    assert "\\U0001f600" in answer.out
    on_terminal = cli.on_terminal("run", path, env={"PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"})
    assert on_terminal.code == 0, on_terminal.out


def test_the_notebooks_streams_go_to_files_as_with_papermill(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["import sys\nprint('out')\nprint('err', file=sys.stderr)"])
    answer = cli("run", path, "--stdout-file", "o.txt", "--stderr-file", "e.txt")
    assert answer.code == 0
    assert (cli.cwd / "o.txt").read_text() == "out\n"
    assert (cli.cwd / "e.txt").read_text() == "err\n"
    assert cli("run", path, "--stdout-file", "missing/o.txt").code == 2


def test_no_process_outlives_an_interrupted_run(cli: CommandLine, make_notebook: NotebookFactory) -> None:
    path = make_notebook(
        ["import os\nprint('pid', os.getpid(), flush=True)\nimport threading\nthreading.Event().wait(60)"]
    )
    process = cli.start("run", path)
    pid = int(read_until(process, "pid").rsplit(None, 1)[-1])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_can_be_started_as_the_installed_script(cli: CommandLine) -> None:
    import shutil
    import sys

    script = shutil.which("nbflow", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nbflow ")
