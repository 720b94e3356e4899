"""What ``fangzhi report PATH`` reads from this computer: a file, a folder, a ZIP, a BagIt bag.

The same files give the same package by any of them.  A ``metadata.toml`` or ``metadata.json`` at
the root gives the record and the rights; it is not itself handed in::

    title = "沭阳县志"
    kind = "新方志"
    rights = "open"
"""

from __future__ import annotations

from pathlib import Path

from node.hands.ingest.carriers.bag import read_bag
from node.hands.ingest.carriers.carried import Package, make_package
from node.hands.ingest.carriers.folder import local_file, read_folder
from node.hands.ingest.carriers.zipped import read_zip
from protocol.errors import ConfigError, Unavailable


def read_package(path: Path) -> Package:
    """The package at ``path``.

    Raises:
        ConfigError: nothing there, or the metadata cannot be understood.
        Rejected: a bag or a ZIP that is not valid.
        Unavailable: the system does not let us read it.
    """
    try:
        if path.is_file():
            if path.suffix.lower() == ".zip":
                return read_zip(path)
            return make_package({}, path.stem, [local_file(path.name, path.absolute())], [])
        if not path.is_dir():
            raise ConfigError(str(path), "an existing file or folder", "nothing of that name")
        return read_bag(path) if (path / "bagit.txt").is_file() else read_folder(path)
    except OSError as error:
        raise Unavailable(
            str(error.filename or path), "a file this user may read", error.strerror or error
        ) from error
