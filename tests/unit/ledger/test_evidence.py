"""Evidence of forks: never against an honest log, always against one that diverged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import logbook
from ledger.checkpoint import Checkpoint, Cosigner, cosign, log_key, sign_checkpoint
from ledger.custody import HoldTake
from ledger.events import Context, sign_event
from ledger.evidence import (
    CHAIN,
    PREFIX,
    SAME_SIZE,
    Evidence,
    evidence_of,
    indexes_to_prove,
    named_checkpoint,
    of_notes,
    of_proof,
    verify_evidence,
)
from ledger.hash_rows import TILE
from ledger.logbook import ENTRY, HEAD
from ledger.note import Note, parse_note
from ledger.tlogproof import TlogProof
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import DecodeError, FangzhiError, ProofError
from protocol.ids import BlobId, NetworkId, RootHash, UnixMs, parse_office
from protocol.keys import SigningKey
from protocol.merkle import leaf_hash, prefix_root, root_of
from protocol.ports import Writer

CODE = parse_office("320500")
ORIGIN = f"fzb.example/{CODE}"
KEY, OTHER_KEY = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2))
KEYS = (log_key(ORIGIN, KEY.public), log_key(ORIGIN, OTHER_KEY.public))


class Lost(Exception):
    """The power went before the commit."""


@dataclass
class Log:
    """A log that keeps its rules, and every note that it has given out."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore([ENTRY, TILE, HEAD]))
    notes: list[bytes] = field(default_factory=list)
    key: SigningKey = KEY

    def batch(self, count: int, word: str, *, crash: bool = False) -> None:
        try:
            self.store.run(lambda writer: self._append(writer, count, word, crash))
        except Lost:
            return
        self.publish()

    def _append(self, writer: Writer, count: int, word: str, crash: bool) -> None:
        head = logbook.head(writer, CODE)
        no_roster = RootHash(bytes(32))
        context = Context(NetworkId(bytes(32)), CODE, head.size, head.root, 0, no_roster)
        bodies = (HoldTake(f"{word} {n}", BlobId(bytes(32)), 1, 1) for n in range(count))
        entries = [sign_event(context, body, UnixMs(0), KEY).encoded() for body in bodies]
        logbook.append(writer, CODE, entries)
        if crash:
            raise Lost

    def raw(self, *entries: bytes) -> None:
        """What a log that breaks its rules may append."""
        self.store.run(lambda writer: logbook.append(writer, CODE, entries))
        self.publish()

    def publish(self) -> None:
        with self.store.read() as reader:
            head = logbook.head(reader, CODE)
        self.notes.append(sign_checkpoint(Checkpoint(ORIGIN, head.size, head.root), self.key))

    def proof(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        with self.store.read() as reader:
            hashes = logbook.prove_inclusion(reader, CODE, index, size)
            return logbook.entry(reader, CODE, index), hashes


def size_of(note: bytes) -> int:
    return Checkpoint.parse(parse_note(note).text).size


def from_holder(log: Log, held: bytes, note: bytes) -> bytes:
    """The evidence that whoever holds ``log`` makes of a note not longer than its own."""
    with log.store.read() as reader:
        return evidence_of(reader, CODE, held, note, KEYS)


def from_answers(log: Log, longer: bytes, ours: bytes) -> bytes:
    """The evidence that whoever holds the shorter log makes of the other's answers."""
    size = size_of(ours)
    if size == size_of(longer):
        return of_notes(ours, longer, KEYS)
    for index in indexes_to_prove(size):
        entry, hashes = log.proof(index, size_of(longer))
        try:
            return of_proof(ours, longer, index, entry, hashes, KEYS)
        except ProofError:
            continue
    raise AssertionError("no evidence")


batches = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=6)


