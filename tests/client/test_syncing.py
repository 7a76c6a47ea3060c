"""`recrypt sync`, but for IMAP: what it makes of a mail, and a Maildir that no crash doubles."""

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recrypt_client import mail
from recrypt_client.accounts import Listed, is_sealed
from recrypt_client.errors import Passing, Trouble
from recrypt_client.mail_servers import MailServer, Security, read_password
from recrypt_client.maildirs import Maildir, Progress
from recrypt_client.plain_mail import plain_mail
from recrypt_client.reading import Bad, Opened, Unsigned
from recrypt_client.syncing import MAIL_OCTETS, WAITING, Event, Read, Sync
from tests.client.stage import Stage

OUTER = (
    b"From: team <team@lists.example>\r\nMessage-ID: <m.a.b@lists.example>\r\n"
    b"References: <m.c.d@lists.example>\r\nReply-To: mallory@example.org\r\n"
    b"List-Post: <mailto:mallory@example.org>\r\nRecrypt-Author: signed; forged outside\r\n"
    b"Subject: [...]\r\n\r\nsealed\r\n"
)
INNER = (
    b"From: Carol <carol@example.org>\r\nTo: team@lists.example\r\nSubject: Lunch\r\n at one\r\n"
    b"Recrypt-Author: signed; forged inside\r\nReply-To: mallory@example.org\r\n"
    b"Message-ID: <own@host.example.org>\r\nX-Status: F\r\nRecrypt-Padding: ===\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nContent-Type: text/plain\r\n\r\nAt one?\r\n"
)
UNSIGNED = Unsigned("Carol <carol@example.org>")


def made(authorship: Unsigned | Bad = UNSIGNED, inner: bytes = INNER) -> mail.Entity:
    octets = plain_mail(OUTER, Opened(inner, authorship), "team@lists.example")
    assert b"\r" not in octets
    return mail.parse(octets)


def test_the_author_is_told_once_and_cannot_be_forged_from_outside_or_inside() -> None:
    assert made().all("Recrypt-Author") == ["unsigned; says Carol <carol@example.org>, not proven"]


def test_a_line_feed_in_a_field_makes_no_field_of_its_own() -> None:
    inner = INNER.replace(
        b"Subject: Lunch", b"Subject: Lunch\nRecrypt-Author: signed; forged\nX: y"
    )
    assert made(inner=inner).all("Recrypt-Author", "X") == made().all("Recrypt-Author")
    assert b"signed; forged inside" not in made().octets()


def test_a_field_of_white_space_alone_ends_no_header() -> None:
    inner = INNER.replace(b"Subject: Lunch", b"Subject: \r\n \r\n\t\r\n Lunch")
    assert made(inner=inner).first("Subject") == "Lunch at one"


def test_says_of_any_letters_stands_in_one_ascii_field() -> None:
    says = "Zoë\n <zoe@example.org>\nRecrypt-Author: signed; " + "x" * 300
    lines = made(Unsigned(says)).octets()
    assert lines.partition(b"\r\n\r\n")[0].isascii()
    (told,) = made(Unsigned(says)).all("Recrypt-Author")
    assert mail.words(told).startswith("unsigned; says Zoë <zoe@example.org> Recrypt-Author: ")


def test_threads_are_the_lists_own_and_answers_go_to_the_list() -> None:
    message = made()
    assert message.all("Message-ID") == ["<m.a.b@lists.example>"]
    assert message.all("References") == ["<m.c.d@lists.example>"]
    assert message.all("Reply-To") == ["team@lists.example"]
    assert message.all("List-Post", "X-Status", "Recrypt-Padding") == []
    assert message.all("From", "Subject") == ["Carol <carol@example.org>", "Lunch at one"]
    assert message.body == b"At one?\r\n"


def test_a_bad_signature_stands_in_the_subject_too() -> None:
    assert made(Bad("not of this group")).first("Subject") == "[BAD SIGNATURE] Lunch at one"
    bare = INNER.replace(b"Subject: Lunch\r\n at one\r\n", b"")
    assert made(Bad("not of this group"), bare).first("Subject") == "[BAD SIGNATURE]"


