"""The drill (演练): an office loses its disk and its keys, and gets its sealed files back with the
province's offline recovery key.  Real processes, files carried by hand."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROVINCE, CITY, COUNTY = "320000", "320500", "320581"
Cli = Callable[..., tuple[int, dict[str, Any], str]]
TEXT = "".join(f"第{n}行 常熟虞山，加密保管\n" for n in range(40_000)).encode()  # two chunks


class Drill:
    def __init__(self, network: Any, cli: Cli) -> None:
        self.network, self.cli, self.folder = network, cli, network.root

    def well(self, *command: object) -> dict[str, Any]:
        status, answer, said = self.cli(*command)
        assert status == 0, said
        return answer

    def fails(self, *command: object) -> dict[str, Any]:
        status, answer, said = self.cli(*command)
        assert status == 1, said
        return dict(answer["problem"])

    def change(self, *what: object) -> None:
        """Draft, sign with the province's root key, apply."""
        file, home = self.folder / f"{secrets.token_hex(4)}.json", self.home(PROVINCE)
        self.well("roster", "draft", home, "-o", file, *what)
        self.well("root", "sign", file, "--key", home / "keys" / "root.pem")
        self.well("roster", "apply", home, file, "--invite", self.folder)

    def home(self, code: str) -> Path:
        return Path(self.network[code].home)

    def enter(self, code: str) -> None:
        """A new home, admitted, joined and running."""
        request = self.folder / f"{code}.req"
        self.network.init(code, "--request", request)
        self.change("--admit", request)
        self.well("join", self.home(code), "--invite", self.folder / f"{code}.invite.json")
        self.network[code].start()

    def counter(self, code: str, name: str) -> int:
        return int(self.network[code].status()["counters"].get(name, 0))


@pytest.fixture
def drill(bare_network: Any, cli: Cli) -> Drill:
    network = bare_network
    network.place(PROVINCE, CITY, COUNTY)
    network.init(PROVINCE, "--found", "fzb.test.example")
    network[PROVINCE].start()
    drill = Drill(network, cli)
    for code in (CITY, COUNTY):
        drill.enter(code)
    return drill


def test_a_lost_disk_and_lost_keys_are_recovered(drill: Drill) -> None:
    network, folder = drill.network, drill.folder
    drill.well("recovery", "new", folder / "recovery.pem")
    drill.well("recovery", "new", folder / "other.pem")
    drill.change("--recovery", folder / "recovery.pub")
    network.until(lambda: size(drill, PROVINCE, PROVINCE) == size(drill, COUNTY, PROVINCE))
    source = folder / "志稿"
    source.mkdir()
    (source / "正文.txt").write_bytes(TEXT)
    answer = drill.well("report", drill.home(COUNTY), source, "--rights", "sealed", "--title", "志")
    item = str(answer["reports"][0]["item"])

    def is_kept() -> bool:
        events = {(event["kind"], event["office"]) for event in events_of(drill, item, PROVINCE)}
        return {("hold.take", PROVINCE), ("hold.take", CITY), ("seal.make", COUNTY)} <= events

    network.until(is_kept, 60)
    network.until(lambda: is_anchored(drill), 30)

    # fire: the disk and every key of the county are gone
    network[COUNTY].stop(signal.SIGKILL)
    shutil.rmtree(drill.home(COUNTY))
    drill.change("--revoke", COUNTY)
    drill.enter(COUNTY)
    county = drill.home(COUNTY)
    network.until(lambda: drill.counter(COUNTY, "sealed.locked") == 1, 60)

    # without the recovery key nothing opens; with another one neither
    asked, answered = folder / "request.json", folder / "answer.json"
    request = drill.well("recovery", "request", county, "-o", asked)
    reader = request["reader"]
    opening = ("recovery", "open", asked, "-o", answered, "--reader")
    wrong = drill.fails(*opening, reader, "--key", folder / "other.pem")
    assert wrong["code"] == "key.mismatch"
    assert drill.fails(*opening, "0" * 64, "--key", folder / "recovery.pem")["code"] == (
        "key.mismatch"
    )
    drill.well(*opening, reader[:16], "--key", folder / "recovery.pem")
    assert drill.well("recovery", "apply", county, answered)["items"] == 1

    # the files come back from copies that nobody else could read
    target = folder / "取回"
    network.until(lambda: drill.counter(COUNTY, "sealed.locked") == 0)
    told = drill.well("recall", item, "--node", county, "--to", target)
    assert (target / "正文.txt").read_bytes() == TEXT
    receipt = target / "调取回执.json"
    network.until(
        lambda: drill.cli("recall", "--check", receipt, "--node", drill.home(CITY))[0] == 0
    )
    assert told["by"] == COUNTY
    proof = folder / "证明.json"
    network.until(lambda: drill.cli("receipt", receipt, "--node", county, "-o", proof)[0] == 0)
    genesis = drill.home(CITY) / "genesis.note"
    assert drill.well("verify", proof, "--genesis", genesis)["receipt"]["by"] == COUNTY
    proof.write_text(proof.read_text().replace(f'"by": "{COUNTY}"', f'"by": "{CITY}"'))
    assert drill.fails("verify", proof, "--genesis", genesis)["code"] == "proof"
    (target / "正文.txt").write_bytes(TEXT[:-1])
    assert drill.cli("recall", "--check", receipt, "--node", county)[0] == 1
    refused = drill.fails("recall", item, "--node", drill.home(CITY), "--to", folder / "不可")
    assert refused["code"] == "forbidden"
    assert COUNTY in refused["detail"]

    # a download that was cut goes on where it stopped
    part = target / "正文.txt.part"
    (target / "正文.txt").unlink()
    part.write_bytes(TEXT[:700_001])
    drill.well("recall", item, "--node", county, "--to", target)
    assert (target / "正文.txt").read_bytes() == TEXT
    assert not part.exists()


def size(drill: Drill, at: str, code: str) -> int:
    return int(drill.network[at].status()["logs"][code][0])


def events_of(drill: Drill, item: str, at: str) -> list[dict[str, Any]]:
    token = (drill.home(at) / "token").read_text().strip()
    request = urllib.request.Request(
        f"http://{drill.network[at].web}/api/v1/items/{item}",
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return list(json.load(answer)["events"])
    except OSError:
        return []


def is_anchored(drill: Drill) -> bool:
    """Whether the province would close the county's keys at all that it has said."""
    file = drill.folder / "try.json"
    status, _, _ = drill.cli(
        "roster", "draft", drill.home(PROVINCE), "-o", file, "--revoke", COUNTY
    )
    log_size = size(drill, COUNTY, COUNTY)
    return status == 0 and f'"log_size":{log_size}' in file.read_text().replace(" ", "")
