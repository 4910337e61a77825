"""Messages between owners, guardians and servers: a JSON object and open descriptors over a Unix stream socket.

Only the light part of the standard library is imported here: a guardian starts in a few milliseconds.
"""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

_HEADER = struct.Struct("!II")
_MOST_DESCRIPTORS = 16
_MOST_BYTES = 64 * 2**20
_CLOEXEC: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class WireError(OSError):
    """What arrived is not a message."""


def send(sock: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message; the descriptors are duplicated for the receiver."""
    data = json.dumps(message).encode("ascii")
    frame = memoryview(_HEADER.pack(len(data), len(descriptors)) + data)
    if descriptors:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())
        frame = frame[sock.sendmsg([frame], [rights]) :]
    sock.sendall(frame)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its descriptors (not inherited by programs); None when the other side is gone."""
    descriptors: list[int] = []
    try:
        header = _receive_exactly(sock, _HEADER.size, descriptors)
        if header is None:
            return None
        length, count = _HEADER.unpack(header)
        if length > _MOST_BYTES or count != len(descriptors):
            raise WireError(f"a frame of {length} bytes with {len(descriptors)} of {count} descriptors")
        data = _receive_exactly(sock, length, descriptors)
        if data is None:
            raise WireError("the message ends early")
        message = json.loads(data)
    except ValueError as error:
        _close_all(descriptors)
        raise WireError(str(error)) from error
    except OSError as error:
        _close_all(descriptors)
        if isinstance(error, ConnectionError):
            return None
        raise
    return message, descriptors


def _receive_exactly(sock: socket.socket, size: int, descriptors: list[int]) -> bytes | None:
    parts = bytearray()
    space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
    while len(parts) < size:
        data, ancillary, _, _ = sock.recvmsg(size - len(parts), space, _CLOEXEC)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
                descriptors.extend(numbers)
        if not data:
            if parts:
                raise WireError("the message ends early")
            return None
        parts += data
    return bytes(parts)


def _close_all(descriptors: Sequence[int]) -> None:
    import os

    for descriptor in descriptors:
        os.close(descriptor)
