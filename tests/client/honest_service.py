"""A service in memory that does what spec §5 and §6 ask, and lies only where a test tells it to."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx2

from listserver.bouncing import turns_mail_on
from recrypt_core import chain
from recrypt_core.agreement import halves_match, partial
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege, Status, verified_profile
from recrypt_core.encoding import read_b64url, write_b64url
from recrypt_core.envelope import Recryption, read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, RecryptError, Refused, Why
from recrypt_core.keys import PrivateKey
from recrypt_core.members import Member
from recrypt_core.messages import (
    AddMember,
    Change,
    ChangeResponse,
    CreateGroup,
    GetAudit,
    GetAuditResponse,
    GetChanges,
    GetChangesResponse,
    GetEntry,
    GetEntryResponse,
    GetGroup,
    GetGroupResponse,
    GetHeldResponse,
    GetJoinRequests,
    GetJoinRequestsResponse,
    GetKey,
    GetKeyResponse,
    RecryptData,
    RecryptDataResponse,
    Redeliver,
    RedeliverResponse,
    Request,
    Response,
    UpdateGroup,
    UpdateMember,
    UpdateProfile,
    read_message,
    write_response,
)
from recrypt_core.moderation import Decide, Decision, GetHeld, HeldPost
from recrypt_core.records import AuditEntry
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import Jws, SignedRequest, read_request
from recrypt_core.udf import Udf
from recrypt_core.wishes import Mail, SetMail

_STATUS = {Why.FORBIDDEN: 403, Why.UNKNOWN: 404, Why.CONFLICT: 409, Why.QUOTA: 429}


@dataclass
class HonestService:
    """One group, its chain and halves.

    Attributes:
        url: Its public_url.
        lie: Changes the answer to a request of this name, before it is sent.
        lost_answers: So many answers get lost on their way, after what was asked is done.
        before: Is called before the next change is looked at, once.
        undeliverable: To whom it doesn't mail any more.
        wishes: What members said that they want of its mail.
        redelivers: How many posts it finds for a member.
        redelivered: Each member and time that it was asked to send again.
        newer: The profiles that members sent by UpdateProfile.
        log: What it says of RecryptData.
        stopped: Since when its operator has stopped the group.
        held: Which posts wait for a decision.
        decided: What was decided about posts.
    """

    url: str
    changes: list[Jws] = field(default_factory=list)
    state: GroupState | None = None
    halves: dict[Udf, PrivateKey] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lie: Callable[[str, Response], Response] = lambda _name, response: response
    lost_answers: int = 0
    before: Callable[[], None] | None = None
    is_authorised: bool = True
    undeliverable: set[Udf] = field(default_factory=set)
    wishes: dict[Udf, SetMail] = field(default_factory=dict)
    redelivers: int = 0
    redelivered: list[tuple[Udf, datetime]] = field(default_factory=list)
    newer: dict[Udf, Jws] = field(default_factory=dict)
    log: list[AuditEntry] = field(default_factory=list)
    stopped: datetime | None = None
    held: list[HeldPost] = field(default_factory=list)
    decided: list[tuple[int, Decision]] = field(default_factory=list)

    @property
    def transport(self) -> httpx2.MockTransport:
        """What an HTTP client is given to reach it."""
        return httpx2.MockTransport(self._handle)

    def copy(self, post: bytes, member: str) -> bytes:
        """Give a member's copy of a post, as the relay would write it."""
        return in_mail(self.recrypted(post, member))

    def recrypted(self, mmx: bytes, member: str) -> bytes:
        """Give a member's `.mmx` with the recryption in it."""
        assert self.state is not None
        envelope = read_envelope(mmx)
        found = next(each for each in self.state.members.values() if each.account == member)
        kids = {each.kid for each in envelope.recipients}
        entry = next(each for each in found.entry.entries if each.encryption_key_udf in kids)
        part = Recryption(
            entry.encryption_key_udf,
            entry.member_key_udf,
            entry.split,
            partial(self.halves[entry.member_key_udf], envelope.recipients[0].epk),
            entry.decryption_key.envelope,
        )
        return replace(envelope, sender=None, recryption=part).mmx()

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        assert request.method == "POST"
        assert request.url.path == "/.well-known/recrypt"
        is_signed = request.headers["Content-Type"] == "application/jose+json"
        body = request.read()
        signed = read_request(body) if is_signed else None
        message = read_message(body if signed is None else read_b64url(signed.jws.payload))
        self.asked.append(message.transaction)
        try:
            response = self._answer(message, signed)
        except RecryptError as problem:
            response = Response(status=_status(problem), status_description=str(problem))
        if self.lost_answers and isinstance(response, ChangeResponse):
            self.lost_answers -= 1
            raise httpx2.ReadError("the connection was reset")
        response = self.lie(message.transaction, response)
        return httpx2.Response(
            response.status, content=write_response(message.transaction, response)
        )

    def _answer(self, message: Request, signed: SignedRequest | None) -> Response:
        match message:
            case GetKey():
                return self._key(message)
            case GetChanges() if signed is not None:
                return self._pages(message, signed)
            case GetGroup() | GetJoinRequests() if signed is not None:
                return self._shown(message, signed)
            case GetHeld() | Decide() | Redeliver() if signed is not None:
                return self._administer(message, signed)
            case UpdateProfile() | SetMail() | GetEntry() | RecryptData() | GetAudit() if (
                signed is not None
            ):
                return self._served(message, signed)
            case CreateGroup() | AddMember() | UpdateMember() | UpdateGroup() if signed is not None:
                return self._change(message, signed)
        raise Malformed("not offered here")

    def _key(self, message: GetKey) -> Response:
        if self.state is None or message.group_id not in (self.state.name, self.state.identifier):
            raise Refused(Why.UNKNOWN, "there is no such group here")
        return GetKeyResponse(signed_key=self.state.key.signed, master=self.state.master.signed)

    def _pages(self, message: GetChanges, signed: SignedRequest) -> Response:
        state = self._administered(signed)
        page = self.changes[message.after : message.after + message.limit]
        return GetChangesResponse(changes=tuple(page), head=state.head)

    def _shown(self, message: GetGroup | GetJoinRequests, signed: SignedRequest) -> Response:
        """Give one member a page, whatever the limit; nobody waits to be one."""
        state = self._administered(signed)
        if isinstance(message, GetJoinRequests):
            return GetJoinRequestsResponse(join_requests=())
        udfs = sorted(udf for udf in state.members if message.after is None or udf > message.after)
        page = tuple(state.members[udf].entry for udf in udfs[:1])
        return GetGroupResponse(
            recryption_group=state.document(page),
            next=udfs[0] if len(udfs) > 1 else None,
            head=state.head,
            undeliverable=tuple(self.undeliverable.intersection(udfs[:1])),
            left=tuple(self._left().intersection(udfs[:1])),
            newer_profiles=tuple(self.newer[udf] for udf in udfs[:1] if udf in self.newer),
            stopped=self.stopped,
        )

    def _left(self) -> set[Udf]:
        return {udf for udf, wish in self.wishes.items() if wish.mail is Mail.LEFT}

    def _wish(self, message: SetMail, signed: SignedRequest) -> Response:
        profile = verified_profile(message.profile)
        key = profile.signature_key(signed.signer)
        assert key is not None
        signed.verify(key)
        self.wishes[profile.identifier] = message
        return Response()

    def _profile(self, message: UpdateProfile, signed: SignedRequest) -> Response:
        profile = verified_profile(message.profile)
        key = profile.signature_key(signed.signer)
        assert key is not None
        signed.verify(key)
        if self.state is not None and profile.identifier in self.state.members:
            self.newer[profile.identifier] = profile.signed
        return Response()

    def _served(
        self,
        message: UpdateProfile | SetMail | GetEntry | RecryptData | GetAudit,
        signed: SignedRequest,
    ) -> Response:
        match message:
            case UpdateProfile():
                return self._profile(message, signed)
            case SetMail():
                return self._wish(message, signed)
            case GetEntry():
                member = self._member(signed, message.member_udf)
                return GetEntryResponse(entries=member.entry.entries)
            case RecryptData():
                return self._recrypt(message, signed)
            case GetAudit():
                return self._audit(message, signed)

    def _member(self, signed: SignedRequest, named: Udf | None) -> Member:
        self._check_signer(signed)
        assert self.state is not None
        holders = self.state.members.holders(signed.signer)
        known = holders or [self.state.members[udf] for udf in self._newest(signed.signer)]
        found = [each for each in known if named in (None, each.profile.identifier)]
        if len(found) != 1:
            raise Refused(Why.CONFLICT, "several profiles have your key: name your own")
        (member,) = found
        if not member.is_active:
            raise Refused(Why.FORBIDDEN, "only an ACTIVE member has entries")
        return member

    def _recrypt(self, message: RecryptData, signed: SignedRequest) -> Response:
        member = self._member(signed, message.member_udf)
        entry = member.entry_for(message.group_key_id)
        if entry is None or entry.member_key_udf != message.member_key_udf:
            raise Refused(Why.UNKNOWN, "there is no such entry of yours here")
        part = partial(self.halves[entry.member_key_udf], message.recipient.header.epk)
        return RecryptDataResponse(
            partial=write_b64url(part), split=entry.split, decryption_key=entry.decryption_key
        )

    def _audit(self, message: GetAudit, signed: SignedRequest) -> Response:
        """Give two rows a page, whatever the limit."""
        self._administered(signed)
        left = [each for each in self.log if each.seq > message.after]
        return GetAuditResponse(
            entries=tuple(left[:2]), next=left[1].seq if len(left) > 2 else None
        )

    def _administer(self, message: GetHeld | Decide | Redeliver, signed: SignedRequest) -> Response:
        """Give two held posts a page, whatever the limit, or do what is asked."""
        self._administered(signed)
        if isinstance(message, Redeliver):
            self.redelivered.append((message.recrypt_udf, message.since))
            return RedeliverResponse(posts=self.redelivers)
        if isinstance(message, GetHeld):
            left = [each for each in self.held if each.post > message.after]
            return GetHeldResponse(held=tuple(left[:2]), next=left[1].post if left[2:] else None)
        if message.name not in [each.name for each in self.held]:
            raise Refused(Why.UNKNOWN, "no such post waits")
        self.held = [each for each in self.held if each.post != message.post]
        self.decided.append((message.post, message.decision))
        return Response()

    def _change(self, message: Change, signed: SignedRequest) -> Response:
        call, self.before = self.before, None
        if call is not None:
            call()
        if self.changes and signed.jws == self.changes[-1]:
            assert self.state is not None
            return ChangeResponse(head=self.state.head)
        if signed.url != self.url:
            raise NotAuthentic("for another service")
        if isinstance(message, CreateGroup) and not self.is_authorised:
            raise Refused(Why.FORBIDDEN, "your profile may not create groups here")
        change = chain.read_change(signed)
        if isinstance(message, CreateGroup) and self.state is not None:
            raise Refused(Why.CONFLICT, "the group exists")
        before = self.state
        state = chain.begin(change) if before is None else chain.advance(before, change)
        self._check_halves(message, signed)
        self.state = state
        self.changes.append(signed.jws)
        if isinstance(message, UpdateMember) and before is not None:
            self._note(message, before)
        self.halves |= signed.halves
        return ChangeResponse(head=state.head)

    def _note(self, message: UpdateMember, before: GroupState) -> None:
        """Note what a change of members means for their mail and their profiles."""
        self.undeliverable -= {
            each.recrypt_udf
            for each in message.member_entry
            if turns_mail_on(before.members[each.recrypt_udf].entry, each, before.key.udf)
        }
        for each in message.member_entry:
            if each.status is Status.REVOKED:
                self.wishes.pop(each.recrypt_udf, None)
        stated = {each.recrypt_udf: each.profile for each in message.member_entry}
        self.newer = {u: each for u, each in self.newer.items() if stated.get(u) != each}

    def _administered(self, signed: SignedRequest) -> GroupState:
        self._check_signer(signed)
        assert self.state is not None
        powers = (Privilege.ADMIN, Privilege.SUPER)
        newest = (self.state.members[udf] for udf in self._newest(signed.signer))
        if not (self.state.may(signed.signer, *powers) or any(e.may(*powers) for e in newest)):
            raise Refused(Why.FORBIDDEN, "administrators only")
        return self.state

    def _check_signer(self, signed: SignedRequest) -> None:
        key = None if self.state is None else self.state.signer(signed.signer)
        key = key or next(iter(self._newest(signed.signer).values()), None)
        if key is None or signed.url != self.url:
            raise NotAuthentic("signed by a key that is unknown here, or for another service")
        signed.verify(key)

    def _newest(self, kid: Udf) -> dict[Udf, SignaturePublicKey]:
        """Find whose newer profile lists a key."""
        profiles = [verified_profile(each) for each in self.newer.values()]
        found = {each.identifier: each.signature_key(kid) for each in profiles}
        return {udf: key for udf, key in found.items() if key is not None}

    def _check_halves(self, message: Change, signed: SignedRequest) -> None:
        if isinstance(message, UpdateGroup):
            return
        members = (
            message.recryption_group.members
            if isinstance(message, CreateGroup)
            else message.member_entry
        )
        for entry in (each for member in members for each in member.entries):
            if entry.member_key_udf in self.halves:
                continue
            half = signed.halves[entry.member_key_udf]
            if not halves_match(
                entry.split, half, entry.decryption_public, entry.encryption_key_udf
            ):
                raise Malformed("halves that don't match their entry")


def in_mail(mmx: bytes, *, beside: bytes = b"You need recrypt to read this.\r\n") -> bytes:
    """Give an `.mmx` as a relayed message has it."""
    lines = base64.encodebytes(mmx).replace(b"\n", b"\r\n")
    return (
        b"From: team <team@lists.example>\r\nTo: team@lists.example\r\nSubject: [...]\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="frontier"\r\n\r\n'
        b"--frontier\r\nContent-Type: text/plain\r\n\r\n" + beside + b"\r\n--frontier\r\n"
        b'Content-Type: application/vnd.recrypt; name="message.mmx"\r\n'
        b'Content-Disposition: attachment; filename="message.mmx"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + lines + b"\r\n--frontier--\r\n"
    )


def _status(problem: RecryptError) -> int:
    match problem:
        case Refused():
            return _STATUS[problem.why]
        case NotAuthentic():
            return 401
        case _:
            return 400
