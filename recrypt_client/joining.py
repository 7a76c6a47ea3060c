"""Flows of joining: ask in, and send the token back that came to the address (spec §6)."""

import re
from dataclasses import dataclass
from datetime import datetime

from recrypt_client import mail
from recrypt_client.errors import Trouble, about
from recrypt_client.home import Home
from recrypt_client.pins import Pin
from recrypt_client.service import Service
from recrypt_core.documents import JoinAnswer, VerifiedProfile, sign_join
from recrypt_core.envelope import read_envelope
from recrypt_core.invitations import proof
from recrypt_core.messages import (
    ConfirmJoin,
    JoinGroup,
    Response,
    write_message,
)
from recrypt_core.opening import open_whole
from recrypt_core.signing import Jws, request_body, sign_request
from recrypt_core.udf import Udf

_TOKEN = re.compile(rb"^[ \t]*Token:[ \t]*([A-Za-z2-7]{26})[ \t]*\r?$", re.MULTILINE)
_TOKEN_ALONE = re.compile(rb"\A\s*([A-Za-z2-7]{26})\s*\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who one has asked to be in a group: an address, and the profile's fingerprint."""

    account: str
    identifier: Udf


def ask(
    home: Home, service: Service, pin: Pin, *, now: datetime, secret: bytes | None = None
) -> Asked:
    """Ask to be a member, with the profile's first Account: a letter goes there.

    secret: of an invitation, which is proven.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if there is no profile, or the service can't be reached.
    """
    profile = home.profile()
    account = profile.profile.accounts[0]
    request = JoinGroup(
        group_name=pin.group_name,
        account_name=account,
        profile=profile.signed,
        invitation=proven(secret, profile),
    )
    signed = sign_request(
        write_message(request), home.signing_key(profile), url=service.url, now=now
    )
    service.send(request_body(signed, {}), request.transaction, Response)
    return Asked(account, profile.identifier)


def proven(secret: bytes | None, profile: VerifiedProfile) -> str | None:
    """Prove an invitation, if there is one, for a profile's first Account."""
    account = profile.profile.accounts[0]
    return None if secret is None else proof(secret, profile.identifier, account)


def answer(home: Home, service: Service, pin: Pin, token: str) -> Asked:
    """Send back the token that came to the address, signed by the profile.

    Raises:
        ServiceRefused: if the service says no.
        Trouble: if there is no profile, or the service can't be reached.
    """
    signed, asked = signed_answer(home, pin, token)
    service.ask(ConfirmJoin(answer=signed), Response)
    return asked


def signed_answer(home: Home, pin: Pin, token: str) -> tuple[Jws, Asked]:
    """Sign what sends a token back, by whichever way.

    Raises:
        Trouble: if there is no profile.
    """
    profile = home.profile()
    account = profile.profile.accounts[0]
    stated = JoinAnswer(
        group_identifier=pin.identifier,
        token=token,
        account_name=account,
        identifier=profile.identifier,
    )
    return sign_join(stated, home.signing_key(profile)), Asked(account, profile.identifier)


def read_token(octets: bytes, home: Home, *, what: str) -> str:
    """Find the token in a letter, as it came or opened, or alone.

    Raises:
        Trouble: if there isn't one, or the letter can't be opened here.
    """
    found: list[bytes] = _TOKEN_ALONE.findall(octets) or _TOKEN.findall(octets)
    if not found:
        with about(what):
            is_file = octets.lstrip(b" \t\r\n").startswith(b"{")
            envelope = read_envelope(octets if is_file else mail.envelope_in(octets))
            found = _TOKEN.findall(open_whole(envelope, home.device_keys()))
    if len(found) != 1:
        raise Trouble(
            f"{what}: {len(found) or 'no'} tokens where there is to be one",
            "Give the letter that came after recrypt join, as it came or opened",
        )
    return found[0].decode("ascii").lower()
