"""What R and bash hold after a cell of ours has been run by their own kernels."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from nbflow.parameters.languages import render_values
from nbflow.parameters.records import Parameter
from tests.languages_fixtures import NASTY_TEXTS
from tests.parameters_fixtures import declare

pytestmark = pytest.mark.kernel

Execute = Callable[[str], str]

R_DUMP = """
dump_codes <- function(s) paste0("[", paste(utf8ToInt(s), collapse = ","), "]")
dump_one <- function(x) {
  if (is.null(x)) return("null")
  if (inherits(x, "Date")) return(paste0('["date","', format(x), '"]'))
  if (inherits(x, "difftime")) return(paste0('["seconds","', sprintf("%a", as.numeric(x, units = "secs")), '"]'))
  if (inherits(x, "POSIXct")) return(paste0('["moment","', sprintf("%.6f", as.numeric(x)), '"]'))
  if (is.list(x) || length(x) != 1) {
    items <- vapply(seq_along(x), function(i) dump_one(x[[i]]), "")
    if (!is.null(names(x))) {
      items <- paste0("[", vapply(names(x), dump_codes, ""), ",", items, "]")
      return(paste0('["named",[', paste(items, collapse = ","), "]]"))
    }
    return(paste0('["', if (is.list(x)) "list" else class(x), '",[', paste(items, collapse = ","), "]]"))
  }
  if (!is.null(names(x))) return(dump_one(as.list(x)))
  if (is.logical(x)) return(if (x) "true" else "false")
  if (is.character(x)) return(paste0('["text",', if (nchar(x)) dump_codes(x) else "[]", "]"))
  if (is.integer(x)) return(paste0('["integer","', x, '"]'))
  if (is.nan(x)) return('["double","nan"]')
  paste0('["double","', sprintf("%a", x), '"]')
}
"""


def codes(text: str) -> list[int]:
    return [ord(char) for char in text]


def as_r_holds(value: Any) -> Any:
    """What ``dump_one`` prints for *value*."""
    match value:
        case None | bool():
            return value
        case str():
            return ["text", codes(value)]
        case int():
            return ["integer", str(value)] if abs(value) < 2**31 else ["double", float(value).hex()]
        case float():
            return ["double", "nan" if math.isnan(value) else value.hex()]
        case list() | tuple():
            return ["list", [as_r_holds(item) for item in value]]
        case dict() if value:
            return ["named", [[codes(key), as_r_holds(item)] for key, item in value.items()]]
    return ["list", []]


def read_dump(line: str) -> Any:
    """A line of ``dump_one``, its hexadecimal floats in Python's spelling."""

    def tidy(found: Any) -> Any:
        if isinstance(found, list) and found[:1] == ["double"] and isinstance(found[1], str) and found[1] != "nan":
            return ["double", float.fromhex(found[1].lower()).hex()]
        return [tidy(item) for item in found] if isinstance(found, list) else found

    return tidy(json.loads(line))


