"""A cell of another language as its top-level assignments, found without a full parser and without ever raising."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from nbflow.parameters.dialects.syntaxes import SYNTAXES, Syntax

_MAX_SOURCE = 200_000
"""Characters; a longer cell declares nothing."""

_GOES_ON = re.compile(r"(?:<-|[=,+*/|&<>(-])\s*$")
_END = re.compile(r"\b(?:end(?:if|for|function|parfor|switch|while|_try_catch|_unwind_protect)?|until)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement at the top level of a cell."""

    text: str
    line: int
    """In the cell, from 1."""
    comment: str = ""
    """What stands behind it on its last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """``keyword name: annotation = value``, as written."""

    name: str
    value: str
    keyword: str = ""
    annotation: str = ""
    comment: str = ""
    line: int = 1


def assignments(source: str, language: str) -> list[Assignment]:
    """The top-level assignments of a cell in *language* (lower case); none for a language that is not known."""
    syntax = SYNTAXES.get(language)
    if syntax is None or len(source) > _MAX_SOURCE:
        return []
    head, skipped = re.compile(syntax.head), re.compile(syntax.skipped)
    found = []
    for statement in split(source, syntax):
        match = head.fullmatch(statement.text)
        if match is not None and not skipped.match(match["value"]):
            words = match.groupdict()
            found.append(
                Assignment(
                    name=match["name"],
                    value=match["value"].strip(),
                    keyword=words.get("keyword") or "",
                    annotation=(words.get("annotation") or "").strip(),
                    comment=statement.comment,
                    line=statement.line,
                )
            )
    return found


def split(source: str, syntax: Syntax) -> list[Statement]:
    """The statements outside of all blocks."""
    splitter = _Splitter(text=source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), syntax=syntax)
    splitter.run()
    return splitter.found


@dataclass(slots=True)
class _Splitter:
    """Goes through a cell token by token. Brackets and blocks hide what is inside of them."""

    text: str
    syntax: Syntax
    found: list[Statement] = field(default_factory=list)
    _start: int = 0
    """Where the statement begins."""
    _cuts: list[tuple[int, int]] = field(default_factory=list)
    """What to leave out of the statement: comments and line joins."""
    _bare: list[str] = field(default_factory=list)
    """The statement without strings, comments and what is in brackets, for counting words."""
    _depth: int = 0
    _blocks: int = 0
    _line_start: int = 0
    _last_end: int = -1
    """Where the latest statement in ``found`` ends."""
    _line: int = 1
    _counted: int = 0
    """Up to where the lines are counted."""
    _comment: str = ""
    """The comment on this line."""

    def run(self) -> None:
        syntax, position = self.syntax, 0
        token = re.compile(
            rf"(?P<block>{syntax.block_comment})|(?P<join>{syntax.join})|(?P<string>{syntax.string})"
            rf"|(?P<comment>{syntax.comment})|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<end>{syntax.ends})|(?P<newline>\n)"
        )
        for match in token.finditer(self.text):
            if self._depth == 0:
                self._bare.append(self.text[position : match.start()])
            position = match.end()
            self._take(match)
        if self._depth == 0:
            self._bare.append(self.text[position:])
        self._finish(len(self.text))
        self._finish_line(len(self.text))

    def _take(self, match: re.Match[str]) -> None:
        kind = match.lastgroup
        if kind in ("block", "join", "comment"):
            self._cuts.append(match.span())
            self._comment = match[0] if kind == "comment" else self._comment
        elif kind == "open":
            self._depth += 1
        elif kind == "close":
            self._depth = max(0, self._depth - 1)
        elif kind == "end" and self._depth == 0:
            self._finish(match.start())
            self._start = match.end()
        elif kind == "newline":
            if self._depth == 0 and self._is_complete(match.start()):
                self._finish(match.start())
                self._start = match.end()
            self._finish_line(match.end())

    def _is_complete(self, end: int) -> bool:
        text = self._statement_text(end).rstrip()
        if self.syntax.newline_ends:
            return not _GOES_ON.search(text)
        # In C# only a block ends a statement without a semicolon.
        return not text or text.endswith("}")

    def _statement_text(self, end: int) -> str:
        pieces, position = [], self._start
        for first, last in self._cuts:
            pieces.append(self.text[position:first])
            position = last
        return " ".join([*pieces, self.text[position:end]]) if pieces else self.text[position:end]

    def _finish(self, end: int) -> None:
        text, bare = self._statement_text(end), " ".join(self._bare)
        inside = self._blocks > 0
        opened = len(re.findall(rf"\b(?:{self.syntax.openers})\b", bare))
        self._blocks = max(0, self._blocks + opened - (len(_END.findall(bare)) if opened or inside else 0))
        self._bare.clear()
        self._cuts.clear()
        if inside or not text.strip() or (self.syntax.flush_left and text.lstrip("\n")[:1] in " \t"):
            return
        begin = self._start + len(self.text[self._start : end]) - len(self.text[self._start : end].lstrip())
        self._line += self.text.count("\n", self._counted, begin)
        self._counted = max(begin, self._counted)
        self.found.append(Statement(text=text.strip(), line=self._line))
        self._last_end = end

    def _finish_line(self, next_line: int) -> None:
        """A comment belongs to the statement that ended on its line."""
        if self._comment and self._last_end >= self._line_start and self.found:
            self.found[-1] = replace(self.found[-1], comment=self._comment.lstrip("#/%").strip())
        self._comment = ""
        self._line_start = next_line
