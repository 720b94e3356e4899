"""What the paper node finds: hits of every kind, two pages of results, facets, an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from node.office.answers import (
    Asker,
    Coverage,
    Explanation,
    FacetCount,
    Hit,
    HolderTime,
    Line,
    Note,
    Question,
    Reason,
    SearchAnswer,
    ShardSource,
    ShardTrace,
    StepTime,
)
from tests.fake_shelf import (
    BOOK,
    CARVED,
    EDITIONS,
    HIDDEN,
    HOSTILE,
    OPEN_SHA,
    PAGES,
    PUNCTUATED,
    STRANGE,
    TITLES,
    YEARBOOK,
    offices,
)

TOTAL = 31
TYPED = (Reason(0, "typed", "运河"),)
FACETS = (
    FacetCount("place", "320000", 31),
    FacetCount("place", "320500", 29),
    FacetCount("place", "320582", 20),
    FacetCount("place", "320581", 9),
    FacetCount("place", "320200", 2),
    FacetCount("kind", "新方志", 18),
    FacetCount("kind", "旧志", 9),
    FacetCount("kind", "年鉴", 4),
    FacetCount("span", "1949..", 22),
    FacetCount("span", "1644-1911", 9),
    FacetCount("published", "1949..", 22),
    FacetCount("published", "1644-1911", 8),
    FacetCount("published", "1990-1999", 12),
    FacetCount("published", "2010-2019", 10),
    FacetCount("published", "1904", 8),
    FacetCount("published", "1998", 12),
    FacetCount("published", "2013", 10),
    FacetCount("rights", "open", 31),
)
QUICK = (StepTime("postings", 412, 80), StepTime("found", 20, 310))
EXPLANATION = Explanation(
    lattice=("query yunhe", "word 0 yunhe (weight 812)", "  pinyin [yun][he]"),
    parse_us=210,
    holders=(HolderTime("320500", 2, 8_400),),
    shards=(
        ShardTrace("320582", "320500", 412, 96, 20, QUICK),
        ShardTrace("320581", "320500", 118, 31, 9, QUICK),
    ),
)
FURTHER = {
    "412": "十一圩港原為運河支流，光緒初年開浚，沿岸設埠，南貨北運多取道於此。",
    "413": "內河客班輪船經運河至無錫、蘇州，民國間日開兩班。",
    "415": "運河兩岸舊有石駁，長三里許，里人歲修之。",
}


def hits_for(asker: Asker, hostile_shown: bool) -> list[Hit]:
    """The first page of hits, best first."""
    text = PAGES[1].replace("\n", "")
    hit = Hit(
        office="320582",
        office_name="张家港市",
        item=BOOK,
        title=TITLES[BOOK][0],
        page="37",
        section="卷二 自然环境 · 第三章 水系",
        snippet=text[2:82],
        highlights=((2, 4),),
        matched_by="typed",
        score=1830,
        file=OPEN_SHA,
        log_index=17,
        seq=2,
        public=True,
        witnessed_by=("320000", "320500"),
        reasons=TYPED,
        lines=_lines(text, "运河"),
    )
    again = [_further(hit, page, words) for page, words in FURTHER.items()]
    strange = replace(
        hit,
        item=STRANGE,
        title=HOSTILE,
        snippet=f"{HOSTILE}\u202e，沿云河而西。",
        highlights=((0, 8), (len(HOSTILE) + 3, len(HOSTILE) + 5)),
        matched_by="sound",
        reasons=(Reason(0, "sound", "云河"),),
        lines=_lines(f"{HOSTILE}\u202e，沿云河而西。\ud800", "云河"),
        page="卷三-4a",
        seq=1,
    )
    titled = replace(
        hit,
        item=YEARBOOK,
        title=TITLES[YEARBOOK][0],
        matched_by="title:pinyin",
        reasons=(Reason(0, "pinyin", ""),),
        lines=(),
        seq=0,
        page="",
        section="",
        snippet="",
        highlights=(),
    )
    hidden = replace(hit, item=HIDDEN, title=TITLES[HIDDEN][0], public=False)
    shown = [hit, *again, *([strange] if hostile_shown else []), titled, *_editions(hit)]
    return shown + ([] if asker.role == "public" else [hidden])


def _further(hit: Hit, page: str, words: str) -> Hit:
    at = words.index("運河")
    return replace(
        hit,
        page=page,
        seq=3,
        section="卷十二 交通 · 第二章 航道",
        snippet=words,
        highlights=((at, at + 2),),
        reasons=(Reason(0, "typed", "運河"),),
        lines=_lines(words, "運河"),
    )


def _editions(hit: Hit) -> list[Hit]:
    words = {
        CARVED: "元和塘即古運河，自府城北流入境，至邑南門外與琴川水會。",
        PUNCTUATED: "元和塘即古运河，自府城北流入境，至邑南门外与琴川水会。",
    }
    return [
        replace(
            hit,
            office="320581",
            office_name="常熟市",
            item=item,
            title=EDITIONS[item][0],
            section="卷五 水利",
            page=str(page),
            seq=1,
            snippet=text,
            highlights=((5, 7),),
            reasons=(Reason(0, "typed", text[5:7]),),
            lines=_lines(text, text[5:7]),
        )
        for page, (item, text) in enumerate(words.items(), start=88)
    ]


def _lines(text: str, match: str) -> tuple[Line, ...]:
    lines, at = [], text.find(match)
    while at >= 0:
        end = at + len(match)
        lines.append(Line(text[max(at - 18, 0) : at], match, text[end : end + 18]))
        at = text.find(match, end)
    return tuple(lines)


def answer(question: Question, hits: Sequence[Hit], missing: tuple[str, ...]) -> SearchAnswer:
    """Nothing for a question with 无 in it; otherwise two pages, the second of one hit."""
    named = [office.code for office in offices()]
    sources = tuple(
        ShardSource(code, code if code[4:] == "00" else f"{code[:4]}00", 40)
        for code in named
        if code not in missing
    )
    text = question.text
    nothing = "无" in text
    second = question.page == "second"
    found = [] if nothing else list(hits[:1] if second else hits)
    typed_in_pinyin = text.startswith("yunhe")
    notes = (Note("pinyin", "yunhe", "运河 云和"),) if typed_in_pinyin else ()
    meant = ("运河",) if nothing or typed_in_pinyin else ()
    return SearchAnswer(
        query=text,
        without=question.without,
        total=0 if nothing else TOTAL,
        total_is_exact=text != "约",
        near_total=0 if nothing or "sound" in question.without else 1,
        hits=tuple(found[: question.limit]),
        facets=FACETS if question.facets and not nothing else (),
        notes=notes,
        did_you_mean=meant,
        next="" if nothing or second else "second",
        previous="first" if second else "",
        gone=1 if second else 0,
        coverage=Coverage(len(named), len(named) - len(missing), missing, (), sources),
        epoch="" if nothing else "第 7 期 · 320000",
        took_ms=12,
        explanation=EXPLANATION if question.explain else None,
    )


def catalogue_answer(question: Question, hits: Sequence[Hit]) -> SearchAnswer:
    """The items of the hits, each once, as hits of the catalogue."""
    said = (Reason(0, "typed", question.text),)
    books = {
        hit.item: replace(hit, seq=1, page="", section="", snippet="", reasons=said) for hit in hits
    }
    found = answer(question, list(books.values()), ())
    facets = tuple(replace(each, count=-(-each.count // 8)) for each in found.facets)
    return replace(found, total=len(found.hits), near_total=0, facets=facets)