def start(name: str, folder: Path, cwd: Path) -> Iterator[Execute]:
    """Runs cells in a kernel of that name and gives what they print."""
    manager = KernelManager(kernel_name=name, kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder)]))
    manager.start_kernel(cwd=str(cwd))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)

        def execute(code: str) -> str:
            printed: list[str] = []
            problems: list[str] = []

            def note(message: dict[str, Any]) -> None:
                content = message["content"]
                if message["msg_type"] == "stream":
                    (printed if content["name"] == "stdout" else problems).append(content["text"])
                elif message["msg_type"] == "error":
                    problems.append(content["evalue"])

            reply = client.execute_interactive(code, timeout=120, output_hook=note)
            assert (reply["content"]["status"], problems) == ("ok", [])
            return "".join(printed)

        yield execute
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def r(kernel_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    for execute in start("ir", kernel_folder, tmp_path_factory.mktemp("r")):
        execute(R_DUMP)
        yield execute


@pytest.fixture(scope="module")
def r_in_the_c_locale(kernel_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C")
        for execute in start("ir", kernel_folder, tmp_path_factory.mktemp("r-c")):
            execute(R_DUMP)
            yield execute


@pytest.fixture(scope="module")
def bash_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bash")


@pytest.fixture(scope="module")
def bash(kernel_folder: Path, bash_folder: Path) -> Iterator[Execute]:
    yield from start("bash", kernel_folder, bash_folder)


def hold(execute: Execute, values: dict[str, Any], declared: dict[str, Parameter] | None = None) -> dict[str, Any]:
    """What R holds under the names of *values* after our cell."""
    execute(render_values("R", "ir", values, declared=declared or {}))
    dumps = "\n".join(f'cat(dump_one({name}), "\\n", sep = "")' for name in values)
    lines = execute(dumps).splitlines()
    return {name: read_dump(line) for name, line in zip(values, lines, strict=True)}


def number(values: Any) -> dict[str, Any]:
    return {f"x{place}": value for place, value in enumerate(values)}


# -- R ---------------------------------------------------------------------------------------------------------------

NUMBERS = (0, 1, -1, 2**31 - 1, -(2**31) + 1, -(2**31), 2**31, 2**53, -(2**53))
FLOATS = (0.0, -0.0, 0.1, 0.1 + 0.2, 1e22, 1e23, 5e-324, 1.7976931348623157e308, 2.5, 1 / 3, 1e-7, 123456.789)
OTHERS = (math.nan, math.inf, -math.inf, True, False, None)
CONTAINERS: tuple[Any, ...] = (
    [],
    [1, "a", None, [True, []], {"a": 1.5}],
    [[[]]],
    {},
    {"a": 1, "b": 2.5, "NA": 3, "TRUE": None, "if": "x"},
    {"": 1},
    {"": None, "\u4e2d\n": [1], 'k"\\': {"": ""}},
    {"k" * 12_000: 1},
)


def test_r_holds_every_nasty_text(r: Execute) -> None:
    values = number(NASTY_TEXTS.values())
    assert hold(r, values) == {name: as_r_holds(value) for name, value in values.items()}


def test_r_holds_every_nasty_text_in_the_c_locale(r_in_the_c_locale: Execute) -> None:
    values = number(NASTY_TEXTS.values())
    assert hold(r_in_the_c_locale, values) == {name: as_r_holds(value) for name, value in values.items()}


@pytest.mark.parametrize(
    "values", [NUMBERS, FLOATS, OTHERS, CONTAINERS], ids=["ints", "floats", "others", "containers"]
)
def test_r_holds_values_and_their_types(r: Execute, values: tuple[Any, ...]) -> None:
    named = number(values)
    assert hold(r, named) == {name: as_r_holds(value) for name, value in named.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(floats=st.lists(st.floats(allow_nan=False), min_size=50, max_size=200))
def test_r_holds_every_float_exactly(r: Execute, floats: list[float]) -> None:
    assert hold(r, {"x": floats}) == {"x": as_r_holds(floats)}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=5)
    ),
    max_leaves=20,
).filter(lambda value: "\\u0000" not in json.dumps(value))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=json_values)
def test_r_holds_every_json_value(r: Execute, value: Any) -> None:
    assert hold(r, {"x": value}) == {"x": as_r_holds(value)}


def test_r_reads_lists_as_deep_as_we_write_them(r: Execute) -> None:
    deep: Any = 1.5
    for _ in range(50):
        deep = [deep]
    assert hold(r, {"x": deep}) == {"x": as_r_holds(deep)}


def test_r_reads_half_a_mebibyte(r: Execute) -> None:
    values = {"text": "é\n\"'" * 60_000, "numbers": [n / 7 for n in range(10_000)]}
    assert hold(r, values) == {name: as_r_holds(value) for name, value in values.items()}


def test_r_holds_dates_and_times(r: Execute) -> None:
    hour = datetime.timezone(datetime.timedelta(hours=1))
    values = {
        "date": datetime.date(2026, 1, 31),
        "first": datetime.date(1, 1, 1),
        "moment": datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=hour),
        "span": datetime.timedelta(days=-1, microseconds=5),
    }
    held = hold(r, values)
    assert held["date"] == ["date", "2026-01-31"]
    assert held["first"][1].lstrip("0") == "1-01-01"
    assert held["moment"] == ["moment", f"{values['moment'].timestamp():.6f}"]
    assert float.fromhex(held["span"][1]) == values["span"].total_seconds()


