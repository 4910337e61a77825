"""The literals of other languages: numbers, strings, lists and dictionaries of those, and nothing that computes."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_MAX_DEPTH = 50
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(
    r"\\(?:(?P<single>[^xuU0-7])|u\{(?P<braced>[0-9a-fA-F]{1,6})\}|u(?P<short>[0-9a-fA-F]{1,4})"
    r"|U(?P<long>[0-9a-fA-F]{1,8})|x(?P<byte>[0-9a-fA-F]{1,2})|(?P<octal>[0-7]{1,3}))|\\"
)
_SINGLES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_SINGLES |= {char: char for char in "\\\"'"}
_DIGITS = r"(?:\d[\d_]*(?:\.\d[\d_]*|\.(?![\w.]))?|\.\d+)(?:[eE][+-]?\d+)?"


class NotLiteral(Exception):
    """The text is an expression, or nothing that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A bracketed list of literals, or of pairs of them."""

    opener: str
    closer: str
    make: Callable[[list[tuple[Any, Any]]], Any]
    """From ``(key or None, value)`` pairs to the value."""
    separator: str = ","
    arrow: str = ""
    """Between a key and a value; empty when there are no keys."""
    key: str = r"(?!)"
    """Keys that are no strings: bare names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The literals of one language."""

    scalars: Sequence[tuple[str, Callable[[re.Match[str]], Any]]]
    containers: Sequence[Container]
    constants: Mapping[str, Any]
    ignore_case: bool = False


def read_literal(text: str, language: str) -> Any:
    """The value of *text*; NotLiteral when it isn't a literal from end to end."""
    reader = _Reader(text=text, grammar=_GRAMMARS[language])
    value = reader.value()
    if reader.skip_space() < len(text):
        raise NotLiteral
    return value


@dataclass(slots=True)
class _Reader:
    text: str
    grammar: Grammar
    position: int = 0
    depth: int = 0

    def skip_space(self) -> int:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return self.position

    def take(self, pattern: str) -> re.Match[str] | None:
        self.skip_space()
        flags = re.IGNORECASE if self.grammar.ignore_case else 0
        match = re.compile(pattern, flags).match(self.text, self.position)
        self.position = match.end() if match else self.position
        return match

    def value(self) -> Any:
        for container in self.grammar.containers:
            if self.take(container.opener):
                return self._items(container)
        for pattern, convert in self.grammar.scalars:
            match = self.take(pattern)
            if match is not None:
                return convert(match)
        word = self.take(r"[-+]?\$?[^\W\d][\w.:]*")
        if word is not None and word[0] in self.grammar.constants:
            return self.grammar.constants[word[0]]
        if word is not None and self.grammar.ignore_case and word[0].lower() in self.grammar.constants:
            return self.grammar.constants[word[0].lower()]
        raise NotLiteral

    def _items(self, container: Container) -> Any:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise NotLiteral
        pairs: list[tuple[Any, Any]] = []
        while not self.take(container.closer):
            if pairs and not self.take(container.separator):
                raise NotLiteral
            if pairs and self.take(container.closer):
                break
            pairs.append((self._key(container), self.value()))
        self.depth -= 1
        return container.make(pairs)

    def _key(self, container: Container) -> Any:
        """A key and its arrow, or None with nothing taken."""
        if not container.arrow:
            return None
        start = self.position
        bare = self.take(container.key)
        try:
            key = bare[0] if bare is not None else self.value()
        except NotLiteral:
            key = None
        if isinstance(key, str) and self.take(container.arrow):
            return key
        self.position = start
        return None


