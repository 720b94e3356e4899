"""Is what a holder shows really in the log?  Spot checks of hits against what the owner signed.

The owner's event commits to a Merkle root over the page texts, so a page's line with its inclusion
proof says what stands there, whoever hands it over; and to the hash of the manifest, which has the
record, and which every node keeps of what is public.  The first hit from a holder and then one in
``ONE_IN`` is compared with it before it is shown.  A holder that shows what is not there is
distrusted for that shard for ``DISTRUST_S``: its word is left out and others are asked; what it
said and what proves it wrong are kept and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from ledger.roster import RosterHistory
from ledger.views import ItemView
from node.office.answers import LieLine, PageProofAnswer
from node.office.catalog import LIE, find, read_whole, record, revision_key
from node.office.custodian import Custodian
from node.office.links import Links, Peer
from protocol.errors import DecodeError, FangzhiError, Missing, ProofError
from protocol.ids import OfficeCode
from protocol.limits import PAGE_LINE_BYTES_MAX, PAGES_BLOB_BYTES_MAX, KiB
from protocol.merkle import leaf_hash, prove_inclusion, root_of, verify_inclusion
from protocol.messages import PageAsk, PageProof
from protocol.ports import BlobStore, BlockingWork, Clock, KeyValueStore, Rng, Writer
from protocol.records import PageText, encode_json, parse_page
from protocol.shapes import pack, unpack
from search_shard.catalogue import Record, elements_of, record_page
from search_shard.layout import Page
from search_shard.rank import Hit

ONE_IN: Final = 32
CHECKED_MAX: Final = 4  # hits of one answer
DISTRUST_S: Final = 24 * 3600
LIES_KEPT_MAX: Final = 100
PROOF_S: Final = 5.0
LIE_CODE: Final = "search.lie"
_SAID_CHARS_MAX: Final = 500
_ROW_BYTES_MAX: Final = PAGE_LINE_BYTES_MAX + 16 * KiB

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit and whose word it is."""

    holder: OfficeCode
    hit: Hit
    view: ItemView  # of its item, as this node knows it


@dataclass(frozen=True, slots=True)
class Lie:
    """What ``holder`` said of a page of ``office``, and the ``line`` that stands there, proven by
    ``hashes`` under the root that the owner's event at ``log_index`` commits to; an empty line:
    the item has no such page.  With ``seq`` 0 it is of the record, and the line is that of the
    manifest that the event names."""

    holder: OfficeCode
    office: OfficeCode
    item: str
    seq: int
    said: str
    log_index: int
    line: bytes
    hashes: tuple[bytes, ...]
    time: int  # milliseconds, by this node's clock


