"""What the declaration itself tells: secrets in the open, names and defaults that will surprise, what is required."""

from __future__ import annotations

import ast
import builtins
import datetime
import re
from collections.abc import Iterator, Sequence

from nbflow.parameters.declaration import Declaration
from nbflow.parameters.reading import is_python
from nbflow.parameters.records import ComputedDefault, Finding, LiteralDefault, Parameter, SourceCell
from nbflow.parameters.source import parse_cell, parse_python

_IPYTHON_NAMES = frozenset(
    {"In", "Out", "exit", "quit", "get_ipython", "display", "_", "__", "___", "_dh", "_ih", "_oh"}
)
_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "credential", "credentials"}
)
_SECRET_ENDS = ("api_key", "access_key", "secret_key", "private_key", "auth_key", "account_key")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DATE_WORDS = frozenset(
    {
        *("date", "day", "datetime", "timestamp", "since", "until", "start", "end", "begin", "month", "week", "year"),
        *("today", "now", "yesterday", "asof", "as_of", "from", "to", "cutoff", "deadline", "first", "last", "run"),
    }
)
_DATE_TEXT = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}.*)?)?|(19|20)\d{2}[01]\d[0-3]\d|\d{4}/\d{2}/\d{2}")


def check_declaration(cells: Sequence[SourceCell], declaration: Declaration) -> Iterator[Finding]:
    """Findings about each parameter by itself, and about defaults that parameters share."""
    for parameter in declaration.parameters:
        yield from _check_secret(parameter, declaration)
        yield from _check_name(parameter, declaration)
        if parameter.required:
            message = f"{parameter.name} has no default: every run, and every schedule, must give it a value"
            yield _note("required", "info", message, parameter, declaration)
    yield from _check_defaults(declaration)
    for cell in cells:
        if cell.index == declaration.cell_index and is_python(declaration.language):
            yield from _check_shared(cell)


def find_frozen_dates(declaration: Declaration) -> list[Finding]:
    """Defaults that are one fixed date where a schedule would expect the current one; for flows that are scheduled."""
    found: list[Finding] = []
    for parameter in declaration.parameters:
        if isinstance(parameter.default, LiteralDefault) and _is_date(parameter.default.value, parameter.name):
            message = (
                f"{parameter.name} is the same date in every scheduled run ({parameter.default.source}); "
                "compute it, as in date.today(), or let the schedule give it"
            )
            found.append(_note("frozen-date", "info", message, parameter, declaration))
    return found


def _note(rule: str, severity: str, message: str, parameter: Parameter, declaration: Declaration) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,  # type: ignore[arg-type]
        message=message,
        cell_index=declaration.cell_index,
        line=parameter.line,
        parameter=parameter.name,
    )


def _check_secret(parameter: Parameter, declaration: Declaration) -> Iterator[Finding]:
    """The messages never hold the value."""
    name = parameter.name
    if parameter.secret and _stands_in_source(parameter):
        message = (
            f"the secret {name} stands in the notebook; remove its default, pass it with -p {name}=-, and change it"
        )
        yield _note("secret", "error", message, parameter, declaration)
    elif not parameter.secret and _sounds_secret(name) and _has_text(parameter):
        message = (
            f"{name} looks like a secret in plain text; declare {name}: Secret without a default, and change the secret"
        )
        yield _note("secret", "warning", message, parameter, declaration)


def _stands_in_source(parameter: Parameter) -> bool:
    """A literal, or ``Secret("literal")``; ``os.environ["TOKEN"]`` is none."""
    match parameter.default:
        case LiteralDefault(value=value):
            return value not in (None, "")
        case ComputedDefault(source=source):
            tree = parse_python(source)
            match tree.body if tree else []:
                case [ast.Expr(value=ast.Call(func=func, args=[ast.Constant(value=str(text))]))]:
                    return bool(text) and ast.unparse(func).rpartition(".")[2] in ("Secret", "SecretStr", "str")
                case [ast.Expr(value=ast.JoinedStr() | ast.BinOp(left=ast.Constant()))]:
                    return True
    return False


def _has_text(parameter: Parameter) -> bool:
    match parameter.default:
        case LiteralDefault(value=str(text)):
            return bool(text.strip())
    return False


def _sounds_secret(name: str) -> bool:
    """``db_password``, ``apiKey``; not ``token_count``, ``max_tokens`` or ``key``."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and (words[-1] in _SECRET_WORDS or "_".join(words).endswith(_SECRET_ENDS))


def _check_name(parameter: Parameter, declaration: Declaration) -> Iterator[Finding]:
    name = parameter.name
    if name in _IPYTHON_NAMES:
        message = f"{name} is a name of IPython's own, which is lost in the notebook; choose another"
        yield _note("builtin", "warning", message, parameter, declaration)
    elif hasattr(builtins, name) and not name.startswith("_"):
        message = f"{name} hides Python's {name} in the whole notebook; choose another name"
        yield _note("builtin", "warning", message, parameter, declaration)


def _check_shared(cell: SourceCell) -> Iterator[Finding]:
    """``a = b = []`` is one list under two names, until one of them is passed."""
    parsed = parse_cell(cell.source, transform=False)
    for statement in parsed.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=first), *others], value=ast.List() | ast.Dict() | ast.Set()) if others:
                names = " and ".join([first, *(ast.unparse(target) for target in others)])
                yield Finding(
                    rule="shared",
                    severity="warning",
                    message=f"{names} are one and the same object, until one is passed; give each a line of its own",
                    cell_index=cell.index,
                    line=statement.lineno,
                    parameter=first,
                )


def _check_defaults(declaration: Declaration) -> Iterator[Finding]:
    """Only annotations can be broken; without one, pydantic is not even imported."""
    if all(parameter.inferred for parameter in declaration.parameters):
        return
    for fault in declaration.check_defaults():
        parameter = declaration.get(fault.parameter)
        if parameter is not None:
            message = f"the default of {fault.parameter} breaks its own declaration: {fault.message}"
            yield _note("default", "warning", message, parameter, declaration)


def _is_date(value: object, name: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(name)}
    if not words & _DATE_WORDS:
        return False
    if isinstance(value, datetime.date):
        return True
    return isinstance(value, str) and bool(_DATE_TEXT.fullmatch(value.strip()))
