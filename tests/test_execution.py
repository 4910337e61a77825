"""What a run does with a notebook: outputs, log, results, names, folders, secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nbflow.api.flow import Flow
from nbflow.errors import KernelError, OutputError, ParameterError, UsageError
from nbflow.events import EventKind
from nbflow.lifecycle import FailureKind, RunState
from nbflow.ports import RunFilter
from nbflow.project import Project
from tests.conftest import NotebookFactory
from tests.project_fixtures import OpenProject

pytestmark = pytest.mark.kernel
Load = Callable[[Path], Flow]
PARAMETERS = "from datetime import date, timedelta\nx: int = 1\nday: date\nsince = date.fromisoformat('2026-01-01') - timedelta(days=1)"


def test_the_values_really_used_are_recorded(flow: Load, make_notebook: NotebookFactory) -> None:
    target = flow(make_notebook(["print(x, day, since)"], parameters=PARAMETERS))
    run = target.run(day="2026-02-03")
    assert run.logs() == ["1 2026-02-03 2025-12-31"]
    assert run.parameters == {"x": 1, "day": "2026-02-03", "since": "2025-12-31"}
    assert run.given == {"day": "2026-02-03"}
    tags = [cell.metadata.get("tags") for cell in run.notebook.cells]
    assert tags == [["parameters"], ["injected-parameters"], []]
    assert run.notebook.metadata.papermill.parameters == {"day": "2026-02-03"}


def test_a_wrong_value_starts_nothing(flow: Load, make_notebook: NotebookFactory, project: Project) -> None:
    target = flow(make_notebook(["print(x)"], parameters=PARAMETERS))
    with pytest.raises(ParameterError) as caught:
        target.run(x="abc", dya="2026-01-01")
    assert {fault.parameter for fault in caught.value.faults} == {"x", "dya", "day"}
    assert not project.config.home.exists() or not project.list_runs(RunFilter())


def test_printed_text_is_one_output_and_progress_bars_are_one_line(flow: Load, make_notebook: NotebookFactory) -> None:
    code = (
        "import sys, time\nfor i in range(5):\n    print(f'\\r{i * 25}%', end='', flush=True); time.sleep(0.08)\n"
        "print()\nprint('err', file=sys.stderr)\nprint('a'); print('b')"
    )
    run = flow(make_notebook([code])).run()
    assert run.logs(stream="stdout") == ["100%", "a", "b"]
    assert run.logs(stream="stderr") == ["err"]
    partial = [e.data["partial"] for e in run.events() if e.kind is EventKind.LOG and e.data.get("partial")]
    assert partial
    assert partial[-1] == "100%" or partial[-1].endswith("%")
    outputs = [(output.name, output.text) for output in run.notebook.cells[0].outputs]
    assert ("stdout", "\r0%\r25%\r50%\r75%\r100%\na\nb\n") in outputs or len(outputs) == 3


def test_clearing_updating_and_late_outputs_land_where_they_belong(flow: Load, make_notebook: NotebookFactory) -> None:
    cells = [
        "from IPython.display import display, clear_output\nprint('old'); clear_output(); print('new')",
        "handle = display('first', display_id=True)",
        "handle.update('second')",
        "import threading, time\nthread = threading.Thread(target=lambda: (time.sleep(0.3), print('late')))\nthread.start()",
        "thread.join(); print('after')",
    ]
    run = flow(make_notebook(cells)).run()
    cells = run.notebook.cells
    assert [output.text for output in cells[0].outputs] == ["new\n"]
    assert cells[1].outputs[0].data["text/plain"] == "'second'"
    printed = [output.text for cell in cells[3:] for output in cell.outputs]
    assert "".join(printed).split() == ["late", "after"]


def test_results_come_back_as_what_was_recorded(flow: Load, make_notebook: NotebookFactory) -> None:
    code = """