class SpotChecks:
    """Checks hits, answers other nodes' checks, and remembers who lied."""

    def __init__(
        self,
        state: KeyValueStore,
        blobs: BlobStore,
        work: BlockingWork,
        clock: Clock,
        rng: Rng,
        links: Links,
        custodian: Custodian,
        history: Callable[[], RosterHistory],
    ) -> None:
        self._state = state
        self._blobs = blobs
        self._work = work
        self._clock = clock
        self._rng = rng
        self._links = links
        self._custodian = custodian
        self._history = history
        self._met: set[tuple[OfficeCode, bool]] = set()  # with whether in the catalogue
        self._distrusted: dict[tuple[OfficeCode, OfficeCode], int] = {}  # until, milliseconds
        for lie in self.lies():
            self._distrusted[lie.holder, lie.office] = lie.time + DISTRUST_S * 1000

    def lies(self) -> list[Lie]:
        """Every lie on record here, by time."""
        with self._state.read() as reader:
            rows = [row for _, row in reader.scan(LIE)]
        return [unpack(Lie, row, bytes_max=_ROW_BYTES_MAX, where="lie") for row in rows]

    def distrusted(self) -> list[tuple[OfficeCode, OfficeCode]]:
        """The holders whose word on the shard of an office is left out now: (holder, office)."""
        now = self._clock.now() if self._distrusted else 0
        return [pair for pair, until in self._distrusted.items() if until > now]

    def draw(self, shown: Sequence[Shown], records: bool) -> list[Shown]:
        """Which hits to check: the first of every holder not met before, and some others."""
        drawn = []
        dice = self._rng.random_bytes(2 * len(shown))
        for number, each in enumerate(shown):
            chance = int.from_bytes(dice[2 * number : 2 * number + 2], "big")
            if (each.holder, records) not in self._met or chance < 2**16 // ONE_IN:
                drawn.append(each)
                self._met.add((each.holder, records))
        return drawn[:CHECKED_MAX]

    async def check(self, shown: Shown, seconds: float) -> bool:
        """Whether a hit may be shown: false when its page is known to say something else."""
        hit, view = shown.hit, shown.view
        assert view.text_ref is not None, "says_of lets no other through"
        if not 1 <= hit.seq <= view.pages:
            await self._caught(shown, view.text_ref.index, hit.seq, PageProof(b"", ()))
            return False
        proof = await self._proof(view, hit.seq, shown.holder, seconds)
        try:
            if proof is None or agrees(hit, parse_page(proof.line, hit.seq)):
                return True
        except DecodeError:  # the owner committed to what is no page: not the holder's fault
            return True
        await self._caught(shown, view.text_ref.index, hit.seq, proof)
        return False

    async def check_record(self, shown: Shown) -> bool:
        """As :meth:`check`, of a hit in the catalogue; one whose manifest has not come is shown."""
        hit, view = shown.hit, shown.view
        with self._state.read() as reader:
            manifest = record(reader, view.manifest)
        if manifest is None:
            return True
        elements = elements_of(manifest.record)
        said = Record(hit.item, view.owner, elements, view.rights, (), (), view.upload.index)
        names = {  # the holder may know the owner by an older one
            roster.members[view.owner].name: None
            for roster in reversed(list(self._history()))
            if view.owner in roster.members
        }
        if any(agrees_with_record(hit, record_page(said, {view.owner: name})) for name in names):
            return True
        proof = PageProof(encode_json(manifest.record), ())
        await self._caught(shown, view.upload.index, 0, proof)
        return False

    async def on_page(self, _peer: Peer, ask: PageAsk) -> PageProof:
        """Another node wants to see a public page, proven."""
        return await self.prove(ask.item, ask.seq)

    async def prove(self, item: str, seq: int) -> PageProof:
        """The line of a public page and its inclusion proof, from the text that stands here.

        Raises:
            Missing: no such public page, or its text is not here.
        """
        with self._state.read() as reader:
            view = find(reader, item)
        if view is None or not view.public or view.pages_blob is None:
            raise Missing(f"text of {item[:40]}", "an item that is public", "none")
        if not 1 <= seq <= view.pages:
            raise Missing(f"page {seq} of {item}", f"1 to {view.pages}", seq)
        data = await read_whole(self._blobs, view.pages_blob, PAGES_BLOB_BYTES_MAX)
        return await self._work.run(_prove_page, data, seq)

    async def shown_proof(self, item: str, seq: int) -> PageProofAnswer:
        """What proves a public page, for whoever wants to check it.

        Raises:
            Missing: no such public page, or nobody who has its text can be reached.
        """
        with self._state.read() as reader:
            view = find(reader, item)
        if view is None or not view.public or view.text_ref is None or view.pages_root is None:
            raise Missing("item", "an item that is public and has text", repr(item[:40]))
        if not 1 <= seq <= view.pages:
            raise Missing(f"page {seq} of {item}", f"1 to {view.pages}", seq)
        proof = await self._proof(view, seq, view.owner, PROOF_S)
        if proof is None:
            raise Missing(f"text of {item}", "a holder that answers", "none does now")
        return PageProofAnswer(
            item=item,
            seq=seq,
            pages=view.pages,
            line=proof.line.decode(),
            hashes=tuple(each.hex() for each in proof.hashes),
            pages_root=view.pages_root.hex,
            manifest=view.manifest.hex,
            office=view.text_ref.origin,
            log_index=view.text_ref.index,
            event=view.text_ref.leaf.hex,
        )

    def lie_lines(self) -> tuple[LieLine, ...]:
        return tuple(
            LieLine(
                lie.holder,
                lie.office,
                lie.item,
                lie.seq,
                lie.said,
                lie.line.decode("utf-8", "replace"),
                lie.log_index,
                lie.time,
            )
            for lie in self.lies()
        )

    async def _proof(
        self, view: ItemView, seq: int, holder: OfficeCode, seconds: float
    ) -> PageProof | None:
        """A page proven by anybody, the holder itself last; None when nobody could in time."""
        if view.pages_blob is not None and self._blobs.size(view.pages_blob) is not None:
            return await self.prove(view.item, seq)
        sources = sorted(self._custodian.sources(view), key=lambda code: code == holder)
        for source in map(OfficeCode, sources):
            try:
                proof = await self._links.ask(
                    source, "page.proof", PageAsk(view.item, seq), seconds
                )
                assert isinstance(proof, PageProof)
                verify_page(view, seq, proof)
            except FangzhiError as error:
                self._links.count(f"spotcheck.{error.code}")
                continue
            return proof
        return None

    async def _caught(self, shown: Shown, log_index: int, seq: int, proof: PageProof) -> None:
        hit, view, now = shown.hit, shown.view, self._clock.now()
        lie = Lie(
            shown.holder,
            view.owner,
            view.item,
            seq,
            hit.snippet[:_SAID_CHARS_MAX],
            log_index,
            proof.line,
            proof.hashes,
            now,
        )
        self._distrusted[shown.holder, view.owner] = now + DISTRUST_S * 1000
        self._links.count(LIE_CODE)
        log.warning(LIE_CODE, holder=lie.holder, office=lie.office, item=lie.item, seq=lie.seq)
        await self._state.write(_keeper(lie))


