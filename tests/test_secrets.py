"""A secret value is in nothing that a run writes, shows or starts, during the run and after it."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.api.flow import Flow
from nbflow.api.run import Run
from nbflow.engines.masking import Mask, MaskedStream
from nbflow.events import EventKind
from nbflow.lifecycle import RunState
from nbflow.project import Project
from tests.cli_fixtures import CommandLine
from tests.conftest import NotebookFactory
from tests.project_fixtures import wait_until

pytestmark = pytest.mark.kernel
Load = Callable[[Path], Flow]

CORE = "q7ZtcoreVm4Lw9Kx"
"""In every secret below: no spelling changes it, so that it can be searched for."""
SECRETS = {
    "plain": f"hunter2-{CORE}",
    "awkward": f"""a"b'c\\d <&>é$x {CORE} %20\\n""",
    "long": f"{CORE}." + "0123456789abcdef" * 12,
    "lines": f"-----BEGIN KEY-----\n{CORE}AAAA\nBBBB{CORE}\n-----END KEY-----",
}
DECLARED = "from nbflow import Secret\ntoken: Secret"
CHECK = "assert token == bytes.fromhex({hex!r}).decode()\n"
"""The value arrived: else nothing below would prove anything. It is not in the notebook's own source."""

SHOWN = {
    "printed": "print(token)\nprint(f'<{token}>' * 3)\nprint([token], {token: token})",
    "in pieces": "for c in token: print(c, end='', flush=True)\nprint()",
    "in blocks": "import sys\nfor i in range(0, len(token), 5): sys.stdout.write(token[i:i + 5])",
    "slowly": "import time\nfor c in token: print(c, end='', flush=True); time.sleep(0.02)",
    "to stderr": "import logging, sys\nprint(token, file=sys.stderr)\nlogging.getLogger().warning('token=%s', token)",
    "as results": "from IPython.display import HTML, JSON, Markdown, display\n"
    "display(token, HTML(f'<b>{token}</b>'), JSON({'token': token, token: 1}), Markdown(token))\ntoken",
    "escaped": "import html, json, urllib.parse\n"
    "print(html.escape(token), json.dumps(token), urllib.parse.quote(token, safe=''), repr(token))",
    "in a frame": "import pandas as pd\nframe = pd.DataFrame({'token': [token], token: [1]})\nprint(frame)\nframe",
    "by programs": "import os, subprocess\nsubprocess.run(['cat'], input=token, text=True)\n"
    "print(subprocess.run(['cat'], input=token, capture_output=True, text=True).stdout)\n"
    "os.write(1, token.encode()); os.write(2, token.encode())",
    "recorded": "import nbflow\nnbflow.record('token', token)\nnbflow.record('nested', {token: [token]})\n"
    "import pandas as pd\nnbflow.record('frame', pd.DataFrame({'token': [token]}))",
    "renamed": "import nbflow\nrun = nbflow.current_run()\nrun.rename(f'run {token}')\nrun.log(f'log {token}')",
    "stored": "for key, value in [('k', [token]), (token, 1), ('k', {'deep': f'<{token}>'}), ('k', token)]:\n"
    "    try:\n        nbflow.kv.set(key, value)\n        raise AssertionError('stored')\n"
    "    except nbflow.NbflowError as error:\n        assert 'secret parameter token' in str(error), error\n"
    "nbflow.kv['plain'] = 'x'",
    "updated": "handle = display(token, display_id=True)\nhandle.update(token * 2)\nfrom IPython.display import clear_output\n"
    "clear_output()\nprint(token)",
    "in widgets": "import ipywidgets as w\nout = w.Output()\nwith out:\n    print(token)\n    display(token)\n"
    "display(out, w.Text(value=token, description=token))",
    "in colours": "for c in token: print(f'\\x1b[31m{c}\\x1b[0m', end='')\nprint()",
    "at the end": "import atexit, threading\natexit.register(print, token)\n"
    "threading.Timer(0.2, print, [token]).start()",
    "cut": "print('x' * 150_000, token)\nprint('y' * (100_000 - 5) + token)",
}


_COLOURS = re.compile(rb"(?:\x1b|\\u001b)\[[0-9;]*m")


def find_leaks(*folders: Path) -> list[str]:
    """Files whose bytes, or whose bytes without terminal colours, hold the secret."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            with suppress(OSError):
                content = path.read_bytes() if path.is_file() else b""
                if CORE.encode() in os.fsencode(path.name) + content + _COLOURS.sub(b"", content):
                    found.append(str(path))
    return found


def find_processes(*marks: str) -> list[str]:
    """Processes in whose command line or environment one of *marks* stands."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                text = command + b"\0" + (folder / "environ").read_bytes()
                if any(mark.encode() in text for mark in marks):
                    found.append(f"{folder.name}: {command!r}")
    return found


def describe(run: Run) -> str:
    """Everything that the project tells of a run."""
    events = [(event.kind, event.data) for event in run.events()]
    return f"{run.record!r}{run!r}{run._repr_html_()}{run.logs()}{run.results}{run.parameters}{run.given}{events}"


