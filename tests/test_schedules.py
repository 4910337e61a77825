"""Schedules of a project: checked when they are made, resolved once for each run, true when they can't run any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import nbflow
from nbflow.api.flow import Flow
from nbflow.api.schedules import Schedule
from nbflow.errors import ConflictError, KernelError, NotFoundError, ParameterError, UsageError
from nbflow.lifecycle import FailureKind, Priority, RunState
from nbflow.parameters import Secret
from nbflow.ports import RunFilter
from nbflow.project import Project
from nbflow.project.templates import find_secrets
from nbflow.scheduling import Catchup, Cron, Every, Overlap
from tests.conftest import NotebookFactory
from tests.schedule_fixtures import at
from tests.store_fixtures import SUCCEEDED

Load = Callable[[Path], Flow]
CELL = """\
from datetime import date, datetime
from nbflow import Secret
n: int = 1
day: date = date(2026, 1, 1)
since: datetime = datetime(2026, 1, 1)
token: Secret = ""
label: str = ""
days: list[date] = []
"""
DUE = at("2026-03-30 05:00")


@pytest.fixture
def report(flow: Load, make_notebook: NotebookFactory) -> Flow:
    return flow(make_notebook(["print(n)"], parameters=CELL, name="report.ipynb"))


def prepare(project: Project, schedule: Schedule, time: datetime = DUE) -> Any:
    return project.schedules.prepare(schedule.record, time, time + timedelta(seconds=1))


def complete(project: Project, run: Any) -> None:
    """As if it had been executed."""
    project.store.add_runs([run])
    ((_, attempt),) = project.store.claim(
        dispatcher_id="d", limit=1, lease=DUE + timedelta(days=9), now=DUE, serves_all=True
    )
    project.store.finish_attempt(attempt, SUCCEEDED, now=DUE)


# -- made


def test_a_schedule_says_when_and_with_which_values(report: Flow) -> None:
    made = report.options(retries=2, tags=["nightly"], name="r-{n}").schedule(
        nbflow.cron("0 7 * * 1-5"), {"n": 9}, timezone="Europe/Berlin", name="nightly", catchup="all", overlap="queue"
    )
    record = made.record
    assert (record.when, record.timezone, record.parameters) == (Cron("0 7 * * 1-5"), "Europe/Berlin", {"n": 9})
    assert (record.catchup, record.overlap, record.run_name) == (Catchup.ALL, Overlap.QUEUE, "r-{n}")
    assert (record.options.retries, record.tags) == (2, ("nightly",))
    assert made.flow == str(report.path)
    times = made.next_times(5)
    assert len(times) == 5
    assert {(time.hour, time.minute, str(time.tzinfo)) for time in times} == {(7, 0, "Europe/Berlin")}
    assert record.next_due == times[0]
    assert repr(made) == f"<schedule nightly ({made.id}) of {report.path}: 0 7 * * 1-5 Europe/Berlin>"


def test_several_schedules_on_one_flow(report: Flow, project: Project) -> None:
    for n in (9, 99):
        report.schedule(every="1min", parameters={"n": n}, name=f"n{n}")
    assert [one.parameters["n"] for one in project.schedules.find(str(report.path))] == [9, 99]
    assert project.schedules.find("p/other") == []
    with pytest.raises(ConflictError, match="choose another --name"):
        report.schedule(every="1min", name="n9")
    assert report.schedule(every="1min").name.startswith("report-")


def test_values_are_kept_in_json_form(report: Flow) -> None:
    made = report.schedule(every="1h", parameters={"day": datetime(2026, 1, 31).date(), "days": ["2026-02-01"], "n": 2})
    assert made.parameters == {"day": "2026-01-31", "days": ["2026-02-01"], "n": 2}


def test_all_faults_are_told_at_once(flow: Load, make_notebook: NotebookFactory, project: Project) -> None:
    path = make_notebook(["1"], parameters=CELL + "region: str\nlimit: int\n")
    with pytest.raises(ParameterError) as caught:
        flow(path).schedule(every="1h", parameters={"n": "x", "day": "{{ today }}", "token": "abc", "nn": 1})
    faults = {fault.parameter: fault.rule for fault in caught.value.faults}
    assert faults == {
        "n": "type",
        "day": "token",
        "token": "secret",
        "nn": "unknown",
        "region": "missing",
        "limit": "missing",
    }
    assert project.schedules.find() == []


def test_a_required_parameter_without_a_value_names_the_remedy(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["1"], parameters="region: str")
    with pytest.raises(ParameterError, match="region: required") as caught:
        flow(path).schedule(every="1h")
    assert "-p NAME=VALUE" in str(caught.value)
    flow(path).schedule(every="1h", parameters={"region": "EU"})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "give one of cron"),
        ({"cron": "0 7 * * *", "every": "1h"}, "give one of cron"),
        ({"cron": "99 7 * * *"}, "bad minute"),
        ({"every": "soon"}, "interval"),
        ({"every": "1h", "timezone": "Berlin"}, "did you mean Europe/Berlin"),
        ({"every": "1h", "catchup": "some"}, "none, latest, all"),
        ({"every": "1h", "overlap": "cancel"}, "skip, queue, allow"),
        ({"every": "1h", "catchup_limit": 0}, "catchup_limit"),
        ({"every": "1h", "misfire_grace": -1}, "misfire_grace"),
        ({"every": "1h", "starts": datetime(2030, 1, 1)}, "no timezone"),
        ({"every": "1h", "ends": datetime(2020, 1, 1, tzinfo=UTC)}, "never fire"),
        ({"every": "1h", "starts": datetime(2031, 1, 1, tzinfo=UTC), "ends": datetime(2030, 1, 1, tzinfo=UTC)}, "ends before"),
        ({"every": "1h", "name": "a\nb"}, "printable"),
        ({"every": "1h", "tags": ["a,b"]}, "tag"),
        ({"every": "1h", "n": 3}, "values go into parameters"),
        ({"every": "1h", "time_zone": "UTC"}, "did you mean timezone"),
    ],
)  # fmt: skip
def test_what_can_not_be_meant_is_refused(report: Flow, project: Project, settings: dict[str, Any], told: str) -> None:
    with pytest.raises((UsageError, ConflictError), match=told) as caught:
        report.schedule(**settings)
    assert len(str(caught.value).splitlines()) <= 3
    assert project.schedules.find() == []


def test_what_could_not_be_executed_is_refused(report: Flow, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="not installed"):
        report.options(kernel="none").schedule(every="1h")
    with pytest.raises(UsageError, match="no such folder"):
        report.options(cwd="/none").schedule(every="1h")
    with pytest.raises(UsageError, match="is no token"):
        report.options(output=str(tmp_path / "{{ today }}.ipynb")).schedule(every="1h")
    with pytest.raises(UsageError, match="skip_completed"):
        report.options(skip_completed=True).schedule(every="1h")
    with pytest.raises(UsageError, match=r"write nbflow\.cron"):
        report.schedule("0 7 * * *")  # type: ignore[arg-type]


# -- resolved


def test_tokens_are_resolved_once_and_recorded(report: Flow, project: Project, tmp_path: Path) -> None:
    target = report.options(name="{{ scheduled_date }}-{n}", output=str(tmp_path / "{{ scheduled_date:%Y-%m }}.ipynb"))
    made = target.schedule(
        cron="0 7 * * *",
        timezone="Europe/Berlin",
        parameters={
            "day": "{{ scheduled_date - 1d }}",
            "n": "{{ scheduled_date:%d }}",
            "label": "from {{ scheduled_time }}",
            "days": ["{{ scheduled_date }}", "2026-01-01"],
        },
    )
    run = prepare(project, made)
    assert run.parameters == {
        "day": "2026-03-29",
        "n": 30,
        "label": "from 2026-03-30T07:00:00+02:00",
        "days": ["2026-03-30", "2026-01-01"],
    }
    assert (run.scheduled_time, run.schedule_id) == (DUE, made.id)
    assert (run.state, run.priority, run.tied_to) == (RunState.PENDING, Priority.SCHEDULED, None)
    assert run.name == "2026-03-30-30"
    assert run.options.output == str(tmp_path / "2026-03.ipynb")
    complete(project, run)
    assert project.get_run(run.id).parameters == run.parameters


def test_the_last_success_comes_from_the_runs(report: Flow, project: Project) -> None:
    made = report.schedule(every="1h", timezone="Europe/Berlin", parameters={"since": "{{ last_success }}"})
    first = prepare(project, made)
    assert first.parameters == {}
    complete(project, first)
    second = prepare(project, made, DUE + timedelta(hours=1))
    assert second.parameters == {"since": "2026-03-30T07:00:00+02:00"}
    assert made.last_success == DUE
    assert project.prune(before=DUE + timedelta(days=1)) == 1
    assert prepare(project, made, DUE + timedelta(hours=2)).parameters == second.parameters


def test_a_required_parameter_can_not_wait_for_the_first_success(flow: Load, make_notebook: NotebookFactory) -> None:
    path = make_notebook(["1"], parameters="from datetime import datetime\nsince: datetime")
    with pytest.raises(ParameterError, match="before the first success; give the parameter a default"):
        flow(path).schedule(every="1h", parameters={"since": "{{ last_success }}"})


def test_a_token_of_the_wrong_type_is_refused(report: Flow) -> None:
    with pytest.raises(ParameterError, match="day: expected date"):
        report.schedule(every="1h", parameters={"day": "{{ scheduled_time }}"})
    with pytest.raises(ParameterError, match="n: expected int"):
        report.schedule(every="1h", parameters={"n": "{{ scheduled_date }}"})


# -- secrets


def test_a_secret_is_kept_as_a_reference_only(
    report: Flow, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("hunter3\n")
    for value in ("hunter2", Secret("env:TOKEN"), "env:", "{{ scheduled_date }}", "vault:x"):
        with pytest.raises(ParameterError, match="env:NAME or file:PATH") as caught:
            report.schedule(every="1h", parameters={"token": value})
        assert "hunter2" not in str(caught.value)
    by_name = report.schedule(every="1h", parameters={"token": "env:NBFLOW_TEST_TOKEN"})
    by_file = report.schedule(every="1h", parameters={"token": "file:token"})
    assert by_file.parameters == {"token": f"file:{tmp_path / 'token'}"}
    monkeypatch.setenv("NBFLOW_TEST_TOKEN", "hunter2")
    monkeypatch.chdir("/")
    for made, secret in ((by_name, "hunter2"), (by_file, "hunter3")):
        run = prepare(project, made)
        assert run.parameters == {"token": "********"}
        assert find_secrets(project.store, run) == {"token": secret}
    monkeypatch.delenv("NBFLOW_TEST_TOKEN")
    with pytest.raises(ParameterError, match="NBFLOW_TEST_TOKEN is not set"):
        find_secrets(project.store, prepare(project, by_name))
    run = prepare(project, by_file)
    by_file.remove()
    with pytest.raises(ParameterError, match="schedule or backfill, which was removed"):
        find_secrets(project.store, run)


def test_a_text_that_looks_like_a_reference_is_a_text(report: Flow, project: Project) -> None:
    made = report.schedule(every="1h", parameters={"label": "env:HOME"})
    run = prepare(project, made)
    assert run.parameters == {"label": "env:HOME"}
    assert find_secrets(project.store, run) == {}


# -- registered flows


def test_a_schedule_follows_the_newest_version_or_keeps_the_one_asked_for(
    project: Project, make_notebook: NotebookFactory
) -> None:
    path = make_notebook(["print(1)"], parameters="n = 1", name="report.ipynb")
    project.register(path, project="sales")
    newest = project.schedules.create(project.load("sales/report"), Every(3600))
    pinned = project.schedules.create(project.load("sales/report@1"), Every(3600))
    make_notebook(["print(2)"], parameters="n = 1", name="report.ipynb")
    project.register(path, project="sales")
    versions = [project.schedules.prepare(one, DUE, DUE).flow_version for one in (newest, pinned)]
    assert versions == [2, 1]
    assert (newest.reference, pinned.reference) == ("sales/report", "sales/report@1")


def test_a_folder_of_the_same_name_is_not_taken_for_a_registered_flow(
    project: Project, make_notebook: NotebookFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.register(make_notebook(["1"], name="report.ipynb"), project="sales")
    made = project.schedules.create(project.load("sales/report"), Every(3600))
    make_notebook(["2"], name="sales/report")
    monkeypatch.chdir(tmp_path)
    assert project.schedules.prepare(made, DUE, DUE).flow_version == 1


# -- that can't run any more


def spoil(path: Path, make_notebook: NotebookFactory, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "broken":
        path.write_text("no notebook")
    else:
        make_notebook(["print(n)"], parameters="n: str = ''\nregion: str", name="report.ipynb")


@pytest.mark.parametrize(
    ("how", "told"), [("gone", "does not exist"), ("broken", "notebook"), ("changed", "n: expected str")]
)
def test_a_run_that_can_not_be_made_is_a_failed_run_that_says_why(
    report: Flow, project: Project, make_notebook: NotebookFactory, how: str, told: str
) -> None:
    made = report.schedule(every="1h", parameters={"n": 9, "token": "env:TOKEN"})
    assert made.problem is None
    spoil(report.path, make_notebook, how)
    assert told in (made.problem or "")
    run = prepare(project, made)
    assert run.state is RunState.FAILED
    assert run.failure is not None
    assert run.failure.kind is FailureKind.SETUP
    assert told in run.failure.message
    assert run.parameters["n"] == 9
    assert (run.scheduled_time, run.ended) == (DUE, DUE + timedelta(seconds=1))
    assert project.store.fire(made.record, [run], next_due=DUE) == [run]
    shown = project.get_run(run.id)
    assert shown.message == run.failure.message
    assert made.runs()[0].state is RunState.FAILED
    if how != "changed":
        with pytest.raises(NotFoundError, match="was never made"):
            project.retry(run.id)


def test_check_tells_of_dates_that_never_change_and_schedules_that_can_not_run(
    report: Flow, project: Project, make_notebook: NotebookFactory
) -> None:
    assert project.schedules.check(project.load(report.path)) == []
    report.schedule(every="1h", name="one", parameters={"n": 9, "day": "{{ scheduled_date }}"})
    found = project.schedules.check(project.load(report.path))
    assert [(finding.rule, finding.severity, finding.parameter) for finding in found] == [
        ("frozen-date", "warning", "since")
    ]
    spoil(report.path, make_notebook, "changed")
    [finding] = project.schedules.check(project.load(report.path))
    assert (finding.rule, finding.severity) == ("schedule", "error")
    assert "schedule one can't run any more: n: expected str" in finding.message
    assert "nbflow schedule edit one" in finding.message


# -- changed


def test_an_edit_changes_what_is_given_and_checks_everything(report: Flow) -> None:
    made = report.schedule(cron="0 7 * * *", parameters={"n": 9, "label": "a"}, name="one")
    made.edit(parameters={"n": 10}, unset=["label"], name="two")
    assert (made.name, made.parameters, made.when) == ("two", {"n": 10}, Cron("0 7 * * *"))
    due = made.record.next_due
    made.edit(nbflow.every("90s"), catchup="none", ends=datetime(2100, 1, 1, tzinfo=UTC))
    assert made.record.next_due != due
    assert (made.when, made.record.catchup) == (Every(90), Catchup.NONE)
    made.edit(ends=None)
    assert made.record.ends is None
    before = made.record
    for changes, error in [
        ({"parameters": {"n": "x"}}, ParameterError),
        ({"timezone": "Mars"}, UsageError),
        ({"unset": ["label"]}, UsageError),
        ({"paused": True}, UsageError),
        ({"cron": "0 7 * * *", "every": "1h"}, UsageError),
    ]:
        with pytest.raises(error):
            made.edit(**changes)  # type: ignore[arg-type]
    assert made.record == before


def test_an_edit_of_values_leaves_the_next_time_alone(report: Flow, project: Project) -> None:
    made = report.schedule(every="1h")
    project.store.update_schedule(made.id, lambda known: replace(known, next_due=DUE))
    made.edit(parameters={"n": 3})
    assert made.record.next_due == DUE


def test_pausing_is_meant_and_nothing_is_caught_up_afterwards(report: Flow, project: Project) -> None:
    made = report.schedule(every="1h", catchup="all")
    project.store.update_schedule(made.id, lambda known: replace(known, next_due=DUE))
    assert made.pause().paused
    assert made.next_times() == []
    assert not made.unpause().paused
    assert made.record.next_due == made.next_times(1)[0]
    project.store.update_schedule(made.id, lambda known: replace(known, next_due=DUE))
    assert made.unpause().record.next_due == DUE  # it was not paused


def test_a_removed_schedule_is_gone(report: Flow, project: Project) -> None:
    made = report.schedule(every="1h")
    made.remove()
    assert project.schedules.find() == []
    with pytest.raises(NotFoundError, match="nbflow schedule ls"):
        made.pause()


# -- shown


def test_it_reads_well_in_a_cell(report: Flow, project: Project) -> None:
    from nbflow.api.schedules import Schedules

    made = report.schedule(
        cron="0 7 * * *", timezone="Europe/Berlin", parameters={"label": "<b>"}, name="<i>", overlap="allow"
    )
    run = prepare(project, made)
    project.store.fire(made.record, [run], next_due=DUE)
    html = made._repr_html_()
    assert html.count("07:00:00 C") == 5
    assert "&lt;b&gt;" in html
    assert "&lt;i&gt;" in html
    assert run.id in html
    assert "<i>" not in Schedules([made])._repr_html_()
    made.pause()
    assert "paused" in made._repr_html_()
    report.path.unlink()
    assert "does not exist" in made._repr_html_()


def test_schedules_are_listed(report: Flow, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    report.schedule(every="1h", name="one")
    monkeypatch.setenv("NBFLOW_HOME", str(project.config.home))
    monkeypatch.chdir(report.path.parent)
    assert [one.name for one in nbflow.schedules()] == ["one"]
    assert [one.name for one in nbflow.schedules("report.ipynb")] == ["one"]
    assert [one.name for one in nbflow.schedules(report.path)] == ["one"]
    assert nbflow.schedules("p/other") == []
    assert isinstance(nbflow.every("1h"), Every)


# -- at once


@pytest.mark.kernel
def test_run_now_executes_with_the_schedules_values(
    flow: Load, make_notebook: NotebookFactory, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [
        "import nbflow\nassert len(token) == 7, 'refused'",
        "nbflow.record('got', [n, str(day), len(token), nbflow.current_run().scheduled_time is None])",
    ]
    made = flow(make_notebook(cells, parameters=CELL)).schedule(
        every="1h", parameters={"n": 9, "day": "{{ scheduled_date }}", "token": "env:NBFLOW_TEST_TOKEN"}
    )
    monkeypatch.setenv("NBFLOW_TEST_TOKEN", "old")
    run = made.run_now().wait(raise_on_failure=False)
    assert (run.state, run.failure and run.failure.evalue) == (RunState.FAILED, "refused")
    monkeypatch.setenv("NBFLOW_TEST_TOKEN", "hunter2")
    run = run.retry().wait()  # the secret is read anew
    assert run.results["got"] == [9, run.record.scheduled_time.date().isoformat(), 7, False]  # type: ignore[union-attr]
    assert run.record.priority is Priority.INTERACTIVE
    assert [one.id for one in made.runs()] == [run.id]
    assert "hunter2" not in repr(project.list_runs(RunFilter()))
    monkeypatch.delenv("NBFLOW_TEST_TOKEN")
    with pytest.raises(ParameterError, match="is not set"):
        made.run_now()
    failed = flow(make_notebook(["1 / 0"], parameters="from nbflow import Secret\ntoken: Secret", name="other.ipynb"))
    with pytest.raises(ConflictError, match="kept nowhere; use rerun"):
        failed.options(raise_on_failure=False).run(token="x").retry()
