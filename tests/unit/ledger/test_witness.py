from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.checkpoint import (
    Checkpoint,
    Cosigner,
    cosign,
    log_key,
    open_checkpoint,
    sign_checkpoint,
)
from ledger.note import NoteKey, Signature, cosignature_time, open_note, parse_signature
from ledger.witness import (
    Accepted,
    Refused,
    WitnessState,
    add_checkpoint,
    format_request,
)
from protocol.ids import RootHash
from protocol.keys import SigningKey
from protocol.merkle import EMPTY_ROOT, leaf_hash, perfect_root, prove_consistency, root_of

ORIGIN = "fzb.example/320500"
LOG, THIEF = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2))
LOG_KEY = log_key(ORIGIN, LOG.public)
WITNESS = Cosigner("w.example", SigningKey.from_seed(bytes([3]) * 32))
LEAVES = [leaf_hash(bytes([n])) for n in range(40)]
EMPTY = Checkpoint(ORIGIN, 0, RootHash(EMPTY_ROOT))


def checkpoint(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, RootHash(root_of(LEAVES[:size])))


def note(size: int) -> bytes:
    return sign_checkpoint(checkpoint(size), LOG)


def proof(size1: int, size2: int) -> tuple[bytes, ...]:
    return prove_consistency(
        size1,
        size2,
        lambda level, index: perfect_root(b"".join(LEAVES[index << level : (index + 1) << level])),
    )


@dataclass
class Desk:
    """A witness and what it has stored."""

    states: dict[str, WitnessState] = field(default_factory=dict)
    now_s: int = 1_000

    def post(self, body: bytes) -> Accepted | Refused:
        keys: dict[str, tuple[NoteKey, ...]] = {ORIGIN: (LOG_KEY,)}
        answer = add_checkpoint(body, keys.get, self.states.get, WITNESS, self.now_s)
        if isinstance(answer, Accepted):
            self.states[answer.origin] = answer.state
        return answer

    def status(self, body: bytes) -> int:
        answer = self.post(body)
        return 200 if isinstance(answer, Accepted) else answer.status


def desk(size: int) -> Desk:
    made = Desk()
    assert made.status(format_request(0, (), note(size))) == 200
    return made


def test_accepts_and_cosigns() -> None:
    answer = Desk().post(format_request(0, (), note(5)))
    assert isinstance(answer, Accepted)
    line = parse_signature(answer.body.decode().removesuffix("\n"))
    assert cosignature_time(line.signature) == 1_000
    seen, verified = open_checkpoint(answer.state.note, [LOG_KEY], [WITNESS.key])
    assert seen == checkpoint(5)
    assert [each.name for each in verified] == [ORIGIN, WITNESS.name]
    # the reply completes the log's note
    assert open_note(note(5) + answer.body, [WITNESS.key])[1] == (line,)
    assert (answer.state.size, answer.state.root) == (5, seen.root)


def test_a_conversation() -> None:
    """The steps that the public conformance test of witnesses takes, and their answers."""
    told = Desk()
    stranger = sign_checkpoint(replace(checkpoint(5), origin="who.example"), LOG)
    assert told.status(note(5)) == 400
    assert told.status(format_request(0, (), stranger)) == 404
    assert told.status(format_request(0, (), sign_checkpoint(checkpoint(5), THIEF))) == 403
    assert told.status(format_request(6, (), note(5))) == 400
    assert told.status(format_request(2, proof(2, 5), note(5))) == 409
    assert told.status(format_request(0, (LEAVES[0],), note(5))) == 422
    assert told.status(format_request(0, (), note(5))) == 200
    assert told.status(format_request(5, (), note(5))) == 200
    assert told.status(format_request(5, proof(5, 9)[:-1], note(9))) == 422
    assert told.status(format_request(5, proof(5, 9), note(9))) == 200
    assert told.status(format_request(5, proof(5, 9), note(9))) == 409
    assert told.status(format_request(9, (), note(5))) == 400


def test_409_tells_the_size() -> None:
    for told, size in ((Desk(), 0), (desk(9), 9)):
        answer = told.post(format_request(3, proof(3, 11), note(11)))
        expected = Refused(409, "text/x.tlog.size", f"{size}\n".encode())
        assert answer == expected


def test_wrong_signature_bytes_are_forbidden_not_malformed() -> None:
    """Base64 with stray padding bits is read, so the answer is 403 as from the reference."""
    text, _, line = note(5).decode().rstrip("\n").rpartition("\n")
    stray = line[:-2] + ("B=" if line.endswith("=") and not line.endswith("==") else "BB")
    assert Desk().status(format_request(0, (), f"{text}\n{stray}\n".encode())) == 403


