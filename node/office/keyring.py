"""With which keys does an office of this node sign now?  With those that the roster names.

A home may have several generations of an office's keys: ``init`` and ``rotate`` make them, the
roster decides when they count.  Every service gets the :class:`Keyring` and asks it each time, so
all of them change over in the moment in which the change is folded.

A peer may refuse the generation that we think is the present one: it knows the roster better than
we do, and it is only from a peer that we could learn better; or it has not heard of our rotation,
and it is only from us that it could.  So after such a refusal hellos are said with the next
generation, in turns, until one is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from ledger.members import Member
from node.hands.keys import OfficeKeys
from protocol.ids import OfficeCode
from protocol.keys import Signer, SigningKey

Generations = Mapping[OfficeCode, tuple[OfficeKeys, ...]]


class KeyFolder(Protocol):
    """Where the private keys of a node are kept."""

    def offices(self) -> Generations:
        """Every generation of the keys of every office, oldest first."""

    def user(self, user: bytes) -> SigningKey:
        """The key of a named user, by its id.

        Raises:
            Missing: it is not here.
        """

    def keep_user(self, key: SigningKey) -> None:
        """Durably keep the key of a named user."""

    def sealing(self, code: OfficeCode) -> tuple[bytes, ...]:
        """The private sealing keys of an office (X25519), oldest first."""

    def keep_sealing(self, code: OfficeCode, private: bytes) -> None:
        """Durably keep the next sealing key of an office."""


class Keyring(Mapping[OfficeCode, OfficeKeys]):
    """The present keys of the offices hosted here; an abolished office is none of them.

    Args:
        folder: where the keys are kept; looked at again when the roster names unknown ones.
        member: what the roster knows of an office.
    """

    def __init__(self, folder: KeyFolder, member: Callable[[OfficeCode], Member | None]) -> None:
        self._folder = folder
        self._member = member
        self._generations = folder.offices()
        self.refusals = 0  # of our hellos, since the roster changed

    @property
    def hosted(self) -> frozenset[OfficeCode]:
        """Every office that has keys here, the abolished ones too."""
        return frozenset(self._generations)

    def __getitem__(self, code: OfficeCode) -> OfficeKeys:
        generations = self._generations[code]
        if self._successor(code):
            raise KeyError(code)
        return generations[self._present(code)]

    def __iter__(self) -> Iterator[OfficeCode]:
        return (code for code in self._generations if not self._successor(code))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def former(self, code: OfficeCode) -> tuple[OfficeKeys, ...]:
        """The generations before the present one, newest first."""
        return self._generations[code][: self._present(code)][::-1]

    def why_barred(self, code: OfficeCode) -> str:
        """Why nothing may be signed for an office, in words; "" when the keys here are good."""
        member = self._member(code)
        if member is None:
            return ""
        if successor := self._successor(code):
            return f"{code} 已撤并，由 {successor} 承接 · abolished, {successor} acts for its items"
        if member.revoked:
            return f"{code} 的密钥已撤销 · its keys are revoked: fangzhi rotate HOME --lost"
        if not any(_is_named(keys, member) for keys in self._generations[code]):
            return (
                f"名册中 {code} 的密钥不在本节点 · the roster names keys that are not in this home"
            )
        return ""

    def refresh(self) -> None:
        """The roster has changed: read keys again where it names some that we have not seen."""
        self.refusals = 0
        if any(self.why_barred(code) for code in self._generations):
            self._generations = self._folder.offices()

    # hellos

    def refused(self) -> None:
        """A peer does not know the keys of our last hello."""
        self._generations = self._folder.offices()
        self.refusals += 1

    def greeting(self) -> dict[OfficeCode, Signer]:
        """The event keys for the next hello."""
        signers: dict[OfficeCode, Signer] = {}
        turns = self.refusals
        for code in sorted(self):
            present, generations = self._present(code, older=True), self._generations[code]
            choices = generations[present:] + generations[:present]
            turns, turn = divmod(turns, len(choices))
            signers[code] = choices[turn].event
        return signers

    # which one

    def _present(self, code: OfficeCode, *, older: bool = False) -> int:
        """The place of the generation that the roster names, else of the newest one (with
        ``older``: of the oldest)."""
        member, generations = self._member(code), self._generations[code]
        if member is not None:
            for number, keys in enumerate(generations):
                if _is_named(keys, member):
                    return number
        return 0 if older else len(generations) - 1

    def _successor(self, code: OfficeCode) -> str:
        member = self._member(code)
        return "" if member is None else member.successor or ""


def _is_named(keys: OfficeKeys, member: Member) -> bool:
    """Whether the roster names this generation."""
    return (keys.log.public, keys.witness.public, keys.mirror.public, keys.event.public) == (
        member.log_key,
        member.witness_key,
        member.mirror_key,
        member.event_key,
    )
