"""What is called inside a Python kernel, which may have nothing of nbflow: this file's source stands by itself."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

SOURCE = "nbflow"
"""Of the payloads that are ours in a reply."""
PIECE = 1_000_000
"""Characters of printed text that one message holds."""
PACE = 60e6
"""Characters of printed text that are sent in a second: as many as can be written to a log meanwhile."""


class Told:
    """Shows nothing: an answer that IPython need not ask a dozen formatters about."""

    def _ipython_display_(self) -> None:
        pass


def tell(value: Any) -> Any:
    """Put the value of a question into the reply's payload; where there is none, it is the answer."""
    try:
        if value is not None:
            _get_shell().payload_manager.write_payload({"source": SOURCE, "value": value})
    except Exception:
        return value
    return Told()


def set_up() -> None:
    """Make ipykernel hand on what is printed at once, in pieces and no faster than they are read, and keep all of it.

    By itself it waits 0.2 s, too long for a log that is watched. What is printed meanwhile is one message, of whose length
    whoever reads it needs the fivefold in memory, and what is sent and not yet read has no limit. And it loses the
    message, with the end of the cell, when a lone surrogate is printed.
    """
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush_interval = 0.05
    session = _get_shell().kernel.session
    pack, send = session.pack, session.send

    def pack_any(content: Any) -> Any:
        try:
            return pack(content)
        except UnicodeEncodeError:
            return json.dumps(content, default=str).encode("ascii")

    def send_in_pieces(place: Any, message: Any, content: Any = None, parent: Any = None, **options: Any) -> Any:
        kind = message
        if isinstance(message, dict):
            kind, content, parent = message["msg_type"], message["content"], message["parent_header"]
        if kind != "stream" or len(content["text"]) <= PIECE or not hasattr(place, "schedule"):
            return send(place, message, content, parent, **options)
        for text in cut(content["text"]):
            sent = send(place, kind, {**content, "text": text}, parent, **options)
            # In ipykernel's thread for output, behind the piece and before the next.
            place.schedule(partial(time.sleep, len(text) / PACE))
        return sent

    session.pack, session.send = pack_any, send_in_pieces


def cut(text: str) -> Iterator[str]:
    """Pieces of the text, at the ends of lines where there are some."""
    begin = 0
    while begin < len(text):
        end = begin + PIECE
        end = text.rfind("\n", begin, end) + 1 or end
        yield text[begin:end]
        begin = end


def _get_shell() -> Any:
    return sys.modules["IPython"].get_ipython()