def test_r_vectors_stay_vectors(r: Execute) -> None:
    declaration = declare('a <- c(1, 2)\nb <- c("x")\nc <- c(p = 1L)\nd <- c(TRUE)\ne <- c("x")', language="R")
    typed = declaration.validate({"a": [3, 0.1 + 0.2], "b": ["\u4e2d", ""], "c": {"q r": 5, "s": 6}, "d": [], "e": []})
    held = hold(r, dict(typed.typed), {parameter.name: parameter for parameter in declaration.parameters})
    assert held == {
        "a": ["numeric", [["double", (3.0).hex()], ["double", (0.1 + 0.2).hex()]]],
        "b": ["character", [["text", [0x4E2D]], ["text", []]]],
        "c": ["named", [[codes("q r"), ["integer", "5"]], [codes("s"), ["integer", "6"]]]],
        "d": ["logical", []],
        "e": ["character", []],
    }


# -- bash ------------------------------------------------------------------------------------------------------------


def show_bytes(execute: Execute, expressions: list[str]) -> list[str]:
    """The texts that bash makes of *expressions*."""
    lines = [f"printf %s {expression} | od -An -v -tx1 | tr -d ' \\n'; echo" for expression in expressions]
    return [bytes.fromhex(line).decode() for line in execute("\n".join(lines)).splitlines()]


def test_bash_holds_every_nasty_text_and_runs_none(bash: Execute, bash_folder: Path) -> None:
    values = number(NASTY_TEXTS.values())
    bash(render_values("bash", "bash", values))
    assert show_bytes(bash, [f'"${name}"' for name in values]) == list(values.values())
    assert list(bash_folder.iterdir()) == [], "a value has been run"


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=12))
def test_bash_holds_every_text(bash: Execute, texts: list[str]) -> None:
    bash(render_values("bash", "bash", {**number(texts), "all": texts}))
    items = [f'"${{all[{place}]}}"' for place in range(len(texts))]
    assert show_bytes(bash, [f'"$x{place}"' for place in range(len(texts))]) == texts
    assert show_bytes(bash, items) == texts
    assert bash('echo "${#all[@]}"') == f"{len(texts)}\n"


def test_bash_holds_scalars_as_text(bash: Execute) -> None:
    values = {"i": 2**70, "f": 0.1, "e": 1e22, "t": True, "n": None, "nan": math.nan, "minus": -math.inf}
    bash(render_values("bash", "bash", values))
    texts = [str(2**70), "0.1", "1e+22", "true", "", "nan", "-inf"]
    assert show_bytes(bash, [f'"${name}"' for name in values]) == texts


def test_bash_holds_dictionaries_with_any_keys(bash: Execute) -> None:
    keys = [
        "a b",
        "]",
        "x]=y",
        "[",
        "$(touch x)",
        "`id`",
        "@",
        "*",
        "'",
        '"',
        "\\",
        "!",
        "a[0]",
        "=",
        "\n",
        "中",
        "1+1",
    ]
    mapping = {key: f"value of {key}" for key in keys}
    bash(render_values("bash", "bash", {"m": mapping, "k": keys}))
    assert show_bytes(bash, [f'"${{m[${{k[{place}]}}]}}"' for place in range(len(keys))]) == list(mapping.values())
    assert bash('echo "${#m[@]}"') == f"{len(keys)}\n"


def test_bash_keeps_a_variable_exported(bash: Execute) -> None:
    bash("export exported=1")
    bash(render_values("bash", "bash", {"exported": "two words"}))
    assert bash("env | grep ^exported=") == "exported=two words\n"


def test_bash_reads_a_long_text(bash: Execute) -> None:
    text = "é'\t" * 3_000  # longer than a line of a terminal
    bash(render_values("bash", "bash", {"x": text}))
    # Its digest rather than itself: a terminal between bash and its kernel is not to be trusted with so long an answer.
    assert hashlib.sha256(text.encode()).hexdigest() in bash('printf %s "$x" | sha256sum')
