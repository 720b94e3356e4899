"""The reading tables of the search, derived once per version of their packages and cached.

Deriving them imports pypinyin (57 MB, a second), so it happens in a process of its own: the node
only reads the result.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from protocol.errors import ConfigError, Corrupt, DecodeError
from search_shard.tables import Tables

_DERIVE = "import sys; from search_shard.tables import build_tables; \
sys.stdout.buffer.write(build_tables())"


def cached_tables(home: Home) -> Tables:
    """The tables, derived first when the cache has none of this version.

    Raises:
        ConfigError: they cannot be derived (a package is missing).
    """
    versions = "-".join(version(name) for name in ("fangzhi", "pypinyin", "opencc"))
    path = home.cache / f"tables-{versions}.bin"
    if path.exists():
        try:
            return Tables.from_bytes(path.read_bytes())
        except (Corrupt, DecodeError):
            pass  # a damaged cache is derived again
    done = subprocess.run([sys.executable, "-c", _DERIVE], capture_output=True, check=False)
    if done.returncode:
        got = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigError("reading tables", "pypinyin and opencc to derive them from", got)
    write_file(path, done.stdout)
    return Tables.from_bytes(done.stdout)
