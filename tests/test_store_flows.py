"""The contract of every store: notebooks, registered flows, key-value pairs."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from nbflow.errors import NotFoundError, StoreError, UsageError
from nbflow.flows import FlowVersion
from nbflow.ports import Store
from nbflow.stores import SqlStore
from tests.store_fixtures import NOW, add_run, later

NASTY_KEYS = ["", " ", "a/b", "a%", "a_", "A", "é", "e\u0301", "\x00", "\ud800", "\x1a", "\x1a0000", "💥", "k" * 1000]


def register(store: Store, project: str = "p", name: str = "flow", **fields: Any) -> FlowVersion:
    defaults = {"notebook_hash": "h1", "schema": {"x": math.inf}, "source_path": "/a.ipynb", "now": NOW}
    return store.register_flow(project=project, name=name, **{**defaults, **fields})


# -- notebooks


def test_a_notebook_comes_back_byte_for_byte(store: Store) -> None:
    content = bytes(range(256)) * 1000
    store.put_notebook("h", content)
    store.put_notebook("h", content)
    store.put_notebook("empty", b"")
    assert store.get_notebook("h") == content
    assert store.get_notebook("empty") == b""
    with pytest.raises(NotFoundError, match="other"):
        store.get_notebook("other")


# -- flows


def test_a_registered_flow_is_found_by_its_name(store: Store) -> None:
    added = register(store)
    assert added == FlowVersion(
        project="p",
        name="flow",
        number=1,
        notebook_hash="h1",
        schema={"x": math.inf},
        source_path="/a.ipynb",
        registered=NOW,
    )
    assert store.get_flow("p", "flow") == store.get_flow("p", "flow", number=1) == added


def test_registering_the_same_again_changes_nothing(store: Store) -> None:
    first = register(store)
    assert register(store, now=later(60)) == first
    second = register(store, notebook_hash="h2", now=later(60))
    third = register(store, notebook_hash="h2", source_path="/b.ipynb")
    back = register(store, notebook_hash="h1")
    assert [version.number for version in (second, third, back)] == [2, 3, 4]
    assert store.list_versions("p", "flow") == [first, second, third, back]
    assert store.get_flow("p", "flow") == back
    assert store.get_flow("p", "flow", number=2) == second
    assert store.list_versions("p", "none") == []


def test_flows_are_listed_by_full_name_in_their_newest_version(store: Store) -> None:
    for project, name in (("a", "z"), ("a-b", "x"), ("a", "b"), ("b", "z")):
        register(store, project, name)
    newest = register(store, "a", "b", notebook_hash="h2")
    assert [flow.full_name for flow in store.list_flows()] == ["a-b/x", "a/b", "a/z", "b/z"]
    assert store.list_flows("a")[0] == newest
    assert [flow.full_name for flow in store.list_flows("a")] == ["a/b", "a/z"]
    assert store.list_flows("none") == []


def test_an_unknown_flow_names_the_nearest(store: Store) -> None:
    register(store, "sales", "daily")
    with pytest.raises(NotFoundError, match="did you mean sales/daily"):
        store.get_flow("sales", "dayly")
    with pytest.raises(NotFoundError, match="newest is 1"):
        store.get_flow("sales", "daily", number=2)
    with pytest.raises(NotFoundError):
        store.remove_flow("sales", "dayly")


def test_a_removed_flow_is_forgotten_and_its_runs_stay(store: Store) -> None:
    register(store)
    run = add_run(store, flow="p/flow", flow_version=1)
    store.remove_flow("p", "flow")
    assert store.list_flows() == store.list_versions("p", "flow") == []
    assert store.get_run(run.id) == run
    assert register(store).number == 1


# -- key-value pairs


@pytest.mark.parametrize("key", NASTY_KEYS, ids=lambda key: ascii(key)[:20])
def test_any_key_keeps_its_own_value(store: Store, key: str) -> None:
    for other in NASTY_KEYS:
        store.kv_set(other, "other", now=NOW)
    store.kv_set(key, {"x": [math.inf, "\x00\ud800", 2**70, None]}, now=NOW)
    assert store.kv_get(key) == {"x": [math.inf, "\x00\ud800", 2**70, None]}
    assert sorted(store.kv_list()) == sorted(NASTY_KEYS)
    assert store.kv_delete(key)
    assert not store.kv_delete(key)
    with pytest.raises(NotFoundError):
        store.kv_get(key)
    assert len(store.kv_list()) == len(NASTY_KEYS) - 1


def test_pairs_are_listed_by_the_beginning_of_their_keys(store: Store) -> None:
    for key in ("b", "a_c", "a_b", "axb", "a", "A", "aé", "a💥"):
        store.kv_set(key, key, now=NOW)
    assert list(store.kv_list()) == ["A", "a", "a_b", "a_c", "axb", "aé", "a💥", "b"]
    assert list(store.kv_list("a_")) == ["a_b", "a_c"]
    assert store.kv_list("a💥") == {"a💥": "a💥"}
    assert store.kv_list("none") == {}


def test_null_is_a_value(store: Store) -> None:
    store.kv_set("k", None, now=NOW)
    assert store.kv_get("k") is None
    assert store.kv_update("k", lambda value: [value], default=1, now=NOW) == [None]


def test_an_update_starts_from_the_default_and_goes_on_from_the_value(store: Store) -> None:
    default: list[int] = []
    for number in range(3):
        assert store.kv_update("k", lambda value, n=number: [*value, n], default=default, now=NOW) == list(
            range(number + 1)
        )
    assert store.kv_update("mine", lambda value: value.append(1) or value, default=default, now=NOW) == [1]
    assert default == []


def test_an_update_that_raises_changes_nothing(store: Store) -> None:
    def fail(value: Any) -> Any:
        raise ZeroDivisionError

    store.kv_set("k", 1, now=NOW)
    for key in ("k", "new"):
        with pytest.raises(ZeroDivisionError):
            store.kv_update(key, fail, default=0, now=NOW)
    assert store.kv_list() == {"k": 1}


def test_what_is_not_json_is_refused_by_name(store: Store) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (object(), {1, 2}, b"x", loop):
        with pytest.raises(UsageError, match="'k'"):
            store.kv_set("k", value, now=NOW)
        with pytest.raises(UsageError, match="'k'"):
            store.kv_update("k", lambda _, value=value: value, default=0, now=NOW)
    with pytest.raises(UsageError, match="1000 at the most"):
        store.kv_set("k" * 1001, 1, now=NOW)
    assert store.kv_list() == {}


def test_an_update_that_uses_the_store_is_refused_instead_of_waiting_for_itself(store: Store) -> None:
    store.kv_set("other", 1, now=NOW)
    with pytest.raises(UsageError, match="own transactions"):
        store.kv_update("k", lambda value: value + store.kv_get("other"), default=0, now=NOW)
    assert store.kv_list() == {"other": 1}


# -- the store as a whole


def test_threads_share_a_store(store: Store) -> None:
    store.kv_set("n", 0, now=NOW)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                store.kv_update("n", lambda value: value + 1, default=0, now=NOW)
                store.get_run(add_run(store).id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.kv_get("n") == 400


def test_a_closed_store_says_so(store: SqlStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.kv_list()
