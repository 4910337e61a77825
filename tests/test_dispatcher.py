"""A dispatcher whose attempts are taken from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbflow.dispatcher import Dispatcher
from nbflow.lifecycle import AttemptRecord, AttemptState, Outcome, RunRecord, RunState
from nbflow.ports import Store
from tests.backfill_fixtures import ScriptedEngine
from tests.project_fixtures import wait_until
from tests.store_fixtures import SUCCEEDED, make_run


@contextmanager
def working(store: Store, engine: ScriptedEngine, folder: Path) -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(store, engine, folder_of=lambda run_id, number: folder / run_id / str(number), lease=0.3)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        engine.release()
        dispatcher.close()


def submit(store: Store, dispatcher: Dispatcher, secrets: Mapping[str, str]) -> RunRecord:
    run = make_run(tied_to=dispatcher.id)
    store.put_notebook(run.notebook_hash, b"{}")
    dispatcher.expect(run.id, secrets)
    store.add_runs([run])
    dispatcher.wake()
    return run


def adopt_one(store: Store) -> AttemptRecord | None:
    """As another dispatcher does, to which the owner of the only attempt seems stopped."""
    (attempt,) = store.list_open_attempts()
    now = datetime.now(UTC)
    return store.adopt(attempt, owner="heir", lease=now + timedelta(seconds=60), now=now)


def test_a_run_whose_attempt_somebody_took_for_not_begun_is_begun_again(store: Store, tmp_path: Path) -> None:
    def steal_the_first(run: RunRecord) -> Outcome | None:
        """Another dispatcher, to which this one seemed stopped, adopts the attempt before it begins."""
        if run.attempts > 1:
            return SUCCEEDED
        adopted = adopt_one(store)
        assert adopted is not None
        outcome = Outcome(state=AttemptState.NOT_STARTED)
        assert store.finish_attempt(adopted, outcome, now=datetime.now(UTC)) is not None
        return None

    engine = ScriptedEngine(steal_the_first)
    with working(store, engine, tmp_path) as dispatcher:
        run = submit(store, dispatcher, {"token": "hush"})
        wait_until(lambda: store.get_run(run.id).state is RunState.COMPLETED, 10, "the second attempt")
        wait_until(lambda: not dispatcher.expects(run.id), 10, "the run's end to be known")
        assert [launch.secrets for launch in engine.launched] == [{"token": "hush"}] * 2


def test_a_run_that_its_heir_ended_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    engine = ScriptedEngine(lambda run: None)
    with working(store, engine, tmp_path) as dispatcher:
        run = submit(store, dispatcher, {})
        wait_until(lambda: engine.launched, 10, "the attempt")
        while (adopted := adopt_one(store)) is None:
            pass  # its owner has renewed it at this moment
        assert store.finish_attempt(adopted, SUCCEEDED, now=datetime.now(UTC)) is not None
        wait_until(lambda: not dispatcher.expects(run.id), 10, "the run's end to be known")
