"""Every code that the fold and the audit give, in words.  A code never changes its meaning."""

from __future__ import annotations

from typing import Final

# code -> (中文, English)
WORDS: Final[dict[str, tuple[str, str]]] = {
    "log.missing": ("日志缺失", "the log, or a part of it, is not served"),
    "log.stranger": ("名册中没有这个机构", "no roster has an office of this log"),
    "log.unchecked": (
        "省级日志不完整，无从核对",
        "cannot be checked without all of the provincial log",
    ),
    "log.root": ("条目与检查点的根不符", "the entries do not lead to the checkpoint's root"),
    "log.rewritten": (
        "与上次审计过的内容不符",
        "the log no longer begins with what was audited before",
    ),
    "log.fork": ("日志分叉：同一密钥签过两种历史", "one key has signed two histories of this log"),
    "log.contradiction": (
        "两处所见的检查点互相矛盾",
        "checkpoints seen in two places contradict each other",
    ),
    "checkpoint.decode": ("检查点格式不对", "the checkpoint is not well formed"),
    "checkpoint.origin": ("检查点属于另一日志", "the checkpoint is of another log"),
    "checkpoint.signature": (
        "检查点没有本机构有效签名",
        "no good signature of the office's log key",
    ),
    "checkpoint.closed": (
        "检查点由已关闭的密钥签名，且超出关闭处",
        "signed by a closed key beyond where the roster closed it: a lost tail",
    ),
    "checkpoint.short": (
        "重新准入后的检查点短于关闭处，没有接着关闭处写",
        "by a key admitted after a closure, and shorter than it: it does not go on from there",
    ),
    "checkpoint.cosignature": ("见证签名无效", "a witness's signature does not hold"),
    "checkpoint.stranger": ("签名者不在名册", "a signature by somebody no roster knows"),
    "bundle.decode": ("条目包损坏", "the bundle of entries is damaged from here on"),
    "entry.hash": ("条目被改动", "the entry is not the one that the log's root covers"),
    "entry.lost": ("条目原文已失", "the bytes of the entry are lost"),
    "tile.hash": ("散列片被改动", "the tile is not what the entries give"),
    "event.decode": ("不是合格的事件", "not a well-formed event"),
    "event.network": ("属于另一网络", "an event of another network"),
    "event.origin": ("属于另一机构", "an event of another office"),
    "event.chain": (
        "所记前一检查点与日志不符",
        "the checkpoint it names is not one of this log before it",
    ),
    "event.roster": ("所依名册与省级日志不符", "the roster it names is not the provincial log's"),
    "event.signer": ("签名者当时无权", "signed by a key that did not count"),
    "event.signature": ("事件签名无效", "the signature does not hold"),
    "event.role": ("签名人的角色无权为此", "signed by a user whose roles do not allow it"),
    "event.void": ("在密钥关闭处之后", "beyond the point where a closure cut the log"),
    "item.id": ("资源编号不对", "not an item id"),
    "item.reference": ("所指上报事件不存在", "the upload that it names is not in the logs"),
    "member.place": ("成员变动只能在省级日志", "a change of members outside the provincial log"),
    "member.refused": (
        "成员变动不合规则或根签名不足",
        "against a rule, or too few root signatures",
    ),
    "member.unanchored": (
        "关闭处没有上级锚定记录",
        "no anchor recorded the size and root at which the keys were closed",
    ),
    "key.refused": (
        "用户密钥或加密公钥登记不合规则",
        "against a rule of users' keys, or of sealing keys",
    ),
    "upload.office": ("只能由资源所属机构上报", "not reported by the office of the item"),
    "upload.rights": ("权利类别不存在", "no such rights class"),
    "upload.supersedes": ("所替代的版本不是当前版本", "does not supersede the current revision"),
    "text.office": ("只能由资源所属机构著录文本", "text by another office than the item's"),
    "review.office": ("不是该机构的上级审核者", "reviewed by an office that is not its reviewer"),
    "withdraw.office": ("无权下架", "withdrawn by an office without the right"),
    "seal.office": (
        "只能由资源所属机构加密或轮换",
        "sealed or wrapped anew by another office than the item's",
    ),
    "grant.office": (
        "只能由资源所属机构授权或撤销",
        "granted or revoked by another office than the item's",
    ),
    "grant.refused": ("授权的对象或内容不合规则", "a grant to nobody else, or of no such thing"),
    "receipt.office": (
        "只有省级机构可以签发入库回执",
        "a receipt by another office than the province",
    ),
    "receipt.refused": (
        "入库回执所列副本数不合规则",
        "a receipt that counts no copies, or too many",
    ),
    "offer.refused": ("保管容量声明不合规则", "an offer of room against its rule"),
    "check.refused": ("抽验记录不合规则", "a check of nobody else, or numbers that cannot be"),
    "repair.refused": ("修复记录不合规则", "a repair of nothing, or from no member"),
    "access.refused": ("调取记录不合规则", "an access by no member, or to no such thing"),
    "statistics.office": (
        "统计由省以外的机构签署",
        "statistics signed by an office that is not the province",
    ),
    "fork.office": ("所报分叉的机构不在名册", "reports a fork of an office that is no member"),
    "synonyms.office": (
        "只有省级机构可以发布同义词表",
        "synonyms of another office than the province",
    ),
    "synonyms.refused": (
        "同义词表的版本或大小不合规则",
        "a table of synonyms out of turn, or too large",
    ),
    "anchor.office": ("只能锚定下级日志", "anchors a log that is not below it"),
    "anchor.root": ("锚定的根与下级日志不符", "the log had another root at the recorded size"),
    "anchor.beyond": ("下级日志比锚定的短", "the log is shorter than what was recorded of it"),
    # notes: worth knowing, and no faults
    "note.behind": (
        "另有更新的部分不在本次材料中",
        "others have seen more of this log than is here",
    ),
    "note.newer": ("所指事件比本次材料新", "names an event newer than what is here"),
    "note.older": ("材料比上次审计的旧", "what is here is older than what was audited before"),
    "note.tail": (
        "遗失的尾部：已关闭的密钥在关闭处之后所签，不算分叉",
        "a lost tail: signed by a closed key beyond its closure, and nobody's fork",
    ),
    "note.unproven": (
        "报告了分叉，但材料中没有证据",
        "reports a fork, for which no evidence was given",
    ),
    "note.evidence": (
        "所谓的分叉证据不成立，不指控任何人",
        "given as evidence of a fork, and proves nothing against anybody",
    ),
    "review.early": ("审核自称早于上报", "claims a time before that of the upload it judges"),
    "hold.unsealed": (
        "非公开版本资源未经加密即有他处保管",
        "kept elsewhere as it is, though its class is not open",
    ),
}
