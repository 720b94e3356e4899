"""Which HTTP status and which exit status does an error have?  The one table of both.

Over HTTP an error travels as a problem document (RFC 9457) with the error's stable ``code``; the
command line makes the same error of it again, so both ends speak of one thing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from node.office.answers import Finding
from protocol import errors
from protocol.errors import FangzhiError

MEDIA_TYPE: Final = "application/problem+json"

# class: (HTTP status, exit status); a class without a row has its nearest ancestor's
TABLE: Final[dict[type[FangzhiError], tuple[int, int]]] = {
    errors.FangzhiError: (500, 3),
    errors.WireError: (502, 3),
    errors.DecodeError: (400, 2),
    errors.AuthError: (401, 3),
    errors.ProofError: (422, 1),
    errors.ForkError: (409, 1),
    errors.LostTailError: (409, 1),
    errors.KeyMismatch: (422, 1),
    errors.StoreError: (500, 3),
    errors.Missing: (404, 3),
    errors.Full: (507, 3),
    errors.Locked: (503, 3),
    errors.Rejected: (422, 1),
    errors.Forbidden: (403, 1),
    errors.ConfigError: (400, 2),
    errors.Unavailable: (503, 3),
}
_CLASSES: Final[dict[str, type[FangzhiError]]] = {
    cls.code: cls
    for cls in vars(errors).values()
    if isinstance(cls, type) and issubclass(cls, FangzhiError)
}


def http_status(error: FangzhiError) -> int:
    return _row(type(error))[0]


def exit_status(error: FangzhiError) -> int:
    """1: the thing checked does not hold; 2: wrong use; 3: could not reach or read."""
    return _row(type(error))[1]


def problem_document(error: FangzhiError, status: int | None = None) -> dict[str, Any]:
    """The members of the problem document; ``findings`` are there when the error carries some."""
    status = status or http_status(error)
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(error),
        "code": error.code,
        "where": error.where,
        "expected": error.expected,
        "got": str(error.got),
    }
    if isinstance(error.got, tuple) and all(isinstance(found, Finding) for found in error.got):
        document["got"] = f"{len(error.got)} findings"
        document["detail"] = f"{error.where}: expected {error.expected}, got {document['got']}"
        document["findings"] = [
            {name: getattr(found, name) for name in Finding.__slots__} for found in error.got
        ]
    return document


def error_from(document: dict[str, Any]) -> FangzhiError:
    """The error that a problem document tells of; one of an unknown code is a FangzhiError."""
    cls = _CLASSES.get(str(document.get("code")), FangzhiError)
    got: object = str(document.get("got", document.get("status", "")))
    if findings := document.get("findings"):
        names = Finding.__slots__
        got = tuple(Finding(*(str(found.get(name, "")) for name in names)) for found in findings)
    where = str(document.get("where", "answer"))
    return cls(where, str(document.get("expected", "no problem")), got)


def _row(cls: type[FangzhiError]) -> tuple[int, int]:
    return next(TABLE[base] for base in cls.__mro__ if base in TABLE)
