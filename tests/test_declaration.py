"""Reading a parameters cell: what is seen, and that nothing makes the reader raise or run code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbflow.parameters import (
    ComputedDefault,
    LiteralDefault,
    NoDefault,
    SourceCell,
    read_declaration,
)
from tests.parameters_fixtures import declare


def test_the_first_code_cell_tagged_parameters_is_read() -> None:
    cells = [
        SourceCell(source="a = 1", index=0),
        SourceCell(source="x = 1", index=1, kind="markdown", tags=("parameters",)),
        SourceCell(source="b = 2", index=2, tags=("other", "parameters")),
        SourceCell(source="c = 3", index=3, tags=("parameters",)),
    ]
    declaration = read_declaration(cells)
    assert declaration.names == ("b",)
    assert declaration.cell_index == 2
    assert declaration.get("b") is declaration.parameters[0]
    assert declaration.get("a") is None


def test_a_notebook_without_a_tagged_cell_declares_nothing() -> None:
    declaration = read_declaration([SourceCell(source="a = 1", index=0)])
    assert (declaration.parameters, declaration.cell_index, declaration.findings) == ((), None, ())


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('x = "a=b"', "a=b"),
        ("x = dict(k=1)", {"k": 1}),
        ("x = [\n    1,  # one\n    2,\n]", [1, 2]),
        ('x = """two\nlines"""', "two\nlines"),
        ('x = "a # b"', "a # b"),
        ("x = 'it''s'", "its"),
        (r"x = 'C:\dir'", "C:\\dir"),
        ("x = -5", -5),
        ("x = 60 * 60 * 24", 86400),
        ("x = 2 ** 10", 1024),
        ("x = None", None),
        ("x = ()", ()),
        ("x = set()", set()),
        ("x = {1, 2}", {1, 2}),
        ("x = frozenset([1])", frozenset({1})),
        ("x = float('inf')", float("inf")),
        ("x = -math.inf", float("-inf")),
        ("x = 1e22", 1e22),
        ("x = 0x10", 16),
        ("x = b'raw'", b"raw"),
        ("x = 'a' 'b'", "ab"),
        ("x = 'a' + 'b'", "ab"),
        ("x = 1;", 1),
        ("x = 1 ; y = 2", 1),
        ("x = y = 1", 1),
        ("x, y = 1, 2", 1),
        ("[x, (y, z)] = 1, (2, 3)", 1),
        ("x: 'int' = 1", 1),
        ("x = 0\nx = 1", 1),
        ("\ufeffx = 1", 1),
        ("x = 1\r\ny = 2\r\n", 1),
        ("\n\n  \nx = 1", 1),
        ("x = 1 if True else 2", None),
    ],
)
def test_a_literal_is_seen_as_it_is(source: str, value: Any) -> None:
    parameter = declare(source).get("x")
    assert parameter is not None
    if "if True" in source:
        assert parameter.default == ComputedDefault("1 if True else 2")
        return
    assert isinstance(parameter.default, LiteralDefault)
    assert parameter.default.value == value
    assert type(parameter.default.value) is type(value)
    assert not parameter.required


def test_a_bare_annotation_and_an_ellipsis_are_required() -> None:
    declaration = declare("day: date\nn: int = ...\nm: int = 1")
    assert [parameter.required for parameter in declaration.parameters] == [True, True, False]
    assert isinstance(declaration.parameters[0].default, NoDefault)


def test_a_computed_default_keeps_its_source_and_is_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    source = f'x = open({str(witness)!r}, "w").write("run")\nsince: datetime = datetime.now() - timedelta(days=1)'
    declaration = declare(source)
    assert not witness.exists()
    assert declaration.parameters[1].default == ComputedDefault("datetime.now() - timedelta(days=1)")
    assert isinstance(declaration.parameters[0].default, ComputedDefault)


def test_unpacking_of_something_computed_leaves_it_to_the_kernel() -> None:
    declaration = declare("a, *b = load()\nc, d = pair")
    assert declaration.names == ("a", "b", "c", "d")
    assert [parameter.default for parameter in declaration.parameters[:2]] == [ComputedDefault("load()")] * 2
    assert declaration.parameters[3].type_text == "Any"


def test_what_is_no_assignment_of_a_name_is_no_parameter() -> None:
    source = """
import os
from typing import Literal
class Color(Enum):
    RED = "red"
def f(): y = 1
if True:
    z = 1
