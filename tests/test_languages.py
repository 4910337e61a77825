"""Writing values into notebooks of other languages: exact, or refused; and no value is ever code.

``tests/golden/languages.json`` holds what is written for each value. ``python -m tests.test_languages`` writes it anew;
its literals for Scala, C# and Octave were once compiled and run, those for R and bash are in ``test_language_kernels``.
"""

from __future__ import annotations

import datetime
import enum
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.errors import ParameterError
from nbflow.parameters.languages import can_render, name_fault, render_values
from nbflow.parameters.records import Text
from tests.languages_fixtures import GOLDEN_VALUES, LANGUAGES, NASTY_TEXTS, STRING_READERS
from tests.parameters_fixtures import declare

GOLDEN = Path(__file__).parent / "golden" / "languages.json"
ASSIGNMENTS = {
    "R": ("x = ", ""),
    "julia": ("x = ", ""),
    "scala": ("val x = ", ""),
    "matlab": ("x = ", ";"),
    "octave": ("x = ", ";"),
    "C#": ("var x = ", ";"),
    "F#": ("let x = ", ""),
    "powershell": ("$x = ", ""),
    "bash": ("x=", ""),
}
any_text = st.text(st.characters(codec="utf-8") | st.sampled_from("\"'\\$`\n\r\t!#%{}()\u2018\u2019\u201b\u2028"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def write(language: str, value: Any) -> str:
    """The line that assigns *value* to x."""
    lines = render_values(language, "", {"x": value}).split("\n")
    assert len(lines) == 3, "one line for the comment, one for the value"
    assert lines[2] == ""
    return lines[1]


def write_literal(language: str, value: Any) -> str:
    """What is assigned."""
    start, end = ASSIGNMENTS[language]
    line = write(language, value)
    assert line.startswith(start)
    return line.removeprefix(start).removesuffix(end)


def write_or_refuse(language: str, value: Any) -> str:
    try:
        return write(language, value)
    except ParameterError as error:
        (fault,) = error.faults
        return f"refused: {fault.message}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_value_is_written_as_its_golden_literal_or_refused(language: str) -> None:
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[language]
    written = {name: write_or_refuse(language, value) for name, value in GOLDEN_VALUES.items()}
    assert written == expected


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NASTY_TEXTS)
def test_a_nasty_text_is_one_literal_that_reads_back(language: str, name: str) -> None:
    text = NASTY_TEXTS[name]
    assert STRING_READERS[language](write_literal(language, text)) == text


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=200, deadline=None)
@given(text=any_text)
def test_every_text_is_one_literal_that_reads_back(language: str, text: str) -> None:
    if "\0" in text and language in ("R", "bash"):
        with pytest.raises(ParameterError, match="NUL"):
            write(language, text)
        return
    assert STRING_READERS[language](write_literal(language, text)) == text


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=100, deadline=None)
@given(value=json_values)
def test_every_json_value_is_one_line_or_a_refusal(language: str, value: Any) -> None:
    assert write_or_refuse(language, value).isprintable()


@pytest.mark.parametrize("language", ["scala", "C#", "powershell"])
def test_half_a_surrogate_pair_is_kept_where_strings_are_of_utf16_units(language: str) -> None:
    assert STRING_READERS[language](write_literal(language, "a\ud800")) == "a\ud800"


def test_a_long_text_in_scala_fits_the_constants_of_a_class_file() -> None:
    text = "中" * 70_000
    literal = write_literal("scala", text)
    assert max(len(chunk.encode()) for chunk in literal.split('", "')) < 65_535
    assert STRING_READERS["scala"](literal) == text


def test_a_long_text_in_r_is_cut_where_r_would_refuse_its_escapes() -> None:
    text = "中\\u" * 10_000
    literal = write_literal("R", text)
    assert literal.startswith("paste0(")
    assert STRING_READERS["R"](literal) == text
    assert write_literal("R", "\\u" * 10_000).startswith('"')


@settings(max_examples=300, deadline=None)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_for_r_as_what_it_is(number: float) -> None:
    literal = write_literal("R", number)
    assert (float.fromhex(literal) if "0x" in literal else float(literal)).hex() == number.hex()