def _unescape(text: str, *, also: str, by_byte: bool) -> str:
    """Backslash escapes replaced. *also*: characters that escape to themselves. *by_byte*: whether octal and hex do."""

    def one(match: re.Match[str]) -> str:
        single, byte = match["single"], match["byte"] or match["octal"]
        if single in _SINGLES:
            return _SINGLES[single]
        if single is not None and single in also:
            return single
        digits = match["braced"] or match["short"] or match["long"]
        code = int(digits, 16) if digits else int(byte, 16 if match["byte"] else 8) if byte and by_byte else -1
        # Beyond ASCII, a byte is part of a character in some encoding.
        if not 0 <= code <= (0x7F if byte else 0x10FFFF):
            raise NotLiteral
        return chr(code)

    replaced = _ESCAPE.sub(one, text)
    # Two halves of a surrogate pair are one character.
    return replaced.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _escaped(match: re.Match[str]) -> str:
    """A string of R, Julia or Octave."""
    return _unescape(match["body"], also="$`", by_byte=True)


def _escaped_utf16(match: re.Match[str]) -> str:
    """A string of Scala, C# or F#, which don't agree about numbers of fewer than four digits."""
    return _unescape(match["body"], also="", by_byte=False)


def _verbatim(match: re.Match[str]) -> str:
    return match["body"]


def _doubled(match: re.Match[str]) -> str:
    return match["body"].replace(match["quote"] * 2, match["quote"])


def _list(pairs: list[tuple[Any, Any]]) -> list[Any]:
    if any(key is not None for key, _ in pairs):
        raise NotLiteral
    return [value for _, value in pairs]


