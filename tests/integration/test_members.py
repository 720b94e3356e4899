"""Members and keys through real processes: three nodes, root keys that never leave their files."""

from __future__ import annotations

import secrets
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.events import parse_event
from ledger.tiles import bundle_path, split_bundle

PROVINCE, CITY, CITY2, COUNTY = "320000", "320500", "320600", "320581"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


class Desk:
    """The root holders' desks and the province's, with nothing between them but files."""

    def __init__(self, network: Any, cli: Cli, folder: Path) -> None:
        self.network, self.cli, self.folder = network, cli, folder

    def well(self, *arguments: object) -> dict[str, Any]:
        status, answer, said = self.cli(*arguments)
        assert status == 0, said
        return answer

    def sign(self, file: Path, *names: str) -> None:
        for name in names:
            self.well("root", "sign", file, "--key", self.folder / f"{name}.pem")

    def change(self, *what: object, invite: Path | None = None) -> dict[str, Any]:
        """Draft, sign by two of three, apply."""
        file = self.folder / f"{secrets.token_hex(4)}.json"
        home = self.network[PROVINCE].home
        self.well("roster", "draft", home, "-o", file, *what)
        self.sign(file, "b")
        status, _, said = self.cli("roster", "apply", home, file)
        assert status == 1, "one signature is not enough"
        assert "1 missing, of a, c" in said
        self.sign(file, "c")
        extra = ("--invite", invite) if invite else ()
        return self.well("roster", "apply", home, file, *extra)


@pytest.fixture(scope="module")
def desk(bare_network: Any, cli: Cli) -> Desk:
    """A network founded by two of three offline root keys: a province, a node of two cities, a
    county."""
    network, folder = bare_network, bare_network.root
    network.place(PROVINCE, CITY, COUNTY)
    desk = Desk(network, cli, folder)
    roots: list[object] = []
    for name in "abc":
        desk.well("root", "new", folder / f"{name}.pem", "--name", name)
        roots += ["--root", folder / f"{name}.vkey"]
    found = ("--found", "fzb.test.example", *roots, "--threshold", 2)
    network.init(PROVINCE, *found)
    home = network[PROVINCE].home
    draft = home / "genesis.draft"
    desk.sign(draft, "a")
    assert cli("roster", "apply", home, draft)[0] == 1, "one of three is not enough"
    assert cli("root", "sign", draft, "--key", folder / "a.pem")[0] == 1, "and not twice"
    desk.sign(draft, "c")
    desk.well("roster", "apply", home, draft)
    requests = []
    for code, also in ((CITY, ("--office", CITY2)), (COUNTY, ())):
        requests.append(folder / f"{code}.req")
        network.init(code, *also, "--request", requests[-1])
    desk.change("--admit", *requests, invite=folder)
    for code in (CITY, COUNTY):
        desk.well("join", network[code].home, "--invite", folder / f"{code}.invite.json")
    network.up(PROVINCE, CITY, COUNTY)
    return desk


def report(desk: Desk, *extra: object) -> str:
    path = desk.folder / f"{secrets.token_hex(4)}.txt"
    path.write_text(f"卷一 {secrets.token_hex(8)}")
    answer = desk.well("report", desk.network[COUNTY].home, path, *extra)
    assert answer["reports"][0]["status"] == "submitted", answer
    return str(answer["reports"][0]["item"])


def gate(desk: Desk) -> str:
    return str(desk.network[COUNTY].status()["gate"][COUNTY])


def checkpoint(desk: Desk, code: str) -> str:
    url = f"http://{desk.network[PROVINCE].web}/log/{code}/checkpoint"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def known_size(desk: Desk) -> int:
    return int(checkpoint(desk, COUNTY).split("\n")[1])


def mirrored(desk: Desk) -> bool:
    """Whether the province has all of every log."""
    at = {PROVINCE: PROVINCE, CITY: CITY, CITY2: CITY, COUNTY: COUNTY}
    own = {code: desk.network[node].status()["logs"][code] for code, node in at.items()}
    return bool(own == desk.network[PROVINCE].status()["logs"])