# -- what a value is -------------------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (numpy.float64(0.1), 0.1),
        (numpy.int64(5), 5),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (Text("5"), "5"),
        (pandas.Timestamp("2026-01-31 12:00"), datetime.datetime(2026, 1, 31, 12)),
        (pandas.Timedelta("1h"), datetime.timedelta(hours=1)),
        ([numpy.float32(0.5)], [0.5]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("language", ["R", "scala", "C#"])
def test_scalars_of_other_kinds_are_written_as_what_they_stand_for(language: str, value: Any, same: Any) -> None:
    assert write(language, value) == write(language, same)


@pytest.mark.parametrize(
    "value",
    [
        pandas.NaT,
        pandas.NA,
        pandas.Timestamp("2026-01-31 12:00:00.000000001"),
        numpy.datetime64("2026-01-31T12:00:00", "ns"),
        numpy.array([1, 2]),
        pandas.DataFrame({"a": [1]}),
        object(),
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_value_without_a_literal_is_refused_and_not_made_text(language: str, value: Any) -> None:
    with pytest.raises(ParameterError, match="pass a string") as caught:
        write(language, value)
    assert caught.value.faults[0].rule == "unrepresentable"


def test_all_refused_values_are_told_at_once_and_none_is_shown() -> None:
    with pytest.raises(ParameterError) as caught:
        render_values("bash", "", {"a": "secret\0", "ok": 1, "b": [["secret"]], "if x": "secret"})
    assert [(fault.parameter, fault.rule) for fault in caught.value.faults] == [
        ("a", "unrepresentable"),
        ("b", "unrepresentable"),
        ("if x", "name"),
    ]
    assert "secret" not in str(caught.value)


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["a b", "a; id", "1a", "a\nb", "", "a-b", "x=1#", "$(id)", "a`", "a$b", "a'"])
def test_a_name_that_is_no_identifier_is_refused(language: str, name: str) -> None:
    with pytest.raises(ParameterError) as caught:
        render_values(language, "", {name: 1})
    assert caught.value.faults[0].rule == "name"


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("R", "TRUE"),
        ("R", "function"),
        ("R", "_1"),
        ("R", "..1"),
        ("julia", "end"),
        ("julia", "nothing"),
        ("julia", "__"),
        ("scala", "val"),
        ("scala", "Seq"),
        ("matlab", "end"),
        ("matlab", "_x"),
        ("matlab", "x" * 64),
        ("C#", "int"),
        ("F#", "let"),
        ("powershell", "PID"),
        ("powershell", "true"),
        ("bash", "UID"),
        ("bash", "PROMPT_COMMAND"),
        ("bash", "PS4"),
        ("bash", "é"),
    ],
)
def test_a_name_that_the_language_keeps_is_refused(language: str, name: str) -> None:
    assert name_fault(language, "", name) is not None
    with pytest.raises(ParameterError):
        render_values(language, "", {name: 1})


def test_names_that_only_r_allows() -> None:
    assert render_values("R", "", {"my.rate": 1.5, ".hidden": 2.5}) == "# Parameters\nmy.rate = 1.5\n.hidden = 2.5\n"


def test_leading_underscores_are_dropped_in_r_as_papermill_does() -> None:
    assert write("R", 1.5) == "x = 1.5"
    assert render_values("R", "", {"_x": 1.5}) == "# Parameters\nx = 1.5\n"


@pytest.mark.parametrize(("language", "pair"), [("R", ("x", "_x")), ("powershell", ("path_in", "PATH_IN"))])
def test_two_names_of_one_variable_are_refused(language: str, pair: tuple[str, str]) -> None:
    with pytest.raises(ParameterError, match="same variable"):
        render_values(language, "", dict.fromkeys(pair, 1))


# -- comments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("comment", ["a\nb", "a *) b", "a */ b", "a\u2028b", "\\u000a x", "a !! b", "a \\", "\r", ""])
def test_a_comment_stays_one_line_of_comment(language: str, comment: str) -> None:
    first, *rest = render_values(language, "", {"x": 1.5}, comment).split("\n")
    assert first.startswith(("#", "//", "%"))
    assert first.isprintable()
    assert "\\" not in first
    assert len(rest) == 2


# -- which language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "kernel", "start"),
    [
        ("R", "ir", "x = TRUE"),
        ("scala", "sparkkernel", "val x = true"),
        ("python", "sparkrkernel", "x = TRUE"),
        ("C#", ".net-csharp", "var x = true;"),
        ("", ".net-fsharp", "let x = true"),
        ("PowerShell", ".net-powershell", "$x = $True"),
        ("Julia", "julia-1.10", "x = true"),
        ("bash", "bash", "x=true"),
    ],
)
def test_the_kernels_name_goes_before_its_language(language: str, kernel: str, start: str) -> None:
    assert can_render(language, kernel)
    assert render_values(language, kernel, {"x": True}).split("\n")[1] == start


def test_an_unknown_language_is_refused_with_the_names_of_those_that_are_known() -> None:
    assert not can_render("cobol", "gnucobol")
    with pytest.raises(ParameterError, match="Julia") as caught:
        render_values("cobol", "gnucobol", {"x": 1, "y": 2})
    assert [fault.parameter for fault in caught.value.faults] == ["x", "y"]


