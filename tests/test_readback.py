"""Reading the values that a run used back from its kernel."""

from __future__ import annotations

import ast
import datetime
import decimal
import enum
import math
import pathlib
import re
import subprocess
import sys
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbflow.engines.inside import PIECE
from nbflow.engines.questions import ask, ask_set_up, read_answer
from nbflow.parameters import reader
from nbflow.parameters.readback import MAX_VALUE, parse_readback, readback_expression
from tests.parameters_fixtures import declare


class Color(enum.Enum):
    RED = "red"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class HostileText(str):
    def __len__(self) -> int:
        raise RuntimeError("no length")


def read_back(namespace: dict[str, Any], names: list[str] | None = None) -> dict[str, Any]:
    """What a kernel with *namespace* would answer."""
    expression = readback_expression(list(namespace) if names is None else names)
    replies = []
    for loaded in (reader, None):  # as in a fork of the fork server, and as elsewhere
        kernel = dict(namespace)
        sys.modules[reader.__name__] = loaded  # type: ignore[assignment]
        try:
            replies.append(repr(eval(expression, kernel)))
        finally:
            sys.modules[reader.__name__] = reader
        assert set(kernel) == set(namespace) | {"__builtins__"}
    assert replies[0] == replies[1]
    return parse_readback(replies[0])


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (1, 1),
        (True, True),
        (None, None),
        ("a'\"\n\ud800\x00", "a'\"\n\ud800\x00"),
        (math.inf, math.inf),
        ([1, (2, 3)], [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ({1: "a"}, {"1": "a"}),
        (datetime.date(2026, 1, 31), "2026-01-31"),
        (datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC), "2026-01-31T00:00:00+00:00"),
        (datetime.timedelta(days=1), "P1D"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.Path("a/b"), "a/b"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (Color.RED, "red"),
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.datetime64("2026-01-31"), "2026-01-31"),
        (pd.Timestamp("2026-01-31"), "2026-01-31T00:00:00"),
        (pd.Timedelta("1D"), "P1D"),
        (pd.NaT, None),
        ([np.float32(0.5), pd.Timestamp("2026-01-31")], [0.5, "2026-01-31T00:00:00"]),
    ],
)
def test_a_value_is_answered_in_its_json_form(value: Any, form: Any) -> None:
    assert read_back({"x": value}) == {"x": form}


def test_nan_is_answered() -> None:
    assert math.isnan(read_back({"x": math.nan})["x"])


def test_other_values_are_answered_as_a_short_repr() -> None:
    answer = read_back({"frame": pd.DataFrame({"a": range(10_000)}), "f": len, "c": 1j, "b": b"x", "a": np.arange(9)})
    assert answer["f"] == {"$repr": "<built-in function len>"}
    assert answer["c"] == {"$repr": "1j"}
    assert answer["b"] == {"$repr": "b'x'"}
    assert all(len(found["$repr"]) <= 200 for found in answer.values())


def test_hostile_values_and_missing_names_do_not_stop_the_rest() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    namespace: dict[str, Any] = {
        "hostile": Hostile(),
        "listed": [Hostile()],
        "text": HostileText("a"),
        "loop": loop,
        "deep": deep,
        "huge": 10**10_000,
        "ok": 1,
    }
    answer = read_back(namespace, [*namespace, "absent", "not a name", "it's"])
    assert list(answer) == list(namespace)
    assert answer["ok"] == 1
    assert answer["text"] == "a"
    # reprlib writes its own text where a repr raises.
    assert re.match(r"<Hostile", answer["hostile"]["$repr"])
    assert answer["huge"]["$repr"].startswith("0x")


def test_large_values_are_cut() -> None:
    answer = read_back({"text": "x" * (MAX_VALUE + 1), "many": list(range(10**6)), "fits": "x" * (MAX_VALUE - 10)})
    assert len(answer["text"]["$repr"]) <= 200
    assert len(answer["many"]["$repr"]) <= 200
    assert answer["fits"] == "x" * (MAX_VALUE - 10)


def test_names_that_shadow_builtins_do_no_harm() -> None:
    namespace = dict.fromkeys(["json", "type", "len", "str", "globals", "exec", "list", "dict", "isinstance"], 1)
    assert read_back(namespace) == namespace


