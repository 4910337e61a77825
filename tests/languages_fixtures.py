"""Values that translators get wrong, and readers of other languages' string literals to check what was written."""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

LANGUAGES = ("R", "julia", "scala", "matlab", "octave", "C#", "F#", "powershell", "bash")

NASTY_TEXTS: Mapping[str, str] = {
    "empty": "",
    "double quote": 'say "hi"',
    "single quote": "it's",
    "typographic quotes": "\u2018a\u2019 \u201cb\u201d \u201a\u201b",
    "backslashes": "C:\\new\\table\\",
    "escapes": "\\n \\x41 \\u0022 \\u000a",
    "interpolation": "$(touch x) $x ${x} `id` #{x} %d {0}",
    "history": "!! !x 'a!b' ^a^b",
    "comment ends": "*/ *) #> %} // # --",
    "closing": '"); system("id"); ("',
    "newline": "one\ntwo\r\nthree",
    "tab": "a\tb",
    "control": "\x01\x03\x04\x07\x1a\x1b[0m\x7f",
    "digits after an escape": "\x011 \u20282",
    "accents": "Zoë, 中文, ψ",
    "emoji": "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "line separators": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "byte order mark": "\ufeffx\u00a0y\ue000",
    "command": "a\n#!csharp\n%%bash\n;ls\n!ls",
    "boolean": "true",
    "number": "007",
    "leading dash": "-n",
}

GOLDEN_VALUES: Mapping[str, Any] = {
    **NASTY_TEXTS,
    "NUL": "a\0b",
    "lone surrogate": "\ud800",
    "int": 42,
    "negative": -7,
    "2^31 - 1": 2**31 - 1,
    "-2^31": -(2**31),
    "2^31": 2**31,
    "2^53 + 1": 2**53 + 1,
    "2^63 - 1": 2**63 - 1,
    "-2^63": -(2**63),
    "2^63": 2**63,
    "-2^100": -(2**100),
    "5000 digits": 10**5000,
    "float": 0.1,
    "whole float": 3.0,
    "0.1 + 0.2": 0.1 + 0.2,
    "1e22": 1e22,
    "5e-324": 5e-324,
    "-0.0": -0.0,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "true": True,
    "false": False,
    "null": None,
    "empty list": [],
    "integers": [1, 2, -3],
    "integers of two widths": [1, 2**40],
    "integers and floats": [1, 2.5],
    "mixed list": [1, "a", True, None, 2.5],
    "list of an empty list": [[]],
    "lists in a list": [[1, 2], [3.5]],
    "only nulls": [None, None],
    "empty texts in a list": ["", "a b", ""],
    "negative infinity in a list": [-math.inf, 1.0],
    "empty dict": {},
    "dict": {"a": 1, "b": 2.5, "c": "x"},
    "dict with odd keys": {"a b": 1, 'k"$(id)': 2, "it's]=": 3, "\u4e2d\n": 4, "": 5},
    "dict with cased keys": {"a": 1, "A": 2},
    "nested": {"a": [1, {"b": [None, {"c": "d"}]}]},
    "dicts in a list": [{"a": 1}, {"b": "x"}],
    "key that is no text": {1: 2},
    "60 deep": (lambda value: [value := [value] for _ in range(60)][-1])(1),
    "100 deep": (lambda value: [value := [value] for _ in range(100)][-1])(1),
    "tuple": (1, "a"),
    "set": {1},
    "date": datetime.date(2026, 1, 31),
    "datetime": datetime.datetime(2026, 1, 31, 12, 30, 5, 123456),
    "aware datetime": datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    "time": datetime.time(12, 30, 5),
    "timedelta": datetime.timedelta(days=-1, microseconds=5),
    "decimal": decimal.Decimal("1.50"),
    "decimal of 40 digits": decimal.Decimal("1" * 40),
    "path": pathlib.PurePosixPath("/tmp/x"),
    "uuid": uuid.UUID(int=5),
    "bytes": b"x",
}

_C_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}


def read_c_string(literal: str, *, also: str = "", forbidden: str = "") -> str:
    """The text of ``"…"`` with backslash escapes: one literal from end to end, or AssertionError.

    Only escapes that R, Julia, Scala, C# and F# agree about are known, with all of their digits. *also*: characters
    that may be escaped. *forbidden*: characters that may not stand unescaped.
    """
    assert literal[0] == literal[-1] == '"'
    assert len(literal) >= 2
    body, units, position = literal[1:-1], [], 0
    while position < len(body):
        char = body[position]
        if char == "\\":
            match = re.compile(r"u([0-9a-f]{4})|U([0-9a-f]{8})|(.)").match(body, position + 1)
            assert match is not None, "the closing quote is escaped"
            if match[3] is None:
                units.append(chr(int(match[1] or match[2], 16)))
            else:
                assert match[3] in _C_ESCAPES or match[3] in also, f"an escape that is not known: {match[0]}"
                units.append(_C_ESCAPES.get(match[3], match[3]))
            position = match.end()
            continue
        assert char not in '"\n\r' + forbidden, f"{char!r} ends the literal or is expanded"
        units.append(char)
        position += 1
    return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def read_r_string(literal: str) -> str:
    """ASCII only, so that R's locale doesn't matter."""
    assert literal.isascii()
    pieces = re.fullmatch(r"paste0\((.*)\)", literal)
    if pieces is None:
        return read_c_string(literal)
    return "".join(read_c_string(f'"{piece}"') for piece in pieces[1][1:-1].split('", "'))


