"""What has to be known of each language to find the assignments of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

# What is not closed goes on to the end: to look for an end anew at every quote would take quadratic time.
_DOUBLE = r'"(?:[^"\\]|\\[\s\S]?)*+(?:"|\Z)'
_SINGLE = r"'(?:[^'\\]|\\[\s\S]?)*+(?:'|\Z)"
_TRIPLE = r'"""[\s\S]*?(?:"""|\Z)'
_CHAR = r"(?<![\w)\]}'])'(?:\\[^'\n]{1,10}|\\'|[^'\\\n])'"
_SLASHES = r"//[^\n]*"
_SLASH_STAR = r"/\*[\s\S]*?(?:\*/|\Z)"
_DIRECTIVE = r"(?m:^[ \t]*\#[^\n]*)"
_NAME = r"(?P<name>[^\W\d]\w*)"
_EQUALS = r"\s*=(?![=>])\s*(?P<value>[\s\S]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """What has to be known of a language to find its top-level assignments."""

    comment: str
    string: str
    head: str
    block_comment: str = r"(?!)"
    join: str = r"(?!)"
    """What lets a line go on in the next one."""
    ends: str = ";"
    newline_ends: bool = True
    openers: str = r"(?!)"
    """Words that begin a block which ``end`` ends."""
    flush_left: bool = False
    """Whether an indented line belongs to a block."""
    skipped: str = r"(?!)"
    """Values that make the name something else than a parameter: functions."""


_MATLAB = Syntax(
    comment=r"%[^\n]*",
    block_comment=r"(?m:^[ \t]*%\{[ \t]*$[\s\S]*?(?:^[ \t]*%\}[ \t]*$|\Z))",
    string=r'"(?:[^"\n]|"")*"|(?<![\w)\]}\'.])\'(?:[^\'\n]|\'\')*\'',
    head=r"(?P<name>[A-Za-z]\w*)" + _EQUALS,
    join=r"\.\.\.[^\n]*(?:\n|\Z)",
    ends="[;,]",
    openers="if|for|parfor|while|switch|try|function|classdef|spmd",
    skipped=r"@",
)
SYNTAXES: Mapping[str, Syntax] = {
    "r": Syntax(
        comment=r"\#[^\n]*",
        string=rf"""\b[rR](?P<quote>["'])(?P<dashes>-*)\([\s\S]*?(?:\)(?P=dashes)(?P=quote)|\Z)|{_DOUBLE}|{_SINGLE}|`[^`\n]*`""",
        head=r"(?P<name>(?:[^\W\d_]|\.(?!\d))[\w.]*)\s*(?:<<?-|=(?!=))\s*(?P<value>[\s\S]+)",
        skipped=r"function\s*\(|\\\s*\(",
    ),
    "julia": Syntax(
        comment=r"\#[^\n]*",
        block_comment=r"\#=[\s\S]*?(?:=\#|\Z)",
        string=rf"{_TRIPLE}|{_DOUBLE}|{_CHAR}",
        head=rf"(?:(?P<keyword>const|global)\s+)?{_NAME}\s*(?:::\s*(?P<annotation>[^=]+?))?{_EQUALS}",
        openers="if|for|while|begin|function|let|struct|module|baremodule|try|do|quote|macro",
        skipped=r"function\b|(?:\w+|\([^()]*\))\s*->",
    ),
    "scala": Syntax(
        comment=_SLASHES,
        block_comment=_SLASH_STAR,
        string=rf"{_TRIPLE}|{_DOUBLE}|{_CHAR}",
        head=r"(?:(?:private|protected|final|implicit|lazy)\s+)*(?P<keyword>va[lr])\s+"
        rf"{_NAME}\s*(?::\s*(?P<annotation>[^=]+?))?{_EQUALS}",
    ),
    "csharp": Syntax(
        comment=rf"{_SLASHES}|{_DIRECTIVE}",
        block_comment=_SLASH_STAR,
        string=rf'\$?@\$?"(?:[^"]|"")*+(?:"|\Z)|{_DOUBLE}|{_CHAR}',
        head=r"(?:(?:const|readonly|static|public|private)\s+)*"
        r"(?P<annotation>(?!(?:return|using|yield|await|throw|new|namespace|class)\b)[\w.]+(?:<[\w.,<> ]*>)?(?:\[\])*\??)"
        rf"\s+{_NAME}{_EQUALS}",
        newline_ends=False,
    ),
    "fsharp": Syntax(
        comment=rf"{_SLASHES}|{_DIRECTIVE}",
        block_comment=r"\(\*(?!\))[\s\S]*?(?:\*\)|\Z)",
        string=rf'@"(?:[^"]|"")*+(?:"|\Z)|{_TRIPLE}|{_DOUBLE}|{_CHAR}',
        head=rf"let\s+(?:(?P<keyword>mutable)\s+)?{_NAME}\s*(?::\s*(?P<annotation>[^=]+?))?{_EQUALS}",
        ends="(?!)",
        flush_left=True,
        skipped=r"fun\b|function\b",
    ),
    "powershell": Syntax(
        comment=r"\#[^\n]*",
        block_comment=r"<\#[\s\S]*?(?:\#>|\Z)",
        string=r"@'\n[\s\S]*?(?:\n'@|\Z)|@\"\n[\s\S]*?(?:\n\"@|\Z)|'(?:[^']|'')*+(?:'|\Z)|\"(?:[^\"`]|`[\s\S]?|\"\")*+(?:\"|\Z)",
        head=r"(?:\[Validate\w+\([^)]*\)\]\s*)*(?:\[(?P<annotation>[\w.]+(?:\[\])?)\]\s*)?"
        r"\$(?:(?:global|script|local):)?(?P<name>[A-Za-z_]\w*)" + _EQUALS,
        join=r"`\n",
        skipped=r"\{",
    ),
    "matlab": _MATLAB,
    "octave": replace(
        _MATLAB,
        comment=r"[%\#][^\n]*",
        string=rf"{_DOUBLE}|(?<![\w)\]}}'.])'(?:[^'\n]|'')*'",
        join=r"(?:\.\.\.|\\)[^\n]*(?:\n|\Z)",
        openers=f"{_MATLAB.openers}|unwind_protect|do",
    ),
}
