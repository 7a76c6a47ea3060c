"""Alice, who administers team@lists.example, and Bob: their keys never change, nor do examples."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from recrypt_core.documents import (
    NO_HEAD,
    Account,
    GroupKey,
    MemberEntry,
    Privilege,
    Profile,
    UserDecryptionEntry,
    VerifiedGroupKey,
    VerifiedProfile,
    sign_group_key,
    sign_profile,
)
from recrypt_core.encoding import JsonObject, read_json, read_object
from recrypt_core.envelope import envelope_from_json
from recrypt_core.keys import PrivateKey, PublicKey
from recrypt_core.limits import DOCUMENT_OCTETS, GROUP_KEY_LIFE
from recrypt_core.signature_keys import SignaturePrivateKey
from recrypt_core.wire import SealedKey

NOW: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL: Final = "https://lists.example"
TEAM: Final = "team@lists.example"

_CAST: Final = Path(__file__).with_name("cast.json")


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody's keys, by name, and what was sealed with them."""

    held: JsonObject

    def agreement(self, name: str) -> PrivateKey:
        """Give an agreement key: `team group`, `bob device`, `bob r`, `bob x`, `ephemeral`."""
        return PrivateKey.from_secret_jwk(self._key(name))

    def signature(self, name: str) -> SignaturePrivateKey:
        """Give a signature key: `alice online`, `team master`."""
        return SignaturePrivateKey.from_secret_jwk(self._key(name))

    def sealed(self, name: str) -> SealedKey:
        """Give a JWE: `DecryptionKey` is Bob's x for Bob, `AdministratorKey` a for Alice."""
        return SealedKey(envelope_from_json(read_object(self.held[name], what="the cast")))

    def profile(self, who: str, account: Account) -> VerifiedProfile:
        """Make somebody's profile; a Master has no EncryptionKeys."""
        master = self.signature(f"{who} master")
        devices: tuple[PublicKey, ...] = ()
        if who != "team":
            devices = (self.agreement(f"{who} device").public,)
        stated = Profile(
            identifier=master.public.udf,
            master_signature_key=master.public,
            online_signature_keys=(self.signature(f"{who} online").public,),
            encryption_keys=devices,
            accounts=(account,),
            updated=NOW,
        )
        return sign_profile(stated, master)

    @property
    def team(self) -> VerifiedProfile:
        """The list's Master."""
        return self.profile("team", TEAM)

    @property
    def alice(self) -> VerifiedProfile:
        """The administrator."""
        return self.profile("alice", "alice@example.org")

    @property
    def bob(self) -> VerifiedProfile:
        """A member, or somebody who would be one."""
        return self.profile("bob", "bob@example.org")

    @property
    def group_key(self) -> VerifiedGroupKey:
        """The list's CurrentEncryptionKey."""
        stated = GroupKey(
            group_name=TEAM,
            group_identifier=self.team.identifier,
            encryption_key=self.agreement("team group").public,
            generation=1,
            created=NOW,
            not_after=NOW + GROUP_KEY_LIFE,
            head=NO_HEAD,
        )
        return sign_group_key(stated, self.signature("team online"))

    @property
    def bobs_entry(self) -> UserDecryptionEntry:
        """Bob's half of the list's key."""
        x = self.agreement("bob x").public
        return UserDecryptionEntry(
            encryption_key_udf=self.group_key.udf,
            member_key_udf=x.udf,
            account_name="bob@example.org",
            recryption_public=self.agreement("bob r").public,
            decryption_public=x,
            decryption_key=self.sealed("DecryptionKey"),
        )

    @property
    def members(self) -> tuple[MemberEntry, MemberEntry]:
        """Alice, who holds the whole key, and Bob, who holds a half."""
        powers = (Privilege.ADMIN, Privilege.SUPER)
        alice = MemberEntry(
            recrypt_udf=self.alice.identifier, profile=self.alice.signed, privileges=powers
        )
        bob = MemberEntry(
            recrypt_udf=self.bob.identifier,
            account_name="bob@example.org",
            profile=self.bob.signed,
            entries=(self.bobs_entry,),
        )
        return alice, bob

    def _key(self, name: str) -> JsonObject:
        keys = read_object(self.held["keys"], what="the cast")
        return read_object(keys[name], what="the cast")


def read_cast() -> Cast:
    """Read everybody's keys."""
    return Cast(read_json(_CAST.read_bytes(), limit=DOCUMENT_OCTETS))
