"""The private keys of a home: PEM files of mode 0600, one purpose each.

Trusted with: ``event`` signs what an office says, ``log`` its checkpoints, ``witness`` what it
saw of others, ``mirror`` what it durably holds of others, ``tls`` who answers at its address,
``root`` who belongs.  Loss: an office whose keys are lost is admitted again with new ones; a lost
root key below the threshold ends the network's changes, so root keys are kept offline, in two
places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.hands.storage.durable import write_file
from protocol.errors import ConfigError, Missing
from protocol.ids import OfficeCode, parse_office
from protocol.keys import SigningKey

PURPOSES: Final = ("log", "witness", "mirror", "event")


@dataclass(frozen=True, slots=True)
class OfficeKeys:
    """The four signing keys of one office."""

    code: OfficeCode
    log: SigningKey
    witness: SigningKey
    mirror: SigningKey
    event: SigningKey


def make_office_keys(code: OfficeCode, random_bytes: Callable[[int], bytes]) -> OfficeKeys:
    return OfficeKeys(code, *(SigningKey.from_seed(random_bytes(32)) for _ in PURPOSES))


def save_office_keys(folder: Path, keys: OfficeKeys) -> None:
    """
    Raises:
        ConfigError: keys of this office are there already; they are never overwritten.
    """
    for purpose in PURPOSES:
        save_key(folder / f"{keys.code}.{purpose}.pem", getattr(keys, purpose))


def load_office_keys(folder: Path) -> dict[OfficeCode, OfficeKeys]:
    """Every office that has keys in ``folder``, ordered by code."""
    codes = sorted(parse_office(path.name[:6]) for path in folder.glob("*.event.pem"))
    return {
        code: OfficeKeys(
            code,
            *(load_key(folder / f"{code}.{purpose}.pem") for purpose in PURPOSES),
        )
        for code in codes
    }


def save_key(path: Path, key: SigningKey) -> None:
    if path.exists():
        raise ConfigError(str(path), "no such file yet (keys are never overwritten)", "one")
    pem = Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    write_file(path, pem, mode=0o600)


def load_key(path: Path) -> SigningKey:
    """
    Raises:
        Missing: no such file.
        ConfigError: not an Ed25519 private key in PEM.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as error:
        raise Missing(str(path), "a private key", "no such file") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(str(path), "an unencrypted Ed25519 key in PEM", str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(str(path), "an Ed25519 key", type(key).__name__)
    return SigningKey.from_seed(key.private_bytes_raw())
