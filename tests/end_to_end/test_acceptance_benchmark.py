"""The benchmark of acceptance runs on real servers, and says what it should; not how fast it is."""

import json

import pytest

from benchmarks import acceptance, sender
from benchmarks.acceptance import OURS, PLAIN, Figures
from benchmarks.sender import Dialogue, Load
from recrypt_core.keys import Curve, PrivateKey

pytestmark = pytest.mark.long

TINY = ["--posts", "8", "--rounds", "2", "--connections", "2", "--members", "2"]


@pytest.mark.parametrize("how", [["--pipelined"], ["--fresh"]], ids=["pipelined", "fresh"])
def test_it_measures_both_servers_in_turn_and_tells_a_program(
    how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert acceptance.main([*TINY, *how, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {name: len(rounds) for name, rounds in answer["rounds"].items()} == {OURS: 2, PLAIN: 2}
    assert all(each["per_second"] > 0 for rounds in answer["rounds"].values() for each in rounds)
    assert answer["ratio"] > 0


def test_its_table_has_medians_extremes_and_the_median_of_the_ratios() -> None:
    found = {
        OURS: [Figures(100, 10), Figures(300, 30), Figures(200, 20)],
        PLAIN: [Figures(200, 1), Figures(400, 1), Figures(250, 1)],
    }
    _, ours, plain, ratio, source = acceptance.table(found, 1234.0).splitlines()
    assert ours.split() == [OURS, "200", "100", "300", "20"]
    assert plain.split() == [PLAIN, "250", "200", "400", "1"]
    assert ratio.endswith(": 0.75")
    assert "1,234" in source
    assert len(acceptance.table(found).splitlines()) == 4


def test_its_posts_are_as_long_as_was_asked_and_no_two_are_the_same() -> None:
    key = PrivateKey.generate(Curve.X25519).public
    posts = {sender.make_post(key, 10_240) for _ in range(3)}
    assert len(posts) == 3
    assert all(abs(len(post) - 10_240) < 100 for post in posts)


def greeted(load: Load) -> Dialogue:
    """Begin a dialogue, up to what is said first of a post."""
    sending = sender.dialogue([b"post"], load)
    assert next(sending) == b""
    assert sending.send(b"220 lists.example\r\n") == b"EHLO client.example\r\n"
    return sending


def test_a_refusal_ends_it() -> None:
    sending = greeted(Load(1, 4, 1))
    sending.send(b"250 lists.example\r\n")
    with pytest.raises(SystemExit, match=r"250.* was expected, and not .*451 4\.3\.0"):
        sending.send(b"451 4.3.0 no\r\n")


def test_it_waits_for_all_replies_to_a_group_in_whatever_pieces_they_come() -> None:
    sending = greeted(Load(1, 4, 1, pipelined=True))
    assert sending.send(b"250-lists.example\r\n250 PIPELINING\r\n").count(b"\r\n") == 3
    assert sending.send(b"250-one\r\n250 of") == b""
    assert sending.send(b" one\r\n250 two\r\n354 th") == b""
    assert sending.send(b"ree\r\n") == b"post"
    assert sending.send(b"250 ok\r\n") == b"QUIT\r\n"
    with pytest.raises(StopIteration):
        sending.send(b"221 bye\r\n")
