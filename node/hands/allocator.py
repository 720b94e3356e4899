"""Memory that is freed stays with the process, up to a bound.

Files travel in pieces of a MiB, and glibc gives back every piece that is freed at the top of its
heap: the next one then costs a page fault for each of its pages, several times what decoding it
costs.  A C library without ``mallopt`` is left as it is.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from protocol.limits import MiB

_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 32 * MiB  # free at the top of the heap before any is given back
MAPPED_BYTES_MIN: Final = 8 * MiB  # larger blocks come from the system, and go back to it


def keep_freed_memory() -> None:
    """For a process that serves; once, at its start."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
