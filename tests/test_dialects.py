"""Declarations that are no Python assignments alone: Colab forms, Databricks widgets, other languages."""

from __future__ import annotations

import ast
import datetime
import decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.parameters.dialects import read_colab, read_dbutils, read_foreign
from nbflow.parameters.records import ComputedDefault, LiteralDefault, NoDefault, Parameter
from tests.parameters_fixtures import declare, declare_one, find_faults


def refusals(source: str, **values: Any) -> list[str]:
    return [fault.message for fault in find_faults(declare(source), values)]


def accepted(source: str, **values: Any) -> dict[str, Any]:
    return dict(declare(source).validate(values).typed)


# -- Colab -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "type_text", "widget"),
    [
        ('x = 3 #@param {type:"integer"}', "int", {"kind": "integer"}),
        ('x = 3 # @param {"type":"integer"}', "int", {"kind": "integer"}),
        ('x = 3 #@param{type:"integer"}', "int", {"kind": "integer"}),
        ("x = 3 #@param {type:'integer'}", "int", {"kind": "integer"}),
        ("x = 3 #@param {type: integer}", "int", {"kind": "integer"}),
        ('x = 3 #@param type:"integer"', "int", {"kind": "integer"}),
        ('x = 3 #@param {type:"integer"', "int", {"kind": "integer"}),
        ('x = 3 #@param {type:"number"}', "int | float", {"kind": "number"}),
        ('x = "a" #@param {type:"string"}', "str", {"kind": "string"}),
        (
            'x = "" #@param {type:"string", placeholder:"a name"}',
            "str",
            {"kind": "string", "placeholder": "a name"},
        ),
        ('x = True #@param {type:"boolean"}', "bool", {"kind": "boolean"}),
        ('x = "2026-01-31" #@param {type:"date"}', "str", {"kind": "date"}),
        ('x = [1, 2] #@param {type:"raw"}', "Any", {"kind": "raw"}),
        ('x = None #@param {type:"string"}', "str | None", {"kind": "string"}),
        ('x = compute() #@param {type:"integer"}', "int", {"kind": "integer"}),
        ('x = 3.5 #@param {type:"integer"}', "int | float", {"kind": "integer"}),
        (
            'x = 3 #@param {type:"slider", min:0, max:10, step:1}',
            "int",
            {"kind": "slider", "minimum": 0, "maximum": 10, "step": 1},
        ),
        (
            'x = 0.5 #@param {type:"slider",min:0,max:1,step:0.1}',
            "int | float",
            {"kind": "slider", "minimum": 0, "maximum": 1, "step": 0.1},
        ),
    ],
)
def test_a_form_says_the_type_and_the_control(line: str, type_text: str, widget: dict[str, Any]) -> None:
    parameter = declare_one(line)
    assert (parameter.type_text, dict(parameter.widget)) == (type_text, widget)
    assert parameter.help == ""


@pytest.mark.parametrize(
    ("line", "choices"),
    [
        ('x = "a" #@param ["a", "b"]', ("a", "b")),
        ("x = 'a' #@param ['a', 'b',]", ("a", "b")),
        ('x = "a" #@param ["a", "b"', ("a", "b")),
        ('x = "c" #@param ["a", "b"]', ("c", "a", "b")),
        ('x = "1" #@param [1, 2]', ("1", "2")),
        ('x = 1 #@param ["1", "2"]', (1, 2)),
        ('x = 1 #@param [1, "2", 3.5] {type:"raw"}', (1, 2, 3.5)),
        ('x = 1 #@param [1, "compute()"] {type:"raw"}', ()),
        ('x = "a" #@param ["a", "a", "b"]', ("a", "b")),
    ],
)
def test_a_list_gives_choices_of_the_defaults_type(line: str, choices: tuple[Any, ...]) -> None:
    assert declare_one(line).choices == choices
    assert declare(line).check_defaults() == ()


def test_none_is_a_choice_where_it_is_the_default() -> None:
    source = 'x = None #@param ["a", "b"]'
    assert accepted(source, x=None) == {"x": None}
    assert declare(source).check_defaults() == ()
    assert declare_one(source).choices == ("a", "b")
    assert refusals(source, x="c") == ["must be one of 'a', 'b', got 'c'"]


