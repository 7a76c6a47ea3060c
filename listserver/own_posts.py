"""Who posts and wants no copy of it: found by the post's `sender`, in a list where anybody does."""

from listserver import admission
from listserver.model import Readers
from listserver.preparing import Prepared
from listserver.store import Work
from recrypt_core.udf import Udf


async def for_others(
    work: Work, prepared: Prepared, readers: Readers, *, poster: Udf | None
) -> Readers:
    """Leave the poster out of who is to have a copy, if it wants none (spec §7).

    poster: whose `sender` was verified already. Where the list doesn't ask for one it is looked at
        here; one that proves nothing leaves nobody out.
    """
    found, envelope = prepared.found, prepared.envelope
    kid = admission.signer_of(envelope)
    if kid is not None and not admission.asks_for_sender(found.state.policy):
        member = await work.signing_member(found, kid)
        if admission.may_post(envelope, found.state, member, now=prepared.accepted) and member:
            poster = member.profile.identifier
    return readers if poster is None else await work.without_own(readers, poster)
