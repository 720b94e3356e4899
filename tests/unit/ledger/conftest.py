"""A small network whose logs are lists in memory, for the tests of the fold and of the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest

from ledger.changes import SomeChange, sign_change
from ledger.checkpoint import Checkpoint, Cosigner, cosign, sign_checkpoint
from ledger.events import (
    Context,
    Event,
    MemberAdmit,
    MemberRotate,
    VersionUpload,
    sign_event,
)
from ledger.genesis import Genesis, write_genesis
from ledger.members import signing_keys
from ledger.note import ED25519, Note, NoteKey, parse_note
from ledger.replay import Change, Fold
from ledger.settlement import digest
from ledger.tiles import bundles_of, encode_bundle, tiles_of
from ledger.views import TABLES
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import Missing
from protocol.ids import (
    BlobId,
    EventRef,
    ItemId,
    LeafHash,
    OfficeCode,
    RootHash,
    UnixMs,
    mint_item,
)
from protocol.keys import SigningKey
from protocol.merkle import CompactRange, leaf_hash, perfect_root

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
PARENTS = {CITY: PROVINCE, CITY2: PROVINCE, COUNTY: CITY, COUNTY2: CITY2}
TIERS = {PROVINCE: "province", CITY: "city", CITY2: "city", COUNTY: "county", COUNTY2: "county"}
START = UnixMs(1_700_000_000_000)


def key(purpose: str) -> SigningKey:
    return SigningKey.from_seed(BlobId.of(purpose.encode()).raw)


def blob(name: str) -> BlobId:
    return BlobId.of(name.encode())


@dataclass
class Network:
    """Offices that append to their logs; ``generation`` numbers the keys of an office."""

    logs: dict[OfficeCode, list[bytes]] = field(default_factory=dict)
    roots: tuple[SigningKey, ...] = (key("root0"), key("root1"), key("root2"))
    generation: dict[str, int] = field(default_factory=dict)
    outside: tuple[Cosigner, ...] = ()  # who co-signs every checkpoint beside the members
    now: UnixMs = START
    minted: int = 0

    def __post_init__(self) -> None:
        self.genesis = Genesis(
            network="fzb.test.example",
            province=PROVINCE,
            threshold=2,
            roots=tuple(
                NoteKey(f"root{i}", ED25519, root.public) for i, root in enumerate(self.roots)
            ),
            log_key=self.key(PROVINCE, "log").public,
        )
        names = [f"root{i}" for i in range(3)]
        self.genesis_note = write_genesis(self.genesis, dict(zip(names, self.roots, strict=True)))

    def key(self, code: str, purpose: str) -> SigningKey:
        return key(f"{code} {purpose} {self.generation.get(code, 0)}")

    def admit_body(self, code: OfficeCode, turn: int = 0) -> MemberAdmit:
        return MemberAdmit(
            code=code,
            name=f"office {code}",
            tier=TIERS[code],
            parent=PARENTS.get(code, ""),
            log_key=self.key(code, "log").public,
            witness_key=self.key(code, "witness").public,
            mirror_key=self.key(code, "mirror").public,
            event_key=self.key(code, "event").public,
            tls_pin=bytes(32),
            peer_address="",
            web_url="",
            turn=turn,
            signatures=(),
        )

    def rotate_body(self, code: OfficeCode, turn: int = 1) -> MemberRotate:
        """To the keys of the present generation."""
        admission = self.admit_body(code)
        return MemberRotate(
            code,
            *signing_keys(admission),
            admission.tls_pin,
            admission.peer_address,
            admission.web_url,
            turn,
            (),
        )

    def with_roots(self, body: SomeChange, count: int = 2) -> SomeChange:
        for root in self.roots[:count]:
            body = sign_change(self.genesis, body, root)
        return body

    def found(self, codes: Iterable[OfficeCode] = tuple(TIERS)) -> Network:
        for code in codes:
            self.append(PROVINCE, self.with_roots(self.admit_body(code)))
        return self

    def tree(self, code: OfficeCode, size: int | None = None) -> CompactRange:
        return CompactRange().extend(map(leaf_hash, self.logs.get(code, [])[:size]))

    def context(self, code: OfficeCode) -> Context:
        own, province = self.tree(code), self.tree(PROVINCE)
        return Context(
            network=self.genesis.id,
            origin=code,
            last_size=own.size,
            last_root=RootHash(own.root()),
            roster_size=province.size,
            roster_root=RootHash(province.root()),
        )

    def sign(self, code: OfficeCode, body: object, **changes: object) -> Event:
        context = replace(self.context(code), **changes)  # type: ignore[arg-type]
        return sign_event(context, body, self.now, self.key(code, "event"))

    def append(self, code: OfficeCode, *bodies: object) -> EventRef:
        """One batch; where its last event stands."""
        context = self.context(code)
        signer = self.key(code, "event")
        self.now = UnixMs(self.now + 1000)
        for body in bodies:
            self.append_raw(code, sign_event(context, body, self.now, signer).encoded())
        return self.ref(code, len(self.logs[code]) - 1)

    def said_by(self, signer: SigningKey, code: OfficeCode, body: object) -> EventRef:
        """A batch of one event that a key signed which is not the office's own."""
        self.append_raw(code, sign_event(self.context(code), body, self.now, signer).encoded())
        return self.ref(code, len(self.logs[code]) - 1)

    def append_raw(self, code: OfficeCode, entry: bytes) -> None:
        self.logs.setdefault(code, []).append(entry)

    def ref(self, code: OfficeCode, index: int) -> EventRef:
        return EventRef(code, index, LeafHash(leaf_hash(self.logs[code][index])))

    def mint(self, code: OfficeCode) -> ItemId:
        self.minted += 1
        return mint_item(code, BlobId.of(f"{self.minted}".encode()).raw[:8])

    def upload(
        self,
        code: OfficeCode,
        item: ItemId,
        manifest: str = "manifest",
        supersedes: str = "",
        rights: str = "open",
    ) -> VersionUpload:
        return VersionUpload(
            item=item,
            manifest=blob(manifest),
            rights=rights,
            files=1,
            file_bytes=10,
            supersedes=blob(supersedes) if supersedes else None,
            report=None,
        )

    def checkpoint(self, code: OfficeCode, cosigners: Iterable[OfficeCode] = ()) -> bytes:
        tree = self.tree(code)
        text = Checkpoint(self.genesis.origin(code), tree.size, RootHash(tree.root()))
        note = parse_note(sign_checkpoint(text, self.key(code, "log")))
        members = (
            Cosigner(f"{self.genesis.origin(each)}/witness", self.key(each, "witness"))
            for each in cosigners
        )
        lines = tuple(
            cosign(note.text, each, self.now // 1000 + 1) for each in (*members, *self.outside)
        )
        return Note(note.text, note.signatures + lines).format()


class State:
    """A state store and its fold."""

    def __init__(self, network: Network) -> None:
        self.store = MemoryStore(TABLES)
        self.fold = Fold(network.genesis)
        self.network = network

    def apply(self, code: OfficeCode, index: int) -> Change:
        entry = self.network.logs[code][index]
        return self.store.run(lambda writer: self.fold.apply(writer, code, index, entry))

    def apply_all(self) -> list[Change]:
        """Every log that there is, the province first."""
        return [
            self.apply(code, index)
            for code in sorted(self.network.logs)
            for index in range(len(self.network.logs[code]))
        ]

    def read(self, question: Callable[..., object], *arguments: object, **named: object) -> object:
        with self.store.read() as reader:
            return question(reader, *arguments, **named)

    def digest(self) -> str:
        return str(self.read(digest))


class Export:
    """The logs of a network as they are served: a LogSource whose bytes a test may spoil."""

    def __init__(self, network: Network) -> None:
        self.bytes: dict[tuple[object, ...], bytes] = {}
        for code, log in network.logs.items():
            others = [each for each in (PROVINCE, CITY, CITY2) if each != code]
            self.bytes["checkpoint", code] = network.checkpoint(code, others)
            for bundle in bundles_of(len(log)):
                start = bundle.number * 256
                data = encode_bundle(log[start : start + bundle.width])
                self.bytes["bundle", code, bundle.number, bundle.width] = data
            levels = [list(map(leaf_hash, log))]
            while len(levels[-1]) >= 256:
                row = levels[-1]
                full = range(0, len(row) - len(row) % 256, 256)
                levels.append([perfect_root(b"".join(row[at : at + 256])) for at in full])
            for tile in tiles_of(len(log)):
                start = tile.number * 256
                hashes = levels[tile.level][start : start + tile.width]
                self.bytes["tile", code, tile.level, tile.number, tile.width] = b"".join(hashes)

    def offices(self) -> list[str]:
        return sorted({str(name[1]) for name in self.bytes if name[0] == "checkpoint"})

    def checkpoint(self, code: str) -> bytes:
        return self._get("checkpoint", code)

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        return self._get("tile", code, level, number, width)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        return self._get("bundle", code, number, width)

    def witnessed(self, code: str, origin: str) -> dict[str, bytes]:
        return {
            str(name[2]): note
            for name, note in self.bytes.items()
            if name[0] == "witnessed" and name[1] == code
        }

    def evidence(self) -> list[tuple[str, bytes]]:
        return [(str(name[1]), data) for name, data in self.bytes.items() if name[0] == "evidence"]

    def _get(self, *name: object) -> bytes:
        if name not in self.bytes:
            raise Missing("export", "a file", name)
        return self.bytes[name]

    def flip(self, name: tuple[object, ...], position: int, bit: int = 0) -> None:
        data = bytearray(self.bytes[name])
        data[position] ^= 1 << bit
        self.bytes[name] = bytes(data)


@pytest.fixture(scope="session")
def founded() -> Callable[[], Network]:
    """Makes networks of five admitted offices of three tiers."""
    return lambda: Network().found()


@pytest.fixture
def network(founded: Callable[[], Network]) -> Network:
    return founded()


@pytest.fixture(scope="session")
def state_of() -> type[State]:
    return State


@pytest.fixture(scope="session")
def export_of() -> type[Export]:
    return Export


@pytest.fixture
def forked(founded: Callable[[], Network]) -> tuple[Network, Network]:
    """A network, and another history of its county that the same keys signed."""
    network, other = founded(), founded()
    for at in range(4):
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"{at}"))
        name = f"{at}" if at < 2 else f"other {at}"
        other.append(COUNTY, other.upload(COUNTY, other.mint(COUNTY), name))
    return network, other