@given(batches)
@settings(max_examples=25, deadline=None)
def test_an_honest_log_is_never_accused(work: list[tuple[int, bool]]) -> None:
    log = Log()
    log.publish()
    for number, (count, crash) in enumerate(work):
        log.batch(count, f"batch {number}", crash=crash)
        log.publish()  # a crash after signing can only re-make the same note
    for a in log.notes:
        for b in log.notes:
            with pytest.raises(ProofError):
                of_notes(a, b, KEYS)
            for index in range(max(0, size_of(a) - 2), min(size_of(b), size_of(a) + 2)):
                entry, hashes = log.proof(index, size_of(b))
                with pytest.raises(ProofError):
                    of_proof(a, b, index, entry, hashes, KEYS)
            if size_of(a) <= size_of(b):
                with pytest.raises(ProofError):
                    from_holder(log, b, a)


Liar = Callable[[Log, int], None]


def keeps_the_form(log: Log, count: int) -> None:
    log.batch(count, "the other history")


def writes_noise(log: Log, count: int) -> None:
    log.raw(*(b"noise %d" % n for n in range(count)))


@given(batches, st.integers(1, 40), st.integers(1, 300), st.sampled_from([0, 1]))
@settings(max_examples=25, deadline=None)
def test_two_histories_always_convict(
    common: list[tuple[int, bool]], count_a: int, count_b: int, way: int
) -> None:
    a, b = Log(), Log()
    for number, (count, crash) in enumerate(common):
        a.batch(count, f"batch {number}", crash=crash)
        b.batch(count, f"batch {number}", crash=crash)
    a.batch(count_a, "one history")
    (keeps_the_form, writes_noise)[way](b, count_b)
    a.batch(3, "and on")
    (keeps_the_form, writes_noise)[way](b, 3)
    start = size_of(a.notes[-3]) if len(a.notes) > 2 else 0
    for note_a in a.notes[-2:]:
        for note_b in b.notes[-2:]:
            held, note, log = (note_a, note_b, a)
            if size_of(note_b) > size_of(note_a):
                held, note, log = (note_b, note_a, b)
            for data in (from_holder(log, held, note), from_answers(log, held, note)):
                verdict = verify_evidence(data, KEYS)
                assert verdict.key == KEYS[0]
                assert (verdict.size, verdict.size_b) == (size_of(note), size_of(held))
                assert verdict.size > start
                assert verdict.contradiction != (verdict.size, verdict.root)


def fork() -> tuple[Log, Log]:
    """Logs of 5 and 9 entries that agree about the first 3."""
    short, long = Log(), Log()
    for log in (short, long):
        log.batch(3, "both")
    short.batch(2, "short")
    long.batch(2, "long")
    long.batch(4, "long")
    return short, long


def test_each_shape() -> None:
    short, long = fork()
    same = verify_evidence(of_notes(short.notes[1], long.notes[1], KEYS), KEYS)
    assert (same.shape, same.size, same.size_b) == (SAME_SIZE, 5, 5)
    chain = verify_evidence(from_holder(long, long.notes[2], short.notes[1]), KEYS)
    assert (chain.shape, chain.size, chain.size_b) == (CHAIN, 5, 9)
    named = Checkpoint.parse(parse_note(long.notes[1]).text)
    assert chain.contradiction == (5, named.root)
    # a liar whose next entry names what it does not extend is shown by the tree before it
    with short.store.read() as reader:
        head = logbook.head(reader, CODE)
    liar = Log()
    liar.batch(3, "both")
    liar.batch(2, "liar")
    context = Context(NetworkId(bytes(32)), CODE, head.size, head.root, 0, RootHash(bytes(32)))
    body = HoldTake("x", BlobId(bytes(32)), 1, 1)
    liar.raw(sign_event(context, body, UnixMs(0), KEY).encoded())
    prefix = verify_evidence(from_holder(liar, liar.notes[2], short.notes[1]), KEYS)
    with liar.store.read() as reader:
        assert prefix.contradiction == (5, logbook.root_at(reader, CODE, 5))
    assert (prefix.shape, prefix.size, prefix.size_b) == (PREFIX, 5, 6)


