"""Freed memory stays: the second pass over a MiB touches no new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource
from node.hands.allocator import keep_freed_memory
if {kept}:
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        first = bytearray(1 << 20)
        second = bytes(first)
        del first, second
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator only")
def test_pieces_of_a_mebibyte_cost_no_page_faults() -> None:
    def faults(kept: bool) -> int:
        code = FAULTS.format(kept=kept)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return int(done.stdout)

    assert faults(kept=True) < 20 < faults(kept=False)
