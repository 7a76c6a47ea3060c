"""What of a copy is one delivery's own: of one length, in the forms that mail programs know."""

import re

from hypothesis import given
from hypothesis import strategies as st

from listserver.links import Links, leave_octets
from listserver.model import MemberId, PostId
from listserver.tokens import DeliveryToken, LeaveToken, read_own_token, read_token
from listserver.vault import Vault
from tests.builders import TEAM, URL

VAULT = Vault(b"k" * 32)
POSTS = st.integers(1, 2**47 - 1).map(PostId)
MEMBERS = st.integers(1, 2**48 - 1).map(MemberId)


@given(POSTS, MEMBERS)
def test_the_fields_have_one_length_and_one_token_and_no_long_line(
    post: PostId, member: MemberId
) -> None:
    ((_, fields),) = Links(VAULT, URL).of_copies(TEAM, post, [(member, 3)])
    assert len(fields) == leave_octets(TEAM, URL)
    (token,) = set(re.findall(rb"[/+]([a-z2-7]{26})[>@]", fields))
    assert read_own_token(VAULT, token.decode()) == LeaveToken(PostId(post % 2**32), member, 3)
    assert all(len(line) <= 78 for line in fields.split(b"\r\n"))
    unfolded = fields.replace(b"\r\n ", b" ").decode()
    assert unfolded == (
        f"List-Unsubscribe: <{URL}/u/{token.decode()}>,"
        f" <mailto:team-unsubscribe+{token.decode()}@lists.example>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


@given(POSTS, MEMBERS)
def test_a_return_path_has_the_token_of_its_delivery(post: PostId, member: MemberId) -> None:
    ((path, _),) = Links(VAULT, URL).of_copies(TEAM, post, [(member, 0)])
    found = re.fullmatch(r"team-bounces\+([a-z2-7]{26})@lists\.example", path)
    assert found is not None
    assert read_token(VAULT, found[1]) == DeliveryToken(post, member)


def test_a_lists_domain_may_look_as_a_token_does() -> None:
    domain = "a" * 26 + ".example"
    links = Links(VAULT, URL)
    ((path, fields),) = links.of_copies(f"team@{domain}", PostId(1), [(MemberId(2), 0)])
    found = re.fullmatch(r"team-bounces\+([a-z2-7]{26})@a{26}\.example", path)
    assert found is not None
    assert read_token(VAULT, found[1]) == DeliveryToken(PostId(1), MemberId(2))
    assert re.search(rb"mailto:team-unsubscribe\+[a-z2-7]{26}@a{26}\.example>", fields)
