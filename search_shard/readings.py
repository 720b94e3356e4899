"""Toneless syllables: how characters are read, and how typed Latin letters split into syllables."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# How Jiangsu reads its own names, where dictionaries of single characters may not say so.
LOCAL_READINGS = {
    "六合": "lu he",
    "盱眙": "xu yi",
    "甪直": "lu zhi",
    "浒墅关": "xu shu guan",
    "栟茶": "ben cha",
    "邗江": "han jiang",
    "邳州": "pi zhou",
    "睢宁": "sui ning",
    "涟水": "lian shui",
    "溧阳": "li yang",
    "沭阳": "shu yang",
    "滆湖": "ge hu",
    "洮湖": "tao hu",
    "堽城": "gang cheng",
    "氾水": "fan shui",
    "郯城": "tan cheng",
    "茅山": "mao shan",
    "角里": "lu li",
    "车逻": "che luo",
    "三垛": "san duo",
    "东氿": "dong jiu",
    "西氿": "xi jiu",
    "圩塘": "wei tang",
    "黄埭": "huang dai",
    "溧水": "li shui",
    "邗沟": "han gou",
    "戚墅堰": "qi shu yan",
    "淹城": "yan cheng",
    "阖闾": "he lv",
    "鼋头渚": "yuan tou zhu",
    "蠡湖": "li hu",
    "栖霞": "qi xia",
    "圌山": "chui shan",
    "湖㳇": "hu fu",
    "高塍": "gao cheng",
    "弶港": "jiang gang",
    "溱潼": "qin tong",
    "句容": "ju rong",
    "句曲": "gou qu",
    "卜弋": "bu yi",
    "曲阿": "qu e",
    "朐山": "qu shan",
    "甓社湖": "pi she hu",
    "北厍": "bei she",
    "北漍": "bei guo",
    "八坼": "ba che",
    "曹丿": "cao pie",
    "白茆": "bai mao",
    "溇港": "lou gang",
    "泇口": "jia kou",
    "厹犹": "qiu you",
    "龙苴": "long ju",
    "三泖": "san mao",
    "菉葭": "lu jia",
    "璜泾": "huang jing",
    "浏河": "liu he",
    "沙家浜": "sha jia bang",
    "濉河": "sui he",
    "桠溪": "ya xi",
}

_GUESTS_MAX = 4  # further readings of a character
_PHRASES_MIN, _USE_MIN = 2, 0.005  # a reading in use is in so many phrases, and this share of them
_SEGMENTATIONS_MAX = 8
_SYLLABLE_LETTERS_MAX = 6


def toneless(reading: str) -> str:
    """``zhòng`` → ``zhong``, ``nǚ`` → ``nv``; letters only."""
    letters = []
    for letter in unicodedata.normalize("NFC", reading.lower()):
        plain = unicodedata.normalize("NFD", letter)
        letters.append("v" if plain.startswith("u\u0308") else plain[0])
    return "".join(letter for letter in letters if "a" <= letter <= "z")


def local_readings() -> dict[str, set[str]]:
    """Character → the syllables that names of this region give it."""
    readings: dict[str, set[str]] = {}
    for name, spelled in LOCAL_READINGS.items():
        for character, syllable in zip(name, spelled.split(), strict=True):
            readings.setdefault(character, set()).add(syllable)
    return readings


def syllables_of(spelled: str) -> list[str]:
    """``zhòng,chóng`` → zhong chong, each once, in order; 嗯 has no vowel and nobody types it."""
    toned = dict.fromkeys(toneless(reading) for reading in spelled.split(","))
    return [syllable for syllable in toned if set(syllable) & set("aeiouv")]


@dataclass(frozen=True, slots=True)
class Readings:
    """How a folded character is read, being all that folds to it: 征 is read zhi, as 徵 is."""

    home: str
    used: tuple[str, ...] = ()  # further ones in real use, the most used first
    rare: tuple[str, ...] = ()  # of dictionaries only; who mistypes may mean one


def folded_readings(
    folds: Mapping[str, str],
    read: Mapping[str, list[str]],
    phrases: Mapping[str, list[list[str]]],
) -> dict[str, Readings]:
    """Folded character → its readings, from those of its variants and a dictionary of phrases.

    In real use is how Jiangsu says it, and what a fair share of the phrases with this character
    say: the index has a row for each pair of them.  At most four guests in all.
    """
    variants: defaultdict[str, list[str]] = defaultdict(list)
    for character in sorted(read, key=lambda c: (folds.get(c, c) != c, c)):
        variants[folds.get(character, character)].append(character)
    use, local = _use(folds, phrases), local_readings()
    table = {}
    for folded, members in variants.items():
        count = use[folded]
        listed = dict.fromkeys(syllable for member in members for syllable in read[member])
        home = read.get(folded, [*listed])[0]
        own = sorted(local.get(folded, ()))
        ranked = dict.fromkeys([*own, *sorted(listed, key=lambda syllable: -count[syllable])])
        ranked.pop(home, None)
        guests = [*ranked][:_GUESTS_MAX]
        fair = max(_PHRASES_MIN, _USE_MIN * count.total())
        used = tuple(s for s in guests if s in own or count[s] >= fair)
        table[folded] = Readings(home, used, tuple(s for s in guests if s not in used))
    return table


def _use(
    folds: Mapping[str, str], phrases: Mapping[str, list[list[str]]]
) -> defaultdict[str, Counter[str]]:
    """In how many phrases a folded character is read as each syllable."""
    use: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for phrase, spelled in phrases.items():
        if len(phrase) == len(spelled):
            for character, reading in zip(phrase, spelled, strict=True):
                use[folds.get(character, character)].update(syllables_of(reading[0]))
    return use


def split_syllables(letters: str, syllables: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """The ways to read ``letters`` as syllables, fewest syllables first (xian: xian, xi an).

    At most eight, whatever the input; none when the letters cannot be read to their end.
    """
    if not letters:
        return ()
    ways: list[list[tuple[str, ...]]] = [[] for _ in letters] + [[()]]  # from here to the end
    for start in range(len(letters) - 1, -1, -1):
        ends = range(start + 1, min(start + _SYLLABLE_LETTERS_MAX, len(letters)) + 1)
        found = [
            (letters[start:end], *way)
            for end in ends
            if letters[start:end] in syllables
            for way in ways[end]
        ]
        ways[start] = sorted(found, key=lambda way: (len(way), way))[:_SEGMENTATIONS_MAX]
    return tuple(ways[0])