def test_choices_are_enforced_unless_input_is_allowed() -> None:
    assert refusals('x = "a" #@param ["a", "b"]', x="c") == ["must be one of 'a', 'b', got 'c'"]
    for form in (
        '["a", "b"] {allow-input: true}',
        '["a", "b", {"allow-input": true}]',
        "['a','b'] {'allow-input':true}",
    ):
        source = f'x = "a" #@param {form}'
        assert accepted(source, x="c") == {"x": "c"}
        assert declare_one(source).widget["allow_input"] is True
        assert declare_one(source).widget["choices"] == ["a", "b"]
        assert declare_one(source).choices == ("a", "b")


def test_limits_are_enforced_unless_the_default_breaks_them() -> None:
    source = 'x = 3 #@param {type:"slider", min:0, max:10}'
    assert refusals(source, x=11) == ["must be from 0 to 10, got the int 11"]
    assert accepted('x = 30 #@param {type:"slider", min:0, max:10}', x=31) == {"x": 31}


def test_a_date_is_text_in_the_form_of_a_date() -> None:
    source = 'x = "2026-01-31" #@param {type:"date"}'
    assert accepted(source, x="2026-02-28") == {"x": "2026-02-28"}
    assert accepted(source, x="") == {"x": ""}
    assert refusals(source, x="2026-02-30") == ["must be a date, written as 2026-01-31, got '2026-02-30'"]
    assert refusals(source, x="20260131")
    assert declare(source).json_schema()["properties"]["x"]["format"] == "date"


def test_an_annotation_goes_before_the_form() -> None:
    parameter = declare_one('x: float = 3 #@param {type:"slider", min:0, max:2} share')
    assert parameter.type_text == "float"
    assert parameter.help == "share"
    assert dict(parameter.widget) == {"kind": "slider", "minimum": 0, "maximum": 2}


def test_help_comes_from_the_comment_or_the_markdown_above() -> None:
    source = """\
#@title Settings { run: "auto", display-mode: "form" }
#@markdown How many rows
#@markdown to show
#@markdown ---
n = 3 #@param {type:"integer"}
m = 4 # columns #@param {type:"integer"}
k = 5 #@param {type:"integer"} pages
#@markdown ### Output

j = 6 #@param {type:"integer"}
"""
    parameters = declare(source).parameters
    assert [parameter.help for parameter in parameters] == ["How many rows to show", "columns", "pages", ""]
    sections = [parameter.widget["section"] for parameter in parameters]
    assert sections == ["Settings", "Settings", "Settings", "Output"]


@pytest.mark.parametrize(
    ("comment", "help_text"),
    [
        ("#@param https://example.org/a?b=[c]", "https://example.org/a?b=[c]"),
        ("#@param {type:", "{type:"),
        ("#@param {{{", "{{{"),
        ("#@param }", "}"),
        ("#@param the name", "the name"),
        ('#@param {type:"unheard of"} text', "text"),
        ("#@param", ""),
    ],
)
def test_what_is_no_form_is_help(comment: str, help_text: str) -> None:
    parameter = declare_one(f'x = "a" {comment}')
    assert (parameter.help, parameter.type_text) == (help_text, "str")


def test_a_form_in_a_string_is_none() -> None:
    parameter = declare_one("x = \"#@param {type:'integer'}\"")
    assert (parameter.type_text, dict(parameter.widget)) == ("str", {})


def test_a_form_stands_behind_the_last_line_of_its_value() -> None:
    parameter = declare_one('x = [\n  1,\n] #@param {type:"raw"}')
    assert parameter.widget["kind"] == "raw"


def test_forms_are_found_beside_magics_and_errors() -> None:
    source = '\n\n!pip install x\nn = 3 #@param {type:"number"}\nm = = 4\nk = 5 #@param {type:"number"}'
    declaration = declare(source)
    assert [declaration.get(name).widget.get("kind") for name in ("n", "k")] == ["number", "number"]


