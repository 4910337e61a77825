"""The repository as a reader finds it."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nbflow"
MODULES = sorted(PACKAGE.rglob("*.py"))
VISIBLE = {"pyproject.toml", "README.md", "LICENSE", "nbflow", "notebooks", "tests", "binder"}


def list_tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()


def test_the_top_level_holds_nothing_else() -> None:
    tops = {path.partition("/")[0] for path in list_tracked()}
    assert {top for top in tops if not top.startswith(".")} <= VISIBLE


def test_no_generated_or_large_file_is_tracked() -> None:
    for path in list_tracked():
        assert not re.search(r"__pycache__|\.pyc$|\.ipynb_checkpoints|\.egg-info", path)
        assert (ROOT / path).stat().st_size < 300_000, path


@pytest.mark.parametrize(
    "noun", ["flow", "parameter", "run", "event", "engine", "schedule", "backfill", "store"], ids=str
)
def test_every_word_of_the_design_is_a_module_or_a_class(noun: str) -> None:
    names = {path.stem for path in MODULES} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    classes = set()
    for path in MODULES:
        classes |= {
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
        }
    assert {noun, f"{noun}s"} & names
    assert any(noun.capitalize() in name for name in classes)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.parent.name == "versions":  # written by Alembic's template
        return
    assert ast.get_docstring(tree), path
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.returns is not None or node.name == "__init__", f"{path}: {node.name} has no return type"


def test_names_say_what_things_are() -> None:
    vague = re.compile(r"((?<!Kernel)Manager|Helper|Utils|Info)$|^Base[A-Z]")  # KernelManager is Jupyter's own word
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                assert not vague.search(node.name), f"{path}: class {node.name}"
            if isinstance(node, ast.FunctionDef):
                assert not node.name.startswith("handle_"), f"{path}: {node.name}"


def test_only_the_command_line_prints() -> None:
    # A child's lines are printed into the notebook that waits for it: that is what streaming is.
    printing = (PACKAGE / "cli", PACKAGE / "api" / "streaming.py")
    for path in MODULES:
        if any(path.is_relative_to(place) for place in printing):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                assert any(keyword.arg == "file" for keyword in node.keywords), f"{where} prints to standard output"


def test_only_the_edges_read_the_environment_for_settings() -> None:
    allowed = {"config.py", "project", "api", "cli", "engines", "kernels", "server"}
    for path in MODULES:
        if "NBFLOW_" in path.read_text(encoding="utf-8") and re.search(
            r"os\.environ|getenv", path.read_text(encoding="utf-8")
        ):
            assert path.relative_to(PACKAGE).parts[0] in allowed, path


def test_every_command_is_one_module_with_one_command() -> None:
    from nbflow.cli.main import COMMANDS

    for name in COMMANDS:
        assert (PACKAGE / "cli" / f"{name}.py").exists() or (PACKAGE / "cli" / name / "__init__.py").exists()
    for folder in ("runs", "flows", "kv", "schedule", "scheduler", "backfill"):
        for path in (PACKAGE / "cli" / folder).glob("*.py"):
            functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
            assert path.stem == "__init__" or "command" in functions, path


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    declared = {re.match(r"[\w.-]+", name)[0].lower().replace("-", "_") for name in wanted}  # type: ignore[index]
    import sys

    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or top == "nbflow" or ALIASES.get(top, top).lower() in declared, (
                    path,
                    top,
                )


# Modules whose distribution has another name, or comes with one that is declared.
ALIASES = {
    "ruamel": "ruamel.yaml",
    "jupyter_client": "nbclient",
    "jupyter_core": "nbclient",
    "traitlets": "nbclient",
    "tornado": "jupyter_server",
    "jinja2": "jupyter_server",
    "zmq": "ipykernel",
    "IPython": "ipykernel",
    "annotated_types": "pydantic",
    "pydantic_core": "pydantic",
    "numpy": "pandas",
    "PIL": "matplotlib",
}


def test_the_workflow_files_are_there_and_can_be_started() -> None:
    for path in ("tests/run", ".ci/run"):
        assert (ROOT / path).stat().st_mode & 0o111
        assert subprocess.run(["bash", "-n", ROOT / path], check=False).returncode == 0
    for path in (".github/CONTRIBUTING.md", ".github/CHANGELOG.md", "README.md", "LICENSE", ".pre-commit-config.yaml"):
        assert (ROOT / path).read_text().strip()
