"""Saving a file so that readers see the earlier version or the new one, whole, and never anything between."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from nbflow.errors import OutputError
from nbflow.notebooks.encoding import encode_notebook
from nbflow.notebooks.files import show_path

_BLOCK = 1 << 20
_REMEDIES = {
    errno.ENOSPC: "free some space or choose another output",
    errno.EDQUOT: "free some space or choose another output",
    errno.EFBIG: "a limit on the size of files forbids it; raise the limit or print less",
    errno.EACCES: "choose a place you may write to",
    errno.EPERM: "choose a place you may write to",
    errno.EROFS: "choose a place you may write to",
    errno.ENOENT: "its folder does not exist any more",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def save_notebook(node: Mapping[str, Any], path: str | os.PathLike[str], *, private: bool = False) -> None:
    """Write the notebook as strict JSON in UTF-8, atomically. Raises OutputError; the earlier file is then untouched."""
    write_atomically(path, encode_notebook(node), private=private)


def write_atomically(path: str | os.PathLike[str], content: Iterable[bytes], *, private: bool = False) -> None:
    """Replace the file at *path*, or where that links to, by *content*, in one step and on disk when this returns.

    The mode of an existing file is kept, a new one gets what the umask says; with *private* it is 0600 either way.
    Raises OutputError, after which the earlier file is untouched and no other file is left.
    """
    try:
        target = os.path.realpath(path)
        _replace(target, content, private)
    except OSError as error:
        raise OutputError(say_unwritable(path, error), path=os.fsdecode(path)) from error
    except ValueError:
        raise OutputError(f"{show_path(path)} is not a possible file name", path=os.fsdecode(path)) from None
    except RecursionError:
        message = f"cannot save {show_path(path)}: an output or metadata is nested too deeply for JSON"
        raise OutputError(message, path=os.fsdecode(path)) from None


def say_unwritable(path: str | os.PathLike[str], error: OSError) -> str:
    """One line: what could not be written, why, and what to do."""
    remedy = _REMEDIES.get(error.errno or 0, "choose another output")
    return f"cannot save {show_path(path)}: {error.strerror or error}; {remedy}"


def open_temporary(folder: str, *, mode: int = 0o666) -> tuple[int, str | None]:
    """A new file in *folder*, open for writing: its descriptor and path, None while it has no name.

    Where the system can, the file stays nameless until it is whole, so that a kill leaves nothing behind.
    """
    flags = os.O_WRONLY | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        with suppress(OSError):
            return os.open(folder, flags | os.O_TMPFILE, mode), None
    name = _temporary_name(folder, secrets.token_hex(8))
    return os.open(name, flags | os.O_CREAT | os.O_EXCL, mode), name


def _replace(target: str, content: Iterable[bytes], private: bool) -> None:
    old = _find_old(target)
    folder = os.path.dirname(target)
    descriptor, name = open_temporary(folder, mode=0o600 if private else 0o666)
    try:
        for block in _gather(content):
            _write(descriptor, block)
        _keep_access(descriptor, old, private)
        os.fsync(descriptor)
        if name is None:
            _put_nameless(descriptor, target)
        else:
            os.replace(name, target)
    except BaseException:
        if name is not None:
            with suppress(OSError):
                os.unlink(name)
        raise
    finally:
        os.close(descriptor)


def _put_nameless(descriptor: int, target: str) -> None:
    """Give the nameless file a name beside *target* and move it there: the system can't do both at once.

    The name is always the same for a target, so that what a kill between the two leaves is cleared by the next save;
    the lock on the file ends with its process and so tells a leftover from the file of somebody who is saving too.
    """
    import fcntl

    with suppress(OSError):  # Not every file system has locks; leftovers then stay.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder, base = os.path.split(target)
    name = _temporary_name(folder, hashlib.sha256(os.fsencode(base)).hexdigest()[:16])
    try:
        _link(descriptor, name)
    except FileExistsError:
        _clear_leftover(name)
        name = _temporary_name(folder, secrets.token_hex(8))
        _link(descriptor, name)
    try:
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _link(descriptor: int, name: str) -> None:
    # A directory descriptor makes Python call linkat, which follows the link in /proc; it is not used otherwise.
    os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)


def _clear_leftover(name: str) -> None:
    """Remove the file when nobody holds its lock; while we hold it, nobody else moves or removes it."""
    import fcntl

    with suppress(OSError):
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(name)):
                os.unlink(name)
        finally:
            os.close(descriptor)


def _find_old(target: str) -> os.stat_result | None:
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe, socket or device, not a file")
    return old


def _keep_access(descriptor: int, old: os.stat_result | None, private: bool) -> None:
    if old is None:
        return
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, 0o600 if private else stat.S_IMODE(old.st_mode) & 0o777)


def _temporary_name(folder: str, mark: str) -> str:
    return os.path.join(folder, f".nbflow-{mark}.tmp")


def _write(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _gather(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that are worth a system call each."""
    block: list[bytes] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)
