"""The independent client at the service: fetches keys and makes groups (spec §5, §6)."""

import json
import secrets  # noqa: TID251 - recrypt_core is not to be used here
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2

from tests.end_to_end.independent import (
    AgreementKey,
    Json,
    Person,
    b64,
    compact,
    hash_of,
    jwk,
    new_person,
    rfc3339,
    seal,
    secret_jwk,
    sign,
    split,
    udf,
    unb64,
    verified,
)


def ask(url: str, message: Json) -> Json:
    """Send an unsigned request; give the payload of what comes back."""
    return _post(url, message, "application/json")


def fetch_key(url: str, group_name: str) -> Json:
    """Fetch the group's key and verify it, from the Master on."""
    got = ask(url, {"GetKeyRequest": {"GroupID": group_name}})["GetKeyResponse"]
    master = json.loads(unb64(got["Master"]["payload"]))
    master = verified(got["Master"], "recrypt-profile", master["MasterSignatureKey"])
    kid = json.loads(unb64(got["SignedKey"]["protected"]))["kid"]
    (online,) = [key for key in master["OnlineSignatureKeys"] if key["kid"] == kid]
    stated = verified(got["SignedKey"], "recrypt-group-key", online)
    assert (stated["GroupName"], stated["GroupIdentifier"]) == (group_name, master["Identifier"])
    key: Json = stated["EncryptionKey"]
    return key


def _post(url: str, body: object, kind: str) -> Json:
    headers = {"Content-Type": kind}
    answer = httpx2.post(f"{url}/.well-known/recrypt", content=compact(body), headers=headers)
    ((name, response),) = answer.json().items()
    assert response["Status"] == answer.status_code == 201, response
    return {name: response}


@dataclass(frozen=True)
class Group:
    """A group that this program administers: its Master, its private key, its founder."""

    url: str
    master: Person
    key: AgreementKey
    founder: Person

    @property
    def name(self) -> str:
        """The GroupName."""
        return self.master.address

    @property
    def public(self) -> Json:
        """The key that the world encrypts to."""
        return jwk(self.key.public_key())

    def member(self, person: Person, *privileges: str) -> tuple[Json, Json]:
        """Split the key for somebody; give their MemberEntry, and r beside its name."""
        r, x = split(self.key)
        x_name, device = udf(x.public_key()), jwk(person.device.public_key())
        entry = {
            "EncryptionKeyUDF": self.public["kid"],
            "MemberKeyUDF": x_name,
            "AccountName": person.address,
            "Split": "sum",
            "RecryptionPublic": jwk(r.public_key()),
            "DecryptionPublic": jwk(x.public_key()),
            "DecryptionKey": seal(compact(secret_jwk(x)), device, named=False),
        }
        member = {
            "RecryptUDF": person.identifier,
            "AccountName": person.address,
            "Profile": person.profile,
            "Privileges": ["RECRYPT", *privileges],
            "Quotas": [],
            "Status": "ACTIVE",
            "Entries": [entry],
        }
        return member, {x_name: secret_jwk(r, named=False)}

    def create(self, now: datetime, *others: Person) -> None:
        """Register the group with its first members: change 1 of its chain."""
        made = [self.member(self.founder, "ADMIN", "SUPER"), *map(self.member, others)]
        about = {"GroupName": self.name, "GroupIdentifier": self.master.identifier}
        stated = {
            **about,
            "EncryptionKey": self.public,
            "Generation": 1,
            "Created": rfc3339(now),
            "NotAfter": rfc3339(now + timedelta(days=180)),
            "Previous": None,
            "Head": {"seq": 0, "hash": None},
        }
        iat = int(now.timestamp())
        authorization = {**about, "url": self.url, "iat": iat}
        keys = {self.public["kid"]: secret_jwk(self.key)}
        message = {
            "RecryptionGroup": {
                "GroupName": self.name,
                "Master": self.master.profile,
                "CurrentEncryptionKey": sign("recrypt-group-key", stated, self.master.online),
                "PastEncryptionKeys": [],
                "Members": [member for member, _ in made],
                "AdministratorKeys": [seal(compact(keys), jwk(self.founder.device.public_key()))],
            },
            "Authorization": sign("recrypt-create", authorization, self.founder.online),
        }
        place = {"group": self.master.identifier, "seq": 1, "prev": None}
        header = {"url": self.url, "iat": iat, "nonce": b64(secrets.token_bytes(16)), **place}
        payload = {"CreateGroupRequest": message}
        change = sign("recrypt-request", payload, self.master.online, **header)
        halves = {name: r for _, each in made for name, r in each.items()}
        answer = _post(self.url, {**change, "halves": halves}, "application/jose+json")
        head = answer["CreateGroupResponse"]["Head"]
        assert head == {"seq": 1, "hash": hash_of(change)}


def new_group(url: str, name: str, founder: Person, now: datetime) -> Group:
    """Make a group's keys; `create` registers it."""
    return Group(url, new_person(name, now, devices=0), AgreementKey.generate(), founder)


def clock() -> datetime:
    """Give the time: requests are refused when they are signed over 300 s from it."""
    return datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - a real server's clock runs
