"""``root``: the offline keys of a network, and the files that they sign; no node, no network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ledger.events import (
    MemberAbolish,
    MemberAdmit,
    MemberMove,
    MemberRevoke,
    MemberRotate,
    RecoverySet,
    RosterChange,
)
from ledger.note import ED25519, NoteKey
from node.hands.keys import load_key, save_key
from node.hands.open_world import SystemRng
from node.hands.storage.durable import write_file
from node.office.changefile import ChangeFile, add_signature, read_change_file, write_change_file
from protocol.errors import ConfigError
from protocol.keys import SigningKey, key_id

Json = dict[str, Any]
TIER_WORDS = {"province": "省级 province", "city": "市级 city", "county": "县级 county"}


async def new(arguments: argparse.Namespace) -> tuple[int, Json]:
    """A new root key: KEY.pem stays offline, KEY.vkey is for everybody."""
    path = Path(arguments.key)
    key = SigningKey.from_seed(SystemRng().random_bytes(32))
    vkey = NoteKey(arguments.name, ED25519, key.public).vkey
    save_key(path, key)
    shown = path.with_suffix(".vkey")
    write_file(shown, f"{vkey}\n".encode(), mode=0o644)
    _say(f"{path}：根密钥，离线保存两份 · the root key: keep it offline, in two places")
    _say(f"{shown}：公钥，交给省级机构 · its public form, for the province")
    return 0, {"key": str(path), "vkey": vkey}


async def show(arguments: argparse.Namespace) -> tuple[int, Json]:
    """What a file would do, in words."""
    file = read_change_file(read_file(Path(arguments.file)))
    return 0, tell(file)


async def sign(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Add the signature of one root key to a file."""
    path = Path(arguments.file)
    file = add_signature(read_change_file(read_file(path)), load_key(Path(arguments.key)))
    write_file(path, write_change_file(file) + b"\n", mode=0o644)
    return 0, tell(file)


def tell(file: ChangeFile) -> Json:
    """Say on the terminal what a file does and who has signed; the same as JSON."""
    lines = words(file)
    signed, needed = file.signed_by(), file.still_needed()
    for line in lines:
        _say(line)
    _say(f"已签名 · signed by: {', '.join(signed) or '无 none'}")
    others = [root.name for root in file.genesis.roots if root.name not in signed]
    if needed:
        _say(f"还缺 {needed} 把根密钥 · {needed} more needed, of: {', '.join(others)}")
    else:
        _say("签名已足，可以执行 · signed often enough: fangzhi roster apply HOME FILE")
    return {
        "network": file.genesis.network,
        "genesis": file.genesis.id.hex,
        "changes": lines,
        "signed_by": signed,
        "missing": needed,
    }


def words(file: ChangeFile) -> list[str]:
    """One line for each thing that the file does, in Chinese and English."""
    genesis = file.genesis
    lines = [f"网络 {genesis.network}（创世 {genesis.id.hex[:16]}）· network and its genesis note"]
    if file.founds:
        roots = ", ".join(root.name for root in genesis.roots)
        lines.append(
            f"创立网络，省级机构 {genesis.province}，{len(genesis.roots)} 把根密钥中须有"
            f" {genesis.threshold} 把签名：{roots} · found the network; {genesis.threshold} of"
            f" these {len(genesis.roots)} root keys must sign"
        )
    return lines + [_words_of(body) for body in file.changes]


def _words_of(body: RosterChange) -> str:
    match body:
        case MemberAdmit():
            tier, place = TIER_WORDS.get(body.tier, body.tier), body.peer_address or "—"
            return (
                f"准入 {body.code} {body.name}（{tier}，上级 {body.parent or '—'}，地址 {place}，"
                f"第 {body.turn + 1} 次变更，{_keys_of(body)}）· admit {body.code}, parent"
                f" {body.parent or 'none'}, address {place}"
            )
        case MemberRotate():
            place = body.peer_address or "—"
            return (
                f"更换 {body.code} 的密钥或地址（地址 {place}，第 {body.turn + 1} 次变更，"
                f"{_keys_of(body)}）· {body.code} gets these keys and address {place}; its log"
                " goes on"
            )
        case MemberRevoke():
            return (
                f"撤销 {body.code} 的密钥：账本只认到 {body.log_size} 条"
                f"（根 {body.log_root.hex[:16]}，第 {body.turn + 1} 次变更）· revoke the keys of"
                f" {body.code}: its log counts up to {body.log_size} entries"
            )
        case MemberMove():
            return (
                f"{body.code} 改隶 {body.parent or '—'}，名称 {body.name}"
                f"（第 {body.turn + 1} 次变更）· {body.code} stands under"
                f" {body.parent or 'nobody'} and is called {body.name}"
            )
        case MemberAbolish():
            return (
                f"撤并 {body.code}：账本止于 {body.log_size} 条，由 {body.successor} 承接"
                f"（根 {body.log_root.hex[:16]}，第 {body.turn + 1} 次变更）· {body.code} is"
                f" abolished after {body.log_size} entries; {body.successor} acts for its items"
            )
        case RecoverySet():
            return (
                f"省级恢复公钥第 {body.version} 版 {body.key.hex()}：加密文件从此也可用它恢复 ·"
                f" recovery key {body.version}: sealed files can be recovered with it from now on"
            )
        case _:
            outside = ", ".join(witness.name for witness in body.outside) or "—"
            return (
                f"见证规则第 {body.version} 版：市县 {body.city_county} 家，省"
                f" {body.province or '过半数市级'}，外部 {body.outside_needed} 家（{outside}）·"
                f" witness policy {body.version}: {body.city_county} for a city or county,"
                f" {body.province or 'a majority of the cities'} for the province,"
                f" {body.outside_needed} from outside ({outside})"
            )


def _keys_of(body: MemberAdmit | MemberRotate) -> str:
    """The event key's id, by which two people compare over the telephone."""
    return f"密钥 {key_id(body.event_key).hex()[:16]}"


def read_file(path: Path) -> bytes:
    """
    Raises:
        ConfigError: no such file, or not readable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), "a readable file", error.strerror) from error


def _say(text: str) -> None:
    from node.cli.main import say  # noqa: PLC0415 (main imports us)

    say(text)