@dataclass
class Box:
    """A folder of mail as it stands in a dictionary."""

    mails: dict[int, bytes]
    uid_validity: int = 1
    others: set[int] = field(default_factory=set)
    huge: set[int] = field(default_factory=set)
    fetched: list[int] = field(default_factory=list)

    def since(self, uid: int) -> Iterator[list[Listed]]:
        """List one at a time."""
        for each in sorted(self.mails):
            if each >= uid:
                octets = MAIL_OCTETS + 1 if each in self.huge else len(self.mails[each])
                yield [Listed(each, octets, each not in self.others)]

    def mail(self, uid: int) -> bytes | None:
        """Give one, and note it."""
        self.fetched.append(uid)
        return self.mails.get(uid)


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Mortal:
    """Counts steps, and dies at one of them."""

    at: int

    def step(self) -> None:
        """Live on, or not."""
        self.at -= 1
        if self.at == 0:
            raise Killed


class Dying(Maildir):
    """A Maildir whose process is killed between any two of its steps."""

    def __init__(self, root: Path, mortal: Mortal) -> None:
        super().__init__(root)
        self._mortal = mortal

    def add(self, key: str, octets: bytes) -> None:
        """Add it, if it comes to that."""
        self._mortal.step()
        super().add(key, octets)
        self._mortal.step()

    def keep_progress(self, source: str, progress: Progress) -> None:
        """Keep it, if it comes to that."""
        self._mortal.step()
        super().keep_progress(source, progress)
        self._mortal.step()


def run(box: Box, maildir: Maildir, read: Read = bytes.upper) -> list[Event]:
    with maildir.alone():
        return [*Sync(box, maildir, "alice", read=read).run()]


def stored(root: Path) -> list[bytes]:
    return sorted(each.read_bytes() for each in root.glob("[nc]*/*"))


def test_each_mail_is_added_once_and_no_other_is_fetched(tmp_path: Path) -> None:
    box = Box({1: b"a", 2: b"other", 5: b"b"}, others={2})
    maildir = Maildir(tmp_path / "lists")
    assert [event.what for event in run(box, maildir)] == ["added", "added"]
    assert stored(tmp_path / "lists") == [b"A", b"B"]
    assert box.fetched == [1, 5]
    assert run(box, maildir) == []
    box.mails[6] = b"c"
    assert [event.uid for event in run(box, maildir)] == [6]
    assert box.fetched == [1, 5, 6]


def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    mails = {number: b"%d" % number for number in range(1, 5)}
    for at in range(1, 100):
        root = tmp_path / str(at)
        try:
            run(Box(mails), Dying(root, Mortal(at)))
        except Killed:
            run(Box(mails), Maildir(root))
            assert stored(root) == sorted(mails.values())
            assert [*(root / "tmp").iterdir()] == []
        else:
            assert at > 4 * 4
            return
    pytest.fail("it never got to its end")


def test_what_a_killed_one_left_in_tmp_is_taken_away(tmp_path: Path) -> None:
    run(Box({}), Maildir(tmp_path / "lists"))
    left = tmp_path / "lists/tmp" / f"{hashlib.sha256(b'a').hexdigest()}.recrypt"
    left.write_bytes(b"half")
    run(Box({1: b"a"}), Maildir(tmp_path / "lists"))
    assert stored(tmp_path / "lists") == [b"A"]
    assert not left.exists()


def test_an_account_that_numbers_its_mail_anew_adds_only_what_is_new(tmp_path: Path) -> None:
    maildir = Maildir(tmp_path / "lists")
    run(Box({7: b"a", 9: b"b"}), maildir)
    new = next((tmp_path / "lists/new").iterdir())
    new.rename(tmp_path / "lists/cur" / f"{new.name}:2,S")  # as a mail program does
    events = run(Box({1: b"a", 2: b"b", 3: b"c"}, uid_validity=2), maildir)
    assert [event.uid for event in events] == [3]
    assert stored(tmp_path / "lists") == [b"A", b"B", b"C"]


def test_what_cannot_be_read_is_told_and_tried_again(tmp_path: Path) -> None:
    def refuse(_octets: bytes) -> bytes:
        raise Trouble("no key", "Ask")

    maildir, box = Maildir(tmp_path / "lists"), Box({1: b"a", 2: b"b"})
    assert [event.words for event in run(box, maildir, refuse)] == [
        "mail 1: no key. Ask",
        "mail 2: no key. Ask",
    ]
    with maildir.alone():
        assert [*Sync(box, maildir, "alice", read=bytes.upper).run(again=False)] == []
    del box.mails[1]
    assert [event.what for event in run(box, maildir)] == ["added"]
    assert run(box, maildir) == []