@settings(max_examples=500, deadline=None)
@given(comment=st.text(st.sampled_from("[]{}:,\"'\\#@ \n-abc019.=") | st.characters()))
def test_no_form_makes_the_reader_raise(comment: str) -> None:
    parameter = Parameter(name="x", default=LiteralDefault(3, "3"), python_type=int, type_text="int")
    assert [found.name for found in read_colab(f"x = 3 #@param {comment}", [parameter])] == ["x"]


# -- Databricks ------------------------------------------------------------------------------------------------------


def test_a_widget_that_is_assigned_is_the_variables_declaration() -> None:
    source = """\
dbutils.widgets.dropdown("sales_region", "EU", ["EU", "US"], "Sales region")
dbutils.widgets.text("n", "10", "Rows")
dbutils.widgets.text("start-date", "2026-01-31")
region = dbutils.widgets.get("sales_region")
rows = int(dbutils.widgets.get("n"))
start = dbutils.widgets.get("start-date")
"""
    declaration = declare(source)
    assert declaration.names == ("region", "rows", "start")
    region, rows, start = declaration.parameters
    assert (region.type_text, region.choices, region.help) == ("str", ("EU", "US"), "Sales region")
    assert region.default == LiteralDefault("EU", "'EU'")
    assert (rows.type_text, rows.default) == ("int", LiteralDefault(10, "10"))
    assert start.default == LiteralDefault("2026-01-31", "'2026-01-31'")
    assert accepted(source, region="US", rows=5) == {"region": "US", "rows": 5}
    assert refusals(source, region="XX") == ["must be one of 'EU', 'US', got 'XX'"]


def test_a_widget_that_is_not_assigned_has_its_own_name() -> None:
    parameter = declare_one('dbutils.widgets.text("x", "3", "A label")')
    assert (parameter.name, parameter.type_text, parameter.help) == ("x", "str", "A label")
    assert parameter.default == LiteralDefault("3", "'3'")
    assert dict(parameter.widget) == {"kind": "text", "label": "A label"}


@pytest.mark.parametrize(
    "call",
    [
        'combobox("x", "a", ["a", "b"], "X")',
        'combobox(name="x", defaultValue="a", choices=["a", "b"], label="X")',
        'combobox("x", "a", choices=("a", "b"), label="X")',
        'combobox("x", "a", options, "X")',
    ],
)
def test_arguments_are_taken_by_position_and_by_name(call: str) -> None:
    parameter = declare(f'options = ["a", "b"]\ndbutils.widgets.{call}').get("x")
    assert parameter is not None
    assert (parameter.choices, parameter.help, parameter.widget["allow_input"]) == (("a", "b"), "X", True)
    assert parameter.default == LiteralDefault("a", "'a'")


def test_a_multiselect_takes_some_of_its_choices() -> None:
    source = 'dbutils.widgets.multiselect("x", "a", ["a", "b", "c"])'
    assert accepted(source, x="a,c") == {"x": "a,c"}
    assert refusals(source, x="a,d") == ["must be some of 'a', 'b', 'c', with commas between them, got 'a,d'"]


def test_numbers_are_taken_as_the_text_that_a_widget_holds() -> None:
    assert accepted('dbutils.widgets.text("x", "3")', x=5) == {"x": "5"}
    assert accepted('dbutils.widgets.text("x", "3")', x=True) == {"x": "true"}
    assert refusals('dbutils.widgets.text("x", "3")', x=[1])


def test_what_databricks_computes_is_no_requirement() -> None:
    source = 'dbutils.widgets.text("a", str(today()))\nb = dbutils.widgets.get("set_by_the_job")'
    a, b = sorted(declare(source).parameters, key=lambda parameter: parameter.name)
    assert isinstance(a.default, ComputedDefault)
    assert isinstance(b.default, ComputedDefault)
    assert accepted(source) == {}


def test_a_number_whose_widget_is_empty_is_required() -> None:
    parameter = declare_one('dbutils.widgets.text("n", "")\nn = int(dbutils.widgets.get("n"))')
    assert parameter.required
    assert parameter.type_text == "int"


