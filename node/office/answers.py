"""What the office answers its faces: plain data that a page, the JSON API and the CLI format.

Nothing here is decided again by a face: rights were applied before these were filled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from search_shard.facets import FacetCount as FacetCount  # noqa: PLC0414 (given on to faces)
from search_shard.lattice import NEAR, RULES
from search_shard.names import Suggestion


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. ``office`` is the office whose staff it is, "" for the public."""

    role: str  # public | clerk | reviewer | auditor | administrator
    office: str = ""


PUBLIC = Asker("public")
VERBATIM: Final = (*RULES[1:], *NEAR)  # 原样: these very characters, every other rule is off


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, and how the answer shall look."""

    text: str
    without: tuple[str, ...] = ()  # rules switched off
    limit: int = 20
    page: str = ""  # a token of an answer; "" is the first page
    facets: bool = False
    view: str = "snippet"  # snippet | lines
    explain: bool = False
    records: bool = False  # 书目检索: items by their records instead of pages by their text


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a word of the query was found: the rule, and the text there ("" in a title)."""

    word: int
    rule: str
    found: str


@dataclass(frozen=True, slots=True)
class Line:
    """One match in its context (keyword in context)."""

    left: str
    match: str
    right: str


@dataclass(frozen=True, slots=True)
class Hit:
    office: str
    office_name: str
    item: str
    title: str
    page: str
    section: str
    snippet: str
    highlights: tuple[tuple[int, int], ...]  # character offsets into snippet
    matched_by: str
    score: int
    file: str
    log_index: int
    seq: int  # of the page in its item, from 1
    public: bool
    witnessed_by: tuple[str, ...]  # of the upload; empty while pending
    reasons: tuple[Reason, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know of how the query was understood."""

    rule: str
    typed: str
    taken_for: str


@dataclass(frozen=True, slots=True)
class StepTime:
    """``count``: pages, lists or characters that a step had to do with; ``us``: microseconds."""

    name: str
    count: int
    us: int


@dataclass(frozen=True, slots=True)
class HolderTime:
    """How long a node took to answer for ``shards`` shards, as the coordinator saw it."""

    office: str
    shards: int
    us: int


@dataclass(frozen=True, slots=True)
class ShardTrace:
    office: str
    answered_by: str
    postings: int
    candidates: int
    verified: int
    steps: tuple[StepTime, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    lattice: tuple[str, ...]
    parse_us: int
    holders: tuple[HolderTime, ...]
    shards: tuple[ShardTrace, ...]


@dataclass(frozen=True, slots=True)
class ShardSource:
    """Who answered for a shard: its office, the node's office, and the log size it was built to."""

    office: str
    answered_by: str
    as_of: int


@dataclass(frozen=True, slots=True)
class Coverage:
    asked: int
    answered: int
    missing: tuple[str, ...]
    lagging: tuple[str, ...]  # answered for by a node that had not all of the snapshot's events
    sources: tuple[ShardSource, ...]


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    query: str
    without: tuple[str, ...]
    total: int
    total_is_exact: bool
    near_total: int
    hits: tuple[Hit, ...]
    facets: tuple[FacetCount, ...]
    notes: tuple[Note, ...]
    did_you_mean: tuple[str, ...]
    next: str  # page token, "" on the last page
    previous: str
    gone: int  # withdrawn since the first page
    coverage: Coverage
    epoch: str
    took_ms: int
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a record (著录); ``highlights`` are offsets into its text, of what matched."""

    name: str
    text: str
    highlights: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RecordShown:
    """The record of an item that was found in the catalogue."""

    elements: tuple[Element, ...]
    matched: tuple[str, ...]  # names of elements that the query was found in
    rights: str
    pages: int
    holders: tuple[str, ...]  # offices whose logs say that they hold it


@dataclass(frozen=True, slots=True)
class CatalogueAnswer:
    """The answer to a question about records; ``records``: of each of its hits."""

    search: SearchAnswer
    records: tuple[RecordShown, ...]


@dataclass(frozen=True, slots=True)
class ExportLine:
    """A hit with what proves its text: the event at ``log_index`` of the owner's log commits to
    ``pages_root``, a Merkle root under which the page is leaf ``seq`` of ``pages`` + 1."""

    hit: Hit
    manifest: str  # hexadecimal, as all hashes here
    event: str  # leaf hash of the event in the owner's log
    pages: int
    pages_root: str
    pages_blob: str


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A hit in the catalogue with what proves its record: the event at ``log_index`` of the owner's
    log names ``manifest``, the hash of the file in which the record stands."""

    hit: Hit
    record: dict[str, str]  # elements with their texts; the title alone while the file is not here
    rights: str
    pages: int
    holders: tuple[str, ...]
    manifest: str  # hexadecimal, as all hashes here
    event: str  # leaf hash of the event in the owner's log


ExportHit = ExportLine | RecordLine


@dataclass(frozen=True, slots=True)
class ExportReceipt:
    """The last line of an export: what it is of, and whether it is all."""

    query: str
    total: int
    total_is_exact: bool
    lines: int
    complete: bool  # every hit was written
    epoch: str
    as_of: dict[str, int]  # office -> log size
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class PageProofAnswer:
    """``line`` is leaf ``seq`` of ``pages`` + 1 under ``pages_root`` (RFC 6962), to which the event
    at ``log_index`` of the log of ``office`` commits; ``hashes``: the leaf's sibling first."""

    item: str
    seq: int
    pages: int
    line: str
    hashes: tuple[str, ...]  # hexadecimal, as all hashes here
    pages_root: str
    manifest: str
    office: str
    log_index: int
    event: str  # leaf hash


@dataclass(frozen=True, slots=True)
class LieLine:
    """A holder showed what does not stand in the signed text."""

    holder: str
    office: str  # whose shard
    item: str
    seq: int
    said: str
    line: str  # what stands there; "" when there is no such page
    log_index: int
    time: int  # milliseconds, by this node's clock


@dataclass(frozen=True, slots=True)
class CandidateWord:
    """A word that typed pinyin may stand for, and how many pages have names with it."""

    text: str
    pages: int


@dataclass(frozen=True, slots=True)
class SuggestAnswer:
    """Titles, places and headings that may be meant by what is being typed, the likeliest first;
    and the words, if it is pinyin."""

    typed: str
    suggestions: tuple[Suggestion, ...]
    words: tuple[CandidateWord, ...]
    took_ms: int


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event about an item, in words a page can show."""

    kind: str
    office: str
    office_name: str
    index: int
    enrolled: int | None  # index of the key.enroll of a named user whose key signed it
    leaf: str  # hexadecimal leaf hash
    time: int  # claimed, milliseconds
    witnessed_by: tuple[str, ...]  # codes, names of outside witnesses; empty while pending
    reason: str  # "" when there is none or the asker may not read it


@dataclass(frozen=True, slots=True)
class FileLine:
    path: str
    size: int
    sha256: str
    media_type: str
    role: str
    here: bool  # whether this node holds the bytes


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One row of a list of items."""

    item: str
    office: str
    office_name: str
    title: str  # "" when this node does not hold the record
    kind: str
    status: str  # submitted 待审核 | accepted 已审 | returned 返工 | withdrawn 下架
    public: bool
    rights: str
    pages: int
    files: int
    file_bytes: int
    holders: tuple[str, ...]
    witnessed_by: tuple[str, ...]  # of the upload; empty while pending
    images: int  # pages that the list of service-level images (服务级) has, from 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of the checks: a stable code and words in two languages."""

    code: str
    severity: str  # error | warning | note
    path: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    line: ItemLine
    manifest: str  # hexadecimal
    record: dict[str, str]
    files: tuple[FileLine, ...]
    events: tuple[EventLine, ...]
    findings: tuple[Finding, ...]
    drawn: int  # pages whose images are made, while that goes on here
    to_draw: int  # of so many known; 0: nothing is being made


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """How a page is shown, or its thumbnail."""

    sha256: str
    size: int  # bytes
    name: str
    public: bool  # anybody may have it now
    read: Callable[[int, int], AsyncIterator[bytes]]  # offset, length; may come from elsewhere


@dataclass(frozen=True, slots=True)
class PageAnswer:
    item: str
    title: str
    notice: str
    seq: int
    pages: int
    page: str
    section: str
    text: str
    file: str
    witnessed_by: tuple[str, ...]  # of the upload; empty while pending
    image_width: int  # pixels; 0 when no image shows this page
    image_height: int


@dataclass(frozen=True, slots=True)
class OfficeLine:
    code: str
    name: str
    tier: str
    parent: str
    web_url: str
    log_size: int
    witnessed_size: int
    witnessed_by: tuple[str, ...]
    items_public: int
    hosted_here: bool
    reachable: bool


@dataclass(frozen=True, slots=True)
class CopyReason:
    """Why a copy is missing: waiting | unsealed | room, the office that it waits for ("" for none)
    and whether that can be reached from here now."""

    reason: str
    office: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class ShortLine:
    """An item of which fewer copies stand than should."""

    item: str
    office: str
    copies: int
    holders: tuple[str, ...]
    reasons: tuple[CopyReason, ...]


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    network: str
    offices: tuple[str, ...]  # hosted here
    version: str
    gate: dict[str, str]  # office -> open | waiting: why
    logs: dict[str, tuple[int, int]]  # office -> (size, witnessed size)
    spooled: int  # drafts waiting for the sequencer (待登记)
    items: dict[str, int]  # status -> count of own items
    blobs: int
    blob_bytes: int
    shards: tuple[str, ...]
    links: tuple[str, ...]
    counters: dict[str, int]
    quarantined: tuple[str, ...]  # offices whose log signed two histories
    lost_tails: dict[str, tuple[int, int]]  # office -> (closed at size, largest size lost)
    resident_bytes: int
    synonyms: int  # version of the province's table in use; 0 for none
    short: tuple[ShortLine, ...]  # items that lack copies, the first of them
    short_total: int
    damaged: int  # copies here that are known to be damaged


@dataclass(frozen=True, slots=True)
class ForkReportLine:
    """One office's word, in its log, that it holds the evidence."""

    office: str
    office_name: str
    index: int
    time: int  # claimed, milliseconds


@dataclass(frozen=True, slots=True)
class ForkLine:
    """Evidence that a log signed two histories (docs/spec/evidence.md)."""

    office: str
    office_name: str
    evidence: str  # hexadecimal hash
    shape: str  # same-size | chain | prefix
    log_key: str  # vkey of the key that it convicts
    size_a: int  # of the checkpoint a
    root_a: str  # hexadecimal
    size_b: int  # of the checkpoint b, or of the one in the proof b
    size_said: int  # what b says instead of a's size and root; -1 and "" for nothing at all
    root_said: str
    standing: bool  # the roster names this key now: the log is in quarantine
    learned: int  # milliseconds, by this node's clock
    files: tuple[str, str]  # addresses of a and b on this node
    reports: tuple[ForkReportLine, ...]


@dataclass(frozen=True, slots=True)
class LostTailLine:
    """What a closed key signed beyond its closure."""

    office: str
    office_name: str
    closed_at: int  # index of the change in the provincial log
    log_size: int  # the log goes on from here
    lost_size: int  # so long was the tree that the closed key had signed, as far as known here
    file: str  # address of the checkpoint that says so; "" when only entries were here


@dataclass(frozen=True, slots=True)
class EvidenceAnswer:
    forks: tuple[ForkLine, ...]
    lost_tails: tuple[LostTailLine, ...]
