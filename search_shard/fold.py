"""Folding of characters: one character to one character, so that offsets stay true.

Compatibility and width (NFKC), case, accents of Latin letters, Japanese and other variants,
traditional to simplified.  What a reader does not read aloud (spaces, line breaks, punctuation,
controls, combining marks) is skipped in matching and kept in the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

# Variants that woodblock gazetteers use and OpenCC's tables of today's standards do not have:
# each word is a variant and the character it is read as.
VARIANTS = """
㑹会 㒺罔 㓜幼 㕔厅 㕘参 㙜台 㝡最 㝢宇 㡬几 㢘廉 㣲微 㤗泰 㨗捷 㪷斗 㫁断 㫖旨 㬎显 㭍漆 㮣概
㳂沿 㳟恭 㳺游 㸃点 䇿策 䑓台 䕃荫 䕫夔 䖍虔 䖏处 䝉蒙 䟽疏 䳘鹅 丗世 乆久 亾亡 仭仞 侭尽 俛俯
俻备 倂并 倐倏 値值 偹备 傜徭 僊仙 僣僭 僲仙 儵倏 兊兑 兎兔 兠兜 冐冒 冡冢 冣最 冦寇 冨富 冩写
凖准 凞熙 刋刊 刦劫 刧劫 刼劫 剏创 剙创 劎剑 劒剑 劔剑 勑敕 卋世 厯历 厰厂 叅参 叚假 呉吴 呌叫
咊和 唘启 啔启 啚图 啣衔 囘回 囬回 囯国 囻国 圀国 圗图 坵丘 埜野 塡填 塲场 塼砖 壷壶 夀寿 夘卯
奌点 娯娱 宻密 宼寇 寃冤 寉鹤 寑寝 寔实 寕宁 寗宁 寜宁 寳宝 尅克 尒尔 尓尔 屛屏 岀出 峩峨 崐昆
崘仑 嵒岩 嵓岩 巓巅 巗岩 巵卮 帋纸 幇帮 庻庶 庿庙 廐厩 廵巡 廻回 廼乃 弌一 弍二 弎三 彂发 彊强
彚汇 彜彝 徃往 徔从 徧遍 怱匆 恊协 恖思 恠怪 悮误 悳德 惪德 愼慎 愽博 憇憩 懴忏 懽欢 戸户 扵于
抝拗 挙举 掦扬 揔总 揷插 搃总 搆构 摠总 撡操 擧举 攅攒 攷考 敇敕 敍叙 敭扬 敺驱 斆学 斈学 旛幡
旹时 昻昂 晧皓 暎映 朙明 朞期 朢望 朶朵 枱台 柟楠 栁柳 栢柏 桒桑 桞柳 桮杯 桺柳 梹槟 椀碗 椘楚
楳梅 槃盘 槑梅 槕桌 槩概 檝楫 檪栎 檰棉 櫺棂 欝郁 欵款 毉医 毬球 氊毡 氷冰 汚污 泒派 涖莅 淂得
淛浙 淸清 渕渊 湌餐 湏须 湻淳 滛淫 漑溉 澁涩 濬浚 濳潜 濵滨 濶阔 灋法 灮光 炁气 炤照 烖灾 煑煮
煕熙 熈熙 熖焰 燄焰 爕燮 牋笺 牎窗 牐闸 牓榜 牕窗 犂犁 犇奔 犲豺 獘弊 玅妙 珎珍 琹琴 瑠琉 璚琼
瓌瑰 甁瓶 甎砖 甞尝 甦苏 甯宁 畂亩 畆亩 畊耕 畒亩 畞亩 畧略 畨番 畱留 疉叠 疋匹 疎疏 瘉愈 皃貌
皐皋 皜皓 皡皞 皷鼓 盌碗 盬盐 眀明 睂眉 矁瞅 矦侯 矴碇 砲炮 碁棋 碪砧 磎溪 磵涧 礶罐 祐佑 禆裨
禩祀 秊年 秌秋 秖只 稬糯 稺稚 稾稿 穉稚 窓窗 窰窑 窻窗 竒奇 竚伫 竝并 竢俟 笇算 筞策 筭算 筴策
篛箬 簒篡 籓藩 籖签 粃秕 糓谷 糺纠 紏纠 紥扎 絍纴 綂统 緖绪 緜绵 緫总 縂总 繈襁 繋系 繙翻 纉缵
纎纤 缷卸 缾瓶 罇樽 罏垆 罸罚 羇羁 羮羹 翆翠 翦剪 聀职 聡聪 聦聪 聨联 聮联 肎肯 胷胸 脇胁 脗吻
臈腊 臯皋 臰臭 舎舍 舗铺 舩船 艁造 艢樯 芲花 苐第 荅答 莭节 菑灾 菓果 萅春 葠参 葢盖 蓡参 蕋蕊
蕚萼 蕰蕴 薗园 薫熏 薰熏 藁稿 藂丛 藳稿 蘂蕊 蘃蕊 蘓苏 虗虚 虵蛇 蚉蚊 螡蚊 蠏蟹 蠧蠹 蠭蜂 衂衄
衇脉 衘衔 衞卫 袟帙 袵衽 裠裙 褎袖 襍杂 覔觅 覩睹 觔斤 觕粗 觧解 訢欣 詶酬 誖悖 諌谏 謌歌 謟谄
譌讹 譔撰 譛谮 讃赞 讌宴 讎仇 讐仇 讙欢 豊丰 貎貌 貟员 貭质 賎贱 賔宾 賷赍 贒贤 赱走 趂趁 趍趋
跥跺 踈疏 躰体 躳躬 躶裸 軄职 軆体 軰辈 輙辄 輭软 轝舆 辝辞 辤辞 辧办 辳农 迯逃 迺乃 逰游 逹达
逺远 邉边 邨村 郷乡 鄊乡 鄕乡 酧酬 醻酬 醼宴 釡釜 鉏锄 銕铁 鍜锻 鍳鉴 鎗枪 鎻锁 鏁锁 鐀柜 鐡铁
鑛矿 鑪炉 镸长 閙闹 闗关 闘斗 阥阴 阨厄 阪坂 阬坑 阯址 陁陀 陏随 陗峭 隂阴 隄堤 隖坞 隣邻 雠仇
霛灵 霤溜 靑青 靣面 韤袜 韮韭 頋顾 頥颐 頪类 頫俯 顋腮 顚颠 飈飙 飜翻 飡餐 飬养 飮饮 餙饰 餠饼
餽馈 饍膳 駈驱 駮驳 騈骈 騐验 騣鬃 驩欢 骵体 骽腿 髙高 髣仿 髴佛 鬂鬓 鬦斗 鬪斗 鬬斗 鬭斗 鰌鳅
鱻鲜 鳯凤 鴈雁 鴬莺 鵞鹅 鵶鸦 鷰燕 鸎莺 麁粗 麕麇 麞獐 麤粗 黏粘 鼂晁 鼇鳌 鼈鳖 鼔鼓 龝秋 龢和
𠂻衷 𣺌渺 𤓰瓜 𤣥玄 𦵏葬 𨽻隶 𩔖类 𫝊传
"""

_SKIPPED = ("Z", "P", "Cc", "Cf", "M")  # general categories, or the first letter of some


@lru_cache(maxsize=65_536)
def is_skipped(character: str) -> bool:
    """Whether matching passes over this character: spaces, breaks, punctuation, controls, marks."""
    return unicodedata.category(character).startswith(_SKIPPED)


def own_variants() -> dict[str, str]:
    """The table above as a mapping."""
    return {pair[0]: pair[1] for pair in VARIANTS.split()}


def plain(character: str) -> str:
    """Width, compatibility, case and Latin accents away, where that leaves one character."""
    folded = unicodedata.normalize("NFKC", character)
    base = unicodedata.normalize("NFD", folded)
    if base[:1].isascii() and all(unicodedata.combining(mark) for mark in base[1:]):
        folded = base[:1]
    folded = folded if len(folded) == 1 else character
    lower = folded.lower()
    return lower if len(lower) == 1 else folded


def fold_table(
    characters: Iterable[str],
    simplify: Callable[[str], str],
    restore: Callable[[str], str],
) -> dict[str, str]:
    """What each character folds to, for those that change; a fixed point, so folding twice is once.

    ``simplify`` (traditional to simplified) and ``restore`` (Japanese to traditional) take one
    character; ``restore`` is asked only about forms that neither Chinese standard set has, as
    芸 and 弁 are words of their own in Chinese.
    """
    variants = own_variants()

    def once(character: str) -> str:
        step = plain(character)
        step = variants.get(step, step)
        if not is_standard(step):
            step = _single(restore(step), step)
        return _single(simplify(step), step)

    table: dict[str, str] = {}
    for character in characters:
        before, folded = character, once(character)
        while folded != before:  # chains are short and end: 臈 → 臘 → 腊
            before, folded = folded, once(folded)
        if folded != character:
            table[character] = folded
    return table


def _single(text: str, otherwise: str) -> str:
    return text if len(text) == 1 else otherwise


def is_common(character: str) -> bool:
    """Whether the basic simplified set (GB 2312, 6,763 characters) has it."""
    return _encodes(character, "gb2312")


def rarity(character: str) -> int:
    """0 for the 3,755 everyday characters (first level of GB 2312), 1 for its others, else 2."""
    if not is_common(character):
        return 2
    return int(character.encode("gb2312")[0] >= 0xD8)


def is_standard(character: str) -> bool:
    """Whether GB 2312 or Big5, the sets of everyday use of either spelling, has it."""
    return _encodes(character, "gb2312") or _encodes(character, "big5")


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
