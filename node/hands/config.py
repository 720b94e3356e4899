"""How is this node set?  One TOML file, every key known, every number with its unit.

:func:`parse` is pure.  The example ``configs/node.toml`` names every key with its default; a test
keeps the two equal.
"""

from __future__ import annotations

import difflib
import tomllib
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from protocol.errors import ConfigError
from protocol.limits import DOMAIN_CHARS_MAX
from protocol.pacing import parse_night


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """The peer link (TLS, counted on to be reachable only where ``listen`` says so)."""

    listen: str = ""  # host:port to accept peers on; "" = nobody can dial in, this node dials out
    advertise: str = ""  # host:port that the roster gives to others; "" = same as listen
    proxy: str = ""  # http://host:port of an HTTP CONNECT proxy for dialling out
    redial_s_max: int = 60  # longest wait between two tries to reach a peer
    request_s_max: int = 20  # deadline of one question to a peer


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Portal, JSON API, log and witness endpoints."""

    listen: str = "127.0.0.1:8320"  # host:port; plain HTTP is allowed on loopback only
    url: str = ""  # the address the public sees; "" = made from listen
    certificate: str = ""  # PEM file (ECDSA or RSA) for HTTPS
    private_key: str = ""  # PEM file


@dataclass(frozen=True, slots=True)
class LedgerConfig:
    gossip_ms: int = 200  # checkpoints that change within this time travel together
    sync_s: int = 30  # when heads are compared after news, and how often until they are equal
    anchor_s: int = 60  # how often a parent records its children's checkpoints
    map_gib: int = 64  # address space for the ledger; sparse, not disk space


@dataclass(frozen=True, slots=True)
class StoreConfig:
    reserve_mib: int = 512  # free disk space that uploads must leave
    quota_gib: int = 1_000_000  # what files may take up, whatever is free
    scrub_days: int = 30  # every stored file is read and checked once in this time
    upload_hours: int = 48  # a report that is not submitted is forgotten after this time
    map_gib: int = 64  # address space for the derived state; sparse


@dataclass(frozen=True, slots=True)
class KeepingConfig:
    """What this node keeps for other offices, and how it asks after its own copies elsewhere."""

    offer_gib: int = 1024  # room for others' files, said in the log of each office here
    domain: str = ""  # what fails together with this node: a machine room, a grid; "" = alone
    keeps_others: bool = False  # a county's consent to keep others' files; cities always do
    checks_per_day: int = 96  # possession challenges to other holders


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """How fast files travel between nodes, in each direction."""

    day_kib_s: int = 1_000_000
    night_kib_s: int = 1_000_000
    night: str = "22:00-06:00"  # Chinese time; may pass midnight


@dataclass(frozen=True, slots=True)
class SearchConfig:
    deadline_ms: int = 2000  # what has not answered by then is named as missing
    hedge_ms: int = 300  # a silent holder's shards are asked elsewhere after this time


@dataclass(frozen=True, slots=True)
class LogConfig:
    level: str = "warning"  # debug | info | warning | error


@dataclass(frozen=True, slots=True)
class NodeConfig:
    peer: PeerConfig = field(default_factory=PeerConfig)
    web: WebConfig = field(default_factory=WebConfig)
    ledger: LedgerConfig = field(default_factory=LedgerConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    keeping: KeepingConfig = field(default_factory=KeepingConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    log: LogConfig = field(default_factory=LogConfig)


def parse(text: str) -> NodeConfig:
    """The configuration in a TOML text.

    Raises:
        ConfigError: not TOML, an unknown key (naming the nearest known one), a value of another
            type or out of range.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("node.toml", "TOML", str(error)) from error
    config: NodeConfig = _read(NodeConfig, tree, "node.toml")
    _check(config)
    return config


def parse_address(address: str, where: str) -> tuple[str, int]:
    """``(host, port)`` of ``host:port``; an IPv6 host stands in brackets.

    Raises:
        ConfigError: another form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535 or not host:
        raise ConfigError(where, "host:port", repr(address))
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _read(cls: type[Any], tree: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1, 0.0)
            raise ConfigError(
                f"{where}: {key}", f"a known key (did you mean {near[0]}?)", "unknown"
            )
        kind = hints[key]
        if is_dataclass(kind):
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {key}", f"a table [{key}]", repr(value)[:40])
            values[key] = _read(typing.cast(Any, kind), value, f"{where} [{key}]")
        elif type(value) is not kind:
            raise ConfigError(f"{where}: {key}", kind.__name__, repr(value)[:40])
        elif kind is int and not 1 <= value <= 10**6:
            raise ConfigError(f"{where}: {key}", "1 to 1000000", value)
        else:
            values[key] = value
    return cls(**values)


def _check(config: NodeConfig) -> None:
    for where, address in (
        ("[peer] listen", config.peer.listen),
        ("[peer] advertise", config.peer.advertise),
        ("[web] listen", config.web.listen),
    ):
        if address:
            parse_address(address, f"node.toml {where}")
    if config.web.listen and not config.web.certificate:
        host, _ = parse_address(config.web.listen, "node.toml [web] listen")
        if not is_loopback(host):
            raise ConfigError(
                "node.toml [web] listen", "loopback, or a certificate and private_key", host
            )
    if bool(config.web.certificate) != bool(config.web.private_key):
        raise ConfigError("node.toml [web]", "both certificate and private_key, or none", "one")
    parse_night(config.transfer.night)
    if len(config.keeping.domain) > DOMAIN_CHARS_MAX:
        raise ConfigError(
            "node.toml [keeping] domain", f"at most {DOMAIN_CHARS_MAX} characters", "more"
        )
    if config.log.level not in ("debug", "info", "warning", "error"):
        raise ConfigError(
            "node.toml [log] level", "debug, info, warning or error", config.log.level
        )
