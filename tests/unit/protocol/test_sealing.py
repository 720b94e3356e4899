from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import sealing
from protocol.errors import DecodeError, KeyMismatch, ProofError
from protocol.ids import BlobId, ChunkRoot
from protocol.limits import CHUNK_BYTES
from protocol.sealing import PLAIN_CHUNK_BYTES, ChunkCipher, FileKey, SealedFile, Wraps

KEY, FILE = bytes(range(32)), BlobId.of(b"plain")
SALT = "0f" * 16
OURS, THEIRS = bytes([1]) * 32, bytes([2]) * 32
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


# -- chunks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "sealed", "chunks"),
    [
        (0, 16, 1),
        (1, 17, 1),
        (PLAIN_CHUNK_BYTES, CHUNK_BYTES, 1),
        (PLAIN_CHUNK_BYTES + 1, CHUNK_BYTES + 17, 2),
        (3 * PLAIN_CHUNK_BYTES, 3 * CHUNK_BYTES, 3),
    ],
)
def test_sizes(plain, sealed, chunks):
    assert sealing.sealed_size(plain) == sealed
    assert sealing.sealed_chunks(plain) == chunks
    assert sealing.plain_size(sealed) == plain


@given(st.integers(0, 2**40))
def test_sizes_lead_back(size):
    assert sealing.plain_size(sealing.sealed_size(size)) == size


@pytest.mark.parametrize("sealed", [0, 15, CHUNK_BYTES + 1, CHUNK_BYTES + 16])
def test_lengths_that_no_ciphertext_has(sealed):
    with pytest.raises(ProofError):
        sealing.plain_size(sealed)


def test_a_chunk_is_what_the_decision_says():
    """Another program can open it from the text of docs/spec/sealing.md."""
    size = PLAIN_CHUNK_BYTES + 3
    sealed = ChunkCipher(KEY, FILE, size).seal(1, b"end")
    bound_to = b"fangzhi/seal/v1\n" + FILE.raw + bytes(7) + b"\x01" + b"\x01"
    assert AESGCM(KEY).decrypt(bytes(11) + b"\x01", sealed, bound_to) == b"end"


def test_a_chunk_opens_in_its_place_only():
    size = 2 * PLAIN_CHUNK_BYTES
    cipher = ChunkCipher(KEY, FILE, size)
    plain = bytes(PLAIN_CHUNK_BYTES)
    first = cipher.seal(0, plain)
    assert len(first) == CHUNK_BYTES
    assert cipher.open(0, first) == plain
    others = (
        (cipher, 1, first),
        (ChunkCipher(KEY, BlobId.of(b"other"), size), 0, first),
        (ChunkCipher(bytes(32), FILE, size), 0, first),
        (ChunkCipher(KEY, FILE, PLAIN_CHUNK_BYTES), 0, first),  # cut: it would be the last one
        (cipher, 0, first[:-1] + bytes([first[-1] ^ 1])),
        (cipher, 0, first[:10]),
    )
    for another, number, data in others:
        with pytest.raises(ProofError):
            another.open(number, data)


# -- wrapped keys ----------------------------------------------------------------------------------


def test_encapsulation_is_that_of_the_rfc():
    """RFC 9180, A.1.1: DHKEM(X25519, HKDF-SHA256), base mode."""
    enc, shared = sealing._encapsulate(
        bytes.fromhex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"),
        bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"),
    )
    assert enc.hex() == "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
    assert shared.hex() == "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=60), st.binary(min_size=32, max_size=32))
def test_what_we_wrap_the_package_opens_and_the_other_way_round(secret, info, ephemeral):
    public = sealing.public_half(THEIRS)
    private = X25519PrivateKey.from_private_bytes(THEIRS)
    wrapped = sealing.wrap(secret, public, info, ephemeral)
    assert SUITE.decrypt(wrapped, private, info) == secret
    assert sealing.wrap(secret, public, info, ephemeral) == wrapped  # a run can be repeated
    theirs = SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(public), info)
    assert sealing.unwrap(theirs, THEIRS, info) == secret


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_no_key_is_wrapped_to_nobody(public):
    with pytest.raises(DecodeError):
        sealing.wrap(b"secret", public, b"", OURS)


