"""A folder's files; links and devices are named, never followed or opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from node.hands.ingest.carriers.carried import (
    LITTER,
    CarriedFile,
    Package,
    make_package,
    read_metadata,
)
from node.hands.ingest.findings import Finding, finding
from protocol.limits import FILES_PER_PACKAGE_MAX


def read_folder(root: Path) -> Package:
    walk = Walk.over(root)
    metadata = read_metadata(walk.files, str(root))
    return make_package(metadata, root.absolute().name, walk.files, walk.notes)


def local_file(name: str, path: Path) -> CarriedFile:
    status = path.stat(follow_symlinks=False)

    def opened() -> IO[bytes]:
        return path.open("rb")

    return CarriedFile(name, status.st_size, status.st_mtime_ns // 1_000_000, opened)


@dataclass(slots=True)
class Walk:
    """What lies under a folder, by paths with forward slashes."""

    files: list[CarriedFile] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @classmethod
    def over(cls, root: Path) -> Walk:
        walk = cls()
        waiting = [(root.absolute(), "")]
        # One too many is enough to be told so; a whole disk is not listed first.
        while waiting and len(walk.files) + len(walk.notes) <= FILES_PER_PACKAGE_MAX:
            folder, prefix = waiting.pop()
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            waiting += [(Path(entry), f"{prefix}{entry.name}/") for entry in reversed(folders)]
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    walk._add(entry, prefix + entry.name)
        return walk

    def _add(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_symlink():
            self.notes.append(finding("Q501", name))
        elif not entry.is_file(follow_symlinks=False):
            self.notes.append(finding("Q502", name))
        elif entry.name.lower() in LITTER:
            self.notes.append(finding("Q503", name))
        else:
            self.files.append(local_file(name, Path(entry)))
