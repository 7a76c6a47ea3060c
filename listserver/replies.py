"""Every word that goes out over SMTP: one wording for member and stranger (spec §7)."""

from dataclasses import dataclass, field

from listserver import limits


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply (RFC 5321 §4.2) with its enhanced status (RFC 3463).

    Its str is one line of printable ASCII without CRLF, however its text came about; `octets` are
    that line with its end.
    """

    code: int
    enhanced: str
    text: str
    octets: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Written once: the same few are said with every mail.
        object.__setattr__(self, "octets", f"{self}\r\n".encode("ascii"))

    def __str__(self) -> str:
        words = self.text
        if not (words.isascii() and words.isprintable()):
            words = "".join(c if " " <= c <= "~" else "?" for c in words)
        return " ".join(filter(None, (f"{self.code}", self.enhanced, words[: limits.REPLY_OCTETS])))

    @property
    def positive(self) -> bool:
        """Say whether what was asked has been done."""
        return self.code < 400  # RFC 5321 §4.2.1: 4yz and 5yz are negative


# Said to all alike, whatever came of a post that could be taken.
ACCEPTED = Reply(250, "2.0.0", "Accepted.")
SENDER_OK = Reply(250, "2.1.0", "Sender noted.")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient noted.")
DONE = Reply(250, "2.0.0", "OK")
BYE = Reply(221, "2.0.0", "Bye")
HELP = Reply(214, "2.0.0", "Write to a list with: EHLO, MAIL, RCPT, DATA, QUIT. See RFC 5321.")
NOT_VERIFIED = Reply(252, "2.1.5", "Addresses are not verified here; send mail and see.")

NO_SUCH_LIST = Reply(550, "5.1.1", "There is no such list here.")
LIST_STOPPED = Reply(450, "4.2.1", "This list is stopped for now by its operator; try later.")
NO_OPERATOR = Reply(550, "5.1.1", "The operator's mailbox is not at this server.")
NOT_RELAYED = Reply(550, "5.7.1", "That address is not at this server, and nothing is relayed.")
ONE_LIST = Reply(452, "4.5.3", "One list address at a time; send to this one separately.")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send to the others separately.")
BAD_SENDER = Reply(501, "5.1.7", "The sender's address is malformed; use <name@domain> or <>.")
BAD_RECIPIENT = Reply(553, "5.1.3", "The recipient's address is malformed; use <name@domain>.")
NO_SMTPUTF8 = Reply(553, "5.6.7", "SMTPUTF8 is not offered here; use ASCII addresses.")

NOT_ALLOWED_TO_POST = Reply(
    550, "5.7.1", "This list takes no such post: sign it with `recrypt seal`, as its rules say."
)
TOO_OFTEN = Reply(450, "4.7.1", "This list takes no more posts for now; try again later.")
OWNERS_BUSY = Reply(450, "4.7.1", "Too many have written to this list's owners; try tomorrow.")
SEALED_OTHERWISE = Reply(
    554, "5.6.0", "This content came before, sealed to the list in another way: seal it anew."
)
LOOP = Reply(550, "5.4.6", "This mail has been through this list: a loop or a replay. Not taken.")
BARE_LINE_END = Reply(554, "5.6.0", "Lines must end in CRLF; bare CR, bare LF and NUL are refused.")
LONG_LINE = Reply(
    554, "5.6.0", f"A line is over {limits.LINE_OCTETS} octets; use base64 (RFC 5321 4.5.3.1.6)."
)
TROUBLE = Reply(451, "4.3.0", "Trouble here, not with your mail. Try again later.")

CROWDED = Reply(421, "4.7.0", "Too many connections. Try again later.")
IDLE = Reply(421, "4.4.2", "Too little came for too long.")
STOPPING = Reply(421, "4.3.2", "Going down for a while. Try again later.")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands in one session.")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors in one session.")
TOO_OLD = Reply(421, "4.7.0", "Too long a session without a mail.")
NO_ROOM = Reply(452, "4.3.1", "Too much mail is under way. Try again later.")
DISK_FULL = Reply(452, "4.3.1", "The server's disk is nearly full; try again later.")
OUT_OF_STEP = Reply(554, "5.5.0", "Wait for the reply before you send more (RFC 2920).")
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")  # RFC 2034 §3: 3yz have no status
START_TLS = Reply(220, "2.0.0", "Begin TLS.")

NO_MAIL = Reply(503, "5.5.1", "Send MAIL FROM first.")
NO_HELLO = Reply(503, "5.5.1", "Send a greeting first.")
NESTED_MAIL = Reply(503, "5.5.1", "A mail is begun already; send RSET to drop it.")
NO_RECIPIENT = Reply(503, "5.5.1", "No recipient was accepted; send RCPT TO first.")
NOT_UNDERSTOOD = Reply(500, "5.5.2", "Command not understood.")
LONG_COMMAND = Reply(
    500, "5.5.2", f"A command has at most {limits.COMMAND_OCTETS} octets (RFC 5321 4.5.3.1.4)."
)
BARE_COMMAND = Reply(500, "5.5.2", "Lines must end in CRLF; bare CR, bare LF and NUL are refused.")
BAD_ARGUMENT = Reply(501, "5.5.4", "The command's argument is missing or malformed.")
BAD_PARAMETER = Reply(555, "5.5.4", "That parameter is not offered here.")
NOT_OFFERED = Reply(502, "5.5.1", "That command is not offered here.")


def too_large(most: int) -> Reply:
    """Refuse a mail of more than `most` octets (RFC 1870 §6)."""
    return Reply(552, "5.3.4", f"Too large: at most {most} octets are taken.")


def copy_too_large(most: int) -> Reply:
    """Refuse a post of which each copy would have more than `most` octets."""
    return Reply(552, "5.3.4", f"Too large: a copy of it would be over {most} octets.")


def post_too_large(most: int) -> Reply:
    """Refuse a post whose ciphertext has more than so many KiB, which a list's rules allow."""
    return Reply(552, "5.3.4", f"Too large: this list takes at most {most} KiB, encrypted.")


def not_encrypted(reason: str, list_address: str, service: str) -> Reply:
    """Refuse what isn't encrypted to the list, and say where its key is (spec §7).

    service: the public address of the service, as clients are configured with it.
    """
    advice = f"Encrypt it; get the key with: recrypt key {list_address} --service {service}"
    return Reply(554, "5.6.0", f"{reason} {advice}")


def malformed_post(reason: str) -> Reply:
    """Refuse a post that breaks the format; `reason` is a sentence about the format alone."""
    return Reply(554, "5.6.0", f"{reason} Not taken.")
