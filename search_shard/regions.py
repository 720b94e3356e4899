"""Which regions of the network does a record speak of?  Names in a place element to codes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from search_shard.facets import region_nodes

_TIER = re.compile(r"(自治)?[省市区县州盟旗]$")
_STEM_CHARS_MIN = 2  # 吴 alone is no place name, 吴县 is


class Regions:
    """``names``: GB/T 2260 code → name (苏州市), also known without its last character (苏州)."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._codes: dict[str, list[str]] = {code: [code] for code in names}
        for code in sorted(names):
            stem = _TIER.sub("", names[code])
            for name in {names[code], stem}:
                if len(name) >= _STEM_CHARS_MIN:
                    self._codes.setdefault(name, []).append(code)
        longest_first = sorted(self._codes, key=lambda name: (-len(name), name))
        self._name = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def named_in(self, text: str, office: str) -> tuple[str, ...]:
        """The codes of the regions that ``text`` names, the narrowest of those that stand in one
        another; of regions with one name the one that stands in another that is named, else the
        one beside ``office``.  Without a name it is ``office``."""
        groups = [self._codes[name] for name in self._name.findall(text)]
        sure = {group[0] for group in groups if len(group) == 1}
        found = dict.fromkeys(code for g in groups for code in _likeliest(g, sure, office))
        around = {node for code in found for node in region_nodes(code)[:-1]}
        return tuple(code for code in found if code not in around) or (office,)


def _likeliest(group: list[str], sure: set[str], office: str) -> list[str]:
    within = [code for code in group if sure & set(region_nodes(code)[1:-1])]
    beside = [code for code in group if code[:4] == office[:4]]
    return within or beside or group
