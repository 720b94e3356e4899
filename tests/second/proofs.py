"""tlog-proof and tlog-policy (C2SP), read by the pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.second import notes, trees
from tests.second.notes import Key
from tests.second.values import Bad


@dataclass(frozen=True)
class Proof:
    extra: bytes | None
    index: int
    hashes: tuple[bytes, ...]
    note: bytes


def read_proof(data: bytes) -> Proof:
    head, blank, note = data.partition(b"\n\n")
    try:
        rows = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Bad("not ASCII") from error
    if not blank or rows.pop(0) != "c2sp.org/tlog-proof@v1":
        raise Bad("not a tlog-proof")
    extra = None
    if rows and rows[0].startswith("extra "):
        extra = notes.unbase64(rows.pop(0)[6:], strict=False)
    if not rows or not rows[0].startswith("index "):
        raise Bad("no index")
    index = notes.decimal(rows.pop(0)[6:])
    hashes = tuple(notes.unbase64(row, strict=False) for row in rows)
    if len(hashes) > 63 or any(len(each) != 32 for each in hashes):
        raise Bad("too many hashes, or short ones")
    return Proof(extra, index, hashes, note)


def check_proof(data: bytes, entry: bytes, keys: Iterable[Key]) -> notes.Checkpoint:
    """The checkpoint, signed by one of ``keys``, that covers an entry; raises Bad."""
    proof = read_proof(data)
    note = notes.read_note(proof.note)
    notes.signers(note, keys)
    checkpoint = notes.read_checkpoint(note.text)
    trees.check_inclusion(
        proof.index, checkpoint.size, trees.leaf(entry), proof.hashes, checkpoint.root
    )
    return checkpoint


@dataclass(frozen=True)
class Policy:
    logs: tuple[Key, ...]
    witnesses: dict[str, Key]
    groups: dict[str, tuple[int, tuple[str, ...]]]
    quorum: str | None

    def holds(self, keys: Iterable[Key]) -> bool:
        """Whether the witnesses among ``keys`` are a quorum."""
        have = set(keys)

        def has(name: str) -> bool:
            if name in self.witnesses:
                return self.witnesses[name] in have
            needed, members = self.groups[name]
            return sum(map(has, members)) >= needed

        return self.quorum is None or has(self.quorum)


def read_policy(text: str) -> Policy:
    logs: list[Key] = []
    witnesses: dict[str, Key] = {}
    groups: dict[str, tuple[int, tuple[str, ...]]] = {}
    quorums: list[str] = []
    used: set[str] = set()
    if any((char < " " and char not in "\t\n") or char == "\x7f" for char in text):
        raise Bad("a control character")
    for row in text.split("\n"):
        match [word for word in re.split("[ \t]", row) if word]:
            case []:
                continue
            case [first, *_] if first.startswith("#"):
                continue
            case ["log", vkey] | ["log", vkey, _]:
                logs.append(notes.read_vkey(vkey))
            case ["witness", name, vkey] | ["witness", name, vkey, _] if _new(
                name, witnesses, groups
            ):
                witnesses[name] = notes.read_vkey(vkey)
            case ["group", name, rule, *members] if members and _new(name, witnesses, groups):
                for member in members:
                    if member in used or (member not in witnesses and member not in groups):
                        raise Bad(f"{member} is not defined, or a member already")
                    used.add(member)
                counts = {"any": 1, "all": len(members)}
                needed = counts[rule] if rule in counts else notes.decimal(rule)
                if not 1 <= needed <= len(members):
                    raise Bad("a group of too few")
                groups[name] = (needed, tuple(members))
            case ["quorum", name] if name == "none" or name in witnesses or name in groups:
                quorums.append(name)
            case _:
                raise Bad(f"not a line of a policy: {row!r}")
    publics = [key.public for key in (*logs, *witnesses.values())]
    if len(quorums) != 1 or len(set(publics)) != len(publics):
        raise Bad("not one quorum, or one key twice")
    return Policy(tuple(logs), witnesses, groups, None if quorums[0] == "none" else quorums[0])


def _new(name: str, *taken: Iterable[str]) -> bool:
    return name != "none" and not any(name in each for each in taken)