import nbflow, numpy as np, pandas as pd, datetime as dt
nbflow.record("rows", np.int64(1234))
nbflow.record("ratio", 0.5)
nbflow.record("nested", {"a": [1, None, "é"], "day": dt.date(2026, 1, 31)})
nbflow.record("table", pd.DataFrame({"day": pd.date_range("2026-01-01", periods=2), "n": [1, 2]}))
nbflow.record("rows", 5)
"""
    run = flow(make_notebook([code])).run()
    assert run.results["rows"] == 5
    assert run.results["ratio"] == 0.5
    assert run.results["nested"] == {"a": [1, None, "é"], "day": "2026-01-31"}
    table = run.results["table"]
    assert list(table.columns) == ["day", "n"]
    assert table["day"].dt.year.tolist() == [2026, 2026]
    with pytest.raises(KeyError, match="this run recorded rows, ratio"):
        run.results["rwos"]


def test_scrapbooks_scraps_are_results_too(flow: Load, make_notebook: NotebookFactory) -> None:
    code = """
import base64, io
import pandas as pd
from IPython.display import display, HTML

def glue(name, data, encoder):
    scrap = {"name": name, "data": data, "encoder": encoder, "version": 1}
    mark = {"scrapbook": {"name": name, "data": True, "display": False}}
    display({f"application/scrapbook.scrap.{encoder}+json": scrap}, raw=True, metadata=mark)

def show(name, bundle):
    display(bundle, raw=True, metadata={"scrapbook": {"name": name, "data": False, "display": True}})