def test_an_empty_log_with_a_root_of_its_own() -> None:
    _, long = fork()
    note = sign_checkpoint(Checkpoint(ORIGIN, 0, RootHash(bytes(32))), KEY)
    assert verify_evidence(from_holder(long, long.notes[2], note), KEYS).size == 0


def test_cosignatures_are_left_out() -> None:
    short, long = fork()
    note = parse_note(short.notes[1])
    line = cosign(note.text, Cosigner("w.example", OTHER_KEY), 1)
    cosigned = Note(note.text, (*note.signatures, line)).format()
    assert of_notes(cosigned, long.notes[1], KEYS) == of_notes(short.notes[1], long.notes[1], KEYS)


def test_an_event_of_a_later_version_of_a_body_is_read() -> None:
    _, long = fork()
    entry, _ = long.proof(5, 9)
    assert named_checkpoint(entry) is not None
    assert named_checkpoint(entry.replace(b"hold.take", b"later.one")) is not None
    assert named_checkpoint(entry[:-1]) is None


def refused(data: bytes) -> FangzhiError:
    with pytest.raises((DecodeError, ProofError)) as caught:
        verify_evidence(data, KEYS)
    assert isinstance(caught.value, FangzhiError)
    return caught.value


def test_what_is_no_evidence() -> None:
    short, long = fork()
    good = Evidence.decode(of_notes(short.notes[1], long.notes[1], KEYS))
    chain = Evidence.decode(from_holder(long, long.notes[2], short.notes[1]))
    proof = TlogProof.parse(chain.b)
    verify_evidence(good.encoded(), KEYS)
    verify_evidence(chain.encoded(), KEYS)
    refused(Evidence(good.b, good.a).encoded())  # one spelling only
    refused(Evidence(good.a, good.a).encoded())
    refused(Evidence(good.a, long.notes[2]).encoded())  # two sizes alone are no proof
    refused(Evidence(long.notes[2], chain.b).encoded())
    refused(Evidence(long.notes[1], chain.b).encoded())  # the entry names this one
    refused(replace(chain, b=replace(proof, extra=b"another entry").format()).encoded())
    refused(replace(chain, b=replace(proof, extra=None).format()).encoded())
    refused(replace(chain, b=replace(proof, index=6).format()).encoded())
    refused(replace(chain, b=replace(proof, hashes=proof.hashes[:-1]).format()).encoded())
    refused(replace(chain, b=chain.b.replace(b"index 5", b"index 05")).encoded())
    refused(good.encoded() + b"\x00")
    for keys in (KEYS[1:], (log_key("fzb.example/320600", KEY.public),)):
        with pytest.raises(ProofError):
            verify_evidence(good.encoded(), keys)


def test_two_keys_convict_nobody() -> None:
    short, long = fork()
    successor = Log(key=OTHER_KEY)
    successor.batch(5, "under the next key")
    with pytest.raises(ProofError, match="two notes by"):
        of_notes(short.notes[1], successor.notes[0], KEYS)
    text = parse_note(long.notes[2]).text
    entry, hashes = long.proof(5, 9)
    note = sign_checkpoint(Checkpoint.parse(text), OTHER_KEY)
    with pytest.raises(ProofError, match="two notes by"):
        of_proof(short.notes[1], note, 5, entry, hashes, KEYS)


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_noise(data: bytes) -> None:
    refused(data)


@given(st.integers(1, 70), st.data())
@settings(max_examples=40)
def test_the_prefix_of_a_proof(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % n) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    store = MemoryStore([ENTRY, TILE, HEAD])
    store.run(lambda writer: logbook.append(writer, CODE, [b"%d" % n for n in range(size)]))
    with store.read() as reader:
        proof = logbook.prove_inclusion(reader, CODE, index, size)
    assert prefix_root(leaves[index], index, size, proof) == root_of(leaves[: index + 1])