def read_scala_string(literal: str) -> str:
    chunks = re.fullmatch(r"Seq\((.*)\)\.mkString", literal)
    if chunks is None:
        # Scala 2.12 reads unicode escapes before it looks for the end of a literal.
        assert not re.search(r"(?<!\\)(?:\\\\)*\\u00(?:0a|0d|22|5c)", literal)
        return read_c_string(literal)
    return "".join(read_c_string(f'"{chunk}"') for chunk in chunks[1][1:-1].split('", "'))


def read_powershell_string(literal: str) -> str:
    """The text of ``'…'``, or of ``(-join @('…', ([char]10)))``."""
    quote = "['\u2018\u2019\u201a\u201b]"
    piece = re.compile(
        rf"'(?P<text>(?:[^'\u2018-\u201b\n\r]|(?P<quote>{quote})(?P=quote))*)'|\(\[char\](?P<unit>\d+)\)"
    )
    joined = re.fullmatch(r"\(-join @\((.*)\)\)", literal)
    body, position, units = (joined[1] if joined else literal), 0, b""
    while position < len(body):
        match = piece.match(body, position)
        assert match is not None, f"not a quoted piece: {body[position:]}"
        if match["unit"]:
            units += int(match["unit"]).to_bytes(2, "little")
        else:
            units += re.sub(f"({quote})\\1", r"\1", match["text"]).encode("utf-16-le")
        position = match.end()
        if position < len(body):
            assert joined, "two pieces that are not joined"
            assert body.startswith(", ", position)
            position += 2
    return units.decode("utf-16-le", "surrogatepass")


def read_matlab_string(literal: str) -> str:
    if literal.startswith('"'):
        assert re.fullmatch(r'"(?:[^"\n]|"")*"', literal)
        return literal[1:-1].replace('""', '"')
    array = re.fullmatch(r"string\((.*)\)", literal)
    assert array is not None
    return _read_char_array(array[1], lambda codes: b"".join(code.to_bytes(2, "little") for code in codes), "utf-16-le")


def read_octave_string(literal: str) -> str:
    return _read_char_array(literal, bytes, "utf-8")


def _read_char_array(literal: str, join: Callable[[list[int]], bytes], encoding: str) -> str:
    """The text of ``'…'``, or of ``['…' char([10 13])]``."""
    whole = re.fullmatch(r"\[(.*)\]", literal)
    pieces, position, text = (whole[1] if whole else literal), 0, b""
    piece = re.compile(r"'(?P<text>(?:[^'\n]|'')*)'(?!')|char\(\[(?P<codes>[\d ]+)\]\)")
    while position < len(pieces):
        match = piece.match(pieces, position)
        assert match is not None, f"not a quoted piece: {pieces[position:]}"
        if match["codes"]:
            text += join([int(code) for code in match["codes"].split()])
        else:
            text += match["text"].replace("''", "'").encode(encoding)
        position = match.end()
        if position < len(pieces):
            assert whole
            assert pieces[position] == " "
            position += 1
    return text.decode(encoding)


def read_bash_word(literal: str) -> str:
    """The text of a word made of safe characters, ``'…'``, ``"'"`` and ``$'…'`` with octal escapes."""
    if literal.startswith("$'"):
        assert re.fullmatch(r"\$'(?:[^'\\!]|\\[\\'nrt]|\\[0-7]{3})*'", literal)
        escaped = literal[2:-1].encode()
        names = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'"}
        found = re.sub(
            rb"\\(?:([0-7]{3})|(.))", lambda match: bytes([int(match[1], 8)]) if match[1] else names[match[2]], escaped
        )
        return found.decode()
    piece = re.compile(r"'(?P<text>[^'\n]*)'|\"(?P<quote>')\"|(?P<safe>[\w@%+=:,./-]+)", re.ASCII)
    position, text = 0, ""
    while position < len(literal):
        match = piece.match(literal, position)
        assert match is not None, f"bash would expand {literal[position:]}"
        text += match["text"] or match["quote"] or match["safe"] or ""
        position = match.end()
    return text


STRING_READERS: Mapping[str, Callable[[str], str]] = {
    "R": read_r_string,
    "julia": lambda literal: read_c_string(literal, also="$", forbidden="$"),
    "scala": read_scala_string,
    "matlab": read_matlab_string,
    "octave": read_octave_string,
    "C#": read_c_string,
    "F#": read_c_string,
    "powershell": read_powershell_string,
    "bash": read_bash_word,
}
"""By language: what reads a literal back, and fails on one that could be anything else than one string."""