@pytest.mark.parametrize(
    "source",
    [
        'dbutils.widgets.text("not a name", "3")',
        'dbutils.widgets.text(f"x{y}", "3")',
        "dbutils.widgets.text()",
        "dbutils.widgets.text(*arguments)",
        "dbutils.widgets.text(**arguments)",
        'dbutils.widgets.remove("x")',
        "dbutils.widgets.removeAll()",
        "dbutils.fs.ls('/')",
        'other.widgets.text("x", "3")',
        'def f():\n    dbutils.widgets.text("x", "3")',
    ],
)
def test_what_declares_no_widget_declares_nothing(source: str) -> None:
    assert read_dbutils(ast.parse(source), source) == []


def test_widgets_under_a_condition_are_declared() -> None:
    source = 'if "dbutils" in globals():\n    dbutils.widgets.text("x", "3")\ntry:\n    dbutils.widgets.text("y", "4")\nexcept NameError:\n    pass'
    assert [parameter.name for parameter in read_dbutils(ast.parse(source), source)] == ["x", "y"]


# -- other languages -------------------------------------------------------------------------------------------------

LITERALS: dict[str, list[tuple[str, Any, str]]] = {
    "R": [
        ("x <- 3", 3.0, "float"),
        ("x = 3L", 3, "int"),
        ("x <<- 1e5L", 100000, "int"),
        ("x <- -2.5e-3", -0.0025, "float"),
        ("x <- TRUE", True, "bool"),
        ("x <- F", False, "bool"),
        ("x <- NULL", None, "Any"),
        ("x <- -Inf", float("-inf"), "float"),
        ('x <- "a # \\"b\\" \\u00e9\\n"', 'a # "b" é\n', "str"),
        ("x <- 'it\\'s'", "it's", "str"),
        ('x <- r"(C:\\dir "x")"', 'C:\\dir "x"', "str"),
        ("x <- c(1, 2L)", [1.0, 2.0], "list[float]"),
        ("x <- c(\"a\", 'b')", ["a", "b"], "list[str]"),
        ('x <- c(a = 1L, "b c" = 2L)', {"a": 1, "b c": 2}, "dict[str, int]"),
        ("x <- c()", [], "list"),
        ('x <- list(1, "a", TRUE)', [1.0, "a", True], "list"),
        ("x <- list(\n  a = 1, # one\n  b = list(c = NULL)\n)", {"a": 1.0, "b": {"c": None}}, "dict"),
        ('x <- as.Date("2026-01-31")', datetime.date(2026, 1, 31), "date"),
        ("x <-\n  5", 5.0, "float"),
    ],
    "julia": [
        ("x = 3", 3, "int"),
        ("x::Float64 = 3", 3.0, "float"),
        ("const x = 2.5", 2.5, "float"),
        ("x = 1_000", 1000, "int"),
        ("x = 0xff", 255, "int"),
        ("x = nothing", None, "Any"),
        ("x = true", True, "bool"),
        ('x = "cost \\$5 \\u00e9"', "cost $5 é", "str"),
        ('x = """plain"""', "plain", "str"),
        ('x = ["a", "b"]', ["a", "b"], "list"),
        ('x::Vector{String} = ["a"]', ["a"], "list[str]"),
        ("x = Any[1, [2.5]]", [1, [2.5]], "list"),
        ('x = Dict("a" => 1, "b" => [1, 2])', {"a": 1, "b": [1, 2]}, "dict"),
        ("x::Union{Nothing, Int} = nothing", None, "None | int"),
        ("x::Dict{String, Float64} = Dict{String, Float64}()", {}, "dict[str, float]"),
    ],
    "scala": [
        ("val x = 3", 3, "int"),
        ("var x: Long = 3", 3, "int"),
        ("val x: Double = 3", 3.0, "float"),
        ("val x = 3000000000L", 3000000000, "int"),
        ("val x = 2.5f", 2.5, "float"),
        ('val x: String = "a\\tb \\u00e9"', "a\tb é", "str"),
        ('val x = """raw \\n"""', "raw \\n", "str"),
        ("val x = true", True, "bool"),
        ("val x: Option[Int] = None", None, "int | None"),
        ('val x: Seq[String] = Seq("a", "b")', ["a", "b"], "list[str]"),
        ('val x = Map("a" -> 1)', {"a": 1}, "dict"),
        ('val x: Map[String, Double] = Map("a" -> 1)', {"a": 1.0}, "dict[str, float]"),
        ("final val x = List(\n  1, // one\n  2\n)", [1, 2], "list"),
    ],
    "C#": [
        ("int x = 3;", 3, "int"),
        ("const double x = 3;", 3.0, "float"),
        ("decimal x = 1.50m;", decimal.Decimal("1.50"), "Decimal"),
        ('var x = "a\\"b";', 'a"b', "str"),
        ('string x = @"C:\\d ""q""";', 'C:\\d "q"', "str"),
        ("string? x = null;", None, "str | None"),
        ("var x = new [] { 1, 2 };", [1, 2], "list"),
        ("double[] x = { 1, 2.5 };", [1.0, 2.5], "list[float]"),
        ('var x = new List<string> { "a", };', ["a"], "list"),
        ('var x = new Dictionary<string, int> { { "a", 1 } };', {"a": 1}, "dict"),
        ("class A { int y = 3; }\nvar x = true;", True, "bool"),
    ],
    "F#": [
        ("let x = 3", 3, "int"),
        ("let mutable x: int64 = 3L", 3, "int"),
        ("let x: float = 2.5", 2.5, "float"),
        ("let x = 1.5m", decimal.Decimal("1.5"), "Decimal"),
        ('let x = "a\\nb"', "a\nb", "str"),
        ("let x = [ 1; 2 ]", [1, 2], "list"),
        ('let x: string list = ["a"]', ["a"], "list[str]"),
        ("let x = [| 1 |]", [1], "list"),
        ("let x = None", None, "Any"),
    ],
    "powershell": [
        ("$x = 3", 3, "int"),
        ("[double]$x = 3", 3.0, "float"),
        ("$x = 'it''s $y'", "it's $y", "str"),
        ('$x = "plain"', "plain", "str"),
        ("$x = $True", True, "bool"),
        ("$x = $null", None, "Any"),
        ("$x = @(1, 'a')", [1, "a"], "list"),
        ("[string[]]$x = @('a')", ["a"], "list[str]"),
        ("$x = @{\n  a = 1\n  'b c' = @(2)\n}", {"a": 1, "b c": [2]}, "dict"),
    ],
    "matlab": [
        ("x = 3;", 3.0, "float"),
        ('x = "a""b";', 'a"b', "str"),
        ("x = 'it''s';", "it's", "str"),
        ("x = true", True, "bool"),
        ("x = [1 2 3];", [1.0, 2.0, 3.0], "list[float]"),
        ("x = [1, ... and\n 2];", [1.0, 2.0], "list[float]"),
        ("x = {1, 'a'};", [1.0, "a"], "list"),
        ("x = -Inf;", float("-inf"), "float"),
    ],
    "octave": [('x = "a\\n";', "a\n", "str"), ("x = 3 # rows", 3.0, "float")],
    "bash": [
        ("x=3", "3", "str"),
        ("x=", "", "str"),
        ("x='a $b'", "a $b", "str"),
        ('x="a \\$b"', "a $b", "str"),
        ("x=a' 'b\\ c", "a b c", "str"),
        ("x=$'a\\n\\u00e9'", "a\né", "str"),
        ("export x=3", "3", "str"),
        ("declare -i x=3", 3, "int"),
        ("x=(1 'b c' \"d\")", ["1", "b c", "d"], "list[str]"),
        ("declare -A x=([a]=1 ['b c']=\"d\")", {"a": "1", "b c": "d"}, "dict[str, str]"),
        ("x=http://host/#a", "http://host/#a", "str"),
    ],
}


