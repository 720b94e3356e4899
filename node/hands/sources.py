"""Where an auditor reads: a folder made by ``fangzhi export``, or a node's HTTP address."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from ledger.evidence import Evidence
from ledger.proof import Proof
from ledger.tiles import bundle_path, tile_path
from protocol.errors import ConfigError, DecodeError, Missing, Unavailable
from protocol.ids import BlobId, parse_office
from protocol.limits import (
    EVIDENCE_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    NOTE_BYTES_MAX,
    PROOF_BYTES_MAX,
    KiB,
    MiB,
)

_ANSWER_BYTES_MAX: Final = 32 * MiB  # a bundle of 256 entries of 65,535 bytes is half of it
_SECONDS_MAX: Final = 30.0
_SNAPSHOT_ROUNDS_MAX: Final = 10
_Exhibits = tuple[list[tuple[str, str]], list[tuple[str, int]]]  # forks, lost tails, by office


@dataclass(frozen=True, slots=True)
class FolderSource:
    """LogSource over an exported folder: ``log/<code>/…``, ``manifest/<hash>``,
    ``witness/<code of the witness>/<code of the log>``, ``evidence/<code>/<SHA-256>/…``,
    ``evidence/<code>/lost/…``."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / "log").is_dir():
            raise ConfigError(str(self.root), "a folder made by fangzhi export", "no log/ in it")

    def offices(self) -> list[str]:
        return sorted(path.name for path in (self.root / "log").iterdir() if path.is_dir())

    def witnessed(self, code: str, _origin: str) -> dict[str, bytes]:
        """What witnesses keep of a log, by the code of the witness; the last known of lost tails,
        by the file."""
        paths = self._paths(f"witness/*/{parse_office(code)}")
        lost = self._paths(f"evidence/{parse_office(code)}/lost/*.checkpoint")
        kept = {path.parent.name: path for path in paths} | {
            f"lost {path.stem}": path for path in lost
        }
        return {name: self._read(str(path), NOTE_BYTES_MAX) for name, path in kept.items()}

    def evidence(self) -> list[tuple[str, bytes]]:
        """(office, evidence), as it is given."""
        found: list[tuple[str, bytes]] = []
        for path in self._paths("evidence/*/*/a.checkpoint"):
            with suppress(Missing, DecodeError):
                office = parse_office(path.parts[1])
                found.append((office, _evidence(partial(self._read_beside, path.parent))))
        return found

    def checkpoint(self, code: str) -> bytes:
        return self._read(f"log/{parse_office(code)}/checkpoint", NOTE_BYTES_MAX)

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        path = tile_path(level, number, width)
        return self._read(f"log/{parse_office(code)}/{path}", _ANSWER_BYTES_MAX)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        path = bundle_path(number, width)
        return self._read(f"log/{parse_office(code)}/{path}", _ANSWER_BYTES_MAX)

    def manifest(self, blob: BlobId) -> bytes:
        return self._read(f"manifest/{blob.hex}", MANIFEST_BYTES_MAX)

    def places_of(self, _sha256: str) -> None:
        """A folder has no index: every log is searched."""

    def _paths(self, pattern: str) -> list[Path]:
        return sorted(path.relative_to(self.root) for path in self.root.glob(pattern))

    def _read_beside(self, folder: Path, name: str) -> bytes:
        return self._read(str(folder / name), EVIDENCE_BYTES_MAX)

    def _read(self, name: str, bytes_max: int) -> bytes:
        path = self.root / name
        try:
            with path.open("rb") as file:
                data = file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Missing(str(path), "a file of the export", "nothing") from error
        except OSError as error:
            raise Unavailable(str(path), "a readable file", error.strerror) from error
        if len(data) > bytes_max:
            raise Missing(str(path), f"at most {bytes_max} bytes", "more")
        return data


