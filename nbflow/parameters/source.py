"""From the text of a code cell to Python statements, without executing anything and without ever raising."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

PYTHON_CELL_MAGICS = frozenset({"time", "timeit", "capture", "prun", "memit", "local"})
"""Cell magics whose body is Python that runs in the notebook's own namespace."""

INCOMPLETE = 0x4000
"""``PyCF_ALLOW_INCOMPLETE_INPUT``: lets the compiler say "incomplete input" rather than call it an error."""

_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
_CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*")
_TYPE_STATEMENT = re.compile(r"^type\s+(\w+)\s*=", re.MULTILINE)
_MAX_STATEMENT_LINES = 200
_MAX_ATTEMPTS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A line that is not Python, and what the parser said about it."""

    line: int
    message: str


@dataclass(frozen=True, kw_only=True)
class ParsedCell:
    """The statements of a cell that could be read. Line numbers are the cell's."""

    text: str
    body: tuple[ast.stmt, ...] = ()
    comments: dict[int, str] = field(default_factory=dict)
    """By line: the comment's text from its ``#`` on."""
    unreadable: tuple[Unreadable, ...] = ()
    magic: str | None = None
    """The cell magic that makes the body something else than Python of this kernel."""

    @cached_property
    def _lines(self) -> list[bytes]:
        # Columns of a syntax tree count bytes of UTF-8.
        return [line.encode("utf-8", "surrogatepass") for line in self.text.split("\n")]

    def segment(self, node: ast.expr) -> str:
        """The source of *node* as it was written. Linear, unlike ``ast.get_source_segment`` over a whole cell."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        lines = self._lines[first : last + 1]
        lines[-1:] = [line[: node.end_col_offset] for line in lines[-1:]]
        lines[:1] = [line[node.col_offset :] for line in lines[:1]]
        return b"\n".join(lines).decode("utf-8", "replace")


def parse_cell(source: str, *, transform: bool) -> ParsedCell:
    """Read *source*; with *transform*, IPython's own input transformer gets a try before lines are given up."""
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    magic = _CELL_MAGIC.match(text)
    if magic is not None:
        if magic[1] not in PYTHON_CELL_MAGICS:
            return ParsedCell(text=text, magic=magic[1])
        # Blank out the magic but keep its lines, so that line numbers stay true.
        text = "\n" * magic[0].count("\n") + text[magic.end() :]
    tree = parse_python(text) or parse_python(_without_type_statements(text))
    if tree is not None:
        return ParsedCell(text=text, body=tuple(tree.body), comments=read_comments(text))
    if transform:
        through_ipython = _parse_through_ipython(text)
        if through_ipython is not None:
            return through_ipython
    return _recover(text)


def parse_python(text: str) -> ast.Module | None:
    """The syntax tree of *text*; None when it is not Python."""
    with warnings.catch_warnings():
        # "\d" in a plain string warns while parsing; that is the notebook's business.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except _UNREADABLE:
            return None


def read_comments(text: str) -> dict[int, str]:
    """The comments of *text* by line; strings that hold a ``#`` are not comments."""
    if "#" not in text:
        return {}
    comments: dict[int, str] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments[token.start[0]] = token.string
    except (tokenize.TokenError, *_UNREADABLE):
        pass
    return comments


def _without_type_statements(text: str) -> str:
    """``type X = …`` of Python 3.12 as an assignment, which this Python may be too old to parse."""
    return _TYPE_STATEMENT.sub(lambda found: f"{found[1]} =", text)


def _parse_through_ipython(text: str) -> ParsedCell | None:
    try:
        from IPython.core.inputtransformer2 import TransformerManager

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformed = str(TransformerManager().transform_cell(text))
    except Exception:  # a transformer is a plug-in: whatever it raises, the cell is read without it
        return None
    # IPython drops the empty lines on top; without them no line number would be the cell's.
    top = text[: len(text) - len(text.lstrip())]
    transformed = "\n" * top.count("\n") + transformed.lstrip("\n")
    tree = parse_python(transformed)
    if tree is None:
        return None
    return ParsedCell(text=transformed, body=tuple(tree.body), comments=read_comments(transformed))


def _recover(text: str) -> ParsedCell:
    """Statement by statement: what can be read before, between and after the errors is read."""
    body: list[ast.stmt] = []
    comments: dict[int, str] = {}
    unreadable: list[Unreadable] = []
    for start, chunk, tree, message in _split_statements(text):
        if tree is None:
            unreadable.append(Unreadable(line=start + 1, message=message))
            continue
        for statement in tree.body:
            ast.increment_lineno(statement, start)
            body.append(statement)
        comments.update({start + line: comment for line, comment in read_comments(chunk).items()})
    return ParsedCell(text=text, body=tuple(body), comments=comments, unreadable=tuple(unreadable))


def _split_statements(text: str) -> Iterator[tuple[int, str, ast.Module | None, str]]:
    """``(first line from 0, text, tree or None, error)`` for each logical piece of *text*."""
    lines = text.split("\n")
    start, attempts = 0, 0
    while start < len(lines) and attempts < _MAX_ATTEMPTS:
        if not lines[start].strip() or lines[start].lstrip().startswith("#"):
            start += 1
            continue
        end, best, best_end, message = start + 1, None, start + 1, ""
        longest = min(len(lines), start + _MAX_STATEMENT_LINES)
        while attempts < _MAX_ATTEMPTS:
            attempts += 1
            tree, message = _try_parse("\n".join(lines[start:end]))
            if tree is not None:
                best, best_end = tree, end
            more = message == "incomplete input" or (tree is not None and _goes_on(lines, end))
            if not more or end >= longest:
                break
            end += 1
        yield start, "\n".join(lines[start:best_end]), best, message
        start = best_end


def _goes_on(lines: list[str], end: int) -> bool:
    """Whether the line after a readable piece belongs to it: the indented rest of a block."""
    return end < len(lines) and lines[end][:1] in (" ", "\t")


def _try_parse(text: str) -> tuple[ast.Module | None, str]:
    tree = parse_python(text)
    if tree is not None:
        return tree, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | INCOMPLETE, dont_inherit=True)
        except SyntaxError as error:
            return None, error.msg or "invalid syntax"
        except _UNREADABLE as error:
            return None, str(error) or type(error).__name__
    return None, "invalid syntax"
