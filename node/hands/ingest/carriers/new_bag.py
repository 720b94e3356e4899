"""A BagIt 1.0 bag (RFC 8493) on its way to a disk that somebody will carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from node.hands.ingest.carriers.bag import PAYLOAD
from node.hands.storage.durable import StagedFile, sync_directory
from protocol.errors import Corrupt, Fatal, Unavailable
from protocol.limits import MiB

BAG_BYTES_MAX: Final = 8 * MiB  # of what a bag has beside its files
_VERSION: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class NewBag:
    """Files one after the other, each synced; :meth:`finish` makes a bag of them.

    Raises (all of it): Full: the disk is full; Unavailable: it cannot be written.
    """

    def __init__(self, root: Path) -> None:
        """``root`` is there, and empty."""
        self._root = root
        self._path = ""
        self._file: StagedFile | None = None
        self._hash = sha256()
        self._size = 0
        self._manifests: dict[bool, list[str]] = {True: [], False: []}  # payload, tags
        self._payload_sizes: list[int] = []

    def start(self, path: str) -> None:
        final = self._root / path
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            self._file = StagedFile(final.with_name(f".{final.name[:40]}.part"), mode=0o644)
        except OSError as error:
            raise Unavailable(str(final), "a disk that can be written", error) from error
        self._path, self._hash, self._size = path, sha256(), 0

    def write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            raise Unavailable(str(self._root), "a disk that can be written", error) from error
        self._hash.update(data)
        self._size += len(data)

    def end(self, expect: str | None) -> None:
        """
        Raises:
            Corrupt: the SHA-256 of what was written is not ``expect``.
        """
        assert self._file is not None
        digest = self._hash.hexdigest()
        if expect is not None and digest != expect:
            self._file.discard()
            raise Corrupt(self._path, f"content {expect}", digest)
        try:
            self._file.commit(self._root / self._path)
        except (Fatal, OSError) as error:  # another's disk, not our store: nothing ends of it
            raise Unavailable(str(self._root), "a disk that can be written", error) from error
        is_payload = self._path.startswith(PAYLOAD)
        self._manifests[is_payload].append(f"{digest}  {self._path}\n")
        if is_payload:
            self._payload_sizes.append(self._size)

    def finish(self, info: Mapping[str, str], now: int) -> None:
        """Write the tags: ``info`` and what every bag has."""
        oxum = f"{sum(self._payload_sizes)}.{len(self._payload_sizes)}"
        day = datetime.fromtimestamp(now / 1000, UTC).date().isoformat()
        lines = {**info, "Bagging-Date": day, "Payload-Oxum": oxum}
        said = "".join(f"{name}: {_line(value)}\n" for name, value in lines.items())
        self._tag("manifest-sha256.txt", "".join(self._manifests[True]).encode())
        self._tag("bag-info.txt", said.encode())
        self._tag("bagit.txt", _VERSION)
        self._tag("tagmanifest-sha256.txt", "".join(self._manifests[False]).encode())
        try:
            sync_directory(self._root)
        except (Fatal, OSError) as error:
            raise Unavailable(str(self._root), "a disk that can be written", error) from error

    def _tag(self, path: str, data: bytes) -> None:
        self.start(path)
        self.write(data)
        self.end(None)


def _line(text: Any) -> str:
    return " ".join(str(text).split())
