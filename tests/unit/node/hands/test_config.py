"""node.toml: the example says the defaults, and mistakes are named."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from node.hands.config import NodeConfig, is_loopback, parse, parse_address
from protocol.errors import ConfigError

EXAMPLE = Path(__file__).parents[4] / "configs" / "node.toml"


def test_the_example_names_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text("utf-8")
    assert tomllib.loads(text) == asdict(NodeConfig())
    assert parse(text) == parse("") == NodeConfig()


@pytest.mark.parametrize("path", sorted(EXAMPLE.parent.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_good(path: Path) -> None:
    parse(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ledger]\ngosip_ms = 1", "did you mean gossip_ms"),
        ("[leger]\ngossip_ms = 1", "did you mean ledger"),
        ("peer = 1", r"a table \[peer\]"),
        ('[ledger]\ngossip_ms = "200"', "expected int"),
        ("[ledger]\ngossip_ms = true", "expected int"),
        ("[ledger]\ngossip_ms = 0", "1 to 1000000"),
        ("[ledger]\ngossip_ms = 1.5", "expected int"),
        ('[peer]\nlisten = "7000"', "host:port"),
        ('[peer]\nadvertise = "a:99999"', "host:port"),
        ('[web]\nlisten = "0.0.0.0:80"', "loopback, or a certificate"),
        ('[web]\ncertificate = "c.pem"', "both certificate and private_key"),
        ('[log]\nlevel = "loud"', "debug, info"),
        ("[ledger", "TOML"),
    ],
)
def test_a_mistake_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(text)


def test_addresses() -> None:
    assert parse_address("[::1]:80", "x") == ("::1", 80)
    assert parse_address("node.example:8321", "x") == ("node.example", 8321)
    for address in ("", ":80", "a", "a:", "a:-1", "a:x"):
        with pytest.raises(ConfigError):
            parse_address(address, "x")
    assert [is_loopback(host) for host in ("127.0.0.9", "::1", "10.0.0.1")] == [True, True, False]
