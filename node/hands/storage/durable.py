"""How bytes become durable: the only module that renames and syncs files.

A file that must survive a power cut is written like this, and no other way::

    openat(staging/x.tmp, O_CREAT|O_EXCL)   a new name: nobody reads it yet
    write(...)                              no room is found out here, and costs nothing
    fsync(file)                             its bytes are on the disk
    rename(x.tmp, final)                    readers see all of it or nothing
    fsync(directory of final)               its name is on the disk

A crash before the rename leaves a ``.tmp`` that the next start removes.  A crash after it may or
may not keep the name, which is why nothing is acknowledged before the last line.

After a failed fsync the kernel may have dropped the dirty pages and report success next time, so
the first failure is :class:`SyncFailed` and the process must end.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from protocol.errors import Fatal, Full, StoreError

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SyncFailed(Fatal):
    """A sync failed; nobody knows what is on the disk."""


class StagedFile:
    """A file on its way: write, then :meth:`commit`; :meth:`discard` at any time, even twice."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path, mode: int = 0o600) -> None:
        """Create ``path``, which must not exist and must be on the file system of its goal.

        Raises:
            Full: no room for a name.
            StoreError: the disk refuses for another reason.
        """
        self.path = path
        with taking(path):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            Full: no room; the file is gone.
            StoreError: the disk refuses for another reason; the file is gone.
        """
        view = memoryview(data)
        try:
            with taking(self.path):
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except StoreError:
            self.discard()
            raise

    def begin_sync(self) -> None:
        """Bring what was written to the disk already, in another thread if you like; the file must
        stay open meanwhile.

        Raises:
            SyncFailed: the process must end.  :meth:`commit` would not hear of it again.
        """
        sync_file(self._descriptor, self.path)

    def commit(self, final: Path) -> None:
        """Make the bytes durable under ``final``, replacing what was there.

        Raises:
            SyncFailed: the process must end.
        """
        sync_file(self._descriptor, self.path)
        os.replace(self.path, final)
        self._close()
        sync_directory(final.parent)

    def discard(self) -> None:
        """Remove the file; nothing happens after a commit."""
        if self._close():
            self.path.unlink(missing_ok=True)

    def _close(self) -> bool:
        was_open = self._descriptor >= 0
        if was_open:
            os.close(self._descriptor)
            self._descriptor = -1
        return was_open


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Durably give ``path`` the content ``data``; readers see the old or the new, never a part.

    One writer per path at a time.

    Raises:
        Full: no room; the old content stands.
        SyncFailed: the process must end.
    """
    staged = path.with_name(path.name + ".tmp")
    staged.unlink(missing_ok=True)  # left by a crash
    file = StagedFile(staged, mode)
    file.write(data)
    file.commit(path)


def commit_file(staged: Path, final: Path) -> None:
    """Make the bytes of a finished file durable under ``final``, replacing what was there.

    Raises:
        SyncFailed: the process must end.
    """
    descriptor = os.open(staged, os.O_RDONLY)
    try:
        sync_file(descriptor, staged)
        with taking(final):
            os.replace(staged, final)
    finally:
        os.close(descriptor)
    sync_directory(final.parent)


def make_directory(path: Path) -> None:
    """Durably make ``path`` (mode 0700) if it is missing; its parent must exist."""
    with taking(path):
        path.mkdir(mode=0o700, exist_ok=True)
    # Also when it was there: whoever made it may have crashed before this sync.
    sync_directory(path.parent)


def commit_directory(staged: Path, final: Path) -> None:
    """Durably give the folder ``staged``, whose files are durable, the name ``final``, which must
    be free: readers see the whole folder or none."""
    sync_directory(staged)
    os.rename(staged, final)
    sync_directory(final.parent)


def remove_file(path: Path) -> None:
    """Durably forget ``path``; nothing happens when it is missing."""
    with taking(path):
        path.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in ``path`` durable.

    Raises:
        SyncFailed: the process must end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync_file(descriptor, path)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int, path: Path) -> None:
    """Make the bytes of an open file durable.

    Raises:
        SyncFailed: the process must end.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SyncFailed(str(path), "a successful fsync", error.strerror) from error


@contextmanager
def taking(path: Path) -> Iterator[None]:
    """Says as an error of the store what it means that the disk does not take a change.

    Raises:
        Full: no room.
        StoreError: another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise Full(str(path.parent), "free space", error.strerror) from error
        raise StoreError(str(path), "a disk that takes changes", error.strerror) from error
