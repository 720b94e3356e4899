"""Where does an auditor read logs from?  A folder, a URL, a store; nothing it gives is believed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.checkpoint import Checkpoint, log_key
from ledger.members import Standing
from ledger.note import ED25519, Note, NoteKey
from ledger.roster import Roster, RosterHistory
from ledger.tiles import TILE_LEVEL_MAX, decode_bundle, tile_count
from protocol.errors import LostTailError, Missing, ProofError
from protocol.ids import OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.merkle import (
    HASH_BYTES,
    CompactRange,
    GrowingTree,
    leaf_hash,
    perfect_root,
    prove_inclusion,
    root_of,
    verify_inclusion,
)

NOBODY: Final = OfficeCode("")  # whose key an outside witness's is
_TILES_KEPT = 64


class LogSource(Protocol):
    """Logs as they are served.  Every method may raise Missing (not there) or Unavailable."""

    def offices(self) -> list[str]: ...

    def checkpoint(self, code: str) -> bytes: ...

    def tile(self, code: str, level: int, number: int, width: int) -> bytes: ...

    def bundle(self, code: str, number: int, width: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Signers:
    """Who may have signed a note, by (name, key id), and what the newest roster thinks of it."""

    roster: Roster
    keys: Mapping[tuple[str, bytes], tuple[OfficeCode, NoteKey]]


def note_signers(history: RosterHistory) -> Signers:
    """Log, witness and mirror keys of every roster, and every outside witness (of no office): a
    note may be older than a change of keys."""
    genesis = history.newest.genesis
    members = {member for roster in history for member in roster.members.values()}
    keys = [(genesis.province, log_key(genesis.origin(genesis.province), genesis.log_key))]
    for member in sorted(members, key=lambda member: member.code):
        keys += [(member.code, key) for key in member.note_keys(genesis)]
    for roster in history:
        keys += [(NOBODY, NoteKey.parse(each.vkey)) for each in roster.rules.outside]
    return Signers(history.newest, {(key.name, key.id): (code, key) for code, key in keys})


def verify_checkpoint(
    signers: Signers, code: OfficeCode, note: Note, report: Callable[[str, str], None]
) -> None:
    """Check that a log key of the office signed the note, for a size at which that key counts.

    A co-signature that fails, or that nobody in the rosters could have made, is given to
    ``report`` (code of the finding, name of the signer).

    Raises:
        LostTailError: only by a closed key, beyond its closure.
        ProofError: no log key of the office signed the note, or one did so badly.
    """
    size = Checkpoint.parse(note.text).size
    standings = set()
    for line in note.signatures:
        office, key = signers.keys.get((line.name, line.key_id), (None, None))
        if office is None or key is None or (key.type == ED25519 and office != code):
            report("checkpoint.stranger", line.name)
        elif key.type == ED25519:
            key.verify(note.text, line.signature)
            standings.add(signers.roster.standing(code, key.public, size))
        else:
            try:
                key.verify(note.text, line.signature)
            except ProofError:
                report("checkpoint.cosignature", line.name)
    if not standings:
        raise ProofError(f"checkpoint of {code}", "a signature of its log key", "none")
    if standings == {Standing.TAIL}:
        cut = signers.roster.closure(code)
        expected = f"at most the closure at {cut.log_size if cut else 0}"
        raise LostTailError(f"checkpoint of {code}", expected, f"size {size} by a closed key")


class LogReader:
    """Entries and proofs of one log of a source, at one size and root that the caller trusts."""

    def __init__(self, source: LogSource, code: OfficeCode, size: int, root: bytes) -> None:
        self._source = source
        self.code = code
        self.size = size
        self.root = root
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bundle: tuple[int, tuple[bytes, ...]] = (-1, ())
        self._tree: GrowingTree | None = None  # of the size that was asked for last

    def entry(self, index: int) -> bytes:
        """The entry at ``index``, not proven.

        Raises:
            Missing: the log has no such entry, or the source does not give it.
            DecodeError: what it gives is no bundle.
        """
        if not 0 <= index < self.size:
            raise Missing(f"log {self.code}", f"an index below {self.size}", index)
        number, at = divmod(index, TILE_WIDTH)
        if self._bundle[0] != number:
            width = min(TILE_WIDTH, self.size - number * TILE_WIDTH)
            data = self._source.bundle(self.code, number, width)
            self._bundle = (number, decode_bundle(data, width))
        return self._bundle[1][at]

    def prove(self, index: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The entry at ``index`` and the audit path by which it stands in the log.

        Raises:
            ProofError: what the source gives does not lead to the root.
            Missing: a part of it is not there.
        """
        entry = self.entry(index)
        path = prove_inclusion(index, self.size, self.subtree)
        verify_inclusion(leaf_hash(entry), index, self.size, self.root, path)
        return entry, path

    def check_whole(self) -> None:
        """Check that all entries together lead to the root.

        Raises:
            ProofError, DecodeError, Missing: they do not.
        """
        root = root_of(leaf_hash(self.entry(index)) for index in range(self.size))
        if root != self.root:
            raise ProofError(f"log {self.code}", f"root {self.root.hex()[:16]}", root.hex()[:16])

    def root_at(self, size: int) -> bytes:
        """The root of the first ``size`` entries, as far as the tiles tell; little work where the
        sizes asked for rise."""
        number, width = divmod(size, TILE_WIDTH)
        tree = self._tree
        if tree is None or tree.size > size or tree.size // TILE_WIDTH != number:
            tree = GrowingTree(self._tree_of(number))
        if width:
            hashes = self._tile(0, number)
            for at in range(tree.size % TILE_WIDTH, width):
                tree.push(hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES])
        self._tree = tree
        return tree.root()

    def _tree_of(self, tiles: int) -> CompactRange:
        """The tree of the first whole tiles."""
        hashes, end = [], 0
        for bit in reversed(range(tiles.bit_length())):
            if tiles >> bit & 1:
                hashes.append(self.subtree(8 + bit, end >> bit))
                end += 1 << bit
        return CompactRange(tiles * TILE_WIDTH, tuple(hashes))

    def subtree(self, level: int, index: int) -> bytes:
        """The hash of leaves [index·2^level, (index + 1)·2^level), as the tiles tell."""
        tile_level, height = divmod(level, 8)
        first = index << height
        number, at = divmod(first, TILE_WIDTH)
        hashes = self._tile(tile_level, number)
        return perfect_root(hashes[at * HASH_BYTES : (at + (1 << height)) * HASH_BYTES])

    def _tile(self, level: int, number: int) -> bytes:
        hashes = self._tiles.get((level, number))
        if hashes is None:
            full, partial = tile_count(self.size, min(level, TILE_LEVEL_MAX))
            width = TILE_WIDTH if number < full else partial
            hashes = self._source.tile(self.code, level, number, width)
            if len(hashes) != width * HASH_BYTES:
                where = f"tile {level}/{number} of {self.code}"
                raise ProofError(where, f"{width} hashes", f"{len(hashes)} bytes")
            self._tiles[level, number] = hashes
            if len(self._tiles) > _TILES_KEPT:
                self._tiles.popitem(last=False)
        return hashes
