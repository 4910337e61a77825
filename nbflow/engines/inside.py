"""What is called inside a Python kernel, which may have nothing of nbflow: this file's source stands by itself."""

import json
import sys
from typing import Any

SOURCE = "nbflow"
"""Of the payloads that are ours in a reply."""


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
    """Make ipykernel hand on what is printed at once, and keep what it can't encode.

    By itself it waits 0.2 s, too long for a log that is watched; and it loses the message, with the end of the cell, when
    a lone surrogate is printed.
    """
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush_interval = 0.05
    session = _get_shell().kernel.session
    pack = session.pack

    def pack_any(content: Any) -> Any:
        try:
            return pack(content)
        except UnicodeEncodeError:
            return json.dumps(content, default=str).encode("ascii")

    session.pack = pack_any


def _get_shell() -> Any:
    return sys.modules["IPython"].get_ipython()
