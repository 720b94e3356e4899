"""Does a holder have the bytes that it says it has?  Challenges that only a disk can answer.

The answer to a challenge is ``SHA-256(DOMAIN ‖ nonce ‖ file ‖ number of the chunk ‖ chunk)`` for
each chunk asked for.  The nonce is fresh and the chunks are random, so nothing that was computed
before helps, and whoever keeps only hashes cannot answer.  The challenger reads the same chunks
from its own copy, after checking them against the file's tree.  Where the bytes came from an answer
does not show; so many are asked for, within so short a time, that whoever has to bring them from
elsewhere needs a fast line to somebody who gives them.  docs/spec/vault.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from protocol.errors import DecodeError
from protocol.ids import BlobId
from protocol.limits import CHALLENGE_CHUNKS_MAX

DOMAIN: Final = b"fangzhi/possession/v1\n"
NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ChallengeAsk:
    """Show that these chunks of a file are possessed; ``nonce`` is 32
    fresh random bytes."""

    blob: BlobId
    nonce: bytes
    chunks: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_BYTES or not 0 < len(self.chunks) <= CHALLENGE_CHUNKS_MAX:
            limit = f"a nonce of {NONCE_BYTES} bytes, 1 to {CHALLENGE_CHUNKS_MAX} chunks"
            raise DecodeError("hold.challenge", limit, f"{len(self.nonce)}, {len(self.chunks)}")


@dataclass(frozen=True, slots=True)
class Possession:
    """32 bytes for each chunk, in the order asked."""

    digests: tuple[bytes, ...]


def possession(nonce: bytes, file: BlobId, number: int, chunk: bytes) -> bytes:
    """The 32 bytes that show possession of ``chunk``, which is number ``number`` of ``file``."""
    return sha256(b"".join((DOMAIN, nonce, file.raw, number.to_bytes(8, "big"), chunk))).digest()


def drawn_chunks(randomness: bytes, count: int, chunks: int) -> tuple[int, ...]:
    """Up to ``count`` different chunks of a file that has ``chunks``; eight random bytes each."""
    numbers = [int.from_bytes(randomness[8 * at : 8 * at + 8], "big") for at in range(count)]
    return tuple(sorted({number % chunks for number in numbers})) if chunks else ()
