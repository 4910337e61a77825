"""Where a SQLite store may live: on a local disk, in a folder and file that only their owner reads."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from nbflow.errors import StoreError

# SQLite's write-ahead log is shared memory between the processes of one machine: over a network it loses data.
NETWORK_TYPES = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"),
        *(
            "fuse.sshfs",
            "fuse.glusterfs",
            "fuse.ceph",
            "fuse.s3fs",
            "fuse.gcsfuse",
            "fuse.rclone",
            "davfs",
            "fuse.davfs",
        ),
    }
)
_MOUNTS = Path("/proc/self/mounts")


def make_private_file(path: Path) -> None:
    """An empty file 0600 in a folder 0700, where they are missing.

    The file is never opened under its own name: closing it would drop the locks of this process's open connections.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            return
        descriptor, empty = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        try:
            os.link(empty, path)
        except FileExistsError:
            pass  # another process was faster
        except OSError:
            os.rename(empty, path)  # no links on this file system
            return
        os.unlink(empty)
    except OSError as error:
        raise StoreError(
            f"store {path}: {error.strerror or error}\nit needs a folder it may write to\nchoose another NBFLOW_HOME or store"
        ) from error


def check_local(path: Path, mounts: str | None = None) -> None:
    """Raises StoreError when *path* lies on a network file system; *mounts* is the text of ``/proc/self/mounts``."""
    kind = mount_type(path, read_mounts() if mounts is None else mounts)
    if kind in NETWORK_TYPES:
        raise StoreError(
            f"store {path}: it is on a network file system ({kind}), where SQLite loses data\n"
            "put it on a local disk (NBFLOW_HOME), or use a Postgres store: postgresql://…"
        )


def mount_type(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds *path*; None where it can't be told."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1])
        inside = path == Path(point) or path.is_relative_to(point)
        if inside and (found is None or len(point) >= found[0]):  # a later mount covers an earlier one
            # The root of some sandboxes is 9p from their own host: one machine, and locks work.
            found = (len(point), "" if point == "/" and fields[2] == "9p" else fields[2])
    return found[1] or None if found else None


def read_mounts() -> str:
    try:
        return _MOUNTS.read_text(errors="surrogateescape")
    except OSError:
        return ""  # not Linux
