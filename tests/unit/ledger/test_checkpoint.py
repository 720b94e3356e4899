from __future__ import annotations

import json
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import (
    Checkpoint,
    Cosigner,
    cosign,
    log_key,
    merge_signatures,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.note import Note, Signature, open_note, sign_note
from protocol.errors import DecodeError, ProofError
from protocol.ids import RootHash
from protocol.keys import SigningKey
from protocol.merkle import EMPTY_ROOT

KNOWN = json.loads((Path(__file__).resolve().parents[2] / "vectors" / "note.json").read_text())
LOG = SigningKey.from_seed(bytes(32))
ORIGIN = "fzb.example/320500"
LOG_KEY = log_key(ORIGIN, LOG.public)
CHECKPOINT = Checkpoint(ORIGIN, 7, RootHash(bytes(range(32))))
TEXT = CHECKPOINT.format()
NOTE = sign_checkpoint(CHECKPOINT, LOG)
WITNESSES = [Cosigner(f"w{n}.example", SigningKey.from_seed(bytes([n]) * 32)) for n in range(1, 5)]
KEYS = [LOG_KEY, *(witness.key for witness in WITNESSES)]
STRANGER = Signature("stranger.example", b"\0\0\0\1", b"anything")

LINES = st.one_of(
    st.just(sign_note(TEXT, ORIGIN, LOG)),
    st.builds(
        lambda witness, time_s: cosign(TEXT, witness, time_s),
        st.sampled_from(WITNESSES),
        st.integers(1, 4),
    ),
)
NOTES = (
    st.lists(LINES, min_size=1, max_size=4)
    .flatmap(lambda lines: st.permutations([*lines, STRANGER]))
    .map(lambda lines: Note(TEXT, tuple(lines)).format())
)


def test_known_answer() -> None:
    checkpoint = Checkpoint(KNOWN["origin"], KNOWN["size"], RootHash.parse(KNOWN["root"]))
    log = SigningKey.from_seed(bytes.fromhex(KNOWN["log_seed"]))
    witness = Cosigner(
        KNOWN["witness_name"], SigningKey.from_seed(bytes.fromhex(KNOWN["witness_seed"]))
    )
    assert log_key(checkpoint.origin, log.public).vkey == KNOWN["log_vkey"]
    assert witness.key.vkey == KNOWN["witness_vkey"]
    line = cosign(checkpoint.format(), witness, KNOWN["time_s"]).format()
    assert sign_checkpoint(checkpoint, log) + line.encode() == KNOWN["note"].encode()


@given(
    st.text(
        st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.sampled_from(["x", "a b", "7"]), max_size=2),
)
def test_round_trip(origin: str, size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, RootHash(root), tuple(extensions))
    assert Checkpoint.parse(checkpoint.format()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("\n7\n", "\n07\n"),
        TEXT.replace("\n7\n", "\n-7\n"),
        TEXT.replace("\n7\n", "\n9223372036854775808\n"),
        TEXT.replace(ORIGIN, ""),
        TEXT.replace(ORIGIN, "o" * 256),
        TEXT.replace("Hh8=", "Hh8"),
        TEXT.replace("Hh8=", "Hh9="),  # stray padding bits: another text for the same root
        TEXT.replace("Hh8=", ""),
        "a\n1\n",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(DecodeError):
        Checkpoint.parse(text)


def test_open_needs_the_log() -> None:
    mine = cosign(TEXT, WITNESSES[0], 5)
    both = NOTE + mine.format().encode()
    assert open_checkpoint(both, [LOG_KEY])[0] == CHECKPOINT
    assert len(open_checkpoint(both, [LOG_KEY])[1]) == 1
    assert len(open_checkpoint(both, [LOG_KEY], KEYS)[1]) == 2
    with pytest.raises(ProofError, match="by the log"):
        open_checkpoint(Note(TEXT, (mine,)).format(), [LOG_KEY], KEYS)
    with pytest.raises(ProofError):
        open_checkpoint(both, [])
    with pytest.raises(DecodeError):
        parse_checkpoint(Note("hello\n", (mine,)).format())


@pytest.mark.parametrize("time_s", [0, -1, 2**63])
def test_no_cosignature_at_such_a_time(time_s: int) -> None:
    with pytest.raises(ProofError):
        cosign(TEXT, WITNESSES[0], time_s)


def test_only_checkpoints_are_cosigned() -> None:
    with pytest.raises(DecodeError):
        cosign("I owe you\n", WITNESSES[0], 1)


@settings(max_examples=40, deadline=None)
@given(NOTES, NOTES, NOTES)
def test_merge_is_a_join(a: bytes, b: bytes, c: bytes) -> None:
    def join(x: bytes, y: bytes) -> bytes:
        return merge_signatures(x, y, KEYS)

    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    ab = join(a, b)
    assert join(ab, ab) == join(ab, a) == ab
    lines = open_note(ab, KEYS)[0].signatures
    assert [line.name for line in lines] == sorted(
        {line.name for line in lines}, key=lambda name: (name != ORIGIN, name)
    )
    assert STRANGER not in lines


def test_merge_keeps_the_latest_time() -> None:
    notes = [Note(TEXT, (cosign(TEXT, WITNESSES[0], time_s),)).format() for time_s in (255, 256, 3)]
    merged = reduce(lambda x, y: merge_signatures(x, y, KEYS), notes, NOTE)
    lines = open_note(merged, KEYS)[1]
    assert lines == (sign_note(TEXT, ORIGIN, LOG), cosign(TEXT, WITNESSES[0], 256))


def test_merge_refuses_other_texts_and_bad_lines() -> None:
    other = sign_checkpoint(Checkpoint(ORIGIN, 8, RootHash(EMPTY_ROOT)), LOG)
    with pytest.raises(ProofError, match="one checkpoint"):
        merge_signatures(NOTE, other, KEYS)
    forged = Signature(WITNESSES[0].name, WITNESSES[0].key.id, bytes(72))
    with pytest.raises(ProofError):
        merge_signatures(NOTE, NOTE + forged.format().encode(), KEYS)
    with pytest.raises(ProofError):
        merge_signatures(NOTE, Note(TEXT, (STRANGER,)).format(), KEYS)


def test_merge_never_exceeds_what_a_note_may_hold() -> None:
    crowd = [Cosigner(f"c{n:03d}", SigningKey.from_seed(n.to_bytes(32, "big"))) for n in range(101)]
    lines = [cosign(TEXT, member, 1) for member in crowd]
    keys = [LOG_KEY, *(member.key for member in crowd)]
    first, second = Note(TEXT, tuple(lines[:60])).format(), Note(TEXT, tuple(lines[60:])).format()
    merged = merge_signatures(merge_signatures(first, second, keys), NOTE, keys)
    kept = open_note(merged, keys)[1]
    assert [line.name for line in kept] == [ORIGIN, *(member.name for member in crowd[:99])]
