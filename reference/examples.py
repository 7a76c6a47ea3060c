"""One request and one response of each transaction: of Alice, Bob and their list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from recrypt_core import (
    documents,
    invitations,
    jose,
    limits,
    messages,
    moderation,
    policy,
    records,
    wishes,
)
from recrypt_core.agreement import Split, partial
from recrypt_core.encoding import JsonObject, write_b64url
from recrypt_core.keys import Curve
from recrypt_core.messages import Request, Response
from recrypt_core.signing import Jws, Kind
from recrypt_core.wire import EphemeralKey
from reference.cast import NOW, TEAM, URL, Cast

_NONCE: Final = write_b64url(bytes(range(16)))
_WRAPPED_KEY: Final = write_b64url(bytes(range(40)))  # of A256KW; what is in it doesn't show
_CID: Final = write_b64url(bytes(range(32)))
_TOKEN: Final = "mvzxgzjanvsxe33omuqgs4zame"  # noqa: S105 - for show


@dataclass(frozen=True, slots=True)
class Example:
    """A transaction's request and its response."""

    request: Request
    response: Response


def examples(cast: Cast) -> dict[str, Example]:
    """Give an example of each transaction, by its name."""
    answered = _responses(cast)
    return {
        each.transaction: Example(each, answered.get(type(each), Response()))
        for each in (*_changes(cast), *_members_requests(cast), *_others(cast))
    }


def signed_body(cast: Cast) -> JsonObject:
    """Give the whole body of a change: Bob added by Alice, with his half r beside it."""
    change = signed_request(cast, examples(cast)["AddMember"].request)
    r, x = cast.agreement("bob r"), cast.agreement("bob x")
    return {**change.json(), "halves": {x.public.udf: r.to_secret_jwk()}}


def signed_request(cast: Cast, message: Request) -> Jws:
    """Sign a change as Alice would, with the nonce that all examples have (spec §5)."""
    key = cast.signature("alice online")
    header: JsonObject = {
        "kid": key.public.udf,
        "typ": Kind.REQUEST.value,
        "url": URL,
        "iat": int(NOW.timestamp()),
        "nonce": _NONCE,
        "group": cast.team.identifier,
        "seq": 2,
        "prev": cast.group_key.signed.hash,
    }
    protected, payload, signature = jose.sign(key, header, messages.write_message(message))
    return Jws(protected=protected, payload=payload, signature=signature)


def _changes(cast: Cast) -> tuple[messages.Change, ...]:
    team, (_, bob) = cast.team.identifier, cast.members
    authorization = documents.CreateAuthorization(
        group_identifier=team, group_name=TEAM, url=URL, iat=int(NOW.timestamp())
    )
    return (
        messages.CreateGroup(
            recryption_group=_group(cast),
            authorization=documents.sign_create(authorization, cast.signature("alice online")),
        ),
        messages.UpdateGroup(
            recryption_group=documents.RecryptionGroup(
                group_name=TEAM, policy=policy.Policy(keep=30)
            )
        ),
        messages.AddMember(recryption_group=team, member_entry=(bob,)),
        messages.UpdateMember(
            recryption_group=team,
            member_entry=(
                documents.MemberEntry(
                    recrypt_udf=cast.bob.identifier,
                    account_name="bob@example.org",
                    profile=cast.bob.signed,
                    status=documents.Status.REVOKED,
                ),
            ),
        ),
    )


def _members_requests(cast: Cast) -> tuple[Request, ...]:
    entry, epk = cast.bobs_entry, cast.agreement("ephemeral").public
    answer = documents.JoinAnswer(
        group_identifier=cast.team.identifier,
        token=_TOKEN,
        account_name="bob@example.org",
        identifier=cast.bob.identifier,
    )
    return (
        messages.GetEntry(group_id=TEAM),
        messages.RecryptData(
            member_udf=cast.bob.identifier,
            member_key_udf=entry.member_key_udf,
            group_key_id=entry.encryption_key_udf,
            recipient=records.MergedRecipient(
                header=records.RecipientHeader(
                    alg="ECDH-ES+A256KW",
                    kid=entry.encryption_key_udf,
                    epk=EphemeralKey(epk.curve, epk.x),
                ),
                encrypted_key=_WRAPPED_KEY,
            ),
        ),
        messages.UpdateProfile(profile=cast.bob.signed),
        wishes.SetMail(group_name=TEAM, profile=cast.bob.signed, mail=wishes.Mail.PAUSED),
        messages.JoinGroup(
            group_name=TEAM, account_name="bob@example.org", profile=cast.bob.signed
        ),
        messages.ConfirmJoin(answer=documents.sign_join(answer, cast.signature("bob online"))),
    )


