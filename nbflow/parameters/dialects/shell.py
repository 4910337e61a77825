"""The assignments of a bash cell. Everything in bash is text, arrays of it, or (with ``declare -i``) an integer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from nbflow.parameters.dialects.literals import NotLiteral
from nbflow.parameters.dialects.texts import AsText

TEXT = Annotated[str, AsText()]

_TOKEN = re.compile(
    r"""(?P<skip>\\\n)|(?P<single>'[^']*+(?:'|\Z))|(?P<ansi>\$'(?:[^'\\]|\\[\s\S]?)*+(?:'|\Z))"""
    r"""|(?P<double>"(?:[^"\\]|\\[\s\S]?)*+(?:"|\Z))"""
    r"""|(?P<comment>(?<![^\s;])\#[^\n]*)|(?P<open>[({])|(?P<close>[)}])|(?P<end>;|&&?|\|\|?)|(?P<newline>\n)"""
)
_HEAD = re.compile(
    r"(?:(?P<keyword>export|declare|typeset)\s+(?P<flags>(?:-[A-Za-z]+\s+)*))?(?P<name>[A-Za-z_]\w*)=(?P<value>[\s\S]*)",
    re.ASCII,
)
_OPENERS = frozenset({"if", "for", "while", "until", "case", "select", "function"})
_CLOSERS = frozenset({"fi", "done", "esac"})
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'|\$'(?P<ansi>(?:[^'\\]|\\[\s\S])*+)'|"(?P<double>(?:[^"\\$`]|\\[\s\S])*+)"|\\(?P<char>[\s\S])"""
    r"""|(?P<plain>[^\s'"\\$`|&;()<>*?{}\[\]~\#]+|(?<=[^\s])\#)"""
)
_QUOTED = r"""'[^']*'|\$'(?:[^'\\]|\\[\s\S])*+'|"(?:[^"\\]|\\[\s\S])*+"|\\[\s\S]"""
_WORD = re.compile(rf"(?:{_QUOTED}|[^\s'\"\\])+")
_KEY = re.compile(rf"\[(?P<key>(?:{_QUOTED}|[^\]\s'\"\\])+)\]=")
_HERE_DOCUMENT = re.compile(r"(?m)<<-?[ \t]*(['\"]?)(\w+)\1[^\n]*\n(?:[^\n]*\n)*?[ \t]*\2$")
_ANSI = re.compile(
    r"\\(?:([abefnrtv\\'\"?E])|([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8}))|\\"
)
_ANSI_CHARS = dict(zip("abefnrtvE", "\a\b\x1b\f\n\r\t\v\x1b", strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellAssignment:
    """``name=value``, as written, and what its keyword makes of it."""

    name: str
    value: str
    flags: str = ""
    comment: str = ""
    line: int = 1

    @property
    def kind(self) -> Any:
        """The type that bash gives the variable."""
        if "i" in self.flags:
            return int
        if "A" in self.flags:
            return dict[str, TEXT]
        return list[TEXT] if self.value.startswith("(") else TEXT

    def read(self) -> Any:
        """The value; NotLiteral when bash computes it."""
        if "A" in self.flags:
            return dict(_read_pair(word) for word in _array_words(self.value))
        if self.value.startswith("("):
            return [read_word(word) for word in _array_words(self.value)]
        word = read_word(self.value)
        if "i" not in self.flags:
            return word
        if not re.fullmatch(r"-?(?:0|[1-9]\d{0,18})", word):
            raise NotLiteral
        return int(word)


def shell_assignments(source: str) -> list[ShellAssignment]:
    """The assignments at the top level of a cell, in order; those to read-only variables and references left out."""
    found = []
    depth = 0
    text = source.removeprefix("\ufeff").replace("\r\n", "\n")
    text = _HERE_DOCUMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for command, line, comment in _commands(text):
        first = command.split(None, 1)[0]
        depth = max(0, depth + (first in _OPENERS) - (first in _CLOSERS))
        match = _HEAD.fullmatch(command)
        flags = (match["flags"] or "").replace("-", "").replace(" ", "") if match is not None else ""
        if match is not None and depth == 0 and _is_one_word(match["value"]) and not set(flags) & set("rnfF"):
            found.append(
                ShellAssignment(name=match["name"], value=match["value"], flags=flags, comment=comment, line=line)
            )
    return found


def _commands(text: str) -> Iterator[tuple[str, int, str]]:
    """``(command, line, comment behind it)`` for each command outside of brackets."""
    start = depth = 0
    pending: tuple[str, int] | None = None
    for match in [*_TOKEN.finditer(text), None]:
        kind = "newline" if match is None else match.lastgroup
        at = len(text) if match is None else match.start()
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind in ("comment", "end", "newline") and depth == 0:
            command = text[start:at].strip()
            if command:
                if pending is not None:
                    yield *pending, ""
                pending = (command, text.count("\n", 0, start + len(text[start:at]) - len(text[start:at].lstrip())) + 1)
            if kind in ("comment", "newline") and pending is not None:
                yield *pending, (match[0].lstrip("#").strip() if match is not None and kind == "comment" else "")
                pending = None
            start = at if match is None else match.end()


def _is_one_word(value: str) -> bool:
    """Whether nothing follows: ``x=3 command`` sets a variable for one command only."""
    depth, position = 0, 0
    for match in [*_TOKEN.finditer(value), None]:
        if depth == 0 and re.search(r"(?<!\\)\s", value[position : None if match is None else match.start()]):
            return False
        if match is not None:
            depth = max(0, depth + (match.lastgroup == "open") - (match.lastgroup == "close"))
            position = match.end()
    return True


def read_word(text: str) -> str:
    """The text that a word of bash stands for; NotLiteral where bash would expand something."""
    position, pieces = 0, []
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            raise NotLiteral
        position = match.end()
        pieces.append(_piece(match))
    return "".join(pieces)


def _piece(match: re.Match[str]) -> str:
    if match["ansi"] is not None:
        return _ANSI.sub(_ansi, match["ansi"])
    if match["double"] is not None:
        return re.sub(r"\\([\\\"$`]|\n)", lambda found: found[1].strip("\n"), match["double"])
    if match["char"] is not None:
        return match["char"].strip("\n")
    return match["single"] if match["single"] is not None else match["plain"]


def _ansi(match: re.Match[str]) -> str:
    single, octal, byte, short, long = match.groups()
    if single is not None:
        return _ANSI_CHARS.get(single, single)
    code = int(octal, 8) if octal else int(byte or short or long or "110000", 16)
    if not 0 < code <= (0x7F if octal or byte else 0x10FFFF):
        raise NotLiteral
    return chr(code)


def _array_words(text: str) -> list[str]:
    """The words between the brackets of an array."""
    if not text.endswith(")"):
        raise NotLiteral
    words, position, inside = [], 0, re.sub(r"(?m)(?<![^\s])\#[^\n'\"]*$", "", text[1:-1])
    for match in _WORD.finditer(inside):
        if inside[position : match.start()].strip():
            raise NotLiteral
        words.append(match[0])
        position = match.end()
    if inside[position:].strip():
        raise NotLiteral
    return words


def _read_pair(word: str) -> tuple[str, str]:
    match = _KEY.match(word)
    if match is None:
        raise NotLiteral
    return read_word(match["key"]), read_word(word[match.end() :])