def test_what_others_register_with_papermill_changes_nothing() -> None:
    code = (
        "from papermill.translators import papermill_translators, PythonTranslator\n"
        "papermill_translators.register('R', PythonTranslator)\n"
        "from nbflow.parameters.languages import render_values\n"
        "print(render_values('R', 'ir', {'x': True}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "x = TRUE" in printed


def test_papermill_is_imported_by_writing_only() -> None:
    code = (
        "import sys\n"
        "from nbflow.parameters.languages import can_render, render_values\n"
        "from nbflow.parameters.dialects import read_foreign\n"
        "read_foreign('x <- 1', 'R'), can_render('R')\n"
        "print(*{'papermill', 'pydantic'} & set(sys.modules))\n"
        "render_values('R', 'ir', {'x': 1})\n"
        "print('papermill' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["", "True"]


# -- the forms of the parameters cell --------------------------------------------------------------------------------


def inject(language: str, source: str, **values: Any) -> list[str]:
    """The lines that are injected below a parameters cell with *source*."""
    from nbflow.parameters.injection import render_injection

    declaration = declare(source, language=language)
    cell = render_injection(declaration, declaration.validate(values), kernel_name="", language=language)
    return cell.split("\n")[1:-1]


@pytest.mark.parametrize(
    ("language", "source", "value", "line"),
    [
        ("R", "x <- 3", 5, "x = 5.0"),
        ("R", "x <- 3L", 5, "x = 5L"),
        ("R", "x <- c(1, 2)", [3, 4.5], "x = c(3.0, 4.5)"),
        ("R", 'x <- c("a")', [], "x = character(0)"),
        ("R", "x <- c(TRUE)", [], "x = logical(0)"),
        ("R", "x <- c(1L)", [], "x = integer(0)"),
        ("R", "x <- c(1)", [], "x = numeric(0)"),
        ("R", "x <- c(a = 1)", {"b": 2}, 'x = c("b" = 2.0)'),
        ("R", "x <- list(1, 2)", [3, "a"], 'x = list(3L, "a")'),
        ("R", 'x <- as.Date("2026-01-31")', "2026-02-01", 'x = as.Date("2026-02-01")'),
        ("scala", "var x = 3", 5, "var x = 5"),
        ("scala", "val x: Long = 3", 5, "val x: Long = 5"),
        ("scala", "var x: Double = 3", 5, "var x: Double = 5.0"),
        ("scala", "val x = List(1)", [2, 3], "val x = List(2, 3)"),
        ("scala", "val x = Array(1)", [2, 3.5], "val x = Array[Any](2, 3.5)"),
        ("C#", "long x = 3;", 5, "long x = 5;"),
        ("C#", 'string x = "a";', "b", 'var x = "b";'),
        ("C#", 'string? x = "a";', None, "string? x = null;"),
        ("C#", "var x = new List<int> { 1 };", [2, 3], "var x = new List<int> { 2, 3 };"),
        ("F#", "let mutable x = 3", 5, "let mutable x = 5"),
        ("F#", "let x = 3L", 5, "let x = 5L"),
        ("F#", "let x = [| 1 |]", [2, 3], "let x = [| 2; 3 |]"),
        ("matlab", "x = [1 2];", [3, 4.5], "x = [3.0, 4.5];"),
        ("matlab", "x = 'a';", "b'c", "x = 'b''c';"),
        ("matlab", 'x = "a";', "b'c", 'x = "b\'c";'),
        ("bash", "x=3", 5, "x=5"),
        ("bash", "x=a", True, "x=true"),
        ("bash", "declare -i x=3", 5, "x=5"),
        ("bash", "x=(a b)", ["c d", 5], "x=('c d' 5)"),
        ("bash", "declare -A x=([a]=b)", {"c d": "e"}, "declare -A x=(['c d']=e)"),
    ],
)
def test_the_form_of_the_parameters_cell_is_kept(language: str, source: str, value: Any, line: str) -> None:
    assert inject(language, source, x=value) == [line]


def test_a_shell_integer_takes_no_expression() -> None:
    # Assigned to a variable that is declared an integer, a[$(id)] would be evaluated.
    with pytest.raises(ParameterError):
        inject("bash", "declare -i x=3", x="a[$(id)]")


def test_parameters_are_injected_in_the_order_of_the_declaration() -> None:
    assert inject("julia", "a = 1\nb = 2\nc = 3", c=30, a=10) == ["a = 10", "c = 30"]


def main() -> None:
    written = {
        language: {name: write_or_refuse(language, value) for name, value in GOLDEN_VALUES.items()}
        for language in LANGUAGES
    }
    GOLDEN.write_text(json.dumps(written, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
