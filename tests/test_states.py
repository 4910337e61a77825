"""How the end of an attempt decides the state of its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nbflow.lifecycle import (
    AttemptState,
    Failure,
    FailureKind,
    Outcome,
    RunOptions,
    RunRecord,
    RunState,
    decide,
    find_retry_delay,
    find_template_fields,
    identity,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RUN = RunRecord(
    id="0123456789abcdef",
    state=RunState.RUNNING,
    name="report",
    notebook_hash="h",
    source_path="/report.ipynb",
    created=NOW,
    started=NOW,
)
FAILURE = Failure(kind=FailureKind.EXCEPTION, message="ValueError: no")


def outcome(state: AttemptState) -> Outcome:
    return Outcome(state=state, failure=None if state is AttemptState.SUCCEEDED else FAILURE)


@pytest.mark.parametrize(
    ("ended", "asked", "state"),
    [
        (AttemptState.SUCCEEDED, None, RunState.COMPLETED),
        (AttemptState.FAILED, None, RunState.FAILED),
        (AttemptState.TIMED_OUT, None, RunState.TIMED_OUT),
        (AttemptState.LOST, None, RunState.CRASHED),
        (AttemptState.CANCELLED, "user", RunState.CANCELLED),
        # What the attempt reported first stays true, whatever was asked meanwhile.
        (AttemptState.SUCCEEDED, "user", RunState.COMPLETED),
        (AttemptState.FAILED, "user", RunState.FAILED),
        (AttemptState.TIMED_OUT, "user", RunState.TIMED_OUT),
        (AttemptState.LOST, "user", RunState.CANCELLED),
        (AttemptState.NOT_STARTED, "user", RunState.CANCELLED),
        # A SIGTERM that nobody asked for is a loss, not a cancel.
        (AttemptState.CANCELLED, None, RunState.CRASHED),
    ],
)
def test_every_end_of_an_attempt_has_one_state_for_its_run(
    ended: AttemptState, asked: str | None, state: RunState
) -> None:
    after = decide(replace(RUN, cancel_reason=asked), [], outcome(ended), NOW)
    assert after.state is state
    assert after.state.is_terminal
    assert after.ended == NOW


def test_a_failure_is_tried_again_as_often_as_allowed_with_growing_pauses() -> None:
    run = replace(RUN, options=RunOptions(retries=2, retry_delay=10, retry_backoff=3))
    waits, past = [], []
    for _ in range(2):
        after = decide(run, past, outcome(AttemptState.FAILED), NOW)
        assert (after.state, after.ended) == (RunState.SCHEDULED, None)
        assert after.not_before is not None
        waits.append(after.not_before - NOW)
        past.append(AttemptState.FAILED)
    assert waits == [timedelta(seconds=10), timedelta(seconds=30)]
    last = decide(run, past, outcome(AttemptState.FAILED), NOW)
    assert (last.state, last.failure) == (RunState.FAILED, FAILURE)


def test_a_loss_is_not_tried_again_unless_that_was_asked_for() -> None:
    retried = replace(RUN, options=RunOptions(retries=5))
    assert decide(retried, [], outcome(AttemptState.LOST), NOW).state is RunState.CRASHED
    allowed = replace(RUN, options=RunOptions(retries_on_loss=1))
    assert decide(allowed, [], outcome(AttemptState.LOST), NOW).state is RunState.SCHEDULED
    assert decide(allowed, [AttemptState.LOST], outcome(AttemptState.LOST), NOW).state is RunState.CRASHED


def test_nothing_is_tried_again_once_a_cancel_was_asked_for() -> None:
    run = replace(RUN, cancel_reason="user", options=RunOptions(retries=5, retries_on_loss=5))
    for ended in (AttemptState.FAILED, AttemptState.LOST, AttemptState.NOT_STARTED):
        assert decide(run, [], outcome(ended), NOW).state.is_terminal


def test_an_attempt_that_never_started_costs_nothing() -> None:
    after = decide(RUN, [AttemptState.NOT_STARTED] * 3, outcome(AttemptState.NOT_STARTED), NOW)
    assert (after.state, after.not_before) == (RunState.SCHEDULED, NOW)


def test_an_open_attempt_decides_nothing() -> None:
    with pytest.raises(ValueError, match="does not end"):
        decide(RUN, [], outcome(AttemptState.STARTED), NOW)


def test_what_an_attempt_told_is_kept_when_the_next_one_tells_less() -> None:
    told = Outcome(state=AttemptState.FAILED, values={"x": 1}, results={"rows": 2}, name="new", output_path="/o.ipynb")
    after = decide(replace(RUN, options=RunOptions(retries=1)), [], told, NOW)
    last = decide(after, [AttemptState.FAILED], Outcome(state=AttemptState.LOST, failure=FAILURE), NOW)
    assert (last.values, last.results, last.name, last.output_path) == ({"x": 1}, {"rows": 2}, "new", "/o.ipynb")


def test_equal_content_values_and_kernel_have_one_identity() -> None:
    assert identity("h", {"a": 1, "b": [2]}, "python3") == identity("h", {"b": [2], "a": 1}, "python3")
    others = {identity("h", {"a": 1}, "python3"), identity("i", {"a": 1}, "python3"), identity("h", {"a": 1}, "ir")}
    assert len({*others, identity("h", {"a": 1.0}, "python3"), identity("h", {"a": "1"}, "python3")}) == 5


@pytest.mark.parametrize(
    ("template", "fields"),
    [("plain", []), ("sales-{region}-{day:%Y-%m}", ["region", "day"]), ("{a[b]}{c.d}{e!r}", ["a", "c", "e"])],
)
def test_the_fields_of_a_name_template_are_found(template: str, fields: list[str]) -> None:
    assert find_template_fields(template) == fields


def test_a_run_ended_when_its_attempt_says_so() -> None:
    ended = decide(RUN, [], Outcome(state=AttemptState.SUCCEEDED, ended=NOW - timedelta(hours=1)), NOW)
    assert ended.ended == NOW - timedelta(hours=1)
    assert decide(RUN, [], Outcome(state=AttemptState.LOST), NOW).ended == NOW


def test_the_wait_before_a_retry_grows_up_to_a_month() -> None:
    options = RunOptions(retry_delay=5, retry_backoff=2)
    assert [find_retry_delay(options, tries) for tries in (1, 2, 3)] == [5, 10, 20]
    assert find_retry_delay(RunOptions(retry_delay=1, retry_backoff=1000), 900) == 30 * 86400