for i in range(3): pass
x = 1
x += 1
obj.attribute = 1
table["k"] = 2
Region = Literal["EU", "US"]
Number: TypeAlias = int
print(x)
del x
"""
    assert declare(source).names == ("x",)


def test_unicode_names_are_read_as_python_reads_them() -> None:
    # "ﬁ" is one letter that Python takes for "fi".
    assert declare("größe = 1\nﬁ = 2\n变量 = 3").names == ("größe", "fi", "变量")


@pytest.mark.parametrize(
    ("source", "help_text"),
    [
        ("x = 1  # rows to show", "rows to show"),
        ("x = 1  #: rows", "rows"),
        ("x = 1\n# not this", ""),
        ("x = [\n  1,  # inner\n]  # outer", "outer"),
        ("x = 'a # b'  # real", "real"),
        ("x = 'a # b'", ""),
        ('x = 1\n"the line below"', "the line below"),
        ('x = 1\n"""\nTwo\nlines\n"""', "Two\nlines"),
        ('x = 1\n\n"too far below"', ""),
        ('x = 1  # comment\n"below"', "comment"),
        ("x = 1  # noqa: E501", ""),
        ("x = 1  # type: ignore", ""),
        ('x = 1  #@param {type:"integer"}', ""),
        ("x: Annotated[int, 'from the type'] = 1", "from the type"),
        ("x: Annotated[int, Field(ge=1, description='described')] = 1", "described"),
        ("x = 1  # type: int  a count", "a count"),
        ("x = 1  # type: Dict[str, int] a map", "a map"),
        ("x = 1; y = 2  # both", "both"),
    ],
)
def test_the_help_of_a_parameter(source: str, help_text: str) -> None:
    parameter = declare(source).get("x")
    assert parameter is not None
    assert parameter.help == help_text


def test_a_later_assignment_completes_or_replaces_an_earlier_one() -> None:
    declaration = declare("n: int  # rows\nn = 5\nm: float = 1.0\nm = 2.0")
    n, m = declaration.parameters
    assert (n.type_text, n.help, n.default) == ("int", "rows", LiteralDefault(5, "5"))
    assert (m.type_text, m.default) == ("float", LiteralDefault(2.0, "2.0"))
    assert [(finding.rule, finding.parameter) for finding in declaration.findings] == [("reassigned", "m")]


def test_lines_are_those_of_the_cell() -> None:
    declaration = declare("\n# comment\nx = 1\ny = [\n 1,\n]\nz = 2")
    assert [parameter.line for parameter in declaration.parameters] == [3, 4, 7]


# magics and syntax errors


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nx = 1  # help",
        "!pip install nothing\nx = 1  # help",
        "x = 1  # help\n?print",
        "x = 1  # help\nprint?",
        "%%time\nx = 1  # help",
        "%%capture out\n\nx = 1  # help",
        "files = !ls\nx = 1  # help",
        "    x = 1  # help\n    y = 2",
        ">>> x = 1  # help",
        "\n\n%load_ext autoreload\nx = 1  # help",
    ],
)
def test_magics_do_not_hide_parameters(source: str) -> None:
    declaration = declare(source)
    parameter = declaration.get("x")
    assert parameter is not None
    assert (parameter.help, parameter.type_text) == ("help", "int")
    assert not [finding for finding in declaration.findings if finding.severity == "error"]


def test_the_line_of_a_parameter_below_a_magic() -> None:
    declaration = declare('\n  \n%matplotlib inline\nx = 1\ny = "a" #@param ["a", "b"]')
    assert [parameter.line for parameter in declaration.parameters] == [4, 5]
    assert declaration.parameters[1].choices == ("a", "b")


def test_a_cell_of_another_language_declares_nothing_and_says_so() -> None:
    declaration = declare("%%bash\nx=1")
    assert declaration.parameters == ()
    assert [finding.rule for finding in declaration.findings] == ["magic"]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x = 1\ny = = 2\nz = 3", ("x", "z")),
        ("x = 1\nprint 'two'\nz = 3", ("x", "z")),
        ("x = 1\ny = [1,\n", ("x",)),
        ("x = [1, 2\nz = 3\nw = 4", ("z", "w")),
        ("x = 'open\nz = 3", ("z",)),
        ("def f(:\n    pass\nz = 3", ("z",)),
        ("x = 1\n   y = 2\nz = 3", ("x", "z")),
        ("x = [\n 1,\n 2,\n]  # many\ny = )\n", ("x",)),
        ("if x\n  a = 1\nz = 3", ("z",)),
        ("x = 0123\nz = 3", ("z",)),
        ("x = 1\x00\nz = 3", ("z",)),
        ("x = '\ud800'\nz = 3", ("z",)),
        ("try:\n    import a\nexcept E:\n    pass\nz = 3\n)", ("z",)),
    ],
)
def test_what_stands_before_and_after_a_syntax_error_is_read(source: str, names: tuple[str, ...]) -> None:
    declaration = declare(source)
    assert declaration.names == names
    assert [finding.rule for finding in declaration.findings if finding.severity == "error"][:1] == ["syntax"]


def test_help_and_line_survive_recovery() -> None:
    declaration = declare("y = )\nx = [\n 1,\n]  # many")
    (parameter,) = declaration.parameters
    assert (parameter.help, parameter.line) == ("many", 2)
    assert declaration.findings[0].line == 1


WEIRD_CELLS = [
    "",
    " ",
    "\n",
    "\t",
    "\x00",
    "\ufeff",
    "\ud800",
    "#",
    "# only a comment",
    '"""',
    "'",
    "(",
    ")",
    "(" * 300,
    "[" * 150 + "]" * 150,
    "x = " + "[" * 150 + "]" * 150,
    "x = " + "-" * 5000 + "1",
    "x = " + "not " * 3000 + "1",
    "x = " + "+".join(["1"] * 3000),
    "x = a" + ".b" * 5000,
    "x = a" + "()" * 3000,
    "x: " + "list[" * 90 + "int" + "]" * 90,
    "x: " + " | ".join(["int"] * 2000) + " = 1",
    "x = " + "9" * 5000,
    "x = 0x" + "f" * 100_000,
    "x = 10 ** 10 ** 10",
    "x = 2 ** 99999999",
    "x = 'a' * 10 ** 10",
    "x = 1 / 0",
    "x = -'a'",
    "x = {[]: 1}",
    "x = {1: 2, **y}",
    "x = {[1]}",
    "x = date(9999, 99, 99)",
    "x = timedelta(days=10 ** 12)",
    "x = Decimal('abc')",
    "x = UUID(1, 2, 3)",
    "x = str(10 ** 60)",
    "x = int('z')",
    "x = dict(1, 2, 3)",
    "x = datetime(1, 2)",
    "x = (yield)",
    "x = await y",
    "x = lambda: 1",
    "x = *a, b",
    "*x = 1",
    "x: int: str = 1",
    "x: = 1",
    "x: 'unbalanced[' = 1",
    "x: '' = 1",
    "x: Literal[()] = 1",
    "x: Literal[[1]] = 1",
    "x: Literal[1, f()] = 1",
    "x: Union[()] = 1",
    "x: Optional[int, str] = 1",
    "x: dict[int] = {}",
    "x: list[int, str] = []",
    "x: Annotated[int] = 1",
    "x: Annotated[int, Range()] = 1",
    "x: Annotated[int, Range(1, 2, 3, 4)] = 1",
    "x: Annotated[int, Pattern('(')] = 1",
    "x: Annotated[int, 5, Gt] = 1",
    "x: 3 = 1",
    "x: lambda: 1 = 1",
    "A = list['A']\nx: A = []",
    "A = B\nB = A\nx: A = []",
    "class A(Enum): pass\nx: A = A.x",
    "class A(Enum):\n    mro = 1\nx: A = A.mro",
    "class A(Enum):\n    a = a = []\n    b = f()\nx: A = A.zzz",
    "from . import a\nfrom .b import *\nx: a.b = 1",
    "import a.b.c\nx: a.b.c.D = 1",
    "x = 1 # type: \ny = 2 # type: [",
    "x = 1 # type: a b c ] [",
    "if True:\nx = 1",
    "class\nx = 1",
    "\\\nx = 1\\",
    "x = 1\n\\",
    "x = f'{'",
    "%%\nx = 1",
    "%%time",
    "%\n!\n?\nx = 1",
    "type X = int\nx: X = 1",
    "match x:\n  case 1: pass\nx = 1",
    "\f\nx = 1",
    "x = 1\u2028y = 2",
    "__x__ = 1\n_ = 2",
    "True = 1",
    "None: int = 1",
    "𝐱 = 1",
    "x = 1\n" * 2000,
    "(\n" * 2000,
    "y = = 1\n" * 1000,
]


