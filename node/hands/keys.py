"""The private keys of a home: PEM files of mode 0600, one purpose each.

Trusted with: ``event`` signs what an office says, ``log`` its checkpoints, ``witness`` what it
saw of others, ``mirror`` what it durably holds of others, ``seal`` opens what was sealed for the
office, ``tls`` who answers at its address,
``root`` who belongs, ``users/`` what a named person says for the office.  Loss: an office whose
keys are lost is admitted again with new ones; a lost root key below the threshold ends the
network's changes, so root keys are kept offline, in two places.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node.hands.storage.durable import commit_directory, make_directory, write_file
from protocol.errors import ConfigError, Missing
from protocol.ids import OfficeCode, parse_office
from protocol.keys import SigningKey, key_id

PURPOSES: Final = ("log", "witness", "mirror", "event")
USERS: Final = "users"


@dataclass(frozen=True, slots=True)
class OfficeKeys:
    """The four signing keys of one office, of one generation."""

    code: OfficeCode
    log: SigningKey
    witness: SigningKey
    mirror: SigningKey
    event: SigningKey


def make_office_keys(code: OfficeCode, random_bytes: Callable[[int], bytes]) -> OfficeKeys:
    return OfficeKeys(code, *(SigningKey.from_seed(random_bytes(32)) for _ in PURPOSES))


def save_office_keys(folder: Path, keys: OfficeKeys) -> Path:
    """Keep ``keys`` as the next generation of their office; where they are.

    A crash leaves the whole generation or, beside it, a folder that nobody reads.
    """
    number = max((number for number, _ in _generations(folder, keys.code)), default=0) + 1
    staged, final = folder / f"{keys.code}.new", folder / f"{keys.code}.{number}"
    shutil.rmtree(staged, ignore_errors=True)  # left by a crash
    make_directory(staged)
    for purpose in PURPOSES:
        save_key(staged / f"{purpose}.pem", getattr(keys, purpose))
    commit_directory(staged, final)
    return final


def load_office_keys(folder: Path) -> dict[OfficeCode, tuple[OfficeKeys, ...]]:
    """Every office that has keys in ``folder``, ordered by code: its generations, oldest first.

    Raises:
        Missing: a generation that lacks a key.
        ConfigError: one that cannot be read.
    """
    codes = sorted({parse_office(path.name[:6]) for path in folder.glob("??????.*[0-9]")})
    return {
        code: tuple(
            OfficeKeys(code, *(load_key(path / f"{purpose}.pem") for purpose in PURPOSES))
            for _, path in _generations(folder, code)
        )
        for code in codes
    }


def _generations(folder: Path, code: OfficeCode) -> list[tuple[int, Path]]:
    return sorted(
        (int(path.suffix[1:]), path)
        for path in folder.glob(f"{code}.*")
        if path.suffix[1:].isdecimal()
    )


@dataclass(frozen=True, slots=True)
class HomeKeys:
    """The keys of a node, in ``keys/`` of its home."""

    folder: Path

    def offices(self) -> dict[OfficeCode, tuple[OfficeKeys, ...]]:
        return load_office_keys(self.folder)

    def user(self, user: bytes) -> SigningKey:
        return load_key(self.folder / USERS / f"{user.hex()}.pem")

    def keep_user(self, key: SigningKey) -> None:
        make_directory(self.folder / USERS)
        save_key(self.folder / USERS / f"{key_id(key.public).hex()}.pem", key)

    def sealing(self, code: OfficeCode) -> tuple[bytes, ...]:
        return tuple(load_sealing_key(path) for _, path in self._sealing_files(code))

    def keep_sealing(self, code: OfficeCode, private: bytes) -> None:
        number = max((number for number, _ in self._sealing_files(code)), default=0) + 1
        save_sealing_key(self.folder / f"{code}.seal.{number}.pem", private)

    def _sealing_files(self, code: OfficeCode) -> list[tuple[int, Path]]:
        found = self.folder.glob(f"{code}.seal.*.pem")
        return sorted((int(path.name.split(".")[2]), path) for path in found)


def save_key(path: Path, key: SigningKey) -> None:
    if path.exists():
        raise ConfigError(str(path), "no such file yet (keys are never overwritten)", "one")
    pem = Ed25519PrivateKey.from_private_bytes(key.seed).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    write_file(path, pem, mode=0o600)


def save_sealing_key(path: Path, private: bytes) -> None:
    """
    Raises:
        ConfigError: there is such a file.
    """
    if path.exists():
        raise ConfigError(str(path), "no such file yet (keys are never overwritten)", "one")
    pem = X25519PrivateKey.from_private_bytes(private).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    write_file(path, pem, mode=0o600)


def load_sealing_key(path: Path) -> bytes:
    """
    Raises:
        Missing: no such file.
        ConfigError: not an X25519 private key in PEM.
    """
    key = _load(path, "X25519")
    if not isinstance(key, X25519PrivateKey):
        raise ConfigError(str(path), "an X25519 key", type(key).__name__)
    return key.private_bytes_raw()


def load_key(path: Path) -> SigningKey:
    """
    Raises:
        Missing: no such file.
        ConfigError: not an Ed25519 private key in PEM.
    """
    key = _load(path, "Ed25519")
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(str(path), "an Ed25519 key", type(key).__name__)
    return SigningKey.from_seed(key.private_bytes_raw())


def _load(path: Path, kind: str) -> object:
    try:
        return load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as error:
        raise Missing(str(path), "a private key", "no such file") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(str(path), f"an unencrypted {kind} key in PEM", str(error)) from error
