"""The server that a person's mail goes out by, on aiosmtplib. What it says is handed on.

A mail is for all of its recipients or for none: the first that is refused ends it before any
content goes out.
"""

from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
)

from recrypt_client.mail_servers import MailServer, Security
from recrypt_client.submission import Reply, Submission

TIMEOUT_SECONDS: Final = 60  # of one command
DATA_SECONDS: Final = 600  # of the content (RFC 5321 §4.5.3.2.6)
_CLOSING: Final = 421  # RFC 5321 §3.8: the session ends, not the mail


async def hand_over(submission: Submission, server: MailServer, password: str) -> Reply:
    """Send a mail; 250 is the server's own."""
    client = SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security is Security.TLS,
        start_tls=server.security is Security.STARTTLS,
        tls_context=server.tls(),
        local_hostname="localhost",
        timeout=TIMEOUT_SECONDS,
    )
    try:
        await client.connect()
        if server.user:
            await client.login(server.user, password)
        return await _send(client, submission)
    except SMTPAuthenticationError as refused:
        return Reply(
            454, f"4.7.0 Not sent: {server} doesn't let {server.user} in: {refused.message}"
        )
    except SMTPNotSupported as problem:
        return Reply(454, f"4.7.0 Not sent: {server}: {problem}. Check --security and --user")
    except SMTPResponseException as refused:
        return _handed_on(refused.code, refused.message)
    except (SMTPException, OSError) as problem:
        return Reply(451, f"4.4.1 Not sent: {server} can't be reached: {problem}")
    finally:
        client.close()


async def _send(client: SMTP, submission: Submission) -> Reply:
    eight_bit = not submission.octets.isascii()
    if eight_bit and not client.supports_extension("8bitmime"):
        return Reply(554, "5.6.3 Not sent: your mail server takes no mail of eight bits")
    await client.mail(submission.sender, options=["BODY=8BITMIME"] if eight_bit else [])
    for recipient in submission.recipients:
        await client.rcpt(recipient)
    done = await client.data(submission.octets, timeout=DATA_SECONDS)
    return Reply(done.code, done.message)


def _handed_on(code: int, words: str) -> Reply:
    """Give a refusal as it came; one that ends the session is about this mail alone here."""
    if code == _CLOSING or not 400 <= code <= 599:
        return Reply(451, f"4.3.2 Not sent: {code} {words}")
    return Reply(code, words)
