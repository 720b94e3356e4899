"""Go's checksum-database packages read our export (Debian: golang-golang-x-mod-dev)."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ledger.checkpoint import log_key
from tests.conftest import NO_GO
from tests.second import generated
from tests.unit.ledger.conftest import CITY, COUNTY, Network

GOPATH = "/usr/share/gocode"


@pytest.fixture(scope="session")
def checker(tmp_path_factory):
    """The compiled program; skips where Go or its packages are not installed."""
    go = shutil.which("go")
    if go is None or not Path(GOPATH, "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip(NO_GO)
    folder = tmp_path_factory.mktemp("go")
    environment = {
        **os.environ,
        "GOPATH": GOPATH,
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOCACHE": str(folder / "cache"),
    }
    source = Path(__file__).with_name("main.go")
    subprocess.run([go, "build", "-o", folder / "check", source], env=environment, check=True)
    return folder / "check"


@pytest.fixture(scope="module")
def network():
    network = Network().found()
    generated.hold(network, COUNTY, 300)
    generated.hold(network, CITY, 1)
    return network


def run(checker, *arguments):
    done = subprocess.run([checker, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def vkey(network, code):
    origin = network.genesis.origin(code)
    return log_key(origin, network.key(code, "log").public).vkey


@pytest.fixture
def exported(network, tmp_path):
    """A function: an export of the network as it is, under a name."""

    def make(name):
        generated.export(network, tmp_path / name)
        return tmp_path / name / "log" / COUNTY

    return make


def test_go_reads_a_log_and_its_growth(checker, network, exported):
    old, key = exported("old"), vkey(network, COUNTY)
    generated.hold(network, COUNTY, 230)
    new = exported("new")
    code, said = run(checker, new, key, old)
    root = base64.b64encode(network.tree(COUNTY).root()).decode()
    assert code == 0, said
    assert said.split() == [network.genesis.origin(COUNTY), "530", root]
    assert run(checker, new.parent / CITY, vkey(network, CITY))[0] == 0
    assert run(checker, old, key, new)[0] == 1  # a log does not shrink


def test_go_refuses_what_was_changed(checker, network, exported):
    log, key = exported("log"), vkey(network, COUNTY)
    assert run(checker, log, vkey(network, CITY))[0] == 1
    for name in ("checkpoint", "tile/0/000", "tile/entries/000"):
        path = log / name
        sound = path.read_bytes()
        path.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        assert run(checker, log, key)[0] == 1, name
        path.write_bytes(sound)
    assert run(checker, log, key)[0] == 0


def test_go_sees_another_history(checker, network, exported):
    old, key = exported("old"), vkey(network, COUNTY)
    other = Network().found()
    generated.hold(other, COUNTY, 1)
    generated.hold(other, COUNTY, 700)
    generated.export(other, old.parent.parent.parent / "forked")
    forked = old.parent.parent.parent / "forked" / "log" / COUNTY
    assert run(checker, forked, key)[0] == 0
    code, said = run(checker, forked, key, old)
    assert code == 1
    assert "size" in said
