"""Index segments as files, read through memory maps.

Who can write here can mislead readers of this node's index; the loss of all costs a rebuild.
"""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

from node.hands.storage.durable import make_directory, remove_file, write_file
from protocol.errors import Missing

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


class FileSegmentStore:
    """SegmentStore in a folder.  Calls block on the disk: make :meth:`put` in a worker."""

    def __init__(self, root: Path) -> None:
        self._root = root
        make_directory(root)
        for left in root.glob("*.tmp"):
            left.unlink()

    def put(self, name: str, data: bytes) -> None:
        """Durable when it returns; buffers of an older ``name`` keep what they show.

        Raises:
            Full: no room; an older segment of this name stands.
            SyncFailed: the process must end.
        """
        write_file(self._path(name), data)

    def open(self, name: str) -> memoryview:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return memoryview(b"")  # an empty file cannot be mapped
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError as error:
            raise Missing("segment store", f"segment {name}", "nothing") from error

    def page_out(self, buffer: memoryview) -> None:
        if isinstance(buffer.obj, mmap.mmap):
            buffer.obj.madvise(mmap.MADV_DONTNEED)

    def delete(self, name: str) -> None:
        remove_file(self._path(name))

    def names(self) -> list[str]:
        return sorted(path.name for path in self._root.iterdir() if path.suffix != ".tmp")

    def _path(self, name: str) -> Path:
        return self._root / check_segment_name(name)


def check_segment_name(name: str) -> str:
    """``name``, if it can name a segment.

    Raises:
        ValueError: a mistake of the calling code.
    """
    if not _NAME.fullmatch(name) or name.endswith(".tmp"):
        raise ValueError(f"a segment is named by letters, digits, '.', '_' and '-', not {name!r}")
    return name
