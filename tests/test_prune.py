"""Pruning: what goes, what stays, and how many at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from nbflow.lifecycle import RunState
from nbflow.ports import RunFilter, Store
from nbflow.project import Project
from tests.cli_fixtures import CommandLine
from tests.store_fixtures import NOW, add_run, later, make_run, start_run


def test_many_runs_go_in_batches_and_those_that_stay_are_whole(store: Store) -> None:
    made = [
        make_run(
            state=RunState.COMPLETED if index % 2 else RunState.PENDING, ended=NOW if index % 2 else None, tags=tags
        )
        for index in range(10_500)
        for tags in [("kept", "odd") if index % 3 == 0 else ()]
    ]
    store.add_runs(made)
    told: list[list[str]] = []
    pruned = store.prune(before=later(1), tell=told.append)
    assert pruned == [run.id for run in made if run.state is RunState.COMPLETED]
    assert [run_id for batch in told for run_id in batch] == pruned
    assert len(told) == 2
    assert store.count_runs(RunFilter()) == {RunState.PENDING: 5250}
    assert len(store.list_columns(RunFilter(tags=("odd",), limit=None), ["id"])["id"]) == 1750
    assert store.prune(before=later(1), tell=told.append) == []
    assert len(told) == 2


def test_attempts_go_with_their_runs(store: Store) -> None:
    run, _ = start_run(store)
    store.request_cancel([run.id], reason="user", now=NOW)
    gone = add_run(store, state=RunState.FAILED, ended=NOW)
    assert store.prune(before=later(1)) == [gone.id]
    assert len(store.list_attempts(run.id)) == 1


def test_the_folders_of_pruned_runs_go_too(project: Project) -> None:
    gone, kept = (add_run(project.store, state=RunState.COMPLETED, ended=later(when)) for when in (0, 60))
    folders: list[Path] = [project.get_attempt_folder(run.id, 1) for run in (gone, kept)]
    for folder in folders:
        folder.mkdir(parents=True)
    assert project.prune(before=later(30)) == 1
    assert [folder.parent.exists() for folder in folders] == [False, True]


def test_a_dry_run_says_what_would_go(cli: CommandLine, project: Project) -> None:
    gone = add_run(project.store, state=RunState.FAILED, name="old one", ended=NOW - timedelta(days=9))
    add_run(project.store, state=RunState.COMPLETED, ended=NOW + timedelta(days=30_000))
    add_run(project.store)
    for words, told in (((), f"{gone.id}  failed  old one\n"), (("--json",), gone.id)):
        answer = cli("prune", "--older-than", "2026-03-02", "--dry-run", *words)
        assert answer.code == 0
        assert told in answer.out
    assert answer.json == {"deleted": 0, "would_delete": [gone.id]}
    assert cli("prune", "--older-than", "2026-03-02", "--json").json["deleted"] == 1