@pytest.mark.parametrize(
    ("language", "source", "value", "type_text"),
    [(language, *case) for language, cases in LITERALS.items() for case in cases],
)
def test_a_literal_is_read(language: str, source: str, value: Any, type_text: str) -> None:
    (parameter,) = read_foreign(source, language)
    assert parameter.name == "x"
    assert isinstance(parameter.default, LiteralDefault)
    assert repr(parameter.default.value) == repr(value)
    assert parameter.type_text == type_text


@pytest.mark.parametrize(
    ("language", "source", "expression"),
    [
        ("R", "x <- Sys.time()", "Sys.time()"),
        ("R", "x <- 1:10", "1:10"),
        ("R", 'x <- c(1, "a")', 'c(1, "a")'),
        ("R", "x <- 1 + 2", "1 + 2"),
        ("R", "x <- NA", "NA"),
        ("julia", 'x = "cost $y"', '"cost $y"'),
        ("julia", "x = Date(2026, 1, 31)", "Date(2026, 1, 31)"),
        ("julia", "x = 2//3", "2//3"),
        ("scala", 'val x = s"a $b"', 's"a $b"'),
        ("scala", "lazy val x = f()", "f()"),
        ("C#", 'var x = $"a {b}";', '$"a {b}"'),
        ("C#", "var x = DateTime.Now;", "DateTime.Now"),
        ("C#", 'int x = "a";', '"a"'),
        ("F#", 'let x = $"a {b}"', '$"a {b}"'),
        ("powershell", '$x = "a $b"', '"a $b"'),
        ("powershell", "$x = Get-Date", "Get-Date"),
        ("matlab", "x = y';", "y'"),
        ("matlab", "x = [1 2; 3 4];", "[1 2; 3 4]"),
        ("bash", "x=$HOME/a", "$HOME/a"),
        ("bash", 'x="$(date)"', '"$(date)"'),
        ("bash", "x=~/data", "~/data"),
        ("bash", "x=${1:-3}", "${1:-3}"),
        ("bash", "declare -i x=1+2", "1+2"),
    ],
)
def test_anything_else_is_a_computed_default_with_its_source(language: str, source: str, expression: str) -> None:
    (parameter,) = read_foreign(source, language)
    assert parameter.default == ComputedDefault(expression)
    assert not isinstance(parameter.default, NoDefault)


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("R", "f <- function(a) {\n  x <- 3\n}"),
        ("R", "f <- \\(a) a"),
        ("R", "if (TRUE) { x <- 3 }"),
        ("R", "x == 3"),
        ("R", "# x <- 3"),
        ("R", 'y("x <- 3")'),
        ("julia", "f(x) = 3"),
        ("julia", "if true\n  x = 3\nend"),
        ("julia", "function f()\n  x = 3\nend"),
        ("julia", "for i in 1:3; x = 3; end"),
        ("julia", "#= x = 3 =#"),
        ("julia", "g = y -> 3"),
        ("scala", "def f = { val x = 3 }"),
        ("scala", "object A { val x = 3 }"),
        ("scala", "/* val x = 3 */"),
        ("scala", "val f: Int => Int = y => y"),
        ("C#", "class A { int x = 3; }"),
        ("C#", "x = 3;"),
        ("C#", "return x = 3;"),
        ("C#", '#r "nuget: x = 3"'),
        ("F#", "let f x = 3"),
        ("F#", "(* let x = 3 *)"),
        ("F#", "module A =\n  let x = 3"),
        ("powershell", "if ($y) { $x = 3 }"),
        ("powershell", "<# $x = 3 #>"),
        ("powershell", "$x = { 3 }"),
        ("matlab", "if y, x = 3, end"),
        ("matlab", "x = @(y) 3;"),
        ("matlab", "%{\nx = 3\n%}"),
        ("bash", "x=3 command"),
        ("bash", "if true; then\n  x=3\nfi"),
        ("bash", "f() {\n  x=3\n}"),
        ("bash", "readonly x=3"),
        ("bash", "declare -r x=3"),
        ("bash", "cat <<EOF\nx=3\nEOF"),
        ("bash", "echo 'x=3\nx=4'"),
        ("fortran", "x = 3"),
        ("", "x = 3"),
    ],
)
def test_what_is_no_assignment_of_the_cell_declares_nothing(language: str, source: str) -> None:
    assert read_foreign(source, language) == []


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("R", "y <- 1\nx <- 'a' # help me\nz <- 2"),
        ("julia", "y = 1\nx = 1; # help me\nz = 2"),
        ("scala", "val y = 1\nval x = 1 // help me\nval z = 2"),
        ("C#", "int y = 1;\nint x = 1; // help me\nint z = 2;"),
        ("F#", "let y = 1\nlet x = 1 // help me\nlet z = 2"),
        ("powershell", "$y = 1\n$x = 1 # help me\n$z = 2"),
        ("matlab", "y = 1;\nx = 1; % help me\nz = 2;"),
        ("bash", "y=1\nx=1 # help me\nz=2"),
    ],
)
def test_the_comment_behind_is_the_help(language: str, source: str) -> None:
    found = {parameter.name: (parameter.help, parameter.line) for parameter in read_foreign(source, language)}
    assert found == {"y": ("", 1), "x": ("help me", 2), "z": ("", 3)}


