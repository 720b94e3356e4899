"""Where an auditor reads: a folder made by ``fangzhi export``, or a node's HTTP address."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from ledger.proof import Proof
from ledger.tiles import bundle_path, tile_path
from protocol.errors import ConfigError, DecodeError, Missing, Unavailable
from protocol.ids import BlobId, parse_office
from protocol.limits import MANIFEST_BYTES_MAX, NOTE_BYTES_MAX, PROOF_BYTES_MAX, MiB

_ANSWER_BYTES_MAX: Final = 32 * MiB  # a bundle of 256 entries of 65,535 bytes is half of it
_SECONDS_MAX: Final = 30.0
_SNAPSHOT_ROUNDS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class FolderSource:
    """LogSource over an exported folder: ``log/<code>/…``, ``manifest/<hash>``,
    ``witness/<code of the witness>/<code of the log>``."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / "log").is_dir():
            raise ConfigError(str(self.root), "a folder made by fangzhi export", "no log/ in it")

    def offices(self) -> list[str]:
        return sorted(path.name for path in (self.root / "log").iterdir() if path.is_dir())

    def witnessed(self, code: str, _origin: str) -> dict[str, bytes]:
        """What witnesses keep of a log, by the code of the witness."""
        return {
            path.parent.name: self._read(str(path.relative_to(self.root)), NOTE_BYTES_MAX)
            for path in self.root.glob(f"witness/*/{parse_office(code)}")
        }

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

    def witnessed(self, _code: str, origin: str) -> dict[str, bytes]:
        """What the node itself keeps as a witness of a log."""
        name = sha256(origin.encode()).hexdigest()
        with suppress(Missing):
            return {"": self._get(f"/witness/{name}/checkpoint")}
        return {}

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
        places = [(e["office"], e["index"]) for item in items for e in item["events"]]
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
