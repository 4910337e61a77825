"""One writer for an output path at a time, whichever process and store it belongs to."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbflow.errors import OutputError


@contextmanager
def output_claimed(path: Path) -> Iterator[None]:
    """Inside, *path* is ours alone. Raises OutputError where another run of this user writes to it.

    The lock is on a file beside no output: nothing is left where the executed notebook goes, and the death of its owner
    frees it.
    """
    folder = Path(tempfile.gettempdir()) / f"nbflow-outputs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OutputError(
            f"{path} is being written by another run; choose another output, such as out-{{parameter}}.ipynb",
            path=str(path),
        ) from None
    finally:
        os.close(descriptor)