def test_the_answer_is_the_json_form_that_validation_gives() -> None:
    declaration = declare("a: date\nb: set[int]\nc: timedelta\nd: Path\ne: pd.Timestamp\nf: dict[int, Decimal]")
    values = declaration.validate(
        {"a": "2026-01-31", "b": [3, 1], "c": "P1DT1S", "d": "x", "e": "2026-01-31", "f": {"1": "1.0"}}
    )
    assert read_back(dict(values.typed)) == values.json


def test_the_expression_needs_nothing_of_nbflow() -> None:
    expression = readback_expression(["x"])
    code = f"import sys\nx = {{1, 2}}\nprint(eval({expression!r}))\nprint([m for m in sys.modules if 'nbflow' in m])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ['{"x": [1, 2]}', "[]"]


def test_what_is_sent_to_a_kernel_keeps_to_old_python() -> None:
    body = ast.parse(readback_expression(["x"]), mode="eval")
    (source,) = [
        node.value
        for node in ast.walk(body)
        if isinstance(node, ast.Constant) and "import" in str(node.value)[:5000] and len(str(node.value)) > 100
    ]
    functions = [
        node.name for node in ast.parse(source, feature_version=(3, 8)).body if isinstance(node, ast.FunctionDef)
    ]
    assert "read_all" in functions


@pytest.mark.parametrize("question", [ask("1"), ask_set_up()])
def test_questions_keep_to_old_python_too(question: str) -> None:
    sources = [
        node.value
        for node in ast.walk(ast.parse(question, mode="eval", feature_version=(3, 8)))
        if isinstance(node, ast.Constant) and "def tell" in str(node.value)
    ]
    for source in sources:
        first = next(node for node in ast.parse(source, feature_version=(3, 8)).body if not isinstance(node, ast.Expr))
        assert ast.unparse(first) == "from __future__ import annotations", "annotations would be evaluated there"
    assert sources


@pytest.mark.parametrize("reply", ["", "'", "1", "'[1]'", "'{'", "x", "(" * 500, "b'{}'", "'{\"a\": 1}'"])
def test_any_reply_is_parsed_or_empty(reply: str) -> None:
    assert parse_readback(reply) == ({"a": 1} if "a" in reply else {})


@pytest.mark.kernel
def test_a_real_kernel_answers() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive("import datetime\nday = datetime.date(2026, 1, 31)\nrows = {2, 1}\n", timeout=60)
        expression = readback_expression(["day", "rows", "absent"])
        reply = client.execute_interactive("", silent=True, user_expressions={"v": expression}, timeout=60)
        answer = reply["content"]["user_expressions"]["v"]
        assert answer["status"] == "ok"
        assert parse_readback(answer["data"]["text/plain"]) == {"day": "2026-01-31", "rows": [1, 2]}

        asked = {"values": ask(expression), "nothing": ask("None"), "wrong": ask("absent")}
        content = client.execute_interactive("", silent=True, user_expressions=asked, timeout=60)["content"]
        assert read_answer(content, "values") == {"day": "2026-01-31", "rows": [1, 2]}
        assert content["user_expressions"]["values"]["data"] == {}, "it went past the formatters"
        assert read_answer(content, "wrong") is None

        client.execute_interactive("get_ipython().payload_manager.write_payload = None", timeout=60)
        content = client.execute_interactive("", silent=True, user_expressions=asked, timeout=60)["content"]
        assert read_answer(content, "values") == {"day": "2026-01-31", "rows": [1, 2]}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


PRINTS = """
print("first")
print(("é" * 99 + "\\n") * 30_000 + "x" * 1_500_000, end="")
print("\\nlast")
"""


@pytest.mark.kernel
def test_what_is_printed_at_once_comes_in_pieces_and_in_order() -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    printed: list[str] = []

    def note(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    try:
        client.execute_interactive("", silent=True, user_expressions={"set_up": ask_set_up()}, timeout=60)
        client.execute_interactive(PRINTS, timeout=60, output_hook=note)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(printed) == "first\n" + ("é" * 99 + "\n") * 30_000 + "x" * 1_500_000 + "\nlast\n"
    assert len(printed) >= 5
    assert max(map(len, printed)) <= PIECE
