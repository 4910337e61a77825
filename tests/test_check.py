"""``nbflow check``: each finding where it belongs, and silence where the notebook is right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.notebooks import read_notebook
from nbflow.parameters.check import check_cells, check_notebook, describe_drift, find_frozen_dates
from nbflow.parameters.reading import read_declaration
from nbflow.parameters.records import Finding, SourceCell

Cell = str | tuple[str, str]


def make_cells(*sources: Cell, tags: Sequence[str] = ()) -> list[SourceCell]:
    """Code cells; a pair is a source and its tag."""
    cells = []
    for index, source in enumerate(sources):
        text, tag = (source, None) if isinstance(source, str) else source
        cells.append(SourceCell(source=text, index=index, tags=(tag,) if tag else tuple(tags)))
    return cells


def check(*sources: Cell, language: str = "python") -> list[Finding]:
    cells = make_cells(*sources)
    return check_cells(cells, read_declaration(cells, language=language))


def check_declared(parameters: str, *below: Cell) -> list[Finding]:
    return check((parameters, "parameters"), *below)


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


USES = [
    "print(x)",
    "y = x + 1",
    "x += 1",
    "f'{x}'",
    "f'{x!r:>{x}}'",
    "def f():\n    return x",
    "def f(a=x): pass",
    "@x\ndef f(): pass",
    "def f() -> x: pass",
    "class A(x): pass",
    "class A:\n    y = x",
    "lambda: x",
    "[a for a in x]",
    "[x for x in x]",
    "{a: x for a in b}",
    "[a for a in b if a > x]",
    "async def f():\n    await x",
    "await x",
    "with x as y: pass",
    "for a in x: pass",
    "while x: pass",
    "match x:\n    case 1: pass",
    "try:\n    pass\nexcept x: pass",
    "x.append(1)",
    "x[0] = 1",
    "x",
    "if True:\n    x = x or 1",
    "if x is None:\n    x = 5",
    "def f():\n    global x\n    x = x + 1",
    "globals()['x']",
    "locals()['x']",
    "globals().get('x', 1)",
    "'x' in globals()",
    "vars()",
    "template.format(**locals())",
    "{name: value for name, value in globals().items()}",
    "eval('x + 1')",
    "exec('print(x)')",
    "exec(open('other.py').read())",
    "getattr(module, 'x')",
    "df.query('a > @x')",
    "df.eval('a * x')",
    "sql = 'select * from t where a = {x}'",
    "Template('$x').substitute(x=3)",
    "'%(x)s' % values",
    "!echo {x}",
    "!echo $x",
    "files = !ls {x}",
    "!ls \\\n   {x}",
    "%timeit f(x)",
    "%time x",
    "value = %env x",
    "%run other.ipynb",
    "%run -i script.py",
    "%load script.py",
    "%%time\nprint(x)",
    "%%timeit -n {x}\npass",
    "%%bash -s {x}\necho $1",
    "%%bash\necho $x",
    "%%R -i x\nprint(x)",
    "%%sql\nselect * from t where a = :x",
    "%%html\n<p>{{ x }}</p>",
    "x?",
    "?x",
    "get_ipython().run_line_magic('timeit', 'f(x)')",
    "get_ipython().run_line_magic('run', 'other.ipynb')",
    "get_ipython().system('echo {x}')",
    "print x",
    "broken(\nx",
    "import os; print(x); import sys",
    "if True:\n    !echo {x}",
    "x: int",
]


@pytest.mark.parametrize("source", USES[:-1])
def test_a_use_of_any_kind_counts(source: str) -> None:
    found = rules(check_declared("x = 1", source))
    assert "unused" not in found
    assert "overwritten" not in found


NO_USES = [
    "",
    "print(y)",
    "# x",
    "'the x factor'",
    "a.x",
    "f(x=1)",
    "def f(x):\n    return x",
    "def f():\n    x = 1\n    return x",
    "lambda x: x",
    "[x for x in b]",
    "{x: 1 for x in b}",
    "x: int",
    "del x",
    "xx + x1",
    "import os\nos.environ['y']",
    "'{y}'",
    "!echo {y}",
    "%%bash\necho $y",
    "def f(*x, **y):\n    return x",
    "import a.x",
    "class A:\n    def x(self): pass",
]


@pytest.mark.parametrize("source", NO_USES)
def test_a_parameter_that_is_never_used_is_found(source: str) -> None:
    found = check_declared("y = 0\nx = 1", source, "print(y)")
    assert [(finding.rule, finding.parameter, finding.cell_index, finding.line) for finding in found] == [
        ("unused", "x", 0, 2)
    ]
    assert found[0].severity == "warning"


BINDS = [
    "x = 5",
    "x: int = 5",
    "a = x = 5",
    "x, b = 1, 2",
    "[x, *b] = c",
    "(x := 5)",
    "for x in range(3): pass",
    "with a as x: pass",
    "import x",
    "import a as x",
    "from a import x",
    "def x(): pass",
    "class x: pass",
    "x = !ls",
    "del x; x = 5",
    "if (x := 5): pass",
]


@pytest.mark.parametrize("source", BINDS)
def test_a_parameter_assigned_anew_before_its_use_is_found(source: str) -> None:
    found = check_declared("x = 1", "print(1)", source, "print(x)")
    assert [(finding.rule, finding.parameter, finding.cell_index, finding.line) for finding in found] == [
        ("overwritten", "x", 2, 1)
    ]


@pytest.mark.parametrize(
    "source",
    [
        "if a:\n    x = 5",
        "for a in b:\n    x = 5",
        "while a:\n    x = 5",
        "try:\n    x = 5\nexcept E: pass",
        "match a:\n    case 1:\n        x = 5",
        "def f():\n    global x\n    x = 5",
        "class A:\n    x = 5",
        "x = x * 2",
        "print(x); x = 5",
        "x = f(lambda: x)",
    ],
)
def test_an_assignment_that_may_not_happen_or_reads_first_is_no_fault(source: str) -> None:
    assert check_declared("x = 1", source, "print(x)") == []


def test_cells_that_do_not_run_do_not_count() -> None:
    assert rules(check_declared("x = 1", ("print(x)", "skip-execution"))) == ["unused"]
    found = check_declared("x = 1", ("x = 9", "injected-parameters"), "print(x)")
    assert rules(found) == ["injected"]


def test_a_use_in_the_parameters_cell_comes_before_a_passed_value() -> None:
    found = check_declared("start = 1\nend = start + 7", "print(start, end)")
    assert [(finding.rule, finding.parameter, finding.line) for finding in found] == [("early", "start", 2)]
    found = check_declared("path = 'a'\nprint(path)")
    assert [(finding.rule, finding.parameter, finding.line) for finding in found] == [("early", "path", 2)]
    assert "runs before a passed value is set" in found[0].message


@pytest.mark.parametrize(
    "declared",
    ["x = int(os.environ.get('x', 3))", "x: list[int] = [\n    1,\n    2,\n]", "x = 1  # x is used", "x: 'x' = 1"],
)
def test_a_declaration_by_itself_is_no_early_use(declared: str) -> None:
    assert "early" not in rules(check_declared(declared, "print(x)"))


def test_a_use_above_the_parameters_cell_is_found() -> None:
    found = check("print(x)", ("x = 1", "parameters"), "print(x)")
    assert [(finding.rule, finding.cell_index, finding.parameter) for finding in found] == [("early", 0, "x")]
    assert "cell 1, above the parameters cell" in found[0].message
    assert check("x = 0\nprint(x)", ("x = 1", "parameters"), "print(x)") == []


def test_widgets_are_read_in_their_own_cell() -> None:
    source = 'dbutils.widgets.text("x", "1")\nx = dbutils.widgets.get("x")\ny = x'
    found = check_declared(source, "print(x, y)")
    assert "early" not in rules(found)
    assert "unused" not in rules(found)


def test_other_languages_are_searched_for_words() -> None:
    found = check(("x <- 1\ny <- 2", "parameters"), "print(x)", language="R")
    assert [(finding.rule, finding.parameter) for finding in found] == [("unused", "y")]


def test_a_second_tagged_cell_is_found() -> None:
    found = check(("x = 1", "parameters"), "print(x)", ("y = 2", "parameters"), ("z = 2", "parameters"))
    assert [(finding.rule, finding.cell_index) for finding in found] == [("several-cells", 2), ("several-cells", 3)]
    assert "only the first, cell 1, declares" in found[0].message


@pytest.mark.parametrize("tag", ["Parameters", "parameter", "params", " parameters"])
def test_a_misspelt_tag_is_found(tag: str) -> None:
    found = check(("x = 1", tag), "print(x)")
    assert [(finding.rule, finding.severity) for finding in found] == [("tag", "warning")]
    assert repr(tag) in found[0].message


def test_a_tagged_cell_that_is_no_code_is_found() -> None:
    cells = [SourceCell(source="x = 1", index=0, kind="markdown", tags=("parameters",))]
    assert rules(check_cells(cells, read_declaration(cells))) == ["tag"]


@pytest.mark.parametrize(
    "source",
    [
        "alpha = 0.1\nbeta = 2",
        "import os\n'''Doc'''\nalpha = [1]\nbeta: str = 'x'",
        "# Parameters\nalpha = date(2024, 1, 1)",
        "alpha = 3 #@param {type:'slider'}",
        "dbutils.widgets.text('alpha', '1')",
        "%matplotlib inline\n# settings\nalpha = -1",
    ],
)
def test_an_untagged_cell_that_looks_like_parameters_is_pointed_out(source: str) -> None:
    found = check("import pandas as pd", source, "print(alpha)")
    expected = [] if source.startswith("%") else [("untagged", "info", 1)]
    assert [(finding.rule, finding.severity, finding.cell_index) for finding in found] == expected


@pytest.mark.parametrize(
    "sources",
    [
        ("a = 1\nb = load()", "print(a)"),
        ("a = 1\nb = 2", "print(c)"),
        ("a = 1", "print(a)"),
        ("def f(): pass", "f()"),
        ("%%bash\na=1", "print(a)"),
        ("print(1)",) * 8 + ("a = 1\nb = 2", "print(a, b)"),
        (),
    ],
)
def test_ordinary_cells_do_not_look_like_parameters(sources: tuple[str, ...]) -> None:
    assert check(*sources) == []


@pytest.mark.parametrize(
    "declared",
    [
        'token: Secret = "s3cr3t"',
        'token: Secret = Secret("s3cr3t")',
        'token: Secret = f"s3cr3t{1}"',
        'token: Secret = "s3cr3t" + x',
    ],
)
def test_a_secret_that_stands_in_the_notebook_is_an_error_that_does_not_repeat_it(declared: str) -> None:
    found = [
        finding for finding in check_declared(f"x = ''\n{declared}", "print(token, x)") if finding.rule == "secret"
    ]
    assert [(finding.severity, finding.parameter, finding.line) for finding in found] == [("error", "token", 2)]
    assert "s3cr3t" not in found[0].message


@pytest.mark.parametrize(
    "declared", ["token: Secret", 'token: Secret = ""', "token: Secret = None", 'token: Secret = os.environ["TOKEN"]']
)
def test_a_secret_from_elsewhere_is_right(declared: str) -> None:
    assert "secret" not in rules(check_declared(declared, "print(token)"))


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "token",
        "TOKEN",
        "api_key",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "githubToken",
        "passwd",
        "clientSecret",
    ],
)
def test_a_name_that_sounds_secret_with_a_text_is_found(name: str) -> None:
    found = check_declared(f'{name} = "s3cr3t"', f"print({name})")
    assert [(finding.rule, finding.severity, finding.parameter) for finding in found] == [("secret", "warning", name)]
    assert "s3cr3t" not in found[0].message


@pytest.mark.parametrize(
    "declared",
    [
        'max_tokens = "5"',
        'tokenizer = "bert"',
        'token_count = "3"',
        'key = "id"',
        'sort_key = "a"',
        'secretary = "Jo"',
        'password_file = "a"',
        'password = ""',
        "password = None",
        "token = 3",
        'password = os.environ["P"]',
        "password: str",
    ],
)
def test_names_that_only_look_like_secrets_are_left_alone(declared: str) -> None:
    name = declared.partition(" ")[0].rstrip(":")
    assert "secret" not in rules(check_declared(declared, f"print({name})"))


def test_a_secret_in_an_injected_cell_is_an_error() -> None:
    found = check_declared("token: Secret", ('token = "s3cr3t"', "injected-parameters"), "print(token)")
    assert [(finding.rule, finding.severity, finding.cell_index) for finding in found] == [
        ("required", "info", 0),
        ("injected", "warning", 1),
        ("secret", "error", 1),
    ]
    assert all("s3cr3t" not in finding.message for finding in found)


@pytest.mark.parametrize("name", ["list", "id", "input", "filter", "type", "max", "In", "display"])
def test_a_name_of_pythons_or_ipythons_is_found(name: str) -> None:
    assert rules(check_declared(f"{name} = 1", f"print({name})")) == ["builtin"]


def test_shared_defaults_are_found() -> None:
    assert rules(check_declared("a = b = []", "print(a, b)")) == ["shared"]
    assert rules(check_declared("a = b = 1", "print(a, b)")) == []
    assert rules(check_declared("a, b = [], []", "print(a, b)")) == []


def test_a_default_that_breaks_its_own_rule_is_found() -> None:
    found = check_declared("n: Annotated[int, Range(1, 10)] = 50\nm: int = 3", "print(n, m)")
    assert [(finding.rule, finding.parameter) for finding in found] == [("default", "n")]


def test_required_parameters_are_named() -> None:
    found = check_declared("day: date\nn: int = 1", "print(day, n)")
    assert [(finding.rule, finding.severity, finding.parameter) for finding in found] == [("required", "info", "day")]


def test_what_reading_the_declaration_found_is_there_too() -> None:
    assert rules(check_declared("x: Unheard = 1\ny = (\nz = 3", "print(x, y, z)")) == ["annotation", "syntax"]
    assert rules(check_declared("x = 1\nx = 2", "print(x)")) == ["reassigned"]


def test_a_cell_that_is_not_python_is_found_once() -> None:
    found = check("x = (", "def f(:\n  pass", "print 'x'", ("1 +", "raises-exception"), ("1 +", "skip-execution"))
    assert [(finding.rule, finding.cell_index) for finding in found] == [("syntax", 0), ("syntax", 1), ("syntax", 2)]


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline",
        "!pip install x",
        "files = !ls",
        "a = %env HOME",
        "%%bash\nfor f in *; do echo; done",
        "%%html\n<b>",
        "print?",
        "??print",
        "%cd ..\nprint(1)\n!ls | wc\nif True:\n    %time f()",
        "%%time\nx = 1",
        "await f()",
        "async with a as b: pass",
        "return_value = 1",
        "/f 1 2",
        ",f a b",
        "x = 1;",
        "'''\n%not magic\n'''",
        "a = (1\n% 2)",
        "!echo \\\n  more",
        "\ufeffx = 1",
        "x = 1\r\ny = 2\r",
    ],
)
def test_what_ipython_accepts_is_no_syntax_error(source: str) -> None:
    assert rules(check(source)) == []


def test_frozen_dates_are_found_for_schedules() -> None:
    cells = make_cells(
        (
            "day = '2024-01-31'\n"
            "since: date = date(2024, 1, 31)\n"
            "start_date: datetime = datetime(2024, 1, 31)\n"
            "month = '2024-01'\n"
            "run_day = '20240131'\n"
            "today = date.today()\n"
            "until: date\n"
            "version = '2024-01-31'\n"
            "holiday_name = 'x'\n"
            "end = 5",
            "parameters",
        )
    )
    found = find_frozen_dates(read_declaration(cells))
    assert [finding.parameter for finding in found] == ["day", "since", "start_date", "month", "run_day"]
    assert {finding.severity for finding in found} == {"info"}


def schema_of(source: str) -> dict[str, Any]:
    return read_declaration(make_cells((source, "parameters"))).json_schema()


@pytest.mark.parametrize(
    ("old", "new", "message", "severity"),
    [
        ("x = 1", "y = 1\nx = 1", "y was added since the registration, with a default", "info"),
        ("x = 1", "y: int\nx = 1", "y was added since the registration, required", "warning"),
        ("x = 1\ny = 1", "x = 1", "y was removed since the registration", "warning"),
        ("x: int = 1", "x: int", "x lost its default", "warning"),
        ("x: int", "x: int = 1", "x has a default since the registration: 1", "info"),
        ("x = 1", "x = 2", "x has another default than was registered: 1 to 2", "warning"),
        ("x: date = date.today()", "x: date = date.fromtimestamp(0)", "x has another default", "warning"),
        ("x: int = 1", "x: float = 1", "x has another type than was registered: int to float", "warning"),
        ('x: Literal["a"] = "a"', 'x: Literal["a", "b"] = "a"', "x has another type", "warning"),
    ],
)
def test_drift_of_parameters_is_described(old: str, new: str, message: str, severity: str) -> None:
    (found,) = describe_drift(schema_of(old), schema_of(new), "a", "b")
    assert found.message.startswith(message)
    assert (found.rule, found.severity) == ("drift", severity)


def test_drift_of_limits_is_described() -> None:
    old, new = schema_of("x: Annotated[int, Range(1, 5)] = 1"), schema_of("x: Annotated[int, Range(1, 6)] = 1")
    (found,) = describe_drift(old, new, "a", "b")
    assert found.message.startswith("x has another ")


def test_drift_of_cells_alone_is_one_finding() -> None:
    schema = schema_of("x = 1  # help")
    assert describe_drift(schema, schema, "a", "a") == []
    assert describe_drift(schema, schema_of("x = 1  # other help"), "a", "a") == []
    (found,) = describe_drift(schema, schema, "a", "b")
    assert found.message.startswith("the notebook's cells changed")
    assert describe_drift({}, {}, "a", "a") == []
    assert describe_drift({"properties": None, "required": None}, schema, "a", "b") != []


def test_a_whole_notebook_is_checked_in_the_order_of_its_cells(make_notebook: Callable[..., Path]) -> None:
    path = make_notebook(["print(list)", "b = 1", "print(b"], parameters="list = 1\na = 2\nb: int")
    found = check_notebook(read_notebook(path))
    assert [(finding.rule, finding.cell_index) for finding in found] == [
        ("builtin", 0),
        ("unused", 0),
        ("required", 0),
        ("overwritten", 2),
        ("syntax", 3),
    ]
    assert all("\n" not in finding.message and len(finding.message) < 160 for finding in found)


SNIPPETS = [
    *USES,
    *NO_USES,
    *BINDS,
    "x = 1",
    "token: Secret = 'a'",
    "\x00",
    "\ud800",
    "(" * 300,
    "%%",
    "!",
    "?",
    "=",
    "x = " + "-" * 4000 + "1",
]
TAGS = ["parameters", "injected-parameters", "raises-exception", "Parameters", ""]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=60)), st.sampled_from(TAGS)), max_size=6),
    st.sampled_from(["python", "R", "bash", "julia", "scala", "", "klingon"]),
)
def test_checking_never_raises(cells: list[tuple[str, str]], language: str) -> None:
    for finding in check(*cells, language=language):
        assert "\n" not in finding.message


@pytest.mark.parametrize(
    "source", ["a + " * 20_000 + "x", "[" * 90 + "x" + "]" * 90, "f(" * 80 + "x" + ")" * 80, "x.a" * 3000]
)
def test_deep_code_is_checked_conservatively(source: str) -> None:
    assert "unused" not in rules(check_declared("x = 1", source))


def test_checking_imports_nothing_of_jupyters(make_notebook: Callable[..., Path]) -> None:
    program = (
        "import sys; from nbflow.notebooks import read_notebook; from nbflow.parameters.check import check_notebook;"
        "print(len(check_notebook(read_notebook(sys.argv[1]))));"
        "print([name for name in ('nbformat', 'jupyter_core', 'jupyter_client', 'IPython', 'papermill', 'nbclient', 'pandas')"
        " if name in sys.modules])"
    )
    path = make_notebook(["%matplotlib inline\nprint(x)", "!ls"], parameters="x: int = 1\ny = 1")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1", "[]"]