@contextmanager
def watching(folder: Path) -> Iterator[list[str]]:
    """What is leaked while the block runs, looked for all the time."""
    leaks: list[str] = []
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.05):
            leaks.extend(find_leaks(folder))
            leaks.extend(find_processes(CORE))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield leaks
    finally:
        end.set()
        thread.join()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of the test go, IPython's among them."""
    folder = tmp_path / "temporary"
    (folder / "ipython").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    return folder


@pytest.fixture
def flow(project: Project, temporary: Path) -> Load:
    """As everywhere, but for a variable in whose presence ipykernel does not catch what programs print."""

    def load(path: Path) -> Flow:
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        return Flow(project.load(path), project)

    return load


@pytest.fixture
def here(tmp_path: Path, temporary: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_whatever_a_notebook_does_with_it_nothing_of_a_secret_is_kept(
    flow: Load, make_notebook: NotebookFactory, here: Path, secret: str
) -> None:
    cells = [CHECK.format(hex=secret.encode().hex()), *SHOWN.values()]
    path = make_notebook(cells, parameters=f"{DECLARED}\nurl = 'https://user@host'")
    with watching(here) as leaks:
        run = flow(path).options(report="html", timeout=90, raise_on_failure=False).run(token=secret)
    assert run.failure is None, run.failure
    assert not leaks
    assert not find_leaks(here)
    assert CORE not in describe(run)
    assert run.parameters["token"] == "********"
    assert run.results["token"] == "********"
    assert run.name == "run ********"
    printed = [line for line in run.logs() if "********" in line]
    assert len(printed) > 10


def test_outputs_of_a_run_with_a_secret_are_its_owners_alone(
    flow: Load, make_notebook: NotebookFactory, here: Path
) -> None:
    path = make_notebook(["print(token)"], parameters=DECLARED)
    output = here / "out.ipynb"
    output.write_text("{}")
    output.chmod(0o644)
    run = flow(path).options(output=str(output), report="html").run(token=SECRETS["plain"])
    assert run.output_path == output
    for file in (output, output.with_suffix(".html"), *here.joinpath("home", "runs").rglob("*.*")):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


FAILURES = {
    "message": "raise ValueError(f'bad {token}')",
    "long message": "raise ValueError('x' * 290 + token)",
    "verbose": "%xmode Verbose\ndef f(argument):\n    raise KeyError(argument)\nf(token)",
    "chained": "try:\n    int(token)\nexcept ValueError as error:\n    raise RuntimeError(token) from error",
    "exit": "import sys; sys.exit(token)",
    "death": "import os, time\nprint(token, flush=True)\ntime.sleep(0.3)\nos.abort()",
    "fault": "import faulthandler, os, sys\nos.write(2, token.encode())\nprint(token, file=sys.__stderr__, flush=True)\n"
    "print(token, file=sys.__stdout__, flush=True)\n1/0",
}


@pytest.mark.parametrize("source", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("secret", [SECRETS["plain"], SECRETS["awkward"]], ids=["plain", "awkward"])
def test_a_failure_does_not_tell_the_secret(
    flow: Load, make_notebook: NotebookFactory, here: Path, source: str, secret: str
) -> None:
    path = make_notebook([source], parameters=DECLARED)
    run = flow(path).options(report="html", retries=1, retries_on_loss=1, raise_on_failure=False).run(token=secret)
    assert run.state in (RunState.FAILED, RunState.CRASHED)
    assert run.record.attempts == 2
    assert not find_leaks(here)
    assert CORE not in describe(run)
    assert CORE not in str(run.to_error())


def test_a_secret_in_a_name_or_a_path_is_refused_or_masked(
    flow: Load, make_notebook: NotebookFactory, here: Path
) -> None:
    path = make_notebook(["print('on')"], parameters=f"{DECLARED}\nurl: str = ''")
    secret = SECRETS["plain"]
    for options in ({"name": "run-{token}"}, {"output": str(here / "out-{token}.ipynb")}):
        with pytest.raises(Exception, match="token") as caught:
            flow(path).options(**options).submit(token=secret)
        assert CORE not in str(caught.value)
    assert not find_leaks(here)


def test_a_parameter_computed_from_a_secret_is_masked(flow: Load, make_notebook: NotebookFactory, here: Path) -> None:
    cells = [{"source": "import os\nurl = 'https://' + os.environ.get('NO_SUCH', 'x')", "tags": []}, "print(url)"]
    path = make_notebook(cells, parameters=f"{DECLARED}\nurl: str = 'https://x'")
    run = flow(path).run(token=SECRETS["plain"], url=f"https://{SECRETS['plain']}@host")
    assert run.state is RunState.COMPLETED
    # A value that the caller himself puts into an ordinary parameter is an ordinary value: masked where it is shown.
    assert CORE not in "".join(run.logs())


def test_no_cell_of_a_run_is_in_the_users_history(flow: Load, make_notebook: NotebookFactory, temporary: Path) -> None:
    run = flow(make_notebook(["mark = 'never in the history'", "print(get_ipython().ipython_dir)"])).run()
    assert run.logs() == [str(temporary / "ipython")]
    for file in (temporary / "ipython").rglob("*"):
        assert not file.is_file() or b"never in the history" not in file.read_bytes(), file


@pytest.mark.parametrize("way", ["env", "file", "stdin"])
@pytest.mark.parametrize("detach", [False, True], ids=["waits", "detached"])
def test_the_command_line_takes_a_secret_and_shows_it_to_nobody(
    cli: CommandLine, make_notebook: NotebookFactory, here: Path, way: str, detach: bool
) -> None:
    secret = SECRETS["awkward"].replace("\n", "")
    begun, go = here / "begun", here / "go"
    wait = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)"
    path = make_notebook([CHECK.format(hex=secret.encode().hex()) + "print('token', token)", wait], parameters=DECLARED)
    kept = here.parent / f"{here.name}-kept"
    kept.mkdir()
    (kept / "secret.txt").write_text(secret + "\n", encoding="utf-8")
    spelled = {"env": "env:THE_TOKEN", "file": f"file:{kept / 'secret.txt'}", "stdin": "-"}[way]
    env = {"THE_TOKEN": secret} if way == "env" else {}
    leaks: list[str] = []

    def look() -> None:
        wait_until(begun.exists, 60, "the last cell")
        leaks.extend(find_leaks(here))
        if way != "env":  # who puts it into the environment hands it to all that he starts
            leaks.extend(find_processes(CORE))
        go.touch()

    thread = threading.Thread(target=look)
    thread.start()
    arguments = ["run", path, "-p", f"token={spelled}", *(["--detach"] if detach else [])]
    answer = cli(*arguments, stdin=secret + "\n" if way == "stdin" else "", env=env)
    thread.join()
    assert answer.code == 0, answer.err
    assert not leaks
    [run] = cli("runs", "ls", "--json").json
    wait_until(lambda: cli("runs", "show", run["id"], "--json").json["state"] == "completed", 60, "the end")
    told = [answer.out, answer.err]
    for command in (("show", run["id"]), ("logs", run["id"]), ("show", run["id"], "--json"), ("ls",)):
        said = cli("runs", *command)
        told += [said.out, said.err]
    assert not find_leaks(here)
    assert CORE not in "".join(told)
    assert any("token ********" in text for text in told)


def test_a_wrong_secret_is_refused_without_being_told(
    cli: CommandLine, make_notebook: NotebookFactory, here: Path
) -> None:
    declared = "from typing import Annotated\nfrom nbflow import Pattern, Secret\ntoken: Annotated[Secret, Pattern('[0-9]+')]\nn: int = 1"
    path = make_notebook(["print(token)"], parameters=declared)
    answer = cli("run", path, "-p", f"token={CORE}", "-p", "n=x")
    assert answer.code == 2
    assert CORE not in answer.out + answer.err
    assert not find_leaks(here)


def test_a_secret_is_needed_again_for_a_further_attempt(
    flow: Load, make_notebook: NotebookFactory, project: Project, here: Path
) -> None:
    path = make_notebook(["assert len(token) > 20"], parameters=DECLARED)
    run = flow(path).options(raise_on_failure=False).run(token=CORE)
    assert run.state is RunState.FAILED
    with pytest.raises(Exception, match="secret"):
        run.retry()
    again = run.rerun(token=SECRETS["plain"]).wait()
    assert again.state is RunState.COMPLETED
    assert not find_leaks(here)
    assert all(event.kind is not EventKind.LOG for event in again.events())
    assert json.loads(json.dumps(again.given)) == {"token": "********"}


def test_a_secret_that_the_notebook_gets_for_itself_is_masked_too(
    flow: Load, make_notebook: NotebookFactory, here: Path
) -> None:
    (here / "work").mkdir()
    kept = here.parent / f"{here.name}-kept.txt"
    kept.write_text(SECRETS["plain"])
    declared = f"import pathlib\nfrom nbflow import Secret\ntoken: Secret = pathlib.Path({str(kept)!r}).read_text()"
    run = flow(make_notebook(["print('token', token)\ntoken"], parameters=declared)).run()
    assert run.logs() == ["token ********"]
    assert not find_leaks(here)
    assert run.output_path is not None
    assert stat.S_IMODE(run.output_path.stat().st_mode) & 0o077 == 0


@given(
    secrets=st.lists(st.text("ab", min_size=2, max_size=6), min_size=1, max_size=3),
    pieces=st.lists(st.one_of(st.text("ab.\x1b", max_size=5), st.just("\x1b[31m"), st.just("\x1b[")), max_size=12),
)
@settings(max_examples=500, deadline=None)
def test_however_a_text_comes_in_pieces_no_secret_is_left_in_it(secrets: list[str], pieces: list[str]) -> None:
    stream = MaskedStream(Mask(secrets))
    shown = "".join([*map(stream.feed, pieces), stream.finish()])
    plain = _COLOURS.sub(b"", shown.encode()).decode()
    assert not any(secret in plain for secret in secrets), shown
