"""Who answers at our address?  A self-signed Ed25519 certificate whose SHA-256 the roster carries.

Nothing in the certificate is believed but its key: name, dates and issuer are there because X.509
asks for them.  So it never expires, and a clock that is a year off breaks no link.

``keys/tls.pem``: who can read it can stand in for this node's listener until the roster pins
another certificate, but cannot say hello for an office.  Loss: a new certificate, announced in the
roster.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from node.hands.keys import save_key
from node.hands.storage.durable import write_file
from protocol.errors import ConfigError
from protocol.ids import UnixMs
from protocol.keys import SigningKey

_FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280: no well-defined expiry


@dataclass(frozen=True, slots=True)
class Tls:
    """What a listener shows: ``fingerprint`` is the SHA-256 of the certificate (DER)."""

    fingerprint: bytes
    context: ssl.SSLContext


def make_certificate(key: SigningKey, now: UnixMs) -> x509.Certificate:
    """A certificate of ``key`` by itself; the same key and time give the same bytes."""
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fangzhi peer")])
    serial = int.from_bytes(hashlib.sha256(key.public).digest()[:16], "big") >> 1 | 1
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(datetime.fromtimestamp(now // 1000, UTC) - timedelta(days=1))
        .not_valid_after(_FOREVER)
        .sign(private, algorithm=None)
    )


def make_tls(folder: Path, random_bytes: Callable[[int], bytes], now: UnixMs) -> bytes:
    """Write ``tls.pem`` and ``tls.crt`` into ``folder``; the fingerprint.

    Raises:
        ConfigError: there is a key already; it is never overwritten.
    """
    key = SigningKey.from_seed(random_bytes(32))
    certificate = make_certificate(key, now)
    save_key(folder / "tls.pem", key)
    write_file(folder / "tls.crt", certificate.public_bytes(Encoding.PEM), mode=0o644)
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def load_tls(folder: Path) -> Tls:
    """What ``folder`` holds, ready to listen with; TLS 1.3 and nothing older.

    Raises:
        ConfigError: a file is missing or unreadable, or key and certificate do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a link lasts; nobody resumes one
    try:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.pem")
        certificate = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(str(folder), "tls.crt and its key tls.pem", error) from error
    return Tls(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest(), context)


def web_context(certificate: str, private_key: str) -> ssl.SSLContext | None:
    """TLS for the web listener from two PEM files; None (plain HTTP) when there are none.

    Raises:
        ConfigError: a file is missing or unreadable, or they do not match.
    """
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ValueError) as error:
        raise ConfigError("node.toml [web]", "a certificate and its key in PEM", error) from error
    return context