def test_wrapped_keys_open_for_their_reader_only():
    wrapped = sealing.wrap(b"secret", sealing.public_half(OURS), b"info", THEIRS)
    assert sealing.unwrap(wrapped, OURS, b"info") == b"secret"
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    for data, key, info in (
        (wrapped, THEIRS, b"info"),
        (wrapped, OURS, b"other"),
        (changed, OURS, b"info"),
        (wrapped[:20], OURS, b"info"),
        (b"", OURS, b"info"),
    ):
        with pytest.raises(KeyMismatch):
            sealing.unwrap(data, key, info)


# -- the two blobs ---------------------------------------------------------------------------------

FILES = tuple(
    sorted(
        (SealedFile(BlobId.of(name), 17, ChunkRoot(bytes(32))) for name in (b"a", b"b")),
        key=lambda file: file.sealed.raw,
    )
)
SEAL = BlobId.of(sealing.encode_seal(SALT, FILES))
KEYS = (FileKey(KEY, FILE), FileKey(OURS, BlobId.of(b"b")))


def wraps(*privates):
    publics = map(sealing.public_half, privates)
    return Wraps(SALT, SEAL, {p: sealing.wrap_keys(SEAL, KEYS, p, KEY) for p in publics})


def test_a_seal_record_comes_back():
    assert sealing.parse_seal(sealing.encode_seal(SALT, FILES)) == FILES


def test_keys_come_back_for_each_reader_of_their_own_seal():
    both = sealing.parse_wraps(wraps(OURS, THEIRS).encoded())
    assert sealing.unwrap_keys(both, OURS) == sealing.unwrap_keys(both, THEIRS) == KEYS
    with pytest.raises(KeyMismatch, match=sealing.public_half(KEY).hex()[:16]):
        sealing.unwrap_keys(both, KEY)
    with pytest.raises(KeyMismatch):
        sealing.unwrap_keys(replace(both, seal=BlobId.of(b"another seal")), OURS)


def refused(read, data):
    with pytest.raises(DecodeError):
        read(data)


def test_a_seal_record_has_one_spelling():
    good = sealing.encode_seal(SALT, FILES)
    refused(sealing.parse_seal, sealing.encode_seal(SALT, ()))
    refused(sealing.parse_seal, sealing.encode_seal(SALT, FILES[::-1]))
    refused(sealing.parse_seal, sealing.encode_seal(SALT, (FILES[0], FILES[0])))
    refused(sealing.parse_seal, sealing.encode_seal("0f", FILES))
    refused(sealing.parse_seal, sealing.encode_seal(SALT, [replace(FILES[0], size=15)]))
    for old, new in (
        (b'"size":17', b'"size":"17"'),
        (b'"size":17', b'"more":1,"size":17'),
        (b"fangzhi/seal/1", b"fangzhi/seal/2"),
        (b'"files"', b'"filez"'),
    ):
        assert old in good
        refused(sealing.parse_seal, good.replace(old, new))


def test_wraps_have_one_spelling():
    good = wraps(OURS).encoded()
    refused(sealing.parse_wraps, Wraps(SALT, SEAL, {}).encoded())
    refused(sealing.parse_wraps, Wraps(SALT, SEAL, {b"short": b"x"}).encoded())
    refused(
        sealing.parse_wraps, Wraps(SALT, SEAL, {bytes([n]) * 32: b"x" for n in range(5)}).encoded()
    )
    key = sealing.public_half(OURS).hex().encode()
    for old, new in ((key, key.upper()), (b'"keys":{', b'"keys":[{'), (b'":"', b'":"*')):
        assert old in good
        refused(sealing.parse_wraps, good.replace(old, new, 1))
