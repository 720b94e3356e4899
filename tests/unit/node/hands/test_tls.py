"""The certificate of a listener."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from node.hands.tls import load_tls, make_certificate, make_tls
from protocol.errors import ConfigError
from protocol.ids import UnixMs
from protocol.keys import SigningKey

NOW = UnixMs(1_790_000_000_000)


def entropy(count: int) -> bytes:
    return b"e" * count


def test_the_fingerprint_is_that_of_the_file(tmp_path: Path) -> None:
    fingerprint = make_tls(tmp_path, entropy, NOW)
    assert load_tls(tmp_path).fingerprint == fingerprint
    certificate = x509.load_pem_x509_certificate((tmp_path / "tls.crt").read_bytes())
    assert hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest() == fingerprint
    assert certificate.not_valid_after_utc.year == 9999
    certificate.verify_directly_issued_by(certificate)
    assert stat.S_IMODE((tmp_path / "tls.pem").stat().st_mode) == 0o600


def test_same_key_and_time_same_certificate() -> None:
    key = SigningKey.from_seed(b"k" * 32)
    assert make_certificate(key, NOW) == make_certificate(key, NOW)
    assert make_certificate(key, NOW) != make_certificate(SigningKey.from_seed(b"j" * 32), NOW)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_tls(tmp_path, entropy, NOW)
    before = (tmp_path / "tls.crt").read_bytes()
    with pytest.raises(ConfigError):
        make_tls(tmp_path, lambda count: b"f" * count, NOW)
    assert (tmp_path / "tls.crt").read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "other", "garbage"])
def test_files_that_do_not_serve(tmp_path: Path, damage: str) -> None:
    make_tls(tmp_path, entropy, NOW)
    if damage == "missing":
        (tmp_path / "tls.crt").unlink()
    elif damage == "garbage":
        (tmp_path / "tls.crt").write_bytes(b"garbage")
    else:
        other = make_certificate(SigningKey.from_seed(b"j" * 32), NOW)
        (tmp_path / "tls.crt").write_bytes(other.public_bytes(Encoding.PEM))
    with pytest.raises(ConfigError):
        load_tls(tmp_path)
