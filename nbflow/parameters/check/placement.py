"""Whether the right cell is tagged: none, several, a misspelt tag, or a cell left over from an earlier run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from nbflow.parameters.check.names import Kind, find_names
from nbflow.parameters.declaration import Declaration
from nbflow.parameters.reading import TAG, is_python
from nbflow.parameters.records import Finding, SourceCell
from nbflow.parameters.source import parse_cell

INJECTED = "injected-parameters"
_SIMILAR = frozenset({"param", "params", "parameter", "parameters", "nbflow-parameters", "papermill"})
_LOOKED_AT = 6
"""Parameters stand near the top: further down, a cell of constants is more likely part of the work."""
_FORM = re.compile(r"#\s*@param\b|\bdbutils\.widgets\.(?:text|dropdown|combobox|multiselect)\(")
_SAYS_SO = re.compile(r"#.*\b(?:param(?:eter)?s?|config(?:uration)?|settings?|inputs?)\b", re.IGNORECASE)
_CONSTRUCTORS = frozenset({"date", "datetime", "timedelta", "Path", "Decimal", "Timestamp", "Timedelta"})


def check_placement(cells: Sequence[SourceCell], declaration: Declaration) -> Iterator[Finding]:
    """Findings about tags, before anything is known about the parameters."""
    tagged = [cell for cell in cells if TAG in cell.tags]
    declaring = [cell for cell in tagged if cell.kind == "code"]
    for cell in tagged:
        if cell.kind != "code":
            yield _note(
                "tag", "warning", f"this {cell.kind} cell is tagged '{TAG}', which only means something on code", cell
            )
    for cell in declaring[1:]:
        message = (
            f"a second cell is tagged '{TAG}'; only the first, cell {declaring[0].index + 1}, declares: merge them"
        )
        yield _note("several-cells", "warning", message, cell)
    yield from _check_injected(cells, declaration)
    if declaring:
        return
    for cell in cells:
        similar = next((tag for tag in cell.tags if tag.strip().lower() in _SIMILAR and tag != TAG), None)
        if similar is not None and cell.kind == "code":
            yield _note("tag", "warning", f"the tag is {similar!r}; only {TAG!r} makes a cell declare parameters", cell)
            return
    lookalike = _find_lookalike(cells) if is_python(declaration.language) else None
    if lookalike is not None:
        message = f"looks like a parameters cell; tag it '{TAG}' and its values can be set from outside"
        yield _note("untagged", "info", message, lookalike)


def _check_injected(cells: Sequence[SourceCell], declaration: Declaration) -> Iterator[Finding]:
    secrets = frozenset(parameter.name for parameter in declaration.parameters if parameter.secret)
    for cell in cells:
        if cell.kind != "code" or INJECTED not in cell.tags or TAG in cell.tags:
            continue
        message = "holds the values of an earlier run, which win when the notebook is run by hand; delete the cell"
        yield _note("injected", "warning", message, cell)
        for mention in find_names(cell, secrets).mentions:
            if mention.kind is Kind.BIND:
                message = f"the value of the secret {mention.name} stands in this cell; delete it and change the secret"
                yield _note("secret", "error", message, cell, mention.name)


def _note(rule: str, severity: str, message: str, cell: SourceCell, parameter: str | None = None) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, cell_index=cell.index, parameter=parameter)  # type: ignore[arg-type]


def _find_lookalike(cells: Sequence[SourceCell]) -> SourceCell | None:
    """The first cell that holds a form, or nothing but constants that later cells use."""
    code = [cell for cell in cells if cell.kind == "code"]
    for position, cell in enumerate(code[:_LOOKED_AT]):
        if _FORM.search(cell.source):
            return cell
        names = _read_constants(cell)
        if len(names) < (1 if _SAYS_SO.search(cell.source) else 2):
            continue
        uses = {mention.name for later in code[position + 1 :] for mention in find_names(later, names).mentions}
        if uses:
            return cell
    return None


def _read_constants(cell: SourceCell) -> frozenset[str]:
    """The names that *cell* assigns constants to; empty when it does anything else but import."""
    parsed = parse_cell(cell.source, transform=False)
    if parsed.unreadable or parsed.magic is not None:
        return frozenset()
    names: set[str] = set()
    for statement in parsed.body:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_constant(value):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is None or _is_constant(value):
                names.add(name)
            case _:
                return frozenset()
    return frozenset(names)


def _is_constant(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return name in _CONSTRUCTORS and all(isinstance(argument, ast.Constant) for argument in arguments)
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
