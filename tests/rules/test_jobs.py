"""What passes between the server and its workers: read as it was written, and printed by nobody."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listserver import copies, jobs
from listserver.carrying import NotBegun
from listserver.outcomes import Broken, Phase, Refused
from recrypt_core.keys import Curve, PrivateKey
from tests.builders import new_membership, new_person
from tests.mails import sealed
from tests.stored import half_of, stored_post

BODY = (b"line one\r\n", b"line two\r\n")


@pytest.mark.parametrize("curve", Curve)
def test_a_worker_makes_of_an_order_the_copy_that_the_server_would_make(curve: Curve) -> None:
    key = PrivateKey.generate(curve)
    half = half_of(new_membership(new_person("bob@example.org"), key))
    envelope = sealed(key.public)
    frame = copies.make_frame(stored_post(envelope, half), envelope.ciphertext)
    written = jobs.bundle([jobs.post_of(7, frame), jobs.entry_of(8, half)])
    post, entry = jobs.orders().read(written)
    assert isinstance(post, jobs.Post)
    assert isinstance(entry, jobs.Entry)
    assert (post.number, entry.number) == (7, 8)
    there, his = jobs.frame_of(post, frame.body), jobs.half_of(entry)
    assert his.address == "bob@example.org"
    assert copies.make_copy(there, his) == copies.make_copy(frame, half)


@pytest.mark.parametrize(
    "carried",
    [
        Refused(Phase.RCPT, 550, "5.1.1 who"),
        Broken(Phase.CONTENT, "TimeoutError"),
        NotBegun(),
    ],
    ids=repr,
)
def test_an_answer_is_read_as_it_was_given(carried: Refused | Broken | NotBegun) -> None:
    (answer,) = jobs.answers().read(jobs.bundle([jobs.answered(3, carried)]))
    assert isinstance(answer, jobs.Answered)
    assert answer.number == 3
    found = jobs.carried_of(answer)
    assert found == carried or type(found) is type(carried) is NotBegun


def test_of_a_fault_the_kind_alone_comes_back() -> None:
    (answer,) = jobs.answers().read(jobs.bundle([jobs.answered(3, ValueError("bob@example.org"))]))
    assert isinstance(answer, jobs.Answered)
    found = jobs.carried_of(answer)
    assert isinstance(found, jobs.WorkerFault)
    assert str(found) == "ValueError"


@given(st.data())
def test_bundles_may_come_in_any_pieces(data: st.DataObject) -> None:
    orders: list[jobs.Order] = [jobs.Piece(1, b"x" * 300), jobs.Forget(1)]
    octets = b"".join(jobs.bundle([each]) for each in orders) + jobs.bundle(orders)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(octets)))))
    bounds = [0, *cuts, len(octets)]
    reader, found = jobs.orders(), list[jobs.Order]()
    for start, end in pairwise(bounds):
        found += reader.read(octets[start:end])
    assert found == orders * 2


def test_neither_a_password_nor_r_nor_an_address_is_printed() -> None:
    key = PrivateKey.generate(Curve.X25519)
    half = half_of(new_membership(new_person("bob@example.org"), key))
    entry, job = jobs.entry_of(1, half), jobs.Job(2, 3, 1, "team-bounces+x@lists.example", b"")
    begin = jobs.Begin("127.0.0.1", 25, "none", "team", "secret", 4, "lists.example")
    assert (repr(entry), repr(job), repr(begin)) == ("Entry", "Job", "Begin")
