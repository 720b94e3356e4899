"""Characters that look alike: what a typist or a scanner takes one for the other.

Two characters are alike as far as they are made of the same telling parts, at any depth (青清情,
斯撕其), where a part counts the more, the fewer characters have it and the nearer it is to the
whole; as their four-corner codes agree (戊戌); and when a list of our own says so (己已巳), which
makes characters with such parts alike as well (洒酒).  Of equally alike ones the common is meant.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from search_shard.blocks import Array
from search_shard.fold import rarity

ALIKE_MAX = (250, 160, 48)  # characters one may be mistaken for, by how rare it is
_CROWD = 3000  # a part deep inside that more characters have is no likeness
_DEPTH_MAX = 4
_DECAY = 0.8  # of a part's weight for each level of depth
_RARE = (1.0, 0.4, 0.1)  # how likely a character is the one meant, by how rare it is
_DIRECT, _CONTAINED, _SAME_CORNERS, _THREE_CORNERS, _LISTED = 1.25, 0.6, 0.5, 0.2, 8.0

OWN_SETS = """
己已巳 戊戌戍戎成 末未本木术 土士工干千于 日曰目白 人入八 大太犬天夭夫 王玉主五 刀力刃万方 乌鸟岛
免兔 今令 午牛 石右 由甲申田 贝见 历厉 仓仑 折拆析 拔拨 洒酒 抡抢 沦沧 辨辩辫 侯候 班斑 崇祟 栗粟
茶荼 暧暖 管菅 肓盲 汆氽 冶治 冼洗 准淮 凌陵棱 泠冷 洲州 形刑 徒徙 往住 复夏 处外 卷券 薄簿
蓝篮 拦栏 杨扬 场汤 坏环 坯培 垦恳 埋理 狠狼 狐孤 孟盂 季李 学字 宇字宁 官宫 宣宜 家冢 寒塞赛
密蜜 尧晓 屈届 岂岩 巨臣 币市布 师帅 幻幼 底低 庆床 廷延 弋戈 弦炫 心必 忘妄 怀坏 思恩 悔侮 惊掠
户尸 手毛 扎札 扩旷 托拖 找我 技枝 投没 抓爪 抗坑 拒柜 挡档 换唤 推堆 措借 搏博 擅檀 政攻 斤斥
旅族 日目 旦且 早旱 昌冒 晴睛 暮幕墓慕 朋明 林材 杜社 果杲 柏拍 柳抑 校较 根恨 桃挑 楼搂 榜傍
橙澄 欠久 止正 母毋 毫豪 水永冰 沐休 河何 油抽 法怯 波坡 洋样 流疏 浪狼 海悔 淡谈 清请 湖胡
源原 溪奚 潭谭 灭灾 炕坑 点占 热势 爱受 片爿 牧枚 犬尤 狱岳 率卒 瓜爪 甘廿 生主 疆僵 皇星 盐监
盘盆 眉肩 矛予 知和 破坡 祖租 祝况 福幅 秋秩 稻蹈 空穴 童章 竹个 签鉴 粮娘 约的 纪记 组祖 继断
绿录 羊半 翁瓮 老考 耳且 肤扶 胃胄 脉咏 自白 舟丹 艮良 节爷 苑宛 若苦 范苑 莱菜 萧肃 葛曷 蒋将
虎虚 街衔 裁栽 要耍 角用 记纪 许午 诗特 谷各 豆亘 赏常 走定 足是 路跳 车东 轻经 辰展 迁迂 进近
述迷 送迭 通道 郎朗 郡群 部陪 里黑 金全 钓钧 铁跌 锡踢 镇填 长氏 门闩 问间 阳阴 陈阵 隆降 雷霄
青责 面而 革草 顶项 风凤 飞气 马乌 高亮 鱼角 麻床 默黑
"""

# Parts that look alike without being common characters that anybody types for each other.
PART_SETS = """
氵冫 衤礻 扌木 亻彳 阝卩 宀冖穴 艹竹 口囗 广厂疒 攵欠攴夂 艮良 今令 史吏央 夬央
央奂 勾句勺匀勿 氏民氐 巳已己巴 禾木米耒 贝见页 乌鸟 隹佳 彐ヨ 刂寸 火灬 犭扌 忄小
讠氵 西酉 戋戈 弋戈 斤丘 几九 又义叉 乂又 㐬巟 仓仑 臼白 曰日 目月 且具 甲由 东车
朿束 爪瓜 辛幸 圭主 壬王 廴辶 夭天 尢龙 巾市 毋母 亚业 并井
"""

# What the package of decompositions leaves whole, or cuts into strokes: a character and its parts.
WRITTEN_WAYS = """
左𠂇工 右𠂇口 友𠂇又 在𠂇土 有𠂇月 灰𠂇火 布𠂇巾 存𠂇子 石丆口 令今丶 具且八 良丶艮 吏一史 众从人
之丶乀 民氏乛 马乌一 鸟乌丶 骨冎月 乏丿之 乞𠂉乙 气𠂉乁 每𠂉母 失丿夫 朱丿未 末木一 未木一 本木一
束木口 来木丷 東木日 甲日丨 由日丨 申日丨 电日乚 里甲土 重千里 黑里灬 东七小 车七十 午𠂉十 年𠂉㐄
"""


def alike_table(
    characters: Iterable[str],
    ways: Mapping[str, Sequence[Sequence[str]]],
    corners: Mapping[str, str],
) -> dict[str, str]:
    """For each character those it may be mistaken for, the likest first, at most ``ALIKE_MAX``.

    ``ways``: character → its decompositions; ``corners``: character → four-corner code.
    """
    known = sorted(set(characters))
    parts = _Parts(known, ways)
    by_corner = _by_corner(known, corners)
    meant = np.array([_RARE[rarity(character)] for character in known])
    listed = _mates(OWN_SETS)
    number = {character: at for at, character in enumerate(known)}
    table = {}
    for at, character in enumerate(known):
        likeness = parts.likeness(character, at)
        code = corners.get(character, "")[:4]
        for mask in _masks(code):
            likeness[by_corner[mask]] += _THREE_CORNERS  # four times where all four agree
        likeness[by_corner[code]] += _SAME_CORNERS - 4 * _THREE_CORNERS
        likeness *= meant
        likeness[[number[mate] for mate in listed[character] if mate in number]] += _LISTED
        likeness[at] = 0
        most = ALIKE_MAX[rarity(character)]
        found = np.argpartition(-likeness, min(most, len(known) - 1))[:most]
        found = found[np.lexsort((found, -likeness[found]))]
        found = found[likeness[found] > 0]
        if len(found):
            table[character] = "".join(known[other] for other in found.tolist())
    return table


class _Parts:
    """Who has which part at which depth, and how much each says."""

    def __init__(self, known: Sequence[str], ways: Mapping[str, Sequence[Sequence[str]]]) -> None:
        cut = _Cut(ways)
        self._depths = [cut.depths(character) for character in known]
        having: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for at, depths in enumerate(self._depths):
            for part, depth in depths.items():
                having[part].append((at, depth))
        self._weigh(known, having)

    def _weigh(self, known: Sequence[str], having: Mapping[str, list[tuple[int, int]]]) -> None:
        size = len(known)
        norm = np.full(size, 1.0)
        self._deep: dict[str, tuple[Array, Array]] = {}
        self._near: dict[str, tuple[Array, Array]] = {}
        self._inside: dict[str, tuple[Array, Array]] = {}
        number = set(known)
        for part, holders in having.items():
            who = np.array([at for at, _ in holders])
            depth = np.array([depth for _, depth in holders])
            faded = _DECAY**depth
            if len(who) <= _CROWD:
                told = math.log(size / len(who)) ** 2 * faded
                norm[who] += told
                self._deep[part] = who, told
            near = who[depth <= 1]
            if len(near):
                telling = (math.log(size / len(near)) / math.log(size + 1)) ** 2
                self._near[part] = near, np.full(len(near), _DIRECT * telling)
            if part in number:
                self._inside[part] = who, _CONTAINED * faded
        self._root = np.sqrt(norm)
        self._deep = {
            part: (who, told / self._root[who]) for part, (who, told) in self._deep.items()
        }
        self._number = {character: at for at, character in enumerate(known)}

    def likeness(self, character: str, at: int) -> Array:
        """Of every known character to this one."""
        depths = self._depths[at]
        inside = [
            (self._number[part], depth) for part, depth in depths.items() if part in self._number
        ]
        who = [np.array([number for number, _ in inside], dtype=np.int64)]
        how = [np.array([_CONTAINED * _DECAY**depth for _, depth in inside])]
        for part, depth in depths.items():
            if part in self._deep:
                who.append(self._deep[part][0])
                how.append(self._deep[part][1] * (_DECAY**depth / self._root[at]))
            if depth <= 1 and part in self._near:
                who.append(self._near[part][0])
                how.append(self._near[part][1])
        for own in (self._near, self._inside):  # those that it is itself a part of
            if character in own:
                who.append(own[character][0])
                how.append(own[character][1])
        total = np.bincount(np.concatenate(who), np.concatenate(how), len(self._depths))
        return np.asarray(total)


class _Cut:
    """Decompositions followed down: each part of a character and how deep it lies."""

    def __init__(self, ways: Mapping[str, Sequence[Sequence[str]]]) -> None:
        written = {word[0]: [tuple(word[1:])] for word in WRITTEN_WAYS.split()}
        self._ways = {c: [*ways.get(c, ()), *written.get(c, ())] for c in {*ways, *written}}
        self._alike = _mates(OWN_SETS + PART_SETS)
        self._cut: dict[tuple[str, int], dict[str, int]] = {}

    def depths(self, character: str) -> dict[str, int]:
        """Part → depth; itself at 0, and what looks like one of its direct parts one below it."""
        found = dict(self._below(character, _DEPTH_MAX))
        for part, depth in sorted(found.items()):
            if depth <= 1:
                for mate in self._alike[part]:
                    found[mate] = min(found.get(mate, depth + 1), depth + 1)
        return found

    def _below(self, character: str, levels: int) -> dict[str, int]:
        if (character, levels) in self._cut:
            return self._cut[character, levels]
        found = {character: 0}
        for way in self._ways.get(character, ()) if levels else ():
            for part in way:
                for deeper, depth in self._below(part, levels - 1).items():
                    found[deeper] = min(found.get(deeper, depth + 1), depth + 1)
        self._cut[character, levels] = found
        return found


def _mates(sets: str) -> defaultdict[str, set[str]]:
    mates: defaultdict[str, set[str]] = defaultdict(set)
    for members in sets.split():
        for member in members:
            mates[member] |= set(members) - {member}
    return mates


def _masks(code: str) -> list[str]:
    """A four-corner code with each of its digits left open."""
    return [code[:at] + "?" + code[at + 1 :] for at in range(len(code))]


def _by_corner(known: Sequence[str], corners: Mapping[str, str]) -> defaultdict[str, Array]:
    held: defaultdict[str, list[int]] = defaultdict(list)
    for at, character in enumerate(known):
        code = corners.get(character, "")[:4]
        for mask in (code, *_masks(code)) if code else ():
            held[mask].append(at)
    none = np.zeros(0, dtype=np.int64)
    return defaultdict(lambda: none, {mask: np.array(numbers) for mask, numbers in held.items()})
