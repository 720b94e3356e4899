"""Every decoder that sees the network or a carried file, with valid inputs to begin from.

A target is a function of bytes that may raise a :class:`FangzhiError` and nothing else.  Where a
decoder is followed by a check (signatures, proofs, bounds), the target goes as far as a node does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ledger import events, evidence, genesis, logbook, roster, witness
from ledger.chain import check_proof
from ledger.checkpoint import (
    Checkpoint,
    Cosigner,
    log_key,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from ledger.fields import parse_decimal, parse_hash
from ledger.note import COSIGNATURE_V1, NoteKey, open_note, parse_signature
from ledger.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness
from ledger.proof import Proof
from ledger.tiles import decode_bundle, encode_bundle, parse_path
from ledger.tlogproof import TlogProof, verify_proof
from node.hands.keys import OfficeKeys
from node.hands.storage.memory_kv import MemoryStore
from node.office import changefile, membership, recovery
from node.office.showing import read_hit
from protocol import canonical, merkle, messages, records, sealing
from protocol.canonical import Value
from protocol.errors import FangzhiError
from protocol.handshake import HelloKey, Identity, Role
from protocol.ids import (
    BlobId,
    ChunkRoot,
    Digest,
    ItemId,
    LeafHash,
    NetworkId,
    OfficeCode,
    RootHash,
    parse_item,
    parse_office,
)
from protocol.keys import SigningKey, key_id
from protocol.limits import FRAME_BYTES_MAX
from protocol.ports import Writer
from protocol.session import Asked, Session
from protocol.shapes import pack, to_value, unpack
from search_shard.lattice import NEAR, SPOKEN, Filter, Note, Phrase, Query, Word, check_query
from search_shard.parse import Rules, parse_query
from search_shard.rank import Hit, Reason
from search_shard.readings import Readings
from search_shard.spelling import render
from search_shard.tables import Tables, _pack
from tests.told import CONTENT, FILE, Told
from tests.unit.ledger.conftest import CITY, COUNTY, PROVINCE, Export, Network, State

Decode = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    name: str
    decode: Decode
    seeds: tuple[bytes, ...]


@functools.cache
def targets() -> tuple[Target, ...]:
    """All of them, in a fixed order."""
    network = Network().found()
    item = network.mint(COUNTY)
    network.append(COUNTY, network.upload(COUNTY, item))
    return (
        *_values(network),
        *_texts(network),
        *_proofs(network),
        *_carried(network),
        *_file_proofs(),
        *_shapes(),
        *_typed(),
        Target("session", _receive, _session_seeds()),
    )


def text_of(data: bytes) -> str:
    """As hostile a text as HTTP paths and JSON can hold, lone surrogates among them."""
    return data.decode("utf-8", "surrogateescape")


def _values(network: Network) -> Iterator[Target]:
    entries = tuple(entry for log in network.logs.values() for entry in log)
    bodies = tuple(network.sign(COUNTY, example(kind)).encoded() for kind in events.KINDS.values())
    admitted = network.key(COUNTY, "event").public

    def whole_event(data: bytes) -> None:
        event, _ = events.parse_whole(data)
        events.verify_entry(data, event, admitted)

    def applied(data: bytes) -> None:
        """A change of members as far as the roster."""
        body = events.parse_event(data).read_body()
        if isinstance(body, events.CHANGES):
            roster.Roster(network.genesis).apply(0, body)

    def bundle(data: bytes) -> None:
        decode_bundle(data[1:], 1 + (data[0] if data else 0))

    where = functools.partial(canonical.decode, bytes_max=FRAME_BYTES_MAX, where="fuzz")
    yield Target("canonical", where, (*entries[:2], pack(example(messages.Heads))))
    yield Target("event", whole_event, (*entries, *bodies))
    yield Target("roster change", applied, tuple(network.logs[PROVINCE]))
    yield Target("bundle", bundle, (b"\x02" + encode_bundle([b"", b"x", entries[0]]),))


def _texts(network: Network) -> Iterator[Target]:
    note = network.checkpoint(COUNTY, [PROVINCE, CITY])
    key = log_key(network.genesis.origin(COUNTY), network.key(COUNTY, "log").public)
    lines = tuple(note.rpartition(b"\n\n")[2].splitlines())
    policy = _policy(network)
    paths = (b"tile/0/000", b"tile/63/x001/x234/067.p/255", b"tile/entries/x001/000.p/1")
    yield Target("note", lambda data: open_note(data, [key]), (note, network.genesis_note))
    yield Target("signature line", lambda data: parse_signature(text_of(data)), lines)
    yield Target("vkey", lambda data: NoteKey.parse(text_of(data)), (key.vkey.encode(),))
    yield Target("checkpoint", parse_checkpoint, (note,))
    yield Target("signed checkpoint", lambda data: open_checkpoint(data, [key]), (note,))
    yield Target("policy", Policy.parse, (policy.format(),))
    yield Target("tile path", lambda data: parse_path(text_of(data)), paths)
    yield Target("number", lambda data: parse_decimal(text_of(data), "x"), (b"120",))
    root = note.splitlines()[2]
    yield Target("hash", lambda data: parse_hash(text_of(data), "x"), (root,))
    yield Target("genesis", genesis.read_genesis, (network.genesis_note,))
    yield Target("office", lambda data: parse_office(text_of(data)), (b"320581",))
    item = network.mint(COUNTY).encode()
    yield Target("item", lambda data: parse_item(text_of(data)), (item,))
    yield Target("blob id", lambda data: BlobId.parse(text_of(data)), (b"0f" * 32,))


def _policy(network: Network) -> Policy:
    def vkey(code: OfficeCode) -> NoteKey:
        name = f"{network.genesis.origin(code)}/witness"
        return NoteKey(name, COSIGNATURE_V1, network.key(code, "witness").public)

    log = log_key(network.genesis.origin(PROVINCE), network.key(PROVINCE, "log").public)
    return Policy(
        (PolicyLog(log),),
        (PolicyWitness("p", vkey(PROVINCE)), PolicyWitness("c", vkey(CITY))),
        (PolicyGroup("one", 1, ("p", "c")),),
        "one",
    )


def _proofs(network: Network) -> Iterator[Target]:
    note = network.checkpoint(PROVINCE, [CITY])
    log = [merkle.leaf_hash(entry) for entry in network.logs[PROVINCE]]
    levels = {(0, at): each for at, each in enumerate(log)}
    for level in range(1, 4):
        for at in range(len(log) >> level):
            pair = levels[level - 1, 2 * at], levels[level - 1, 2 * at + 1]
            levels[level, at] = merkle.node_hash(*pair)

    def subtree(level: int, at: int) -> bytes:
        return levels[level, at]

    size = len(log)
    key = log_key(network.genesis.origin(PROVINCE), network.key(PROVINCE, "log").public)
    inclusion = merkle.prove_inclusion(3, size, subtree)
    proof = TlogProof(3, inclusion, note, network.logs[PROVINCE][3]).format()
    policy = _policy(network)
    cosigner = Cosigner("w", network.key(CITY, "witness"))
    old = witness.WitnessState(3, RootHash(network.tree(PROVINCE, 3).root()), b"")
    request = witness.format_request(3, merkle.prove_consistency(3, size, subtree), note)

    def whole_proof(data: bytes) -> None:
        verify_proof(TlogProof.parse(data), LeafHash(log[3]), policy)

    def asked(data: bytes) -> None:
        witness.add_checkpoint(data, lambda _origin: (key,), lambda _origin: old, cosigner, 1)

    def judged(data: bytes) -> None:
        evidence.verify_evidence(data, [key])

    root, older = network.tree(PROVINCE).root(), network.tree(PROVINCE, 3).root()

    def included(data: bytes) -> None:
        merkle.verify_inclusion(log[3], data[0] if data else 0, size, root, _hashes(data[1:]))

    def consistent(data: bytes) -> None:
        old = data[0] if data else 0
        merkle.verify_consistency(old, older, size, root, _hashes(data[1:]))

    other = Checkpoint(network.genesis.origin(PROVINCE), size, RootHash(log[0]))
    forked = sign_checkpoint(other, network.key(PROVINCE, "log"))
    bare = network.checkpoint(PROVINCE)
    pairs = (
        evidence.of_notes(bare, forked, [key]),
        evidence.Evidence(bare, TlogProof(3, inclusion, bare, b"x").format()).encoded(),
    )
    yield Target("tlog-proof", whole_proof, (proof,))
    yield Target("add-checkpoint", asked, (request,))
    yield Target("evidence", judged, pairs)
    yield Target("inclusion", included, (b"\x03" + b"".join(inclusion),))
    growth = merkle.prove_consistency(3, size, subtree)
    yield Target("consistency", consistent, (b"\x03" + b"".join(growth),))


def _hashes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def _carried(network: Network) -> Iterator[Target]:
    """Files that people carry, and blobs that events name."""
    keys = OfficeKeys(COUNTY, *(SigningKey.from_seed(bytes([at]) * 32) for at in range(4)))
    request = membership.write_request({COUNTY: keys}, bytes(32), "h:1", "http://h")
    salt, hexadecimal = "0" * 32, "a" * 64
    file = records.FileEntry(
        "卷一/a.txt",
        3,
        BlobId.parse(hexadecimal),
        ChunkRoot.parse(hexadecimal),
        "text/plain",
        "text",
    )
    item = network.mint(COUNTY)
    manifest = records.Manifest(salt, item, COUNTY, "open", {"title": "志"}, (file,))
    pages = [records.PageText("1", "卷一", "文", hexadecimal)] * 2
    text = b"".join(line + b"\n" for line in records.encode_pages(salt, item, pages))
    yield Target("join request", membership.read_request, (request,))
    yield Target("invite", membership.read_invite, (_invite(network),))
    yield Target("change file", changefile.read_change_file, tuple(_change_files(network)))
    yield Target("manifest", records.parse_manifest, (manifest.encoded(),))
    yield Target("pages", records.parse_pages, (text,))
    yield from _sealed(salt, item)
    yield Target("reason", records.parse_reason, (records.encode_reason(salt, "原因"),))


def _sealed(salt: str, item: str) -> Iterator[Target]:
    """Records of sealed copies, wrapped keys, and what a lost home asks for."""
    private, name = bytes([7]) * 32, BlobId(bytes(32))
    public = sealing.public_half(private)
    record = sealing.encode_seal(salt, [sealing.SealedFile(name, 17, ChunkRoot(bytes(32)))])
    secrets = [sealing.FileKey(private, name)]
    wrapped = sealing.wrap_keys(BlobId.of(record), secrets, public, private)
    wraps = sealing.Wraps(salt, BlobId.of(record), {public: wrapped})
    asked = recovery.RecoveryFile(COUNTY, public, {ItemId(item): wraps})

    def opened(data: bytes) -> None:
        sealing.unwrap_keys(sealing.parse_wraps(data), private)

    yield Target("seal record", sealing.parse_seal, (record,))
    yield Target("wraps", opened, (wraps.encoded(),))

    yield Target("recovery file", recovery.parse_recovery_file, (asked.encoded(),))


def _file_proofs() -> Iterator[Target]:
    """The proof of one file: the JSON of the API, and the files of a folder up to the verdict."""
    told = Told(Network().found())
    proof = told.verify(Export(told.network)).proof
    genesis = told.network.genesis_note

    def judged(data: bytes) -> None:
        value = canonical.decode(data, bytes_max=FRAME_BYTES_MAX, where="fuzz")
        try:
            files = dict(value)
            named = {str(name): bytes(each) for name, each in files.items() if len(each) < 10**6}
        except (TypeError, ValueError):
            return
        check_proof(Proof.of_files(named), genesis, FILE, len(CONTENT))

    yield Target("proof", Proof.decode, (proof.encoded(),))
    files = tuple(sorted(proof.files().items()))
    yield Target("file proof", judged, (canonical.encode(files),))


def _change_files(network: Network) -> Iterator[bytes]:
    """A change that nobody has signed, and the founding signed by one."""
    admit = network.admit_body(COUNTY)
    file = changefile.ChangeFile.draft(network.genesis_note, (admit,))
    yield changefile.write_change_file(file)
    founding = changefile.ChangeFile(network.genesis, (), (network.admit_body(PROVINCE),))
    signed = changefile.add_signature(founding, network.roots[0])
    yield changefile.write_change_file(signed)


def _invite(network: Network) -> bytes:
    store = MemoryStore(("entry", "tile", "head", "note"))
    log = network.logs[PROVINCE]
    state = State(network)
    for index in range(len(log)):
        state.apply(PROVINCE, index)

    def fill(writer: Writer) -> None:
        logbook.append(writer, PROVINCE, log)
        writer.put("note", PROVINCE.encode(), network.checkpoint(PROVINCE))

    store.run(fill)
    with store.read() as ledger, state.store.read() as rows:
        roster = state.fold.roster
        return membership.write_invite(network.genesis_note, ledger, rows, roster, [COUNTY])


def _shapes() -> Iterator[Target]:
    """Frames, and the body of every question and answer inside them."""
    frames = (
        *_session_frames(),
        messages.Response(1, False, to_value(messages.Fault("x", "a", "b", "c"))),
        messages.Cancel(1),
        messages.Goodbye("link.bye", "stopping"),
    )
    yield Target("frame", messages.decode_frame, tuple(map(messages.encode_frame, frames)))
    shapes = {shape for pair in messages.METHODS.values() for shape in pair}
    for shape in sorted(shapes | {messages.Fault}, key=lambda each: each.__name__):
        decode = functools.partial(_unpack, shape)
        yield Target(f"body {shape.__name__}", decode, (pack(example(shape)),))
    spoken = Phrase("pinyin", f"方{SPOKEN}", ((), ("zhi", "zi")), "title")
    word = Word("方志", (Phrase("typed", "方志", near=NEAR), spoken))
    kind = Filter("kind", ("旧志",), excluded=True)
    notes = (Note("place", "方", "志"), Note("closed", "「", "」"))
    query = Query("方志 x", (word, word), ("0", "1", "not"), (kind,), notes)
    yield Target("query", _query, (pack(query),))
    hit = replace(example(Hit), reasons=(Reason(0, "typed", "text", "志"),), highlights=((0, 1),))
    key = messages.HitKey(hit.score, OfficeCode(hit.office), hit.item, hit.seq)
    yield Target("hit", _hit, (pack(messages.HitLine(key, to_value(hit))),))


# Few characters, so that no test waits for the tables.
READ = dict(zip("苏州西安先女", ["su", "zhou", "xi", "an", "xian", "nv"], strict=True))
TYPED = (
    "苏州 与 -(虎丘|su zhou) 「平江府",
    "题:虎丘 类型：旧志,年鉴 -出版:1990..民国二十三年",
    "编号:ﷺ 康熙三十年 &KR0001; ﷺ苏z志 xi'an lu: 非 非 一百二十",
)


def _typed() -> Iterator[Target]:
    """What people type: refused, or a lattice within bounds that says itself again."""
    read = {character: Readings(syllable) for character, syllable in READ.items()}
    rules = Rules.standard(Tables.from_bytes(_pack({"蘇": "苏"}, read, {"丘": "兵"})))

    def parsed(data: bytes) -> None:
        query = parse_query(text_of(data), rules)
        try:
            check_query(query)
            again = parse_query(render(query), rules)
        except FangzhiError as error:
            raise AssertionError(query) from error
        assert (meant(again), set(again.filters)) == (meant(query), set(query.filters))

    def meant(query: Query) -> list[object]:
        """The plan over phrases, whatever the numbers of the words."""
        return [query.words[int(s)].phrases if s.isdecimal() else s for s in query.plan]

    yield Target("typed query", parsed, tuple(typed.encode() for typed in TYPED))


def _unpack(shape: type, data: bytes) -> None:
    unpack(shape, data, bytes_max=FRAME_BYTES_MAX, where="fuzz")


def _query(data: bytes) -> None:
    check_query(unpack(Query, data, bytes_max=FRAME_BYTES_MAX, where="fuzz"))


def _hit(data: bytes) -> None:
    read_hit(unpack(messages.HitLine, data, bytes_max=FRAME_BYTES_MAX, where="fuzz"))


def example(kind: Any) -> Any:
    """Something of a type that shapes can carry."""
    if kind is Value:
        return ()
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    if get_origin(kind) is tuple:
        return (example(get_args(kind)[0]),) * 2
    if get_origin(kind) is not None or isinstance(kind, UnionType):
        return example(get_args(kind)[0])
    if kind in (int, str, bool):
        return {int: 1, str: "320581", bool: True}[kind]
    if kind is bytes or issubclass(kind, Digest):
        return kind(bytes(32))
    return kind(*(example(hint) for hint in get_type_hints(kind).values()))


# -- a whole session, frame after frame --------------------------------------------------------

NETWORK, NONCE, BINDING = NetworkId(bytes(32)), b"n" * 32, bytes(32)
US, THEM = SigningKey.from_seed(b"u" * 32), SigningKey.from_seed(b"t" * 32)


def _session(role: Role, office: OfficeCode, key: SigningKey, nonce: bytes) -> Session:
    keys = {key_id(each.public): HelloKey(each.public) for each in (US, THEM)}
    return Session(
        role,
        Identity(NETWORK, {office: key}),
        lookup=lambda _office, signer: keys.get(signer),
        nonce=nonce,
        binding=BINDING,
        now=0,
        roster_size=1,
    )


def _session_frames() -> tuple[messages.Frame, ...]:
    """What a sound peer says to :func:`_receive`."""
    us = _session(Role.RESPONDER, PROVINCE, US, NONCE)
    them = _session(Role.INITIATOR, COUNTY, THEM, b"m" * 32)
    hello = them.to_send()
    for frame in us.to_send():
        them.receive(frame, 0)
    asks = [
        messages.Request(number, method, to_value(example(ask)))
        for number, (method, (ask, _)) in enumerate(messages.METHODS.items(), 1)
    ]
    return (*map(messages.decode_frame, (*hello, *them.to_send())), *asks)


def _session_seeds() -> tuple[bytes, ...]:
    frames = [messages.encode_frame(each) for each in _session_frames()]
    whole = [encode_bundle(frames[:count]) for count in range(1, len(frames) + 1)]
    return tuple(whole)


def _receive(data: bytes) -> None:
    """Frames of a stranger, each after its length of two bytes; a session never raises."""
    session = _session(Role.RESPONDER, PROVINCE, US, NONCE)
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        for event in session.receive(data[at + 2 : end], at):
            if isinstance(event, Asked):
                session.respond(event.id, messages.Ack())
        session.to_send()
        session.tick(at)
        at = end
