"""Are files where they have to be, can they be read, and only by those who may?"""

from __future__ import annotations

from itertools import islice
from typing import Final

from ledger.keeping import is_kept_sealed, keepers, room, standing
from ledger.roster import Roster
from ledger.views import ItemView
from node.office.answers import PUBLIC
from node.office.catalog import read_whole, record, revision_key
from node.office.node import Node
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.limits import SEAL_BYTES_MAX
from protocol.placement import index_holders
from protocol.sealing import parse_seal
from simulations.checkers.logs import is_whole
from simulations.checkers.verdict import Found, honest, items, province
from simulations.cluster import Cluster
from simulations.history import History, Reported

SECRET_CHARACTERS: Final = 16  # more than any form, code or word has by chance
SECRETS_PER_PAGE: Final = 2


async def placed(cluster: Cluster, history: History) -> Found:
    """Every item stands at all whom placement draws: their logs say so, and their disks have every
    file of it, whole; as it is where it is open, as sealed copies where it is not.  Public text is
    indexed by those who answer for it.
    Not checked: placement itself (the same function is asked); former revisions; copies beyond what
    placement wants; items of members that lie, and copies with them."""
    running = honest(cluster, history)
    node = province(cluster, history)
    roster, wrong, count = node.folding.roster, [], 0
    with node.world.state.read() as reader:
        place = room(reader, roster)
    for view in items(cluster, history):
        owner = roster.heir(view.owner)
        if owner not in running:
            continue
        count += 1
        drawn = keepers(roster, place, view)
        stands = set(standing(roster, view))
        if missing := sorted(set(drawn) - stands):
            wrong.append(f"{view.item} does not stand at {missing}")
        for code in sorted({*drawn, owner} & running.keys()):
            sealed = is_kept_sealed(view) and code != owner
            files = await _files(running, view, owner, sealed)
            lacking = [blob for blob in files if not await is_whole(running[code], blob)]
            wrong += [f"{code} lacks {blob.short} of {view.item}" for blob in lacking]
        wrong += _unindexed(running, roster, view) if view.public else []
    return Found(f"{count} items", count, wrong)


async def _files(
    running: dict[OfficeCode, Node], view: ItemView, owner: OfficeCode, sealed: bool
) -> list[BlobId]:
    """What a keeper has of an item, as its owner knows it."""
    world = running[owner].world
    if sealed:
        if view.seal is None or view.wraps is None:
            return []  # that it does not stand is said already
        listed = parse_seal(await read_whole(world.blobs, view.seal, SEAL_BYTES_MAX))
        return [view.seal, view.wraps, *(file.sealed for file in listed)]
    with world.state.read() as reader:
        manifest = record(reader, view.manifest)
    files = [file.sha256 for file in manifest.files] if manifest else []
    return [view.manifest, *files, *([view.pages_blob] if view.pages_blob else [])]


def _unindexed(running: dict[OfficeCode, Node], roster: Roster, view: ItemView) -> list[str]:
    acting = roster.member(roster.heir(view.owner))
    wrong, key = [], revision_key(view)
    for code in index_holders(acting.code, roster.cities(), acting.parent):
        if code in running:
            shard = running[code].indexer.shard(view.owner, staff=False)
            segments = shard.segments if shard and key not in shard.deleted else ()
            if view.pages and not any(key in segment.numbers for segment in segments):
                wrong.append(f"{code} does not find {view.item}")
    return wrong


async def read(cluster: Cluster, history: History) -> Found:
    """Every file and the first page of every public item can be read through every node.
    Not checked: files of items that are not public; members that lie."""
    running, wrong, count = honest(cluster, history), [], 0
    for report in current(cluster, history):
        if report.office not in running:
            continue
        for code, node in running.items():
            try:
                page = await node.reading.page(report.item, 1, PUBLIC)
                if page.text != report.pages[0]:
                    wrong.append(f"{code} shows another text of {report.item}")
                for blob in report.files:
                    count += 1
                    size, _, _, bytes_of = await node.reading.open_file(blob.hex, PUBLIC)
                    data = b"".join([chunk async for chunk in bytes_of(0, size)])
                    if BlobId.of(data) != blob:
                        wrong.append(f"{code} gives another {blob.short}")
            except FangzhiError as error:
                wrong.append(f"{code} cannot read {report.item}: {error}")
    return Found(f"{count} files read", count, wrong)


async def sealed(cluster: Cluster, history: History) -> Found:
    """No line of an item that is not open stands anywhere on the disk of another office: neither in
    a file, nor in a row of any table, nor in a segment of the index, nor in what is half received.
    Not checked: titles and file names, which the offices above may see; memory; text that is stored
    in another encoding than UTF-8, other than in a segment."""
    running = honest(cluster, history)
    roster = province(cluster, history).folding.roster
    views = {view.manifest: view for view in items(cluster, history) if is_kept_sealed(view)}
    secret = [report for report in history.reports if report.manifest in views]
    owners = {report: {report.office, roster.heir(report.office)} for report in secret}
    texts = "\n".join(page for pages in history.written for page in pages)
    pieces = {report: secrets(report, texts) for report in secret}
    wrong, scanned = [], 0
    for code, node in running.items():
        disk = b"\0".join(cluster.hosts[code].disk.content())
        scanned += len(disk)
        for report in secret:
            if code in owners[report]:
                continue
            view = views[report.manifest]
            if any(piece in disk for piece in pieces[report]):
                wrong.append(f"{code} has the clear text of {view.item}, which is {view.rights}")
            shard = node.indexer.shard(view.owner, staff=False)
            if shard and any(revision_key(view) in s.numbers for s in shard.segments):
                wrong.append(f"{code} has indexed {view.item}, which is {view.rights}")
    count = sum(map(len, pieces.values()))
    looked_at = f"{len(secret)} secret reports, {count} pieces, {scanned} bytes of disks"
    return Found(looked_at, count * scanned, wrong)


def secrets(report: Reported, texts: str) -> list[bytes]:
    """Pieces of every page that stand once in ``texts``, as they would stand in a file: clerks use
    the same phrases again, in items that are open."""
    found = []
    for page in report.pages:
        starts = range(0, len(page) - SECRET_CHARACTERS, SECRET_CHARACTERS)
        pieces = (page[at : at + SECRET_CHARACTERS] for at in starts)
        fresh = (p for p in pieces if "\n" not in p and texts.count(p) == 1)
        found += [piece.encode() for piece in islice(fresh, SECRETS_PER_PAGE)]
    return found


def current(cluster: Cluster, history: History) -> list[Reported]:
    """The reports that are public now, in their last revision."""
    public = {view.manifest for view in items(cluster, history) if view.public}
    return [report for report in history.reports if report.manifest in public]