def test_keys_change_and_people_come_and_go(desk: Desk) -> None:
    network, cli, folder = desk.network, desk.cli, desk.folder
    county = network[COUNTY].home
    report(desk)

    # other keys, while the node runs
    before = member(desk)["event_key"]
    desk.well("rotate", county, "-o", folder / "rotate.json")
    desk.change("--rotate", folder / "rotate.json")
    network.until(lambda: member(desk)["event_key"] != before and gate(desk) == "open")
    report(desk)
    size = network[COUNTY].status()["logs"][COUNTY][0]
    network.until(lambda: known_size(desk) == size)

    # a named clerk, who may report and nothing else
    clerk = desk.well("user", "enroll", county, "--name", "王秀兰", "--role", "clerk")["key"]
    network.until(lambda: any(u["counts"] for u in desk.well("user", "list", county)["users"]))
    item = report(desk, "--as", clerk)
    status, _, said = cli("withdraw", county, item, "--reason", "误报", "--as", clerk)
    assert status == 1
    assert "administrator" in said
    assert cli("withdraw", county, item, "--reason", "误报", "--as", "01ffffffffff")[0] == 3

    # the keys are stolen: revoked, and the same home comes back with new ones
    size = network[COUNTY].status()["logs"][COUNTY][0]
    drafted = folder / "try.json"
    network.until(lambda: anchored(desk, drafted) >= size)
    desk.change("--revoke", COUNTY)
    network.until(lambda: "revoked" in gate(desk))
    codes = [a["code"] for a in cli("doctor", county)[1]["ailments"]]
    assert "office.barred" in codes
    desk.well("rotate", county, "--lost", "-o", folder / "again.json")
    status, _, said = cli(
        "roster", "draft", network[PROVINCE].home, "-o", drafted, "--rotate", folder / "again.json"
    )
    assert status == 1, "who is revoked cannot rotate"
    desk.change("--admit", folder / "again.json")
    network.until(lambda: gate(desk) == "open")
    status, _, said = cli("report", county, folder / "again.json", "--as", clerk)
    assert status == 1, "a closure lapses the users of before"
    report(desk)

    # under another parent
    desk.change("--move", COUNTY, "--parent", CITY2)
    network.until(lambda: member(desk)["parent"] == CITY2)
    item = report(desk)
    network.until(lambda: cli("review", network[CITY].home, item, "--pass")[0] == 0)

    # an auditor who trusts the genesis note alone finds nothing
    size = network[COUNTY].status()["logs"][COUNTY][0]
    network.until(lambda: mirrored(desk))
    export, genesis = folder / "export", network[PROVINCE].home / "genesis.note"
    desk.well("export", network[PROVINCE].home, export)
    audit = desk.well("audit", export, "--genesis", genesis)
    assert audit["findings"] == [], audit
    assert clerk in signers(export, size)


def anchored(desk: Desk, file: Path) -> int:
    """The size at which the county's keys would be closed now."""
    home = desk.network[PROVINCE].home
    status, _, _ = desk.cli("roster", "draft", home, "-o", file, "--revoke", COUNTY)
    if status:
        return -1
    (line,) = desk.well("root", "show", file)["changes"][1:]
    return int(line.partition("账本只认到 ")[2].partition(" ")[0])


def member(desk: Desk) -> dict[str, Any]:
    """The county as its own node knows it."""
    members = desk.well("roster", "show", desk.network[COUNTY].home)["members"]
    return next(m for m in members if m["code"] == COUNTY)


def signers(export: Path, size: int) -> set[str]:
    """The key ids that signed the county's events."""
    data = (export / "log" / COUNTY / bundle_path(0, size)).read_bytes()
    return {parse_event(entry).signer.hex() for entry in split_bundle(data)}
