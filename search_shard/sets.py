"""Sets of documents as rising arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from search_shard.blocks import Array
from search_shard.runs import turns

_DENSE: Final = 2048  # documents that are rather marked than sorted


def either(parts: Sequence[Array]) -> Array:
    """Members of any of several rising arrays, rising.  (numpy's ``unique`` hashes, which is slow
    for what is nearly in order.)"""
    if sum(map(len, parts)) > _DENSE:
        marks = np.zeros(1 + max(int(part[-1]) for part in parts if len(part)), bool)
        for part in parts:
            marks[part] = True
        return np.flatnonzero(marks)
    joined = np.concatenate(parts)
    joined.sort(kind="stable")
    members: Array = joined[turns(joined)]
    return members


def keep_common(few: Array, many: Array) -> Array:
    """Members of both rising arrays."""
    if len(few) > len(many):
        few, many = many, few
    if not len(few):
        return few
    if 16 * len(few) > len(many):
        marks = np.zeros(1 + max(int(few[-1]), int(many[-1])), bool)
        marks[many] = True
        chosen: Array = few[marks[few]]
        return chosen
    at = many.searchsorted(few)
    at[at == len(many)] = 0
    common: Array = few[many[at] == few]
    return common
