"""What members ask about an envelope, and what asking costs: `from tests.asking import ...`."""

import pytest

from recrypt_core.encoding import write_b64url
from recrypt_core.envelope import Envelope
from recrypt_core.errors import RecryptError
from recrypt_core.messages import RecryptData
from recrypt_core.records import MergedRecipient, RecipientHeader
from recrypt_core.signature_keys import SignaturePublicKey
from recrypt_core.signing import SignedRequest
from recrypt_core.wire import EphemeralKey
from tests.builders import Membership, Person


def asked(by: Person, membership: Membership, envelope: Envelope) -> RecryptData:
    """Write what a member asks about an envelope, who has an entry for one group key."""
    (entry,) = membership.entry.entries
    (recipient,) = envelope.recipients
    epk = recipient.epk
    return RecryptData(
        member_udf=by.udf,
        member_key_udf=entry.member_key_udf,
        group_key_id=entry.encryption_key_udf,
        recipient=MergedRecipient(
            header=RecipientHeader(
                alg=recipient.wrap.alg,
                kid=entry.encryption_key_udf,
                epk=EphemeralKey(epk.curve, epk.x, epk.y),
            ),
            encrypted_key=write_b64url(recipient.encrypted_key),
        ),
    )


def noted_verifications(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note from now on of each request whose signature is verified whether it was good."""
    noted: list[bool] = []
    original = SignedRequest.verify

    def verify(self: SignedRequest, key: SignaturePublicKey) -> None:
        try:
            original(self, key)
        except RecryptError:
            noted.append(False)
            raise
        noted.append(True)

    monkeypatch.setattr(SignedRequest, "verify", verify)
    return noted