@pytest.mark.parametrize("source", WEIRD_CELLS, ids=range(len(WEIRD_CELLS)))
def test_no_cell_makes_the_reader_raise(source: str) -> None:
    declaration = declare(source, source)
    assert list(declaration.json_schema()["properties"]) == [parameter.name for parameter in declaration.parameters]
    assert all(parameter.name in repr(declaration) for parameter in declaration.parameters)


# Fragments that matter to the reader: random text alone would hardly ever reach the annotations.
_WORDS = "x = : int Literal [ ] ( ) 'a' 1 , # | None ; Annotated Range dict datetime . now - \\ % ! type class { import"
_FRAGMENTS = st.sampled_from([*_WORDS.split(), "\n", " ", "\t", '"""'])


@settings(max_examples=600, deadline=None)
@given(st.one_of(st.text(), st.lists(_FRAGMENTS, max_size=40).map("".join), st.lists(_FRAGMENTS).map(" ".join)))
@example("x: Literal['a'] = 'a' # h")
def test_no_text_makes_the_reader_raise(source: str) -> None:
    declaration = declare(source)
    assert list(declaration.json_schema()["properties"]) == [parameter.name for parameter in declaration.parameters]


# papermill


PAPERMILL_CELLS = [
    "a: int = 1",
    "a = 1",
    "a = 1  # a help",
    "a: int = 1 # a help",
    "a = 1 # type: int",
    "a = 1 # type: int a help",
    'a: "int" = 1 # a help',
    "a: List[str] = ['x']  # names",
    "a = ['x']  # type: List[str]",
    "a = {'k': [1, 2]}  # a dict",
    "msg = 'ran'\nb: float = 0.5\nflag: bool = True",
    "a = [\n    1, # first\n    2,\n]  # the list",
    "a = {\n  'k': 1,\n  'l': 2\n} # type: dict the map",
    "# comment\n\na = None\nb = 'two'  # b help",
    "foo: float = 12 # type: int type comments lose to annotations",
    "a = func()  # computed",
    "x_1 = 'a'\n_y = 2",
    "a = 3.5e-3\nb = -1\nc = (1, 2)",
    "a = b'x'\nc = lambda: 1",
    "a : int = 3",
]


