"""A file that was told of in small logs: reported by a county, passed, held, anchored twice."""

from __future__ import annotations

from ledger.events import Anchor, AnchorLine, HoldTake, ReviewAccept, VersionUpload
from ledger.verify import verify_file
from protocol.errors import Missing
from protocol.ids import BlobId, RootHash
from protocol.records import FileEntry, Manifest

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
CONTENT = "苏州府志".encode()
FILE = BlobId.of(CONTENT)
REASON = BlobId.of(b"reason")


def manifest_of(item, office=COUNTY, rights="open", salt="0" * 32, file=FILE):
    entry = FileEntry("卷一.pdf", len(CONTENT), file, "application/pdf", "print_pdf")
    return Manifest(salt, item, office, rights, {"title": "苏州府志"}, (entry,)).encoded()


class Told:
    """A network in which the county reported CONTENT, the city passed it, the province holds it."""

    def __init__(self, network):
        self.network = network
        self.blobs = {}
        for _ in range(3):
            network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
        self.item = network.mint(COUNTY)
        self.manifest = self.put(manifest_of(self.item))
        body = VersionUpload(self.item, self.manifest, "open", 1, len(CONTENT), None, None)
        self.upload = network.append(COUNTY, body)
        self.accept = network.append(CITY, ReviewAccept(self.item, self.manifest, self.upload))
        self.hold = network.append(PROVINCE, HoldTake(self.item, self.manifest, 1, len(CONTENT)))
        tree = network.tree(COUNTY)
        line = AnchorLine(COUNTY, tree.size, RootHash(tree.root()))
        self.anchor = network.append(CITY, Anchor((line,)))
        tree = network.tree(CITY)
        line = AnchorLine(CITY, tree.size, RootHash(tree.root()))
        self.above = network.append(PROVINCE, Anchor((line,)))
        network.append(CITY2, network.upload(CITY2, network.mint(CITY2)))
        network.append(COUNTY2, network.upload(COUNTY2, network.mint(COUNTY2)))

    def put(self, data):
        self.blobs[BlobId.of(data)] = data
        return BlobId.of(data)

    def manifests(self, blob):
        if blob not in self.blobs:
            raise Missing("blob", "a blob", blob.short)
        return self.blobs[blob]

    def verify(self, source, hint=None, file=FILE, size=12):
        return verify_file(file, size, source, self.manifests, hint, self.network.genesis_note)
