"""Possession: the answer needs the bytes, this nonce, this chunk of this file."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import BlobId
from protocol.limits import CHALLENGE_CHUNKS_MAX
from protocol.possession import ChallengeAsk, drawn_chunks, possession

FILE, OTHER, NONCE, CHUNK = BlobId.of(b"a"), BlobId.of(b"b"), bytes(32), b"the bytes"


def test_the_answer_is_the_hash_of_the_specification() -> None:
    said = b"fangzhi/possession/v1\n" + NONCE + FILE.raw + bytes(7) + b"\x05" + CHUNK
    assert possession(NONCE, FILE, 5, CHUNK) == sha256(said).digest()


def test_everything_asked_is_in_the_answer() -> None:
    answers = {
        possession(NONCE, FILE, 5, CHUNK),
        possession(bytes([1]) + bytes(31), FILE, 5, CHUNK),
        possession(NONCE, OTHER, 5, CHUNK),
        possession(NONCE, FILE, 6, CHUNK),
        possession(NONCE, FILE, 5, CHUNK + b"!"),
    }
    assert len(answers) == 5


@given(randomness=st.binary(min_size=32, max_size=32), chunks=st.integers(0, 70_000))
def test_chunks_are_drawn_in_order_within_the_file(randomness: bytes, chunks: int) -> None:
    drawn = drawn_chunks(randomness, 4, chunks)
    assert list(drawn) == sorted(set(drawn))
    assert all(0 <= number < chunks for number in drawn)
    assert bool(drawn) == bool(chunks)


def test_every_chunk_may_be_drawn() -> None:
    draws = [drawn_chunks(sha256(bytes([n])).digest(), 4, 10) for n in range(100)]
    assert {number for drawn in draws for number in drawn} == set(range(10))


@pytest.mark.parametrize("count", range(1, CHALLENGE_CHUNKS_MAX + 1))
def test_as_many_chunks_are_asked_for_as_a_file_has(count: int) -> None:
    assert ChallengeAsk(FILE, NONCE, tuple(range(count))).chunks == tuple(range(count))


@pytest.mark.parametrize("count", [0, CHALLENGE_CHUNKS_MAX + 1])
def test_no_chunk_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(DecodeError):
        ChallengeAsk(FILE, NONCE, tuple(range(count)))
