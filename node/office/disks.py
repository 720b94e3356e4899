"""Items that travel on a disk (报送盘): what is on it, signed by its office, and taking it in.

The office signs one statement: the events as its log has them or will have them, and every file
with its hash.  The receiving node believes the statement's signature by the roster, stores the
files, and waits for the log: what the custodian then wants is here already, so nothing is fetched
twice and nothing is recorded twice.  docs/spec/disk.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger import views
from ledger.custody import SealMake
from ledger.events import TextDerive, VersionUpload, draft_event, read_draft
from ledger.genesis import Genesis
from ledger.roster import Roster
from ledger.views import facts
from node.hands.ingest.carriers.carried import CarriedFile
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import find, read_whole, record
from node.office.sequencer import waiting_drafts
from protocol.errors import DecodeError, Forbidden, Missing, ProofError, Rejected
from protocol.ids import BlobId, OfficeCode, parse_item, parse_office
from protocol.keys import key_id, verify
from protocol.limits import (
    CHUNK_BYTES,
    FILES_PER_PACKAGE_MAX,
    MANIFEST_BYTES_MAX,
    SEAL_BYTES_MAX,
    STATEMENT_BYTES_MAX,
)
from protocol.ports import BlobStore, Reader
from protocol.records import Manifest, decode_json, encode_json, parse_manifest
from protocol.sealing import parse_seal

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]

FORMAT: Final = "fangzhi/disk/1"
DOMAIN: Final = b"fangzhi/disk/v1\n"
STATEMENT: Final = "fangzhi/statement.json"
DISK: Final = "disk"  # table of the ledger store: item, manifest -> the statement that brought it
_WHERE: Final = "disk"
_PAYLOAD: Final = "data/"
_CARRIED: Final = (VersionUpload, TextDerive, SealMake)


@dataclass(frozen=True, slots=True)
class DiskFile:
    path: str  # on the disk
    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What an office says of a disk."""

    network: str  # genesis id, hexadecimal
    office: OfficeCode
    item: str
    made: int  # ms, claimed
    upload: VersionUpload
    others: tuple[TextDerive | SealMake, ...]
    files: tuple[DiskFile, ...]

    def encoded(self) -> bytes:
        return encode_json(
            {
                "events": [draft_event(body).hex() for body in (self.upload, *self.others)],
                "files": [[file.path, file.blob.hex, file.size] for file in self.files],
                "format": FORMAT,
                "item": self.item,
                "made": self.made,
                "network": self.network,
                "office": self.office,
            }
        )