def _others(cast: Cast) -> tuple[Request, ...]:
    bob = cast.bob.identifier
    return (
        messages.Hello(),
        messages.GetKey(group_id=TEAM),
        messages.GetGroup(group_id=TEAM),
        messages.GetChanges(group_id=TEAM, after=1),
        messages.Redeliver(group_id=TEAM, recrypt_udf=bob, since=NOW - timedelta(days=3)),
        messages.GetAudit(group_id=TEAM),
        messages.GetJoinRequests(group_id=TEAM),
        messages.DenyJoin(group_id=TEAM, recrypt_udf=bob),
        invitations.Invite(
            group_id=TEAM,
            invitations=(
                invitations.Invited(
                    account_name="carol@example.org",
                    token=invitations.write_token(
                        invitations.Invitation(TEAM, URL, cast.team.identifier, bytes(range(32)))
                    ),
                ),
            ),
        ),
        moderation.GetHeld(group_id=TEAM),
        moderation.Decide(
            group_id=TEAM, post=3, content_id=_CID, decision=moderation.Decision.ACCEPT
        ),
    )


def _responses(cast: Cast) -> Mapping[type[Request], Response]:
    """Give the responses that have more in them than a Status."""
    change = signed_request(cast, messages.GetEntry(group_id=TEAM))
    head = documents.Head(2, change.hash)
    changed = messages.ChangeResponse(head=head)
    return {
        messages.Hello: _hello(),
        messages.GetKey: messages.GetKeyResponse(
            signed_key=cast.group_key.signed, master=cast.team.signed
        ),
        messages.CreateGroup: messages.ChangeResponse(head=documents.Head(1, change.hash)),
        messages.UpdateGroup: changed,
        messages.AddMember: changed,
        messages.UpdateMember: changed,
        messages.GetGroup: messages.GetGroupResponse(recryption_group=_group(cast), head=head),
        messages.GetChanges: messages.GetChangesResponse(changes=(change,), head=head),
        messages.Redeliver: messages.RedeliverResponse(posts=3),
        messages.GetEntry: messages.GetEntryResponse(entries=(cast.bobs_entry,)),
        messages.RecryptData: messages.RecryptDataResponse(
            partial=write_b64url(
                partial(cast.agreement("bob r"), cast.agreement("ephemeral").public)
            ),
            split=Split.SUM,
            decryption_key=cast.sealed("DecryptionKey"),
        ),
        messages.GetAudit: messages.GetAuditResponse(entries=(_audit_entry(cast),)),
        moderation.GetHeld: messages.GetHeldResponse(held=(_held_post(cast),)),
        messages.GetJoinRequests: messages.GetJoinRequestsResponse(
            join_requests=(
                records.JoinRequest(
                    account_name="bob@example.org", profile=cast.bob.signed, since=NOW
                ),
            )
        ),
    }


def _hello() -> messages.HelloResponse:
    return messages.HelloResponse(
        version=records.Version(major=1, minor=0),
        algorithms=tuple(curve.value for curve in Curve),
        encodings=("JSON",),
        limits=records.ServiceLimits(
            request_octets=limits.REQUEST_OCTETS,
            request_entries=limits.REQUEST_ENTRIES,
            post_octets=20 * 2**20,
        ),
    )


def _held_post(cast: Cast) -> moderation.HeldPost:
    return moderation.HeldPost(
        post=3,
        content_id=_CID,
        since=NOW,
        until=NOW + timedelta(days=limits.HOLD_DAYS),
        octets=20_480,
        recrypt_udf=cast.bob.identifier,
    )


def _audit_entry(cast: Cast) -> records.AuditEntry:
    return records.AuditEntry(
        seq=1,
        time=NOW,
        recrypt_udf=cast.bob.identifier,
        member_key_udf=cast.bobs_entry.member_key_udf,
        ephemeral_udf=cast.agreement("ephemeral").public.udf,
        result=records.AuditResult.DONE,
    )


def _group(cast: Cast) -> documents.RecryptionGroup:
    return documents.RecryptionGroup(
        group_name=TEAM,
        master=cast.team.signed,
        current_encryption_key=cast.group_key.signed,
        members=cast.members,
        administrator_keys=(cast.sealed("AdministratorKey"),),
        policy=policy.Policy(),
    )
