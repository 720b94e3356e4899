"""A file that was told of in small logs: reported by a county, passed, held, anchored twice."""

from __future__ import annotations

from ledger.checkpoint import parse_checkpoint
from ledger.custody import HoldTake
from ledger.events import (
    CHANGES,
    Anchor,
    AnchorLine,
    KeyEnroll,
    KeyRetire,
    MemberRevoke,
    ReviewAccept,
    VersionUpload,
    parse_event,
)
from ledger.proving import Opened, make_proof
from ledger.roster import RosterHistory
from ledger.source import LogReader
from ledger.verify import verify_file
from protocol.errors import Missing
from protocol.ids import BlobId, ChunkRoot, RootHash
from protocol.keys import SigningKey, key_id
from protocol.merkle import leaf_hash
from protocol.records import FileEntry, Manifest

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
CONTENT = "苏州府志".encode()
FILE = BlobId.of(CONTENT)
REASON = BlobId.of(b"reason")
PERSON = BlobId.of(b"person")
CLERK = SigningKey.from_seed(bytes(range(32)))


def manifest_of(item, office=COUNTY, rights="open", salt="0" * 32, file=FILE):
    entry = FileEntry(
        "卷一.pdf",
        len(CONTENT),
        file,
        ChunkRoot(leaf_hash(CONTENT)),
        "application/pdf",
        "print_pdf",
    )
    return Manifest(salt, item, office, rights, {"title": "苏州府志"}, (entry,)).encoded()


class Told:
    """A network in which the county reported CONTENT, the city passed it, the province holds it.
    With a ``clerk`` that key reported it: enrolled at index 2 by the key ``by``, or the county's;
    ``then`` happens between."""

    def __init__(self, network, clerk=None, roles=("clerk",), by=None, then=lambda: None):
        self.network = network
        self.blobs = {}
        self.enrolment = 2 if clerk else None
        for _ in range(2):
            network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
        body = network.upload(COUNTY, network.mint(COUNTY))
        if clerk:
            body = KeyEnroll(clerk.public, PERSON, roles)
        network.said_by(by or network.key(COUNTY, "event"), COUNTY, body)
        then()
        self.item = network.mint(COUNTY)
        self.manifest = self.put(manifest_of(self.item))
        body = VersionUpload(self.item, self.manifest, "open", 1, len(CONTENT), None, None)
        self.upload = network.said_by(clerk or network.key(COUNTY, "event"), COUNTY, body)
        self.accept = network.append(CITY, ReviewAccept(self.item, self.manifest, self.upload))
        self.hold = network.append(PROVINCE, HoldTake(self.item, self.manifest, 1, len(CONTENT)))
        tree = network.tree(COUNTY)
        line = AnchorLine(COUNTY, tree.size, RootHash(tree.root()))
        self.anchor = network.append(CITY, Anchor((line,)))
        tree = network.tree(CITY)
        line = AnchorLine(CITY, tree.size, RootHash(tree.root()))
        self.above = network.append(PROVINCE, Anchor((line,)))
        self.anchors = [(CITY, self.anchor.index), (PROVINCE, self.above.index)]
        network.append(CITY2, network.upload(CITY2, network.mint(CITY2)))
        network.append(COUNTY2, network.upload(COUNTY2, network.mint(COUNTY2)))

    def put(self, data):
        self.blobs[BlobId.of(data)] = data
        return BlobId.of(data)

    def manifests(self, blob):
        if blob not in self.blobs:
            raise Missing("blob", "a blob", blob.short)
        return self.blobs[blob]

    def proof(self, source):
        """The proof of the upload, whatever it is worth and has been said of its office since."""
        history = RosterHistory(self.network.genesis)
        for index, entry in enumerate(self.network.logs[PROVINCE]):
            body = parse_event(entry).read_body()
            if isinstance(body, CHANGES):
                history.apply(index, body)

        def opened(code):
            note = source.checkpoint(code)
            checkpoint = parse_checkpoint(note)
            return Opened(LogReader(source, code, checkpoint.size, checkpoint.root.raw), note)

        return make_proof(
            self.network.genesis_note,
            history,
            self.blobs[self.manifest],
            (COUNTY, self.upload.index),
            self.enrolment,
            self.anchors,
            opened,
        )

    def verify(self, source, hint=None, file=FILE, size=12):
        return verify_file(file, size, source, self.manifests, hint, self.network.genesis_note)


def came_back(network):
    """The county's keys are closed at its present size, and it is admitted with new ones."""
    size, root = len(network.logs[COUNTY]), RootHash(network.tree(COUNTY).root())
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, size, root, 1, ())))
    network.generation[COUNTY] = 1
    network.append(PROVINCE, network.with_roots(network.admit_body(COUNTY, 2)))


CLERKS_REFUSED = {
    "of another role": lambda network: Told(network, CLERK, ("reviewer",)),
    "of no role that there is": lambda network: Told(network, CLERK, ("clerk", "king")),
    "of roles that are not sorted": lambda network: Told(network, CLERK, ("reviewer", "clerk")),
    "enrolled by itself": lambda network: Told(network, CLERK, by=CLERK),
    "whose key is an office's": lambda network: Told(network, network.key(CITY, "mirror")),
    "lapsed by a closure": lambda network: Told(network, CLERK, then=lambda: came_back(network)),
}
"""Uploads by a named user's key that do not count, as their proof shows."""


def retired_clerk(network):
    """An upload that does not count either, but its proof cannot show it."""
    retire = KeyRetire(key_id(CLERK.public))
    return Told(network, CLERK, then=lambda: network.append(COUNTY, retire))


def prover(network, source):
    """What whoever makes a proof knows: the history of the roster, and how to open a log."""
    history = RosterHistory(network.genesis)
    for index, entry in enumerate(network.logs[PROVINCE]):
        change = parse_event(entry).read_body()
        if isinstance(change, CHANGES):
            history.apply(index, change)

    def opened(code):
        note = source.checkpoint(code)
        checkpoint = parse_checkpoint(note)
        return Opened(LogReader(source, code, checkpoint.size, checkpoint.root.raw), note)

    return history, opened