class Disks:
    """``sealed`` is the store that has the sealed copies of own files, too."""

    def __init__(
        self,
        world: World,
        sealed: BlobStore,
        genesis: Genesis,
        keys: Mapping[OfficeCode, OfficeKeys],
        roster: Callable[[], Roster],
        changed: Callable[[frozenset[str]], None],
    ) -> None:
        self._world = world
        self._sealed = sealed
        self._genesis = genesis
        self._keys = keys
        self._roster = roster
        self._changed = changed

    # making one

    async def pack(self, typed: str) -> tuple[bytes, Statement, Manifest]:
        """The signed statement of an own item's newest revision, also of one that still waits for
        the log; its files are read with :meth:`read`.

        Raises:
            Missing: no such item here.
            Rejected: it may leave only sealed, and is not sealed yet.
        """
        item = parse_item(typed)
        with self._world.state.read() as state, self._world.ledger.read() as ledger:
            office, bodies = self._bodies(state, ledger, item)
            uploads = [body for body in bodies if isinstance(body, VersionUpload)]
            manifest = record(state, uploads[-1].manifest) if uploads else None
        if manifest is None:
            raise Missing("item", "one that was reported here", item)
        upload = uploads[-1]
        others = tuple(
            body
            for body in bodies
            if isinstance(body, TextDerive | SealMake) and body.manifest == upload.manifest
        )
        made = self._world.clock.now()
        files = tuple(await self._files(upload, others, manifest))
        network = self._genesis.id.hex
        statement = Statement(network, office, item, made, upload, others, files)
        signer, text = self._keys[office].event, statement.encoded()
        signed = {
            "signature": signer.sign(DOMAIN + text).hex(),
            "signer": key_id(signer.public).hex(),
            "statement": decode_json(text, bytes_max=STATEMENT_BYTES_MAX, where=_WHERE),
        }
        return encode_json(signed), statement, manifest

    async def pieces(self, file: DiskFile) -> AsyncIterator[bytes]:
        """The bytes of a file of a disk; of a sealed copy made as it is read."""
        for offset in range(0, file.size, CHUNK_BYTES):
            yield await self._sealed.read(file.blob, offset, CHUNK_BYTES)

    def _bodies(self, state: Reader, ledger: Reader, item: str) -> tuple[OfficeCode, list[object]]:
        """Who owns the item, and what the log says of it, then what waits for the log."""
        view, bodies = find(state, item), list[object]()
        owner = OfficeCode(item[:6] if view is None else self._roster().heir(view.owner))
        if owner not in self._keys:
            raise Forbidden(f"disk of {item}", f"its owner {owner}", sorted(self._keys))
        for fact in facts(state, item) if view else ():
            body = fact.read_body()
            if fact.ref.origin == owner and isinstance(body, _CARRIED):
                bodies.append(body)
        for draft in waiting_drafts(ledger, owner):
            body = read_draft(draft)
            if isinstance(body, _CARRIED) and body.item == item:
                bodies.append(body)
        return owner, bodies

    async def _files(
        self, upload: VersionUpload, others: tuple[TextDerive | SealMake, ...], manifest: Manifest
    ) -> list[DiskFile]:
        tags = [("manifest.json", upload.manifest)]
        tags += [("report.json", upload.report)] if upload.report else []
        with self._world.state.read() as reader:
            view = find(reader, upload.item)
        if manifest.rights == "open":
            texts = [body for body in others if isinstance(body, TextDerive)]
            tags += [("pages.jsonl", body.pages_blob) for body in texts]
            payload = [DiskFile(_PAYLOAD + f.path, f.sha256, f.size) for f in manifest.files]
        elif view is not None and view.seal and view.wraps and view.manifest == upload.manifest:
            tags += [("seal.json", view.seal), ("wraps.json", view.wraps)]
            record_of_seals = await read_whole(self._world.blobs, view.seal, SEAL_BYTES_MAX)
            payload = [
                DiskFile(_PAYLOAD + file.sealed.hex, file.sealed, file.size)
                for file in parse_seal(record_of_seals)
            ]
        else:
            expected = "sealed copies, for this class leaves its owner only encrypted (加密保管)"
            got = "none yet: they are made once the parent has confirmed this node"
            raise Rejected(f"disk of {upload.item}", expected, got)
        sizes = [(name, blob, self._world.blobs.size(blob)) for name, blob in tags]
        if absent := [name for name, _, size in sizes if size is None]:
            raise Missing(f"disk of {upload.item}", "its record here", ", ".join(absent))
        return [*(DiskFile(f"fangzhi/{n}", b, size or 0) for n, b, size in sizes), *payload]

    # taking one in

    async def receive(self, files: Mapping[str, CarriedFile], progress: Progress) -> Json:
        """Store what a disk brings, whose files by path are ``files``; who has the item's log
        already gives the item its place there, else it waits for the log.

        Returns ``{item, office, manifest, status, log_index, files, stored}``; ``status`` is
        ``registered`` (the log says the same), ``waiting``, or ``superseded`` (the log has a
        later revision).

        Raises:
            ProofError: the statement is not signed by the office, or a file is not what it says.
            Forbidden: this node is neither the office nor above it.
            Rejected: files that the statement does not name, or a sealed item in the clear.
        """
        text = await self._whole(files, STATEMENT, STATEMENT_BYTES_MAX)
        statement = self.open_statement(text)
        self._expect_keeper(statement)
        strange = sorted(set(_payload(files)) - {file.path for file in statement.files})
        if strange:
            raise Rejected(_WHERE, "the files of its statement and no others", strange[:3])
        manifest = parse_manifest(
            await self._whole(files, "fangzhi/manifest.json", MANIFEST_BYTES_MAX)
        )
        _check_manifest(statement, manifest)
        stored, total = 0, sum(file.size for file in statement.files)
        done = 0
        for file in statement.files:
            progress(file.path, done, total)
            stored += await self._take(files, file)
            done += file.size
        key = statement.item.encode() + statement.upload.manifest.raw
        await self._world.ledger.write(lambda writer: writer.put(DISK, key, text))
        self._changed(frozenset({statement.item}))
        status, index = self._state(statement.item, statement.upload.manifest)
        return {
            "item": statement.item,
            "office": statement.office,
            "manifest": statement.upload.manifest.hex,
            "status": status,
            "log_index": index,
            "files": len(statement.files),
            "stored": stored,
        }

    def waiting(self) -> list[str]:
        """Items that came on a disk and are in no log yet."""
        with self._world.ledger.read() as reader:
            keys = [(key[:-32].decode(), BlobId(key[-32:])) for key, _ in reader.scan(DISK)]
        return sorted({item for item, manifest in keys if self._state(item, manifest)[1] is None})

    def open_statement(self, data: bytes) -> Statement:
        """The statement in ``data``, signed by the present key of an office of this network."""
        signed = decode_json(data, bytes_max=STATEMENT_BYTES_MAX, where=_WHERE)
        try:
            fields = signed["statement"]
            statement = _statement(fields)
            signature, signer = bytes.fromhex(signed["signature"]), bytes.fromhex(signed["signer"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DecodeError(_WHERE, "its fields", repr(error)[:80]) from error
        if statement.encoded() != encode_json(fields) or len(signed) != 3:
            raise DecodeError(_WHERE, "its canonical fields and no others", "another spelling")
        if statement.network != self._genesis.id.hex:
            raise ProofError(_WHERE, f"network {self._genesis.network}", "another network")
        member = self._roster().member(statement.office)
        if member.revoked or key_id(member.event_key) != signer:
            raise ProofError(_WHERE, f"the present event key of {member.code}", signer.hex())
        verify(member.event_key, DOMAIN + statement.encoded(), signature, _WHERE)
        return statement

    def _state(self, item: str, manifest: BlobId) -> tuple[str, int | None]:
        with self._world.state.read() as reader:
            view = find(reader, item)
            if view is not None and view.manifest == manifest:
                return "registered", view.upload.index
            try:
                known = views.item_of_manifest(reader, manifest) == item
            except Missing:
                known = False
        if known and view is not None:
            return "superseded", view.upload.index
        return "waiting", None

    def _expect_keeper(self, statement: Statement) -> None:
        roster, owner = self._roster(), statement.office
        if not any(code == owner or roster.is_above(code, owner) for code in self._keys):
            raise Forbidden(
                f"disk of {owner}", f"{owner} or an office above it", sorted(self._keys)
            )

    async def _take(self, files: Mapping[str, CarriedFile], file: DiskFile) -> bool:
        """Whether the file was not here before."""
        if self._world.blobs.size(file.blob) == file.size:
            return False
        carried = files.get(file.path)
        if carried is None or carried.size != file.size:
            got = "no such file" if carried is None else f"{carried.size} bytes"
            raise ProofError(f"{_WHERE}: {file.path}", f"{file.size} bytes", got)
        await self._world.blobs.put(self._stream(carried), expect=file.blob)
        return True

    async def _whole(self, files: Mapping[str, CarriedFile], path: str, bytes_max: int) -> bytes:
        if path not in files:
            raise Missing(_WHERE, f"a disk made by fangzhi pack, with {path}", "none")
        if files[path].size > bytes_max:
            raise DecodeError(f"{_WHERE}: {path}", f"at most {bytes_max} bytes", files[path].size)
        return b"".join([piece async for piece in self._stream(files[path])])

    async def _stream(self, file: CarriedFile) -> AsyncIterator[bytes]:
        pieces = file.pieces()
        while piece := await self._world.work.run(next, pieces, b""):
            yield piece


def _payload(files: Mapping[str, CarriedFile]) -> list[str]:
    return [path for path in files if path.startswith(_PAYLOAD)]


def _statement(fields: Json) -> Statement:
    if fields["format"] != FORMAT:
        raise DecodeError(_WHERE, FORMAT, repr(fields["format"])[:40])
    upload, *rest = [read_draft(bytes.fromhex(draft)) for draft in fields["events"]]
    others = tuple(body for body in rest if isinstance(body, TextDerive | SealMake))
    if not isinstance(upload, VersionUpload) or len(others) < len(rest):
        expected = "version.upload, then text.derive, seal.make"
        raise DecodeError(f"{_WHERE}.events", expected, "others")
    files = tuple(
        DiskFile(path, BlobId.parse(sha256), size) for path, sha256, size in fields["files"]
    )
    if len(files) > FILES_PER_PACKAGE_MAX + 8:
        raise DecodeError(f"{_WHERE}.files", f"at most {FILES_PER_PACKAGE_MAX}", len(files))
    office, item = parse_office(fields["office"]), parse_item(fields["item"])
    return Statement(fields["network"], office, item, int(fields["made"]), upload, others, files)


def _check_manifest(statement: Statement, manifest: Manifest) -> None:
    """Check that statement, events and manifest tell of one item.

    Raises:
        ProofError: they do not.
        Rejected: a class that must not travel in the clear does.
    """
    upload = statement.upload
    told = {(body.item, body.manifest) for body in (upload, *statement.others)}
    if told != {(statement.item, BlobId.of(manifest.encoded()))} or manifest.item != upload.item:
        raise ProofError(_WHERE, f"one manifest of {statement.item}", "events of another")
    clear = {file.sha256 for file in manifest.files} & {file.blob for file in statement.files}
    if manifest.rights != "open" and clear:
        raise Rejected(
            _WHERE, f"sealed copies: its class is {manifest.rights}", "files in the clear"
        )