def test_the_last_assignment_counts() -> None:
    x, y = read_foreign("x <- 1\ny <- 2\nx <- 3\n", "R")
    assert (x.name, x.line, x.default) == ("x", 3, LiteralDefault(3.0, "3"))
    assert y.name == "y"


def test_names_of_languages_and_kernels_are_known_in_any_case() -> None:
    for language in ("r", "R", "sparkrkernel"):
        assert len(read_foreign("x <- 1", language)) == 1
    for language in ("C#", "csharp", ".net-csharp"):
        assert len(read_foreign("int x = 1;", language)) == 1


def test_a_declaration_in_r_checks_the_values_of_a_call() -> None:
    declaration = declare('n <- 3L  # rows\nrate <- 0.5\nregions <- c("EU", "US")\nnow <- Sys.time()', language="R")
    typed = declaration.validate({"n": 5, "rate": 1, "regions": ["EU"], "now": "any"}).typed
    assert typed == {"n": 5, "rate": 1.0, "regions": ["EU"], "now": "any"}
    faults = find_faults(declaration, {"n": "many", "rates": 1, "regions": [1]})
    assert [fault.parameter for fault in faults] == ["n", "rates", "regions"]


def test_in_bash_numbers_are_text() -> None:
    declaration = declare("version=1.10\nflag=yes\ndeclare -i n=3", language="bash")
    assert declaration.validate({"version": 1.5, "flag": True, "n": 4}).typed == {
        "version": "1.5",
        "flag": "true",
        "n": 4,
    }
    assert [fault.parameter for fault in find_faults(declaration, {"n": "4; id"})] == ["n"]


