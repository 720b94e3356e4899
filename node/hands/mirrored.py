"""A node's logs as they stand at one moment, copied into a folder for whoever reads them often.

The layout is that of ``fangzhi export``.  Full tiles and bundles never change, so what is there is
not asked for again; nothing is believed, here or there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ledger.checkpoint import parse_checkpoint
from ledger.evidence import Evidence
from ledger.tiles import bundle_path, bundles_of, tile_path, tiles_of
from node.hands.sources import FolderSource, HttpSource
from protocol.errors import DecodeError, Missing
from protocol.ids import BlobId

Progress = Callable[[str, int, int], None]  # what, done, of how many


def mirror(source: HttpSource, folder: Path, progress: Progress) -> FolderSource:
    """Copy every log that the node serves, one request at a time.

    Raises:
        Unavailable: the node cannot be reached; what was copied stays.
    """
    (folder / "log").mkdir(parents=True, exist_ok=True)
    codes = source.offices()
    for number, code in enumerate(codes):
        progress("下载 fetch", number, len(codes))
        note = source.checkpoint(code)
        with suppress(DecodeError):  # the audit will say what is wrong with it
            checkpoint = parse_checkpoint(note)
            with suppress(Missing):  # and what is not there
                _copy(source, code, checkpoint.size, folder / "log" / code)
            for witness, seen in source.witnessed(code, checkpoint.origin).items():
                _write(folder / "witness" / (witness or "served") / code, seen)
        _write(folder / "log" / code / "checkpoint", note)
    for office, data in source.evidence():
        for name, part in Evidence.decode(data).files().items():
            _write(folder / "evidence" / office / BlobId.of(data).hex / name, part)
    progress("下载 fetch", len(codes), len(codes))
    return FolderSource(folder)


def _copy(source: HttpSource, code: str, size: int, home: Path) -> None:
    """Raises Missing at the first part that is not served: a size may be a lie."""
    for bundle in bundles_of(size):
        path = home / bundle_path(bundle.number, bundle.width)
        if not path.exists():
            _write(path, source.bundle(code, bundle.number, bundle.width))
    for tile in tiles_of(size):
        path = home / tile_path(tile.level, tile.number, tile.width)
        if not path.exists():
            _write(path, source.tile(code, tile.level, tile.number, tile.width))


def _write(path: Path, data: bytes) -> None:
    """Readers see all of it or nothing; after a power cut it may be gone, and is fetched again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(path.name + ".tmp")
    staged.write_bytes(data)
    staged.replace(path)
