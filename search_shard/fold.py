"""Folding of characters: one character to one character, so that offsets stay true.

Compatibility and width (NFKC), case, accents of Latin letters, Japanese and other variants,
traditional to simplified.  What a reader does not read aloud (spaces, line breaks, punctuation,
controls, combining marks) is skipped in matching and kept in the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

# Variants that woodblock gazetteers use and OpenCC's tables of today's standards do not have: each
# word is a variant and the character it is read as.  Old texts write 著 for every 着, so these two
# are one.  Kept apart, for who types the one does not mean the other: 幺 (youngest) and 么, which
# today is 麼 and on every page; 祇 (god of the earth), 祗 (with respect) and 只.
VARIANTS = """
㑹会 㒺罔 㓂寇 㓕灭 㓗洁 㓙凶 㓜幼 㕑厨 㕓廛 㕔厅 㕘参 㗖啖 㙜台 㙮塔 㝛宿 㝠冥 㝡最 㝢宇 㝷寻 㟁岸
㠯以 㠶帆 㡌帽 㡬几 㡳底 㢘廉 㢠回 㣲微 㤀忘 㤗泰 㤙恩 㦸戟 㧞拔 㨗捷 㨿据 㩦携 㪚散 㪷斗 㫁断 㫖旨
㬎显 㬥暴 㭍漆 㮚栗 㮣概 㱔些 㳂沿 㳟恭 㳺游 㵼泻 㷀茕 㸃点 㸑爨 㸔看 䂓规 䆳邃 䇲策 䇿策 䍐罕 䑓台
䑕鼠 䕃荫 䕫夔 䕶护 䖍虔 䖏处 䘏恤 䘮丧 䙝亵 䝉蒙 䟦跋 䟽疏 䧏降 䧟陷 䧺雄 䨇双 䰟魂 䳘鹅 丗世 乆久
亊事 亝齐 亰京 亷廉 亾亡 仭仞 佀似 侭尽 俛俯 俻备 倂并 倐倏 値值 偘侃 偹备 傜徭 僃备 僊仙 僣僭 僲仙
儧攒 儵倏 兊兑 兎兔 兠兜 兾冀 冄冉 冐冒 冝宜 冡冢 冣最 冦寇 冨富 冩写 冺泯 凃涂 凖准 凞熙 凟渎 凢凡
凴凭 凾函 刄刃 刋刊 刦劫 刧劫 刼劫 剏创 剙创 劎剑 劒剑 劔剑 劵券 勑敕 匃丐 匄丐 匳奁 卋世 卭邛 厐庞
厓崖 厫廒 厯历 厰厂 叅参 叚假 吚咿 吿告 呉吴 呌叫 呪咒 咊和 咲笑 唘启 啔启 啚图 啣衔 喆哲 嘅慨 嘑呼
嘷嗥 噏吸 噐器 嚞哲 嚢囊 囏艰 囘回 囦渊 囬回 囯国 囻国 圀国 圎圆 圗图 坵丘 垇坳 埀垂 埜野 埿泥 堦阶
塜冢 塟葬 塡填 塲场 塼砖 墖塔 墪墩 壄野 壍堑 壷壶 壻婿 夀寿 夘卯 夣梦 夲本 奌点 妬妒 姙妊 姧奸 姫姬
娯娱 婣姻 媫婕 宂冗 宻密 宼寇 寃冤 寉鹤 寑寝 寔实 寕宁 寗宁 寜宁 寳宝 尅克 尒尔 尓尔 尙尚 尠鲜 尫尪
屛屏 岀出 峝峒 峩峨 崈崇 崐昆 崕崖 崘仑 嵒岩 嵓岩 嵳嵯 巓巅 巗岩 巙夔 巵卮 帀匝 帋纸 幇帮 庒庄 庻庶
庿庙 廏厩 廐厩 廵巡 廸迪 廹迫 廻回 廼乃 廽回 弌一 弍二 弎三 弻弼 彂发 彊强 彚汇 彛彝 彜彝 彞彝 徃往
徔从 徤健 徧遍 忩匆 怱匆 恊协 恖思 恠怪 恱悦 悮误 悳德 惪德 愼慎 愽博 慙惭 慿凭 憇憩 憙喜 懴忏 懽欢
戅戆 戞戛 戸户 戹厄 扵于 抝拗 挙举 捴总 掦扬 揑捏 揔总 揷插 搃总 搆构 摉搜 摠总 撡操 擕携 擥揽 擧举
攅攒 攷考 敇敕 敍叙 敚夺 敭扬 敺驱 斆学 斈学 斚斝 斾旆 旛幡 旹时 昻昂 晧皓 晳皙 暎映 暱昵 曁暨 曅晔
曵曳 曺曹 朂勖 朙明 朞期 朢望 朶朵 枏楠 枱台 柟楠 栁柳 栢柏 桒桑 桞柳 桮杯 桺柳 梹槟 棃梨 椀碗 椘楚
椶棕 楡榆 楳梅 槀槁 槃盘 槑梅 槕桌 槖橐 槩概 樷丛 檝楫 檪栎 檰棉 櫩檐 櫺棂 欎郁 欝郁 欵款 歘欻 殱歼
毉医 毬球 氊毡 氷冰 汚污 泒派 涖莅 淂得 淛浙 淸清 渕渊 湌餐 湏须 湻淳 滛淫 漑溉 潄漱 澁涩 濓濂 濬浚
濳潜 濵滨 濶阔 灋法 灔滟 灮光 炁气 炤照 烖灾 烱炯 煑煮 煕熙 熈熙 熖焰 燄焰 爕燮 爼俎 牋笺 牎窗 牐闸
牓榜 牕窗 犂犁 犇奔 犲豺 猨猿 獘弊 玅妙 珎珍 珤宝 琹琴 瑇玳 瑠琉 璚琼 瓈璃 瓌瑰 甁瓶 甎砖 甞尝 甦苏
甯宁 畂亩 畆亩 畊耕 畒亩 畞亩 畧略 畨番 畮亩 畱留 疉叠 疋匹 疎疏 痺痹 瘉愈 癎痫 皃貌 皐皋 皜皓 皡皞
皷鼓 盋钵 盌碗 盬盐 眀明 眂视 眎视 眘慎 眡视 着著 睂眉 睪睾 矁瞅 矟槊 矦侯 矴碇 砲炮 硏研 碁棋 碪砧
磎溪 磗砖 磵涧 礟炮 礶罐 祐佑 禆裨 禩祀 秊年 秌秋 秔粳 秖只 稉粳 稬糯 稺稚 稾稿 穉稚 穞稆 穤糯 穪称
穽阱 窓窗 窰窑 窻窗 窽窾 竆穷 竒奇 竚伫 竝并 竢俟 笇算 筓笄 筞策 筭算 筴策 筿筱 箆篦 箒帚 篐箍 篛箬
簒篡 簔蓑 簮簪 簴虡 簷檐 籓藩 籖签 粃秕 粧妆 糓谷 糭粽 糺纠 紏纠 紥扎 絍纴 綂统 緖绪 緜绵 緫总 縂总
繈襁 繋系 繙翻 纉缵 纎纤 纒缠 缷卸 缻缶 缾瓶 罇樽 罏垆 罸罚 羇羁 羗羌 羙美 羮羹 翆翠 翦剪 翶翱 翺翱
耉耇 耼聃 聀职 聟婿 聡聪 聦聪 聨联 聫联 聮联 聼听 肎肯 肻肯 胷胸 脇胁 脗吻 膓肠 臈腊 臯皋 臰臭 舎舍
舗铺 舩船 艁造 艢樯 芲花 苐第 苽菰 茘荔 茰萸 荅答 莭节 莵菟 莾莽 菑灾 菓果 萅春 葠参 葢盖 蓡参 蔴麻
蕋蕊 蕚萼 蕰蕴 薗园 薫熏 薰熏 藁稿 藂丛 藳稿 蘂蕊 蘃蕊 蘓苏 虗虚 虵蛇 蚉蚊 蜯蚌 蝱虻 螡蚊 蠏蟹 蠒茧
蠧蠹 蠭蜂 衂衄 衇脉 衘衔 衞卫 衹只 袐秘 袟帙 袠帙 袵衽 裠裙 裦褒 裵裴 褎袖 襃褒 襍杂 覊羁 覔觅 覩睹
觔斤 觕粗 觧解 訢欣 訽诟 詧察 詶酬 誖悖 諌谏 諐愆 謌歌 謟谄 謩谟 譌讹 譔撰 譛谮 讃赞 讌宴 讎仇 讐仇
讙欢 豊丰 貎貌 貟员 貭质 貮贰 賍赃 賎贱 賔宾 賖赊 賷赍 贒贤 赱走 趂趁 趍趋 趦趑 跥跺 踈疏 蹏蹄 蹷蹶
躙躏 躭耽 躰体 躱躲 躳躬 躶裸 軄职 軆体 軰辈 輙辄 輭软 轝舆 辝辞 辠罪 辤辞 辧办 辳农 迯逃 迳径 迺乃
逈迥 逥回 逰游 逹达 逺远 邉边 邨村 郞郎 郷乡 鄊乡 鄕乡 鄷酆 鄼酂 鄽廛 酧酬 醎咸 醻酬 醼宴 釡釜 鉏锄
銕铁 鍜锻 鍳鉴 鎗枪 鎻锁 鏁锁 鐀柜 鐡铁 鑚钻 鑛矿 鑪炉 镸长 閙闹 閠闰 閧哄 閴阒 闗关 闘斗 阥阴 阨厄
阪坂 阬坑 阯址 陁陀 陏随 陗峭 隂阴 隄堤 隖坞 隣邻 隲骘 隷隶 雠仇 霛灵 霤溜 霶滂 靁雷 靑青 靣面 鞉鼗
鞌鞍 鞵鞋 韈袜 韤袜 韮韭 頋顾 頥颐 頪类 頫俯 頬颊 頳赪 顇悴 顋腮 顚颠 飃飘 飇飙 飈飙 飜翻 飡餐 飬养
飮饮 餙饰 餠饼 餻糕 餽馈 饍膳 駈驱 駮驳 騈骈 騐验 騣鬃 驘骡 驩欢 骵体 骽腿 髙高 髣仿 髩鬓 髴佛 鬂鬓
鬛鬣 鬦斗 鬪斗 鬬斗 鬭斗 鰌鳅 鱓鳝 鱻鲜 鳯凤 鴈雁 鴬莺 鵞鹅 鵶鸦 鷰燕 鸎莺 鸜鸲 麁粗 麄粗 麅狍 麏麇
麐麟 麕麇 麞獐 麤粗 黏粘 鼂晁 鼃蛙 鼇鳌 鼈鳖 鼔鼓 龝秋 龢和 﨑崎 𠂻衷 𠖇冥 𠞰剿 𠡠敕 𡨕冥 𢃄带 𢎞弘
𣲖派 𣺌渺 𤓰瓜 𤣥玄 𤨏琐 𤼵发 𥪡竖 𦂳紧 𦙍胤 𦵏葬 𨼆隐 𨽻隶 𩔖类 𫎬赣 𫝊传
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