@pytest.mark.parametrize("source", PAPERMILL_CELLS)
def test_everything_that_papermill_finds_is_found(source: str, tmp_path: Path) -> None:
    import papermill

    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    spec = {"name": "python3", "language": "python", "display_name": "python3"}
    path = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": spec}), path)
    theirs = papermill.inspect_notebook(path)
    declaration = declare(source)
    assert theirs
    for name, found in theirs.items():
        ours = declaration.get(name)
        assert ours is not None
        assert (ours.annotation or "None").replace(" ", "") == found["inferred_type_name"].replace(" ", "")
        assert not isinstance(ours.default, NoDefault)
        assert _canonical(ours.default.source) == _canonical(found["default"])
        if "lose to" not in source:
            assert ours.help == found["help"]


def _canonical(expression: str) -> str:
    return ast.unparse(ast.parse(expression, mode="eval"))


# dialects


def test_a_widget_of_databricks_is_a_parameter_once() -> None:
    declaration = declare(
        'dbutils.widgets.dropdown("region", "EU", ["EU", "US"])\nregion = dbutils.widgets.get("region")'
    )
    assert declaration.names == ("region",)
    assert declaration.parameters[0].choices == ("EU", "US")


@pytest.mark.parametrize("language", ["R", "julia", "scala", "bash", "matlab", "C#", "F#", "PowerShell"])
def test_a_language_that_can_be_read_takes_declared_names_only(language: str) -> None:
    assert not declare("", language=language).accepts_undeclared


# what reading costs


def test_reading_a_plain_notebook_imports_no_heavy_library() -> None:
    code = """
import sys
from nbflow.parameters import SourceCell, read_declaration, Secret, Range
cells = [
    SourceCell(source="%matplotlib inline\\nimport pandas as pd", index=0),
    SourceCell(source="n: int = 1\\nt: pd.Timestamp = pd.Timestamp.now()", index=1, tags=("parameters",)),
]
declaration = read_declaration(cells)
declaration.json_schema()
assert declaration.get("t").type_text == "Timestamp"
heavy = {"pydantic", "pydantic_core", "IPython", "pandas", "numpy", "papermill", "nbclient", "jupyter_client", "nbformat"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_markers_import_next_to_nothing() -> None:
    code = (
        "import sys\nfrom nbflow.parameters import Secret, Range, Choice, Pattern\n"
        "print([name for name in sys.modules if name.startswith('nbflow.parameters.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['nbflow.parameters.markers']"
