"""``init``, ``admit``, ``join``: a node becomes a member."""

from __future__ import annotations

import argparse
import csv
import secrets
from pathlib import Path
from typing import Any

from ledger.genesis import Genesis, write_genesis
from ledger.note import ED25519, NoteKey
from node.cli.reaching import reach
from node.hands.config import PeerConfig, WebConfig, parse, parse_address
from node.hands.keys import load_office_keys, make_office_keys, save_key, save_office_keys
from node.hands.open_world import SystemClock, SystemRng
from node.hands.storage.durable import write_file
from node.hands.storage.home import Home
from node.hands.tables import cached_tables
from node.hands.tls import load_tls, make_tls
from node.office.membership import read_invite, write_request
from protocol.errors import ConfigError, ProofError
from protocol.ids import parse_office
from protocol.keys import SigningKey

Json = dict[str, Any]


async def init(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Make a home: keys, configuration, empty stores; found a network or ask to join one."""
    codes = sorted({parse_office(code) for code in arguments.office})
    for address in (arguments.peer_listen, arguments.peer_address, arguments.web_listen):
        if address:
            parse_address(address, "address")
    home = Home.create(Path(arguments.home))
    rng = SystemRng()
    for code in codes:
        save_office_keys(home.keys, make_office_keys(code, rng.random_bytes))
    make_tls(home.keys, rng.random_bytes, SystemClock().now())
    write_file(home.token, (secrets.token_urlsafe(24) + "\n").encode())
    text = _config(arguments)
    parse(text)
    write_file(home.config, text.encode())
    cached_tables(home)
    if arguments.found:
        return 0, await _found(arguments, home)
    address = arguments.peer_address or arguments.peer_listen
    request = write_request(
        load_office_keys(home.keys), load_tls(home.keys).fingerprint, address, _url(arguments)
    )
    write_file(Path(arguments.request), request + b"\n", mode=0o644)
    print_next(f"give {arguments.request} to the provincial office; it answers with an invite")
    return 0, {"home": str(home.root), "offices": codes, "request": arguments.request}


async def _found(arguments: argparse.Namespace, home: Home) -> Json:
    keys = load_office_keys(home.keys)
    if len(keys) != 1:
        raise ConfigError("init --found", "one --office, the province", sorted(keys))
    code = next(iter(keys))
    root = SigningKey.from_seed(SystemRng().random_bytes(32))
    save_key(home.keys / "root.pem", root)
    name = f"{arguments.found}/root"
    genesis = Genesis(
        network=arguments.found,
        province=code,
        threshold=1,
        roots=(NoteKey(name, ED25519, root.public),),
        log_key=keys[code].log.public,
    )
    note = write_genesis(genesis, {name: root})
    write_file(home.genesis, note, mode=0o644)
    address = arguments.peer_address or arguments.peer_listen
    fingerprint = load_tls(home.keys).fingerprint
    request = write_request(keys, fingerprint, address, _url(arguments))
    async with reach(str(home.root)) as client:
        await client.operate("admit", {"requests": [request.decode()]}, lambda *_: None)
    print_next(f"keep {home.keys}/root.pem offline, in two places; then fangzhi serve {home.root}")
    return {"home": str(home.root), "network": arguments.found, "genesis": str(home.genesis)}


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
    print_next("give each office its invite: fangzhi join HOME --invite FILE")
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
    for code, key in keys.items():
        member = roster.member(code)
        if (member.log_key, member.event_key) != (key.log.public, key.event.public):
            raise ProofError("invite", f"the keys of this home for {code}", "other keys")
    if home.genesis.exists() and home.genesis.read_bytes() != note:
        raise ConfigError(str(home.genesis), "the network it belongs to", "another network")
    write_file(home.genesis, note, mode=0o644)
    write_file(home.root / "invite.json", data)
    print_next(f"start the node: fangzhi serve {home.root}")
    return 0, {"home": str(home.root), "network": roster.genesis.network, "offices": sorted(keys)}


def _config(arguments: argparse.Namespace) -> str:
    peer = PeerConfig(listen=arguments.peer_listen, advertise=arguments.peer_address)
    web = WebConfig(listen=arguments.web_listen, url=arguments.web_url)
    return (
        "# Every key is explained in configs/node.toml of fangzhi.\n"
        f'[peer]\nlisten = "{peer.listen}"\nadvertise = "{peer.advertise}"\n\n'
        f'[web]\nlisten = "{web.listen}"\nurl = "{web.url}"\n'
    )


def _url(arguments: argparse.Namespace) -> str:
    return str(arguments.web_url or f"http://{arguments.web_listen}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "a readable file", error) from error


def print_next(text: str) -> None:
    from node.cli.main import say  # noqa: PLC0415 (main imports us)

    say(f"next: {text}")
