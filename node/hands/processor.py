"""Facts about the processor that must be known before numpy is imported."""

from __future__ import annotations

import os
from pathlib import Path


def prefer_fast_sort() -> None:
    """Keep numpy off the AVX-512 sort where it is the slow one.

    On AMD's Zen 4, ``np.sort`` of u64 is six times slower by AVX-512 than by AVX2
    (numpy/x86-simd-sort#6), and building an index is mostly that sort.
    """
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8", "replace")[:4096]
    except OSError:
        return
    if "AuthenticAMD" in facts and "avx512f" in facts:
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4")
