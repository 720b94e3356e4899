"""``verify``: one file's chain of evidence, for whoever holds it and the genesis note."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files as files_of
from pathlib import Path
from typing import Any

from ledger.chain import Proven, Seen, check_proof
from ledger.proof import Proof
from ledger.verify import Chain, verify_file
from node.cli.copies import check_receipt_file
from node.cli.reaching import bytes_of, console
from node.faces.wording import Wording, dated
from node.hands.sources import open_source, proof_in
from protocol.errors import ConfigError, DecodeError, ProofError
from protocol.ids import BlobId

Json = dict[str, Any]


async def verify(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Exit status 1 when a step of the chain does not hold, 3 when nobody recorded the file."""
    path = Path(arguments.file)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(str(path), "a readable file", error.strerror) from error
    blob, size, genesis = BlobId.parse(digest), path.stat().st_size, bytes_of(arguments.genesis)
    if not (arguments.node or arguments.log or arguments.proof):
        return check_receipt_file(path, genesis)
    if arguments.proof:
        chain = None
        try:
            proof = proof_in(Path(arguments.proof))
            proven = check_proof(proof, genesis, blob, size)
        except DecodeError as error:  # what is damaged proves nothing: not a wrong use
            raise ProofError(error.where, error.expected, error.got) from error
    else:
        source = open_source(arguments.node or arguments.log)
        hint = source.places_of(digest)
        chain = verify_file(blob, size, source, source.manifest, hint, genesis)
        proof, proven = chain.proof, chain.proven
    for row in _rows(path, proven):
        _tell(*row)
    for name, text in _state(chain):
        _tell("·", name, text)
    if chain is not None and not chain.complete:
        console.print(f"[yellow]{_searched(chain)}[/]", highlight=False)
    if arguments.out:
        written = write_proof(proof, proven, path, Path(arguments.out))
        _tell("·", "证明 proof", f"{written} 个文件 files → {arguments.out}")
    return (0 if proven.log.witnessed else 1), {"ok": proven.log.witnessed, **_told(proven, chain)}


def write_proof(proof: Proof, proven: Proven, file: Path, folder: Path) -> int:
    """Put the proof and how to check it by hand into a folder; how many files that are.

    Raises:
        ConfigError: the folder cannot be written, or has something else in it.
    """
    readme = files_of(__package__).joinpath("templates", "proof.md").read_text("utf-8")
    for name, value in (("@OFFICE@", proven.log.office), ("@FILE@", file.name)):
        readme = readme.replace(name, value)
    files = proof.files() | {"README.md": readme.encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(str(folder), "an empty folder", "something in it")
        for name, data in files.items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise ConfigError(str(folder), "a folder to write to", error.strerror) from error
    return len(files)


def _rows(path: Path, proven: Proven) -> Iterator[tuple[str, str, str]]:
    """The steps in order: what was checked."""
    event, log, province = proven.event, proven.log, proven.province
    yield "✓", "创世 genesis", f"{proven.network[:16]}…，根签名 root signatures ≥ {proven.roots}"
    yield "✓", "名册 roster", f"{province.name} #{event.roster_size} / {province.size}"
    yield _witnessed(province)
    yield "✓", "文件 file", f"{path} = {proven.file.path}，SHA-256 {proven.file.sha256.hex[:16]}…"
    yield "✓", "清单 manifest", f"《{proven.manifest.title}》 {proven.manifest.item}"
    yield "✓", "事件 event", f"{log.office} {log.name}，{dated(event.time)}（自述 claimed）"
    yield "✓", "日志 log", f"#{proven.index} / {log.size}，根 root {log.root[:16]}…"
    yield _witnessed(log)
    for anchor in proven.anchors:
        where = f"{anchor.office} {anchor.seen.name} #{anchor.index}"
        what = f"{where} ⊇ {anchor.child} / {anchor.size}，{dated(anchor.time)}"
        yield "✓", "锚定 anchored", what
        if anchor.office != province.office:
            yield _witnessed(anchor.seen)


def _witnessed(seen: Seen) -> tuple[str, str, str]:
    by = "、".join(f"{code}（{dated(seconds * 1000)}）" for code, seconds in seen.witnesses)
    text = f"{seen.office} / {seen.size}：{len(seen.witnesses)} ≥ {seen.needed}：{by}"
    if seen.witnessed:
        return "✓", "见证 witnessed", text
    return "✗", "尚未见证 not yet witnessed", text.replace("≥", "<")


def _state(chain: Chain | None) -> Iterator[tuple[str, str]]:
    """What only the logs tell."""
    if chain is None:
        yield "状态 status", "证明不含其后的审核与下架 · later reviews are not in a proof"
        return
    if chain.status == "superseded":
        said = "已有更新的修订 superseded by a later revision"
    else:
        said = f"{Wording('zh').name_of('item.status', chain.status)} {chain.status}"
    yield "状态 status", said + ("，公开 public" if chain.public else "")
    yield "副本 held by", "、".join(chain.holders) or "—"


def _searched(chain: Chain) -> str:
    """Why later events may be unknown here."""
    if chain.unsearched:
        codes = "、".join(chain.unsearched)
        return f"下列日志取不全，其后的审核、下架可能未列出 · logs not served whole: {codes}"
    return (
        "所列事件由该节点指出，逐条已验；有无遗漏须用 --log 检索导出的全部日志 · the node said"
        " where to look, each event was proven; to know that none was left out: --log of an export"
    )


def _told(proven: Proven, chain: Chain | None) -> Json:
    log, event, file = proven.log, proven.event, proven.file
    told: Json = {
        "sha256": file.sha256.hex,
        "size": file.size,
        "path": file.path,
        "item": proven.manifest.item,
        "title": proven.manifest.title,
        "manifest": proven.manifest_hash,
        "office": log.office,
        "office_name": log.name,
        "signer": event.signer.hex(),
        "time": event.time,
        "index": proven.index,
        "leaf": proven.leaf.hex(),
        "log_size": log.size,
        "log_root": log.root,
        "witnesses_needed": log.needed,
        "witnesses": log.witnesses,
        "witnessed": log.witnessed,
        "anchors": [asdict(anchor) for anchor in proven.anchors],
        "province": asdict(proven.province),
    }
    if chain is not None:
        for name in ("status", "public", "holders", "complete", "unsearched"):
            told[name] = getattr(chain, name)
        told["events"] = [asdict(step) for step in chain.events]
    return told


def _tell(mark: str, name: str, text: str) -> None:
    colour = {"✓": "green", "✗": "red"}.get(mark, "default")
    console.print(f"[{colour}]{mark}[/] [bold]{name}[/]", end="  ")
    console.print(text, markup=False, highlight=False)
