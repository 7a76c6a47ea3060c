"""A service in memory that does what spec §5 and §6 ask, and lies only where a test tells it to."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx2

from recrypt_core import chain
from recrypt_core.agreement import halves_match, partial
from recrypt_core.chain import GroupState
from recrypt_core.documents import Privilege
from recrypt_core.encoding import read_b64url
from recrypt_core.envelope import Recryption, read_envelope
from recrypt_core.errors import Malformed, NotAuthentic, RecryptError, Refused, Why
from recrypt_core.keys import PrivateKey
from recrypt_core.messages import (
    AddMember,
    Change,
    ChangeResponse,
    CreateGroup,
    GetChanges,
    GetChangesResponse,
    GetKey,
    GetKeyResponse,
    Response,
    UpdateMember,
    read_message,
    write_response,
)
from recrypt_core.signing import Jws, SignedRequest, read_request
from recrypt_core.udf import Udf

_STATUS = {Why.FORBIDDEN: 403, Why.UNKNOWN: 404, Why.CONFLICT: 409}


@dataclass
class HonestService:
    """One group, its chain and halves.

    Attributes:
        url: Its public_url.
        lie: Changes the answer to a request of this name, before it is sent.
        lost_answers: So many answers get lost on their way, after what was asked is done.
        before: Is called before the next change is looked at, once.
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
        entry = found.entry_for(self.state.key.udf)
        assert entry is not None
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
            response: Response
            match message:
                case GetKey():
                    response = self._key(message)
                case GetChanges() if signed is not None:
                    response = self._pages(message, signed)
                case CreateGroup() | AddMember() | UpdateMember() if signed is not None:
                    response = self._change(message, signed)
                case _:
                    raise Malformed("not offered here")
        except RecryptError as problem:
            response = Response(status=_status(problem), status_description=str(problem))
        if self.lost_answers and isinstance(response, ChangeResponse):
            self.lost_answers -= 1
            raise httpx2.ReadError("the connection was reset")
        response = self.lie(message.transaction, response)
        return httpx2.Response(
            response.status, content=write_response(message.transaction, response)
        )

    def _key(self, message: GetKey) -> Response:
        if self.state is None or message.group_id not in (self.state.name, self.state.identifier):
            raise Refused(Why.UNKNOWN, "there is no such group here")
        return GetKeyResponse(signed_key=self.state.key.signed, master=self.state.master.signed)

    def _pages(self, message: GetChanges, signed: SignedRequest) -> Response:
        self._check_signer(signed)
        assert self.state is not None
        if not self.state.may(signed.signer, Privilege.ADMIN, Privilege.SUPER):
            raise Refused(Why.FORBIDDEN, "administrators only")
        page = self.changes[message.after : message.after + message.limit]
        return GetChangesResponse(changes=tuple(page), head=self.state.head)

    def _change(self, message: Change, signed: SignedRequest) -> Response:
        if self.before is not None:
            call, self.before = self.before, None
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
        state = chain.begin(change) if self.state is None else chain.advance(self.state, change)
        self._check_halves(message, signed)
        self.state = state
        self.changes.append(signed.jws)
        self.halves |= signed.halves
        return ChangeResponse(head=state.head)

    def _check_signer(self, signed: SignedRequest) -> None:
        key = None if self.state is None else self.state.signer(signed.signer)
        if key is None or signed.url != self.url:
            raise NotAuthentic("signed by a key that is unknown here, or for another service")
        signed.verify(key)

    def _check_halves(self, message: Change, signed: SignedRequest) -> None:
        assert isinstance(message, CreateGroup | AddMember | UpdateMember)
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