_FRAGMENTS = [
    *"xyz \n\t;,=<>-+#%/*(){}[]|\"'`\\$@:.&!~^?0159_",
    *("<-", "val ", "let ", "var ", "const ", "int ", "if ", "end", "function", "do", "begin", "c(", "list(", "Dict("),
    *(
        '"""',
        "'''",
        "@'\n",
        "/*",
        "*/",
        "#=",
        "=#",
        "(*",
        "*)",
        "<#",
        "#>",
        "%{\n",
        "...",
        "<<EOF\n",
        'r"(',
        "\\u",
        "\\x",
    ),
    *("declare -A ", "new [] {", "[| ", "=> ", "-> ", "Seq(", "1e999", "0x", "é", "\ufeff", "\r", "\0", "\ud800"),
]


@pytest.mark.parametrize("language", LITERALS)
@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.sampled_from(_FRAGMENTS), max_size=40))
def test_no_source_makes_a_reader_raise(language: str, pieces: list[str]) -> None:
    for parameter in read_foreign("".join(pieces), language):
        assert parameter.name


@pytest.mark.parametrize("language", LITERALS)
@pytest.mark.parametrize(
    "piece", ['"', "'", "(", "[", "/*", "#=", '"""', "\\", "x = [", 'x="\\"', "x=1\n", "%{\n", '@"\n']
)
def test_a_large_broken_cell_is_read_in_linear_time(language: str, piece: str) -> None:
    # Quadratic time would be minutes here, beyond the limit of a test.
    read = read_foreign(piece * (150_000 // len(piece)), language)
    assert {parameter.name for parameter in read} <= {"x"}
