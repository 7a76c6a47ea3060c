"""One life of a server that something will kill."""

from typing import Final

from tests.faults.ledger import Ledger

POSTS: Final = 2  # of each life, besides those that the last life owes


def live(ledger: Ledger, owed: list[bytes]) -> bool:
    """Hand in posts, also those that are owed, until the server dies; False if it doesn't."""
    child = ledger.server.child
    for post in [*owed, *(ledger.new_post() for _ in range(POSTS))]:
        if post not in owed:
            owed.append(post)
        if ledger.hand_in(post) == 250:
            owed.remove(post)
            ledger.arrives(post)
        if not child.runs:
            return True
    child.terminate()
    return child.ended() != 0
