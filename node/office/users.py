"""Named users: whose word may this office's log carry, beside that of the office itself?

``key.enroll`` stands in the office's own log and carries the hash of a salted file with the name;
the file stays here and can be erased, the key stays under ``keys/users``.  What a user says is
checked against the roles before anything is stored or signed.  docs/spec/membership.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger import views
from ledger.authority import ROLE_KINDS
from ledger.events import KeyEnroll, KeyRetire
from ledger.roster import Roster
from ledger.views import UserKey
from node.hands.world import World
from node.office.catalog import put_bytes, read_whole
from node.office.keyring import KeyFolder, Keyring
from node.office.sequencer import Sequencer
from protocol.errors import DecodeError, FangzhiError, Forbidden, Missing
from protocol.ids import BlobId, OfficeCode
from protocol.keys import Signer, SigningKey, key_id
from protocol.limits import NAME_CHARS_MAX, PERSON_BYTES_MAX
from protocol.records import encode_person, parse_person

Json = dict[str, Any]
KEY_ID_CHARS_MIN = 6  # of a key id that somebody types


class Users:
    """Users of the offices hosted here."""

    def __init__(
        self,
        world: World,
        folder: KeyFolder,
        keys: Keyring,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
    ) -> None:
        self._world = world
        self._folder = folder
        self._keys = keys
        self._sequencer = sequencer
        self._roster = roster

    def speaker(self, office: str, typed: str, kind: str) -> bytes:
        """The id of the user's key that begins as ``typed``, which may sign ``kind`` for
        ``office``; b"" (the office itself) for "".

        Raises:
            Missing: no such user, or the private key is not in this home.
            Forbidden: the key is retired, or its roles do not allow this.
        """
        if not typed:
            return b""
        user = self._find(office, typed)
        if not any(kind in ROLE_KINDS[role] for role in user.roles):
            able = [role for role, kinds in sorted(ROLE_KINDS.items()) if kind in kinds]
            raise Forbidden(f"{kind} as {typed}", f"the role {' or '.join(able)}", user.roles)
        signer = key_id(user.key)
        if not self._counts(office, user):
            raise Forbidden(f"{kind} as {typed}", "a key that counts", "a retired or lapsed one")
        self._folder.user(signer)
        return signer

    def signer(self, office: OfficeCode, user: bytes) -> Signer | None:
        """The user's key, if it still counts: drafts may have waited for long."""
        with self._world.state.read() as reader:
            known = views.user_key(reader, office, user)
        return self._folder.user(user) if known and self._counts(office, known) else None

    async def enroll(self, office: str, name: str, roles: tuple[str, ...]) -> Json:
        """Make a key for a person and enroll it; what it may sign counts from the next event on.

        Raises:
            Forbidden: the office is not hosted here.
            DecodeError: no name, or a role there is not.
        """
        code = self._hosted(office)
        if not 0 < len(name.strip()) <= NAME_CHARS_MAX or not name.isprintable():
            raise DecodeError("user name", f"1 to {NAME_CHARS_MAX} characters", len(name))
        if not roles or not set(roles) <= set(ROLE_KINDS):
            raise DecodeError("user roles", f"some of {sorted(ROLE_KINDS)}", sorted(roles))
        rng = self._world.rng
        key = SigningKey.from_seed(rng.random_bytes(32))
        person = encode_person(rng.random_bytes(16).hex(), name.strip())
        self._folder.keep_user(key)
        blob = await put_bytes(self._world.blobs, person)
        body = KeyEnroll(key.public, blob, tuple(sorted(set(roles))))
        refs = await self._sequencer.append(code, (body,))
        status = "enrolled" if refs else "spooled"
        return {"office": code, "key": key_id(key.public).hex(), "status": status}

    async def retire(self, typed: str) -> Json:
        """From the next event on a user's key may sign nothing.

        Raises:
            Missing: no user of an office hosted here has a key of this id.
            Forbidden: it is retired already.
        """
        found = [
            (code, user)
            for code in sorted(self._keys)
            for user in self._all(code)
            if self._is_named(user, typed)
        ]
        if len(found) != 1:
            raise Missing("user", f"one key whose id begins with {typed[:32]}", len(found))
        code, user = found[0]
        if user.retired:
            raise Forbidden("user retire", "a key that counts", "a retired one")
        refs = await self._sequencer.append(code, (KeyRetire(key_id(user.key)),))
        status = "retired" if refs else "spooled"
        return {"office": code, "key": key_id(user.key).hex(), "status": status}

    async def listed(self) -> list[Json]:
        """Every user of the offices hosted here; a name that was erased is ""."""
        return [
            {
                "office": code,
                "key": key_id(user.key).hex(),
                "name": await self._name(user.person),
                "roles": list(user.roles),
                "counts": self._counts(code, user),
                "since": user.index,
            }
            for code in sorted(self._keys)
            for user in self._all(code)
        ]

    async def _name(self, person: BlobId) -> str:
        try:
            return parse_person(await read_whole(self._world.blobs, person, PERSON_BYTES_MAX))
        except FangzhiError:
            return ""

    def _find(self, office: str, typed: str) -> UserKey:
        found = [user for user in self._all(office) if self._is_named(user, typed)]
        if len(found) != 1:
            expected = f"one user's key of {office} whose id begins so (fangzhi user list)"
            raise Missing(f"user {typed[:32]}", expected, len(found))
        return found[0]

    def _is_named(self, user: UserKey, typed: str) -> bool:
        return len(typed) >= KEY_ID_CHARS_MIN and key_id(user.key).hex().startswith(typed)

    def _all(self, office: str) -> list[UserKey]:
        with self._world.state.read() as reader:
            return views.user_keys(reader, office)

    def _counts(self, office: str, user: UserKey) -> bool:
        return not user.retired and not self._roster().has_closed(office, user.roster_size)

    def _hosted(self, office: str) -> OfficeCode:
        hosted = sorted(self._keys)
        code = OfficeCode(office or (hosted[0] if hosted else ""))
        if code not in self._keys:
            raise Forbidden("user", f"an office hosted here: {hosted}", code or "none")
        return code
