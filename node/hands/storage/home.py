"""The folder in which one node lives: where things are, which format they have, who is in.

Layout and what the loss of each part costs: docs/adr/0002-rooms-and-contracts.md.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.hands.storage.durable import make_directory, write_file
from protocol.errors import ConfigError, Locked

FORMAT: Final = 1

_DIRECTORIES = ("keys", "ledger", "state", "vault", "blobs", "index", "staging", "cache")


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of a home; :meth:`create` and :meth:`open` give one that can be used."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Home:
        """A new home in ``root``, which must be missing or empty.

        Raises:
            ConfigError: something is there.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise ConfigError(str(root), "a new or empty folder for the home", "something there")
        root.parent.mkdir(parents=True, exist_ok=True)
        make_directory(root)
        root.chmod(0o700)
        home = cls(root)
        home._make_directories()
        # Last: a home without FORMAT is one whose making was interrupted.
        write_file(root / "FORMAT", f"{FORMAT}\n".encode())
        return home

    @classmethod
    def open(cls, root: Path) -> Home:
        """The home in ``root``.

        Raises:
            ConfigError: no home, or of another format; says what to do.
        """
        path = root / "FORMAT"
        try:
            text = path.read_text("ascii").strip()
        except (FileNotFoundError, NotADirectoryError) as error:
            expected = "a home (make one with: fangzhi init HOME)"
            raise ConfigError(str(root), expected, "no FORMAT file") from error
        except UnicodeDecodeError as error:
            raise ConfigError(str(path), "a number", "other bytes: restore a backup") from error
        if not text.isdecimal() or int(text) < 1:
            raise ConfigError(str(path), "a number", f"{text[:20]!r}: restore a backup")
        if int(text) > FORMAT:
            expected = f"format {FORMAT} or older"
            got = f"format {text}: a newer fangzhi wrote it; install that version or a later one"
            raise ConfigError(str(path), expected, got)
        home = cls(root)
        home._make_directories()  # derived ones may have been thrown away
        return home

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process in this home; the kernel lets go when the process ends.

        Raises:
            Locked: another process is in, named by its pid.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                expected = "a home that no other process uses"
                raise Locked(str(self.root), expected, f"process {pid} in it") from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @property
    def config(self) -> Path:
        return self.root / "node.toml"

    @property
    def genesis(self) -> Path:
        return self.root / "genesis.note"

    @property
    def socket(self) -> Path:
        return self.root / "socket"

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def vault(self) -> Path:
        return self.root / "vault"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def index(self) -> Path:
        return self.root / "index"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def _make_directories(self) -> None:
        for name in _DIRECTORIES:
            make_directory(self.root / name)
