"""Lines of a stream as a terminal would show them: carriage returns and backspaces applied."""

from __future__ import annotations

import re

_CURSOR = re.compile(r"([\r\b])")


class LineSplitter:
    r"""Splits a stream into lines. ``"50%\r100%\n"`` is the line ``100%``.

    What follows a carriage return overwrites the line from its beginning, character by character, and the rest of
    a longer line stays, as on a terminal (tqdm relies on it).
    """

    MAX_LINE = 100_000
    """A line longer than this is broken: a stream without newlines must not grow without bound in memory."""

    def __init__(self) -> None:
        self._line = ""
        self._column = 0
        self._carried = False
        """The text so far ended with a carriage return: whether a newline follows is not known yet."""
        self._shown = ""

    def feed(self, text: str) -> list[str]:
        """The lines that *text* completes."""
        if self._carried:
            text = "\r" + text
            self._carried = False
        if text.endswith("\r"):
            text = text[:-1]
            self._carried = True
        *whole, rest = text.replace("\r\n", "\n").split("\n")
        lines = []
        for piece in whole:
            self._write(piece)
            lines += self._break()
            lines.append(self._take())
        self._write(rest)
        return lines + self._break()

    def _break(self) -> list[str]:
        """The beginning of the line, in pieces, as far as it is too long."""
        end = (len(self._line) - 1) // self.MAX_LINE * self.MAX_LINE
        if end <= 0:
            return []
        pieces = [self._line[start : start + self.MAX_LINE] for start in range(0, end, self.MAX_LINE)]
        self._line = self._line[end:]
        self._column = max(self._column - end, 0)
        return pieces

    def _write(self, text: str) -> None:
        for piece in _CURSOR.split(text) if "\r" in text or "\b" in text else (text,):
            if piece == "\r":
                self._column = 0
            elif piece == "\b":
                self._column = max(self._column - 1, 0)
            elif piece:
                end = self._column + len(piece)
                self._line = self._line[: self._column] + piece + self._line[end:]
                self._column = end

    def _take(self) -> str:
        line, self._line, self._column, self._shown = self._line, "", 0, ""
        return line

    def peek(self) -> str | None:
        """The unfinished line, once for each time it changed; None where there is nothing new to show."""
        if self._line == self._shown:
            return None
        self._shown = self._line
        return self._line

    def finish(self) -> str | None:
        """The unfinished line as the stream's last one, if there is one."""
        self._carried = False
        return self._take() or None