file = io.BytesIO()
pd.DataFrame({"a": [1, 2]}).to_parquet(file)
glue("score", [1, 2.5], "json")
glue("word", "hello", "text")
glue("frame", base64.b64encode(file.getvalue()).decode(), "pandas")
glue("huge", "x" * 2_000_000, "text")
show("score", {"text/plain": "not the data"})
show("note", {"text/html": "<b>bold</b>", "text/plain": "bold"})
show("plot", {"image/png": "iVBORw0K", "text/plain": "<Figure>"})
"""
    run = flow(make_notebook([code])).run()
    assert [run.results[name] for name in ("score", "word")] == [[1, 2.5], "hello"]
    assert run.results["frame"]["a"].tolist() == [1, 2]
    assert run.results["note"]._repr_mimebundle_() == {"text/html": "<b>bold</b>", "text/plain": "bold"}
    assert run.results["plot"].data == b"\x89PNG\r\n"
    assert "huge" not in run.results
    assert "result 'huge' has 2,000,002 bytes and stays in the notebook" in str(run.logs(stream="nbflow"))


def test_a_value_that_cant_be_recorded_says_what_can(flow: Load, make_notebook: NotebookFactory) -> None:
    run = flow(make_notebook(["import nbflow; nbflow.record('x', object())"])).options(raise_on_failure=False).run()
    assert run.failure is not None
    assert "a object can't be recorded; record JSON values" in run.failure.message


def test_a_notebook_knows_its_run_and_may_rename_it(flow: Load, make_notebook: NotebookFactory) -> None:
    code = (
        "import nbflow\nrun = nbflow.current_run()\nassert run\nrun.rename(f'sales {run.parameters[\"day\"]}')\n"
        "run.log('a word from inside')\nrun.record('id', run.id)\nrun.record('tags', run.tags)"
    )
    run = flow(make_notebook([code], parameters=PARAMETERS)).options(tags=["nightly"]).run(day="2026-01-31")
    assert run.name == "sales 2026-01-31"
    assert run.results["id"] == run.id
    assert run.results["tags"] == ["nightly"]
    assert run.logs(stream="nbflow") == ["a word from inside"]
    assert all("vnd.nbflow.control" not in json.dumps(cell) for cell in run.notebook.cells)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("n-{x}-{day:%Y-%m}", "n-7-2026-01"),
        ("plain", "plain"),
        ("late-{since:%Y}", "late-2025"),
    ],
)
def test_a_runs_name_is_made_from_its_values(
    flow: Load, make_notebook: NotebookFactory, template: str, name: str
) -> None:
    run = flow(make_notebook(["1"], parameters=PARAMETERS)).options(name=template).run(x=7, day="2026-01-31")
    assert run.name == name


def test_a_name_over_an_unknown_field_is_refused(flow: Load, make_notebook: NotebookFactory) -> None:
    target = flow(make_notebook(["1"], parameters=PARAMETERS)).options(name="{nothing}")
    with pytest.raises(UsageError, match="nothing"):
        target.run(day="2026-01-31")


def test_the_executed_notebook_goes_where_the_template_says(
    flow: Load, make_notebook: NotebookFactory, tmp_path: Path
) -> None:
    target = flow(make_notebook(["print(x)"], parameters=PARAMETERS))
    run = target.options(output=tmp_path / "out-{x}-{day}.ipynb").run(x=2, day="2026-01-31")
    assert run.output_path == tmp_path / "out-2-2026-01-31.ipynb"
    assert run.notebook.metadata.papermill.output_path == str(run.output_path)
    with pytest.raises(OutputError):
        target.options(output=tmp_path / "missing" / "o.ipynb").run(day="2026-01-31")
    with pytest.raises(OutputError):
        target.options(output=target.path).run(day="2026-01-31")


def test_the_ordinary_launcher_serves_as_well(open_project: OpenProject, make_notebook: NotebookFactory) -> None:
    project = open_project(fork_server="false")
    path = make_notebook(["print(x)"], parameters="x = 1")
    assert Flow(project.load(path), project).run(x=3).logs() == ["3"]


def test_the_kernel_works_in_the_notebooks_folder(flow: Load, make_notebook: NotebookFactory, tmp_path: Path) -> None:
    path = make_notebook(["import os; print(os.getcwd())"], name="folder/report.ipynb")
    assert flow(path).run().logs() == [str(path.parent)]
    assert flow(path).options(cwd=tmp_path).run().logs() == [str(tmp_path)]
    with pytest.raises(UsageError, match="no such folder"):
        flow(path).options(cwd=tmp_path / "missing").run()


def test_an_unknown_kernel_is_refused_before_anything_starts(flow: Load, make_notebook: NotebookFactory) -> None:
    with pytest.raises(KernelError, match=r"'nope' is not installed; installed: .*python3"):
        flow(make_notebook(["1"], kernel="nope")).run()


def test_a_notebook_without_a_kernelspec_runs_on_python(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print(1 + 1)"], kernel=None, language=None)
    assert flow(path).run().logs() == ["2"]


def test_a_secret_reaches_the_notebook_and_no_file(
    flow: Load, make_notebook: NotebookFactory, project: Project
) -> None:
    secret = "correct horse battery staple"
    code = f"assert token == bytes.fromhex('{secret.encode().hex()}').decode()\nprint('token:', token)\ntoken"
    path = make_notebook(
        [code, "raise ValueError(token)"], parameters="from nbflow import Secret\nx = 1\ntoken: Secret"
    )
    run = flow(path).options(raise_on_failure=False).run(token=secret, x=2)
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert run.failure.ename == "ValueError"
    assert run.logs() == ["token: ********"]
    assert run.parameters == {"x": 2, "token": "********"}
    for file in project.config.home.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    assert run.output_path is not None
    assert run.output_path.stat().st_mode & 0o077 == 0


def test_a_completed_run_stands_for_an_equal_one(flow: Load, make_notebook: NotebookFactory) -> None:
    target = flow(make_notebook(["import nbflow; nbflow.record('y', x)"], parameters="x = 1")).options(
        skip_completed=True
    )
    first = target.run(x=1)
    second = target.run()
    assert second.state is RunState.SKIPPED
    assert second.record.reused_run_id == first.id
    assert second.results == {"y": 1}
    assert target.run(x=2).state is RunState.COMPLETED


def test_computed_defaults_are_never_taken_for_equal(flow: Load, make_notebook: NotebookFactory) -> None:
    target = flow(make_notebook(["1"], parameters="import time\nnow = time.time()")).options(skip_completed=True)
    assert [target.run().state for _ in range(2)] == [RunState.COMPLETED] * 2
    assert [target.run(now=1.5).state for _ in range(2)] == [RunState.COMPLETED, RunState.SKIPPED]


def test_a_run_is_repeated_with_other_values(flow: Load, make_notebook: NotebookFactory) -> None:
    first = flow(make_notebook(["print(x, day)"], parameters=PARAMETERS)).run(x=2, day="2026-01-31")
    again = first.rerun(x=3).wait()
    assert again.logs() == ["3 2026-01-31"]
    assert again.id != first.id


def test_values_of_an_earlier_papermill_run_do_not_leak_in(flow: Load, make_notebook: NotebookFactory) -> None:
    cells = [
        {"source": "x = 1", "tags": ["parameters"]},
        {"source": "# Parameters\nx = 99", "tags": ["injected-parameters"]},
        "print(x)",
    ]
    assert flow(make_notebook(cells)).run().logs() == ["1"]
    assert flow(make_notebook(cells)).run(x=5).logs() == ["5"]


def test_an_edit_after_the_submission_changes_nothing(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["print('as submitted')"])
    target = flow(path)
    path.unlink()
    assert target.run().logs() == ["as submitted"]


def test_objects_read_well_in_a_cell(flow: Load, make_notebook: NotebookFactory) -> None:
    parameters = "x: int = 1  # <b>bold</b> & more\nname: str"
    target = flow(make_notebook(["print(name)"], parameters=parameters))
    run = target.run(name="<script>alert(1)</script>")
    for html in (target._repr_html_(), run._repr_html_()):
        assert "<script>" not in html
        assert "<b>bold" not in html
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in target._repr_html_()
    assert "completed" in repr(run)


def test_a_report_is_one_page_with_the_outputs(flow: Load, make_notebook: NotebookFactory) -> None:
    run = flow(make_notebook(["print('in the report')"])).options(report="html").run()
    assert run.output_path is not None
    page = run.output_path.with_suffix(".html").read_text(encoding="utf-8")
    assert "in the report" in page


def test_printed_lone_surrogates_do_not_stop_the_run(flow: Load, make_notebook: NotebookFactory) -> None:
    run = flow(make_notebook(["print('a\\ud800b')", "print('on')"])).run()
    assert run.logs() == ["a\ud800b", "on"]
    assert run.notebook.cells[0].outputs[0].text == "a\ud800b\n"


def test_numbers_that_json_lacks_are_recorded_exactly(flow: Load, make_notebook: NotebookFactory) -> None:
    code = "import nbflow; nbflow.record('odd', [float('nan'), float('inf'), -float('inf'), -0.0, 1e22, 2**70])"
    nan, inf, minus, zero, large, huge = flow(make_notebook([code])).run().results["odd"]
    assert nan != nan
    assert (inf, minus, large, huge) == (float("inf"), -float("inf"), 1e22, 2**70)
    assert str(zero) == "-0.0"


def test_two_runs_never_write_one_output(flow: Load, make_notebook: NotebookFactory, tmp_path: Path) -> None:
    path = make_notebook(["import time\nprint('go', flush=True)\ntime.sleep(60)"])
    target = flow(path).options(output=tmp_path / "out.ipynb", raise_on_failure=False)
    first = target.submit()
    next(event for event in first.events(follow=True) if event.kind is EventKind.LOG)
    second = target.run()
    assert second.state is RunState.FAILED
    assert second.failure is not None
    assert second.failure.kind is FailureKind.SAVE
    assert "is being written by another run" in second.failure.message
    assert first.state is RunState.RUNNING
    first.cancel().wait(raise_on_failure=False)
    quick = flow(make_notebook(["1"], name="quick.ipynb")).options(output=tmp_path / "out.ipynb")
    assert quick.run().state is RunState.COMPLETED