def test_log_with_one_good_and_one_forged_line() -> None:
    other = NoteKey(ORIGIN, 1, THIEF.public)
    forged = Signature(ORIGIN, other.id, bytes(64)).format().encode()
    body = format_request(0, (), note(5) + forged)
    assert Desk().status(body) == 200  # unknown key: ignored
    both = add_checkpoint(body, lambda _: (LOG_KEY, other), lambda _: None, WITNESS, 1)
    assert isinstance(both, Refused)
    assert both.status == 403


def test_only_verified_lines_are_kept() -> None:
    """A forged line of this witness, or of anyone, never gets into what it serves."""
    forged = Signature(WITNESS.name, WITNESS.key.id, bytes(72)).format()
    alien = Signature("alien.example", b"\0\0\0\0", b"x").format()
    answer = Desk().post(format_request(0, (), note(5) + (forged + alien).encode()))
    assert isinstance(answer, Accepted)
    assert len(open_note(answer.state.note, [LOG_KEY, WITNESS.key])[0].signatures) == 2


def test_two_histories_are_refused_and_kept() -> None:
    fork = sign_checkpoint(replace(checkpoint(5), root=RootHash(bytes(32))), LOG)
    for old, status in ((5, 422), (3, 409)):
        told = desk(5)
        before = dict(told.states)
        alien = Signature("alien.example", b"\0\0\0\0", b"x").format().encode()
        answer = told.post(format_request(old, (), fork + alien))
        assert isinstance(answer, Refused)
        assert answer.status == status
        assert answer.evidence is not None
        views = [open_checkpoint(each, [LOG_KEY])[0] for each in answer.evidence]
        assert answer.evidence[1] == fork  # with the log's line, without the alien's
        assert views[0].size == views[1].size
        assert views[0].root != views[1].root
        assert told.states == before


def test_no_evidence_from_a_stranger_or_a_mere_bad_proof() -> None:
    told = desk(5)
    forged = sign_checkpoint(replace(checkpoint(5), root=RootHash(bytes(32))), THIEF)
    for body in (
        format_request(5, (), forged),
        format_request(5, (), note(9)),
        format_request(3, proof(3, 5), note(5)),
    ):
        answer = told.post(body)
        assert isinstance(answer, Refused)
        assert answer.evidence is None


def test_the_empty_log() -> None:
    told = Desk()
    wrong = sign_checkpoint(replace(EMPTY, root=RootHash(bytes(32))), LOG)
    assert told.status(format_request(0, (), wrong)) == 422
    assert told.status(format_request(0, (), sign_checkpoint(EMPTY, LOG))) == 200
    assert told.status(format_request(0, (), note(3))) == 200


def test_resubmission_has_a_fresh_time() -> None:
    told = desk(5)
    told.now_s = 2_000
    answer = told.post(format_request(5, (), note(5)))
    assert isinstance(answer, Accepted)
    assert cosign(checkpoint(5).format(), WITNESS, 2_000).format().encode() == answer.body


def test_extension_lines_of_other_logs_are_signed_over() -> None:
    extended = replace(checkpoint(5), extensions=("more",))
    answer = Desk().post(format_request(0, (), sign_checkpoint(extended, LOG)))
    assert isinstance(answer, Accepted)
    assert open_checkpoint(answer.state.note, [LOG_KEY], [WITNESS.key])[0] == extended


GOOD = format_request(3, proof(3, 5), note(5))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 3",
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3", b"old  3"),
        GOOD.replace(b"old 3", b"new 3"),
        GOOD.replace(b"old 3\n", b"old 3\nAAAA\n"),
        GOOD.replace(b"old 3\n", b"old 3\n!\n"),
        GOOD.replace(b"old 3\n", b"old 3\r\n"),
        GOOD.replace(b"old 3\n", b"old 3\n\n"),
        GOOD.replace(b"old 3\n", b"old 3\n\xff\n"),
        GOOD.replace(b"\n5\n", b"\n05\n"),
        GOOD.replace(b"\n5\n", b"\n9223372036854775808\n"),
        GOOD[:-1],
        format_request(3, (bytes(32),) * 64, note(5)),
        GOOD + b"x" * 80_000,
    ],
)
def test_malformed(body: bytes) -> None:
    told = desk(3)
    answer = told.post(body)
    assert isinstance(answer, Refused)
    assert (answer.status, answer.evidence) == (400, None)
    assert answer.body.endswith(b"\n")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), max_size=8))
def test_the_state_never_moves_back(steps: list[tuple[int, int, bool]]) -> None:
    told, last = Desk(), 0
    for old, new, honest in steps:
        hashes = proof(old, new) if honest and old <= new else ()
        answer = told.post(format_request(old, hashes, note(new)))
        if isinstance(answer, Accepted):
            assert old == last <= new
            last = new
        assert (told.states[ORIGIN].size if told.states else 0) == last