def says_of(view: ItemView, hit: Hit, records: bool) -> bool:
    """Whether a hit is of the text (or record) that the item has now, as far as this node knows."""
    said = view.upload if records else view.text_ref
    return said is not None and revision_key(view) == hit.item and said.index == hit.log_index


def agrees(hit: Hit, page: PageText) -> bool:
    """Whether everything that a hit shows of its page stands there."""
    labels = (hit.page, hit.section, hit.file) == (page.page, page.section, page.file)
    return labels and _shows(hit, page.text)


def agrees_with_record(hit: Hit, page: Page) -> bool:
    """As :func:`agrees`, of a record as the engine searches it."""
    labels = (hit.page, hit.section, hit.file) == (page.page, page.section, page.file)
    return labels and (hit.title, hit.seq) == (page.title, page.seq) and _shows(hit, page.text)


def _shows(hit: Hit, text: str) -> bool:
    pieces = (hit.snippet, *(line.left + line.match + line.right for line in hit.lines))
    return all(piece in text for piece in pieces)


def verify_page(view: ItemView, seq: int, proof: PageProof) -> None:
    """Check that a line is page ``seq`` of the item's text.

    Raises:
        ProofError: it is not.
    """
    if view.pages_root is None:
        raise ProofError(f"page {seq} of {view.item}", "an item with text", "none")
    leaf = leaf_hash(proof.line)
    verify_inclusion(leaf, seq, view.pages + 1, view.pages_root.raw, proof.hashes)


def _prove_page(data: bytes, seq: int) -> PageProof:
    lines = data[:-1].split(b"\n")
    leaves = [leaf_hash(line) for line in lines]

    def subtree(level: int, number: int) -> bytes:
        return root_of(leaves[number << level : (number + 1) << level])

    return PageProof(lines[seq], prove_inclusion(seq, len(leaves), subtree))


def _keeper(lie: Lie) -> Callable[[Writer], None]:
    def keep(writer: Writer) -> None:
        rows = [key for key, _ in writer.scan(LIE)]
        for key in rows[: max(len(rows) + 1 - LIES_KEPT_MAX, 0)]:
            writer.delete(LIE, key)
        place = f"{lie.holder}{lie.office}{lie.item}".encode() + lie.seq.to_bytes(8, "big")
        writer.put(LIE, lie.time.to_bytes(8, "big") + place, pack(lie))

    return keep