def test_what_waits_is_bounded_and_what_may_pass_ends_the_run(tmp_path: Path) -> None:
    def refuse(_octets: bytes) -> bytes:
        raise Trouble("no key", "Ask")

    def busy(_octets: bytes) -> bytes:
        raise Passing("another recrypt is at work", "Try again")

    maildir = Maildir(tmp_path / "lists")
    box = Box({number: b"%d" % number for number in range(1, WAITING + 11)})
    run(box, maildir, refuse)
    with pytest.raises(Passing):
        run(box, maildir, busy)
    box.fetched.clear()
    assert len(run(box, maildir)) == WAITING
    assert box.fetched == [*range(11, WAITING + 11)]


def test_a_mail_over_the_limit_is_told_and_never_fetched(tmp_path: Path) -> None:
    maildir, box = Maildir(tmp_path / "lists"), Box({1: b"a"}, huge={1})
    (event,) = run(box, maildir)
    assert "octets" in event.words
    assert (box.fetched, run(box, maildir)) == ([], [])


def test_a_maildir_is_its_owners_alone(tmp_path: Path) -> None:
    root = tmp_path / "lists"
    run(Box({1: b"a"}), Maildir(root))
    modes = {stat.S_IMODE(each.stat().st_mode) for each in root.rglob("*") if each.is_file()}
    assert modes == {0o600}
    folders = [root, *(each for each in root.rglob("*") if each.is_dir())]
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}
    root.chmod(0o755)
    with pytest.raises(Trouble, match="others can look into it"):
        run(Box({}), Maildir(root))


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(Trouble, match="no Maildir"):
        run(Box({}), Maildir(tmp_path))
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]


def test_two_at_once_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with Maildir(tmp_path / "lists").alone(), pytest.raises(Passing, match="another recrypt sync"):
        run(Box({}), Maildir(tmp_path / "lists"))


SEALED = (b"APPLICATION", b"VND.RECRYPT", (b"NAME", b"message.mmx"), None, None, b"BASE64", 9)
OCTETS = (b"application", b"octet-stream", (b"name", b"Plan.MMX"), None, None, b"base64", 9)
TEXT = (b"text", b"plain", (b"charset", b"utf-8"), None, b"about a.mmx", b"7bit", 9, 1)
FORWARDED = (b"message", b"rfc822", None, None, None, b"7bit", 9, (), SEALED, 4)


@pytest.mark.parametrize(
    ("structure", "is_one"),
    [
        pytest.param(SEALED, True, id="alone"),
        pytest.param(([TEXT, SEALED], b"mixed"), True, id="beside a notice"),
        pytest.param(([([TEXT, OCTETS], b"mixed"), TEXT], b"mixed"), True, id="by its name"),
        pytest.param(([TEXT, TEXT], b"alternative"), False, id="text"),
        pytest.param(([TEXT, FORWARDED], b"mixed"), False, id="forwarded"),
    ],
)
def test_mail_is_chosen_by_its_structure(structure: tuple[object, ...], is_one: bool) -> None:
    assert is_sealed(structure) is is_one


def test_a_password_goes_in_clear_to_no_other_machine() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        MailServer(host, 143, "alice", Security.NONE).check()
    for host in ("imap.example.org", "192.0.2.1", "localhost.example.org"):
        with pytest.raises(Trouble, match="without TLS"):
            MailServer(host, 143, "alice", Security.NONE).check()
        MailServer(host, 993, "alice", Security.TLS).check()


def test_a_password_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"letters\n")
    file.chmod(0o600)
    assert read_password(str(file)) == "letters"
    file.chmod(0o640)
    with pytest.raises(Trouble, match="others can read it"):
        read_password(str(file))


def test_nothing_is_stored_in_clear_unasked(stage: Stage) -> None:
    maildir = stage.folder / "lists"
    words = ["--host", "127.0.0.1", "--user", "bob", "--security", "none"]
    assert "UNENCRYPTED" in stage.fails("bob", "sync", str(maildir), *words)
    assert "without TLS" in stage.fails(
        "bob", "sync", str(maildir), "--store-plaintext", *words, "--host", "imap.example.org"
    )
    assert "no terminal" in stage.fails("bob", "sync", str(maildir), "--store-plaintext", *words)
    assert not maildir.exists()
