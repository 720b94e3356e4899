"""``init``, ``admit``, ``join``: a node becomes a member."""

from __future__ import annotations

import argparse
import csv
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from configs.offices import load
from ledger.genesis import Genesis, parse_genesis
from ledger.note import ED25519, NoteKey
from ledger.roster import Roster
from node.cli.client import is_url
from node.cli.reaching import reach
from node.hands.config import NodeConfig, PeerConfig, WebConfig, parse, parse_address
from node.hands.keys import (
    OfficeKeys,
    load_office_keys,
    make_office_keys,
    save_key,
    save_office_keys,
)
from node.hands.open_world import SystemClock, SystemRng
from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from node.hands.tables import cached_tables
from node.hands.tls import load_tls, make_tls
from node.office.changefile import ChangeFile, add_signature, write_change_file
from node.office.membership import admissions, read_invite, read_request, write_request
from protocol.errors import ConfigError, ProofError
from protocol.ids import OfficeCode, parse_office
from protocol.keys import Signer, SigningKey

OFFICE_TABLE = "jiangsu"
Json = dict[str, Any]


async def init(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Make a home: keys, configuration, empty stores; found a network or ask to join one."""
    codes = sorted({parse_office(code) for code in arguments.office})
    for address in (arguments.peer_listen, arguments.peer_address, arguments.web_listen):
        if address:
            parse_address(address, "address")
    roots = _roots(arguments)
    if arguments.found and len(codes) != 1:
        raise ConfigError("init --found", "one --office, the province", codes)
    home = Home.create(Path(arguments.home))
    rng = SystemRng()
    keys = {code: make_office_keys(code, rng.random_bytes) for code in codes}
    for each in keys.values():
        save_office_keys(home.keys, each)
    make_tls(home.keys, rng.random_bytes, SystemClock().now())
    write_file(home.token, (secrets.token_urlsafe(24) + "\n").encode())
    text = _config(arguments)
    config = parse(text)
    write_file(home.config, text.encode())
    cached_tables(home)
    request = node_request(home, config, keys)
    if arguments.found:
        return 0, await _found(arguments, home, request, roots)
    write_file(Path(arguments.request), request + b"\n", mode=0o644)
    print_next(
        f"把 {arguments.request} 交给省级机构，换回邀请",
        f"give {arguments.request} to the provincial office; it answers with an invite",
    )
    return 0, {"home": str(home.root), "offices": codes, "request": arguments.request}


def node_request(
    home: Home,
    config: NodeConfig,
    keys: Mapping[OfficeCode, OfficeKeys],
    before: Iterable[Signer] = (),
) -> bytes:
    """The request of a home's node for these keys, under the addresses of its configuration."""
    address = config.peer.advertise or config.peer.listen
    url = config.web.url or f"http://{config.web.listen}"
    return write_request(keys, load_tls(home.keys).fingerprint, address, url, before)


def _roots(arguments: argparse.Namespace) -> tuple[NoteKey, ...]:
    """The offline root keys that the founder names."""
    if (arguments.root or arguments.threshold) and not arguments.found:
        raise ConfigError("init", "--root and --threshold with --found", "without")
    if arguments.threshold and not arguments.root:
        raise ConfigError("init --threshold", "--root FILE.vkey, one for each root key", "none")
    return tuple(NoteKey.parse(_read(Path(path))) for path in arguments.root or ())


async def _found(
    arguments: argparse.Namespace, home: Home, request: bytes, roots: tuple[NoteKey, ...]
) -> Json:
    """Draft the genesis note and the admission of the province; with a root key of our own, sign
    and apply both at once."""
    own: SigningKey | None = None
    if not roots:
        own = SigningKey.from_seed(SystemRng().random_bytes(32))
        save_key(home.keys / "root.pem", own)
        roots = (NoteKey(f"{arguments.found}/root", ED25519, own.public),)
    asked = read_request(request)
    genesis = Genesis(
        network=arguments.found,
        province=asked.offices[0].code,
        threshold=arguments.threshold or len(roots) // 2 + 1,
        roots=roots,
        log_key=asked.offices[0].log_key,
    )
    parse_genesis(genesis.text())
    file = ChangeFile(genesis, (), admissions(Roster(genesis), [asked], load(OFFICE_TABLE)))
    if own is None:
        draft = home.root / "genesis.draft"
        write_file(draft, write_change_file(file) + b"\n", mode=0o644)
        print_next(
            f"{genesis.threshold} 位根密钥持有人签名：fangzhi root sign {draft} --key KEY.pem；"
            f"然后 fangzhi roster apply {home.root} {draft}",
            f"{genesis.threshold} root holders sign, then the province applies the draft",
        )
        return {"home": str(home.root), "network": genesis.network, "draft": str(draft)}
    await apply_file(str(home.root), add_signature(file, own))
    print_next(
        f"把 {home.keys}/root.pem 移到离线介质，留两份；然后 fangzhi serve {home.root}",
        "keep that root key offline, in two places; then serve",
    )
    return {"home": str(home.root), "network": genesis.network, "genesis": str(home.genesis)}


async def apply_file(target: str, file: ChangeFile) -> Json:
    """Have the node of a home append the changes of a file; a founding one makes the home that of
    the network first.

    Raises:
        ProofError: too few root keys have signed.
        ConfigError: a founding file that is not for the keys of this home.
    """
    file.require_signed()
    path = Path(target) / "genesis.note"
    if not is_url(target) and Path(target).exists() and not path.exists():
        _begin(Home.open(Path(target)), file)
    async with reach(target) as client:
        text = write_change_file(file).decode()
        return await client.operate("apply", {"file": text}, lambda *_: None)


def _begin(home: Home, file: ChangeFile) -> None:
    """From now on the home belongs to the network that ``file`` founds.  A crash before the first
    event leaves a home to which the file can be applied again."""
    genesis = file.genesis
    ours = load_office_keys(home.keys).get(genesis.province, ())
    if not file.founds or genesis.log_key not in [keys.log.public for keys in ours]:
        raise ConfigError(str(home.root), "the home that drafted this genesis", "another home")
    write_file(home.genesis, file.genesis_note, mode=0o644)


async def admit(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Admit requests at the provincial node, and write an invite for each."""
    if arguments.request:
        pairs = [(Path(arguments.request), Path(arguments.invite))]
    else:
        pairs = _table(Path(arguments.table), Path(arguments.invite))
    texts = [_read(request) for request, _ in pairs]
    async with reach(arguments.home) as client:
        result = await client.operate("admit", {"requests": texts}, lambda *_: None)
    for (_, path), invite in zip(pairs, result["invites"], strict=True):
        write_file(path, invite.encode() + b"\n", mode=0o644)
    print_next("把邀请交给各机构：fangzhi join HOME --invite FILE", "give each office its invite")
    return 0, {"invites": [str(path) for _, path in pairs], "size": result["size"]}


def _table(table: Path, folder: Path) -> list[tuple[Path, Path]]:
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or "request" not in rows[0]:
        raise ConfigError(str(table), "a CSV with a column 'request'", "none")
    folder.mkdir(parents=True, exist_ok=True)
    requests = [table.parent / row["request"] for row in rows]
    return [(path, folder / f"{path.stem}.invite.json") for path in requests]


async def join(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Take an invite: from now on this home belongs to its network."""
    home = Home.open(Path(arguments.home))
    data = _read(Path(arguments.invite)).encode()
    note, roster = read_invite(data)
    keys = load_office_keys(home.keys)
    for code, generations in keys.items():
        member = roster.member(code)
        ours = [(each.log.public, each.event.public) for each in generations]
        if (member.log_key, member.event_key) not in ours:
            raise ProofError("invite", f"the keys of this home for {code}", "other keys")
    if home.genesis.exists() and home.genesis.read_bytes() != note:
        raise ConfigError(str(home.genesis), "the network it belongs to", "another network")
    write_file(home.genesis, note, mode=0o644)
    write_file(home.root / "invite.json", data)
    print_next(f"运行节点：fangzhi serve {home.root}", "start the node")
    return 0, {"home": str(home.root), "network": roster.genesis.network, "offices": sorted(keys)}


def _config(arguments: argparse.Namespace) -> str:
    peer = PeerConfig(listen=arguments.peer_listen, advertise=arguments.peer_address)
    web = WebConfig(listen=arguments.web_listen, url=arguments.web_url)
    return (
        "# Every key is explained in configs/node.toml of fangzhi.\n"
        f'[peer]\nlisten = "{peer.listen}"\nadvertise = "{peer.advertise}"\n\n'
        f'[web]\nlisten = "{web.listen}"\nurl = "{web.url}"\n'
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "a readable file", error) from error


def print_next(chinese: str, english: str) -> None:
    """What the operator does next."""
    from node.cli.main import say  # noqa: PLC0415 (main imports us)

    say(f"下一步 next: {chinese} · {english}")