class HttpSource:
    """LogSource over the endpoints of a node, as of one moment.

    Events of one log name places in others, so all checkpoints are taken together before anything
    is read: rounds are repeated until two agree.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(url, "http(s)://host[:port]", "something else")
        self._parts = parts
        self._connection: http.client.HTTPConnection | None = None
        self._checkpoints: dict[str, bytes] = {}
        self._listed: _Exhibits | None = None

    def offices(self) -> list[str]:
        return sorted(self._snapshot())

    def checkpoint(self, code: str) -> bytes:
        try:
            return self._snapshot()[code]
        except KeyError as error:
            raise Missing(f"log {code}", "a checkpoint", "none at this node") from error

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        return self._get(f"/log/{parse_office(code)}/{tile_path(level, number, width)}")

    def bundle(self, code: str, number: int, width: int) -> bytes:
        return self._get(f"/log/{parse_office(code)}/{bundle_path(number, width)}")

    def witnessed(self, code: str, origin: str) -> dict[str, bytes]:
        """What the node itself keeps as a witness of a log, and the last known of lost tails."""
        name = sha256(origin.encode()).hexdigest()
        kept = {}
        with suppress(Missing):
            kept[""] = self._get(f"/witness/{name}/checkpoint")
        for office, at in self._exhibits()[1]:
            if office == code:
                with suppress(Missing):
                    kept[f"lost {at}"] = self._get(f"/evidence/{code}/lost/{at}.checkpoint")
        return kept

    def evidence(self) -> list[tuple[str, bytes]]:
        """(office, evidence), as it is given."""
        found: list[tuple[str, bytes]] = []
        for office, name in self._exhibits()[0]:
            folder = f"/evidence/{office}/{name}"
            with suppress(Missing):
                found.append((office, _evidence(lambda each: self._get(f"{folder}/{each}"))))  # noqa: B023 (called at once)
        return found

    def _exhibits(self) -> _Exhibits:
        """What the node lists."""
        if self._listed is None:
            path = "/api/v1/evidence"
            try:
                told = json.loads(self._get(path))
                self._listed = (
                    [
                        (parse_office(e["office"]), BlobId.parse(e["evidence"]).hex)
                        for e in told["forks"]
                    ],
                    [
                        (parse_office(e["office"]), int(e["closed_at"]))
                        for e in told["lost_tails"]
                        if e["file"]
                    ],
                )
            except (ValueError, KeyError, TypeError, DecodeError) as error:
                raise Unavailable(path, "a list of evidence", "something else") from error
        return self._listed

    def manifest(self, blob: BlobId) -> bytes:
        return self._get(f"/api/v1/manifests/{blob.hex}")

    def places_of(self, sha256: str) -> list[tuple[str, int]] | None:
        """Where the node says the events about a file's items stand, and the anchors of their logs;
        None when it does not know."""
        try:
            records = json.loads(self._get(f"/api/v1/files/{quote(sha256)}/records"))["records"]
            names = sorted({quote(record["item"]) for record in records})
            items = [json.loads(self._get(f"/api/v1/items/{name}")) for name in names]
        except Missing:
            return None
        events = [event for item in items for event in item["events"]]
        places = [(event["office"], event["index"]) for event in events]
        places += [(e["office"], e["enrolled"]) for e in events if e["enrolled"] is not None]
        for name in names:
            with suppress(Missing, Unavailable, DecodeError):  # not all of it can be proven yet
                proof = Proof.decode(self._get(f"/api/v1/items/{name}/proof"))
                places += [(code, anchor.index) for code, anchor in proof.anchors.items()]
        return places

    def _snapshot(self) -> dict[str, bytes]:
        if not self._checkpoints:
            last: dict[str, bytes] | None = None
            for _ in range(_SNAPSHOT_ROUNDS_MAX):
                now = self._round()
                if now == last:
                    break
                last = now
            self._checkpoints = last or {}
        return self._checkpoints

    def _round(self) -> dict[str, bytes]:
        found = {}
        for office in json.loads(self._get("/api/v1/offices"))["offices"]:
            try:
                found[office["code"]] = self._get(f"/log/{parse_office(office['code'])}/checkpoint")
            except Missing:
                continue  # an office that has not written anything yet
        return found

    def _get(self, path: str) -> bytes:
        """One request on the kept connection, once more on a new one if that was closed."""
        for attempt in range(2):
            try:
                connection = self._connection or self._connect()
                connection.request("GET", self._parts.path.rstrip("/") + path)
                answer = connection.getresponse()
                data = answer.read(_ANSWER_BYTES_MAX + 1)
            except (OSError, http.client.HTTPException) as error:
                self._connection = None
                if attempt:
                    where = self._parts.geturl()
                    raise Unavailable(where, "a node that answers", error) from error
            else:
                return self._checked(path, answer.status, data)
        raise AssertionError("unreachable")

    def _checked(self, path: str, status: int, data: bytes) -> bytes:
        if status == 200 and len(data) <= _ANSWER_BYTES_MAX:
            return data
        if status in (404, 403):
            raise Missing(path, "something under this name", f"HTTP {status}")
        raise Unavailable(path, "an answer", f"HTTP {status}, {len(data)} bytes")

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(
                host, port, timeout=_SECONDS_MAX, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=_SECONDS_MAX)
        return self._connection


def _evidence(read: Callable[[str], bytes]) -> bytes:
    """The two objects of one folder of evidence as one (docs/spec/evidence.md).

    Raises:
        Missing: one is not there, or they are too long together.
    """
    a = read("a.checkpoint")
    try:
        b = read("b.checkpoint")
    except Missing:
        b = read("b.tlog-proof")
    if len(a) + len(b) > EVIDENCE_BYTES_MAX - KiB:
        raise Missing("evidence", f"at most {EVIDENCE_BYTES_MAX} bytes", len(a) + len(b))
    return Evidence(a, b).encoded()


def open_source(target: str) -> FolderSource | HttpSource:
    """A folder or a URL.

    Raises:
        ConfigError: neither.
    """
    if target.startswith(("http://", "https://")):
        return HttpSource(target)
    return FolderSource(Path(target))


def proof_in(folder: Path) -> Proof:
    """The proof in a folder.

    Raises:
        ConfigError: the folder cannot be read.
        Missing, DecodeError: it holds no proof, or one too large.
    """
    files: dict[str, bytes] = {}
    left = PROOF_BYTES_MAX
    try:
        for path in sorted(folder.iterdir()):
            with path.open("rb") as file:
                files[path.name] = file.read(left + 1)
            left -= len(files[path.name])
            if left < 0:
                raise DecodeError(str(folder), f"at most {PROOF_BYTES_MAX} bytes", "more")
    except OSError as error:
        raise ConfigError(str(folder), "a folder of a proof", error.strerror) from error
    return Proof.of_files(files)