def _dict(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    if any(key is None for key, _ in pairs) or len({key for key, _ in pairs}) < len(pairs):
        raise NotLiteral
    return dict(pairs)


def _list_or_dict(pairs: list[tuple[Any, Any]]) -> Any:
    return _dict(pairs) if pairs and pairs[0][0] is not None else _list(pairs)


def _vector(pairs: list[tuple[Any, Any]]) -> Any:
    """R's ``c``: items of one kind, integers among floats being floats."""
    made = _list_or_dict(pairs)
    items = list(made.values()) if isinstance(made, dict) else made
    kinds = {type(item) for item in items}
    if kinds == {int, float}:
        return {key: float(item) for key, item in made.items()} if isinstance(made, dict) else list(map(float, made))
    if len(kinds) > 1 or not kinds <= {bool, int, float, str, datetime.date}:
        raise NotLiteral
    return made


def _pairs_of_two(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    """``{ { "a", 1 }, { "b", 2 } }``, each inner one read as a list."""
    items = _list(pairs)
    if not all(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) for item in items):
        raise NotLiteral
    return _dict([(key, value) for key, value in items])


def _number(match: re.Match[str]) -> int | float:
    """An integer where the digits are those of one."""
    text = match["digits"].replace("_", "")
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _float(match: re.Match[str]) -> float:
    return float(match["digits"].replace("_", ""))


def _whole(match: re.Match[str]) -> int:
    number = _float(match)
    if number != int(number):
        raise NotLiteral
    return int(number)


def _decimal(match: re.Match[str]) -> decimal.Decimal:
    return decimal.Decimal(match["digits"].replace("_", ""))


def _based(match: re.Match[str]) -> int:
    return int(match["digits"].replace("_", ""), 0)


def _date(match: re.Match[str]) -> datetime.date:
    try:
        return datetime.date.fromisoformat(match["body"])
    except ValueError as error:
        raise NotLiteral from error


_DOUBLE = r'"(?P<body>(?:[^"\\\n]|\\[\s\S])*+)"'
_PLAIN_NUMBER = rf"(?P<digits>[-+]?{_DIGITS})(?!\w)"
_BASED = r"(?P<digits>[-+]?0[xXbBoO][\da-fA-F_]+)(?!\w)"
_WORDS = {"true": True, "false": False, "null": None}

_R = Grammar(
    scalars=(
        (r"""\b[rR](?P<quote>["'])(?P<dashes>-*)\((?P<body>[\s\S]*?)\)(?P=dashes)(?P=quote)""", _verbatim),
        (r'"(?P<body>(?:[^"\\]|\\[\s\S])*+)"', _escaped),
        (r"'(?P<body>(?:[^'\\]|\\[\s\S])*+)'", _escaped),
        (r"""as\.Date\(\s*(?P<quote>["'])(?P<body>\d{4}-\d\d-\d\d)(?P=quote)\s*\)""", _date),
        (rf"(?P<digits>[-+]?{_DIGITS})L(?!\w)", _whole),
        (_PLAIN_NUMBER, _float),
        (r"(?P<digits>[-+]?0[xX][\da-fA-F]+)L(?!\w)", _based),
    ),
    containers=(
        Container(opener=r"c\(", closer=r"\)", make=_vector, arrow="=(?!=)", key=r"[^\W\d_][\w.]*(?=\s*=)"),
        Container(opener=r"list\(", closer=r"\)", make=_list_or_dict, arrow="=(?!=)", key=r"[^\W\d_][\w.]*(?=\s*=)"),
    ),
    constants={"TRUE": True, "FALSE": False, "T": True, "F": False, "NULL": None}
    | {"Inf": float("inf"), "-Inf": float("-inf"), "NaN": float("nan")},
)
_JULIA = Grammar(
    scalars=(
        (r'"""(?P<body>[^"\\$\n]*)"""', _verbatim),
        # A string with a dollar sign that is not escaped computes.
        (r'(?<!\w)(?!""")"(?P<body>(?:[^"\\$]|\\[\s\S])*+)"', _escaped),
        (rf"(?P<digits>[-+]?{_DIGITS})(?![\w/])", _number),
        (_BASED, _based),
    ),
    containers=(
        Container(opener=r"Dict(?:\{[\w, {}]*\})?\(", closer=r"\)", make=_dict, arrow="=>"),
        Container(opener=r"(?:[A-Z]\w*(?:\{[\w, {}]*\})?)?\[", closer=r"\]", make=_list),
    ),
    constants={"true": True, "false": False, "nothing": None}
    | {"Inf": float("inf"), "-Inf": float("-inf"), "NaN": float("nan")},
)
_SCALA = Grammar(
    scalars=(
        (r'(?<!\w)"""(?P<body>[\s\S]*?)"""(?!")', _verbatim),
        (rf"(?<!\w){_DOUBLE}", _escaped_utf16),
        (r"(?P<digits>[-+]?\d[\d_]*)[lL](?!\w)", _number),
        (rf"(?P<digits>[-+]?{_DIGITS})[dDfF](?!\w)", _float),
        (_PLAIN_NUMBER, _number),
        (_BASED, _based),
    ),
    containers=(
        Container(opener=r"(?:\w+\.)*Map(?:\[[\w, \[\]]*\])?\(", closer=r"\)", make=_dict, arrow="->"),
        Container(
            opener=r"(?:Seq|List|Array|Vector|IndexedSeq)(?:\[[\w, \[\]]*\])?\(",
            closer=r"\)",
            make=_list,
        ),
    ),
    constants={**_WORDS, "None": None, "Nil": []}
    | {"Double.NaN": float("nan"), "Double.PositiveInfinity": float("inf"), "Double.NegativeInfinity": float("-inf")},
)
_CSHARP = Grammar(
    scalars=(
        (r'(?<!\w)@(?P<quote>")(?P<body>(?:[^"]|"")*+)"', _doubled),
        (rf"(?<!\w){_DOUBLE}", _escaped_utf16),
        (r"(?P<digits>[-+]?\d[\d_]*)[uUlL]{1,2}(?!\w)", _number),
        (rf"(?P<digits>[-+]?{_DIGITS})[mM](?!\w)", _decimal),
        (rf"(?P<digits>[-+]?{_DIGITS})[dDfF](?!\w)", _float),
        (_PLAIN_NUMBER, _number),
        (_BASED, _based),
    ),
    containers=(
        Container(opener=r"new\s+Dictionary\s*<[^(){}]*>\s*(?:\(\s*\)\s*)?\{", closer=r"\}", make=_pairs_of_two),
        Container(opener=r"new\s*(?:\w+\s*)?\[\s*\]\s*\{", closer=r"\}", make=_list),
        Container(opener=r"new\s+List\s*<[^(){}]*>\s*(?:\(\s*\)\s*)?\{", closer=r"\}", make=_list),
        Container(opener=r"\{", closer=r"\}", make=_list),
    ),
    constants={**_WORDS, "double.NaN": float("nan"), "double.PositiveInfinity": float("inf")},
)
_FSHARP = Grammar(
    scalars=(
        (r'(?<!\w)@(?P<quote>")(?P<body>(?:[^"]|"")*+)"', _doubled),
        (r'(?<!\w)"""(?P<body>[\s\S]*?)"""', _verbatim),
        (rf"(?<!\w){_DOUBLE}", _escaped_utf16),
        (r"(?P<digits>[-+]?\d[\d_]*)(?:u?[yslL]|UL|[unI])(?!\w)", _number),
        (rf"(?P<digits>[-+]?{_DIGITS})[mM](?!\w)", _decimal),
        (rf"(?P<digits>[-+]?{_DIGITS})[fF](?!\w)", _float),
        (_PLAIN_NUMBER, _number),
        (_BASED, _based),
    ),
    containers=(
        Container(opener=r"\[\|", closer=r"\|\]", make=_list, separator=";"),
        Container(opener=r"\[", closer=r"\]", make=_list, separator=";"),
    ),
    constants={**_WORDS, "None": None, "nan": float("nan"), "infinity": float("inf"), "-infinity": float("-inf")},
)
_POWERSHELL = Grammar(
    scalars=(
        (r"(?P<quote>')(?P<body>(?:[^']|'')*+)'", _doubled),
        # A backtick escapes and a dollar sign expands: such strings are left to PowerShell.
        (r'(?P<quote>")(?P<body>(?:[^"`$]|"")*+)"', _doubled),
        (r"(?P<digits>[-+]?\d+)[ln](?!\w)", _number),
        (rf"(?P<digits>[-+]?{_DIGITS})d(?!\w)", _decimal),
        (_PLAIN_NUMBER, _number),
        (_BASED, _based),
    ),
    containers=(
        Container(
            opener=r"(?:\[ordered\])?@\{",
            closer=r"\}",
            make=_dict,
            separator=";?",
            arrow="=",
            key=r"[A-Za-z_]\w*",
        ),
        Container(opener=r"@\(", closer=r"\)", make=_list),
    ),
    constants={"$true": True, "$false": False, "$null": None},
    ignore_case=True,
)
_MATLAB = Grammar(
    scalars=(
        (r'(?P<quote>")(?P<body>(?:[^"\n]|"")*+)"', _doubled),
        (r"(?P<quote>')(?P<body>(?:[^'\n]|'')*+)'", _doubled),
        (_PLAIN_NUMBER, _float),
    ),
    containers=(
        Container(opener=r"\[", closer=r"\]", make=_vector, separator=r",|(?<=\s)"),
        Container(opener=r"\{", closer=r"\}", make=_list, separator=r",|(?<=\s)"),
    ),
    constants={"true": True, "false": False} | {name: float(name) for name in ("NaN", "Inf", "-Inf", "inf", "nan")},
)
_OCTAVE = replace(
    _MATLAB,
    scalars=((rf"{_DOUBLE}", _escaped), *_MATLAB.scalars[1:]),
)
_GRAMMARS: Mapping[str, Grammar] = {
    "r": _R,
    "julia": _JULIA,
    "scala": _SCALA,
    "csharp": _CSHARP,
    "fsharp": _FSHARP,
    "powershell": _POWERSHELL,
    "matlab": _MATLAB,
    "octave": _OCTAVE,
}
