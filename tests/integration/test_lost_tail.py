"""A disk is gone for good, and a witness had seen more than any mirror: the province closes the
key, the office goes on under another, and nobody calls it a fork."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.checkpoint import parse_checkpoint
from ledger.tiles import bundle_path, split_bundle
from ledger.witness import format_request
from protocol.merkle import leaf_hash, perfect_root, prove_consistency

PROVINCE, CITY, COUNTY = "320000", "320500", "320581"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def office(bare_network: Any, cli: Cli) -> Any:
    """A province with its root key at home, a city, a county."""
    network = bare_network
    network.place(PROVINCE, CITY, COUNTY)
    network.init(PROVINCE, "--found", "fzb.test.example")
    requests = []
    for code in (CITY, COUNTY):
        requests.append(network.root / f"{code}.req")
        network.init(code, "--request", requests[-1])
    change(network, cli, "--admit", *requests, invite=network.root)
    for code in (CITY, COUNTY):
        invite = network.root / f"{code}.invite.json"
        assert cli("join", network[code].home, "--invite", invite)[0] == 0
    network.up(PROVINCE, CITY, COUNTY)
    return network


def change(network: Any, cli: Cli, *what: object, invite: Path | None = None) -> None:
    """What the province does with its root key: draft, sign, apply."""
    file, home = network.root / f"{secrets.token_hex(4)}.json", network[PROVINCE].home
    extra = ("--invite", invite) if invite else ()
    for command in (
        ("roster", "draft", home, "-o", file, *what),
        ("root", "sign", file, "--key", home / "keys" / "root.pem"),
        ("roster", "apply", home, file, *extra),
    ):
        status, _, said = cli(*command)
        assert status == 0, said


def get(server: Any, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{server.web}{path}", timeout=10) as answer:
        return bytes(answer.read())


def add_checkpoint(server: Any, body: bytes) -> tuple[int, bytes]:
    url = f"http://{server.web}/witness/add-checkpoint"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def report(network: Any, cli: Cli, text: str) -> dict[str, Any]:
    path = network.root / f"{secrets.token_hex(4)}.txt"
    path.write_text(text)
    status, answer, said = cli("report", network[COUNTY].home, path)
    assert status == 0, said
    return dict(answer["reports"][0])


def size_of(server: Any) -> int:
    return int(server.status()["logs"][COUNTY][0])


def is_anchored(network: Any, cli: Cli, size: int) -> bool:
    """Whether the province would close the county's key at ``size`` now."""
    file = network.root / "try.json"
    home = network[PROVINCE].home
    if cli("roster", "draft", home, "-o", file, "--revoke", COUNTY)[0]:
        return False
    return f'"log_size":{size}' in file.read_text().replace(" ", "")


def witnessed_beyond(network: Any) -> tuple[int, int, bytes]:
    """Have the city's witness co-sign what the county signed while nobody could mirror it: what it
    knew before (an office has news of its own, so the test does not say), and knows now."""
    county, city = network[COUNTY], network[CITY]
    note = get(county, f"/log/{COUNTY}/checkpoint")
    beyond = parse_checkpoint(note).size
    data = get(county, f"/log/{COUNTY}/{bundle_path(0, beyond)}")
    leaves = [leaf_hash(entry) for entry in split_bundle(data)]

    def subtree(level: int, index: int) -> bytes:
        return perfect_root(b"".join(leaves[index << level : (index + 1) << level]))

    county.stop(signal.SIGKILL)
    city.start()
    status, answer = add_checkpoint(city, format_request(0, (), note))
    assert status == 409
    size = int(answer)
    proof = prove_consistency(size, beyond, subtree)
    status, answer = add_checkpoint(city, format_request(size, tuple(proof), note))
    assert status == 200, answer
    return size, beyond, note


def test_a_tail_lost_for_good(office: Any, cli: Cli) -> None:
    network = office
    county, city, province = network[COUNTY], network[CITY], network[PROVINCE]
    for text in ("一", "二"):
        report(network, cli, text)
    network.until(lambda: size_of(city) == size_of(province) == size_of(county))

    city.stop()
    report(network, cli, "三：没有人来得及镜像")
    size, beyond, note = witnessed_beyond(network)
    assert beyond > size == size_of(city)
    network.until(lambda: is_anchored(network, cli, size))
    assert size_of(city) == size_of(province) == size
    for part in ("ledger", "state", "index", "blobs"):
        shutil.rmtree(county.home / part)

    # the witness knows more than all mirrors: nothing is signed, nothing is refused
    county.start()
    network.until(lambda: f"a peer has {beyond} entries" in county.status()["gate"][COUNTY])
    assert report(network, cli, "四：待登记")["pending"]
    network.until(lambda: size_of(county) == size)
    assert county.status()["spooled"] > 0
    assert county.status()["gate"][COUNTY] != "open"

    # the province closes the key; the office goes on from there with another
    change(network, cli, "--revoke", COUNTY)
    again = network.root / "again.json"
    assert cli("rotate", county.home, "--lost", "-o", again)[0] == 0
    change(network, cli, "--admit", again)
    network.until(lambda: county.status()["gate"] == {COUNTY: "open"}, 60)
    network.until(lambda: county.status()["spooled"] == 0)
    assert report(network, cli, "五")["log_index"] >= size
    now = size_of(county)
    network.until(lambda: size_of(city) == size_of(province) == now)
    network.until(lambda: parse_checkpoint(get(city, f"/log/{COUNTY}/checkpoint")).size == now)

    # said everywhere, and nobody is accused
    assert city.status()["lost_tails"] == {COUNTY: [size, beyond]}
    for server in (county, city, province):
        assert server.status()["quarantined"] == []
        ailments = {each["code"] for each in cli("doctor", server.home)[1]["ailments"]}
        assert ailments <= {"file.missing"}, "the files of the lost disk, and no link refused"
    (tail,) = json.loads(get(city, "/api/v1/evidence"))["lost_tails"]
    assert get(city, tail["file"]).startswith(note.partition(b"\n\n")[0])
    for server in (county, city, province):
        folder = network.root / f"export {server.code}"
        assert cli("export", server.home, folder)[0] == 0
        genesis = province.home / "genesis.note"
        status, answer, said = cli("audit", folder, "--genesis", genesis)
        assert (status, answer["findings"]) == (0, []), said
