"""Characters that look alike: what a typist or a scanner takes one for the other.

Two characters are alike when one is a part of the other (青 清), when they differ in one part and
share a telling one (清 情), or when their four-corner codes agree (戊 戌), and when a list of our
own says so (己 已 巳).  A part is telling when few characters have it: 氵 says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

ALIKE_MAX = 96  # characters a character may be mistaken for
_TELLING = 80  # a part that more characters have is no likeness
_CORNER_MAX = 40

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


def alike_table(
    characters: Iterable[str],
    parts: Mapping[str, Iterable[frozenset[str]]],
    corners: Mapping[str, str],
) -> dict[str, str]:
    """For each character those it may be mistaken for, the likest first, at most ``ALIKE_MAX``.

    ``parts``: character → its decompositions; ``corners``: character → four-corner code.
    """
    known = set(characters)
    having: dict[str, set[str]] = defaultdict(set)
    at_corner: dict[str, set[str]] = defaultdict(set)
    for character in known:
        for way in parts.get(character, ()):
            for part in way:
                having[part].add(character)
        if character in corners:
            at_corner[corners[character][:4]].add(character)
    own: dict[str, set[str]] = defaultdict(set)
    for members in OWN_SETS.split():
        for member in members:
            own[member] |= set(members)
    table = {}
    for character in known:
        likeness: dict[str, int] = defaultdict(int)
        for other in own[character]:
            likeness[other] += 8
        for part in {part for way in parts.get(character, ()) for part in way}:
            for other in having[part] if len(having[part]) <= _TELLING else ():
                likeness[other] += 4
            likeness[part] += 4
        for other in having[character] if len(having[character]) <= _TELLING else ():
            likeness[other] += 3
        for other in _corner_mates(character, corners, at_corner):
            likeness[other] += 2
        ranked = sorted(
            (other for other in likeness if other in known and other != character),
            key=lambda other: (-likeness[other], other),
        )
        if ranked:
            table[character] = "".join(ranked[:ALIKE_MAX])
    return table


def _corner_mates(
    character: str, corners: Mapping[str, str], at_corner: Mapping[str, set[str]]
) -> set[str]:
    if character not in corners:
        return set()
    mates = at_corner[corners[character][:4]]
    return mates if len(mates) <= _CORNER_MAX else set()
