"""What can go wrong, as types.

FangzhiError
├── WireError          the other side said something it must not say
│   ├── DecodeError    bytes that are not canonical, too long, of a wrong shape
│   └── AuthError      a stranger, a revoked key, a replay, a bad signature on a hello
├── ProofError         evidence does not hold (hash, proof, signature, rule of the log)
│   ├── ForkError      two signed histories of one log
│   └── LostTailError  by a closed key, beyond where the roster closed it
├── KeyMismatch        keys that do not open what they are shown
├── StoreError
│   ├── Missing        nothing under that name
│   ├── Corrupt        what is stored is not what was stored
│   ├── Full           no room; nothing was kept
│   ├── Locked         another process has this home
│   └── Fatal          a sync failed: what is durable is unknown, the process must end (law 1)
├── Rejected           what was handed in cannot be accepted; carries findings
├── Forbidden          the rights of the item or the role of the asker do not allow it
├── ConfigError        the operator's file or arguments
└── Unavailable        not now: retry later, or through another node

Every error says ``where: expected X, got Y`` and owns a stable ``code``.  One table in
``node/faces/problem.py`` turns classes into HTTP statuses and exit statuses.
"""

from __future__ import annotations

from typing import ClassVar


class FangzhiError(Exception):
    """Base of every error that fangzhi raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, where: str, expected: str, got: object) -> None:
        super().__init__(where, expected, got)
        self.where = where
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


class WireError(FangzhiError):
    code = "wire"


class DecodeError(WireError):
    code = "wire.decode"


class AuthError(WireError):
    code = "wire.auth"


class ProofError(FangzhiError):
    code = "proof"


class ForkError(ProofError):
    code = "proof.fork"


class LostTailError(ProofError):
    code = "proof.tail"


class KeyMismatch(FangzhiError):
    code = "key.mismatch"


class StoreError(FangzhiError):
    code = "store"


class Missing(StoreError):
    code = "store.missing"


class NoImage(Missing):
    """The page has none: it could not be drawn, or no file shows it."""

    code = "store.missing.image"


class Corrupt(StoreError):
    code = "store.corrupt"


class Full(StoreError):
    code = "store.full"


class Locked(StoreError):
    code = "store.locked"


class Fatal(StoreError):
    code = "store.fatal"


class Rejected(FangzhiError):
    code = "rejected"


class Forbidden(FangzhiError):
    code = "forbidden"


class ConfigError(FangzhiError):
    code = "config"


class Unavailable(FangzhiError):
    code = "unavailable"
