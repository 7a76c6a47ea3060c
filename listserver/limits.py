"""Every number of the server, with its unit and its source."""

from datetime import timedelta
from typing import Final

# Mail at the door
POST_OCTETS: Final = (
    32 * 2**20
)  # default of max_post_octets; RFC 5321 §4.5.3.1.7 asks for 64 KiB at least
POST_OCTETS_LEAST: Final = 64 * 2**10  # RFC 5321 §4.5.3.1.7
POST_OCTETS_MOST: Final = 2**30  # ours: a post is held in memory
LINE_OCTETS: Final = 8192  # with its CRLF; RFC 5321 §4.5.3.1.6 asks for 1,000
READ_OCTETS: Final = 64 * 2**10  # ours: what is read at once; a longer command ends the session
COMMAND_OCTETS: Final = 512  # with its CRLF; RFC 5321 §4.5.3.1.4. A path has 256 at most
RECIPIENTS: Final = 100  # in one transaction; RFC 5321 §4.5.3.1.8
SMALL_POST_OCTETS: Final = (
    256 * 2**10
)  # ours: a post's first octets, for which there is room always
LARGE_POSTS: Final = 8  # ours: what is held of larger posts at once, in max_post_octets
SESSIONS: Final = (
    500  # default of [smtp] connections: half of the files that Linux opens by default
)
CLIENT_SESSIONS: Final = 50  # default of [smtp] connections_per_client, as Postfix has it
SESSIONS_MOST: Final = 10_000  # ours, of both
SESSION_MAILS: Final = 10_000  # MAIL, RCPT, DATA or RSET commands in one session; ours
SESSION_COMMANDS: Final = 100  # any other command in one session; ours: NOOP holds none for ever
SESSION_ERRORS: Final = 20  # refusals after which a session ends; Postfix's smtpd_hard_error_limit
SESSION_AGE: Final = timedelta(minutes=30)  # ours: without a mail, however busy a session looks
HANDSHAKE_TIMEOUT: Final = timedelta(minutes=1)  # ours, for STARTTLS
COMMAND_TIMEOUT: Final = timedelta(minutes=5)  # RFC 5321 §4.5.3.2.7; in DATA for each READ_OCTETS
COMMIT_TIMEOUT: Final = timedelta(
    minutes=10
)  # RFC 5321 §4.5.3.2.6: what the sender waits for our 250
REPLY_OCTETS: Final = 400  # of text in a reply; RFC 5321 §4.5.3.1.5 allows 512 for the line

# Names
LIST_NAME_OCTETS: Final = 25  # spec §7

# Mail going out
CONNECT_TIMEOUT: Final = timedelta(minutes=5)  # RFC 5321 §4.5.3.2.1, with greeting, TLS and AUTH
MAIL_TIMEOUT: Final = timedelta(minutes=5)  # RFC 5321 §4.5.3.2.2
RCPT_TIMEOUT: Final = timedelta(minutes=5)  # RFC 5321 §4.5.3.2.3
DATA_TIMEOUT: Final = timedelta(minutes=2)  # RFC 5321 §4.5.3.2.4
BLOCK_TIMEOUT: Final = timedelta(minutes=3)  # RFC 5321 §4.5.3.2.5, for each WRITE_OCTETS
CONTENT_TIMEOUT: Final = timedelta(minutes=10)  # RFC 5321 §4.5.3.2.6, after the final dot
RESET_TIMEOUT: Final = timedelta(seconds=30)  # ours, for RSET
QUIT_TIMEOUT: Final = timedelta(seconds=5)  # ours: a stop shouldn't wait for a dead peer
IDLE_TIME: Final = timedelta(
    seconds=30
)  # ours: a kept session is closed after it; most peers wait 300 s
WRITE_OCTETS: Final = 64 * 2**10  # ours: what is handed to the network at once
CONNECTIONS: Final = 4  # default of [relay] connections
CONNECTIONS_MOST: Final = 100  # ours; Postfix takes 50 from one client by default
PEER_TEXT_OCTETS: Final = 500  # ours: what is kept of a peer's reply

# Trying again
FIRST_DELAY: Final = timedelta(minutes=5)  # ours, doubling; RFC 5321 §4.5.4.1 asks for patience
LONGEST_DELAY: Final = timedelta(hours=4)  # ours
LEAST_ATTEMPTS: Final = 12  # ours: in five days there are about 35
LIFETIME: Final = timedelta(days=5)  # RFC 5321 §4.5.4.1: four to five days at least

# The store and a stop
STORE_RETRY: Final = timedelta(seconds=1)  # ours: between attempts to write what was delivered
STOP_TIMEOUT: Final = timedelta(seconds=25)  # ours: service managers kill after 90 s
PAGE_OCTETS: Final = 4 * 2**20  # ours: of changes in one answer, but for the last one
SHARD_MEMBERS: Final = 1000  # ours: of a post's members in one row of the queue
FAULT_DELAY: Final = timedelta(minutes=5)  # ours: until it is tried again
FAULTS: Final = 3  # ours, as Mailman: after so many of our own faults a delivery is held
FRAMES_OCTETS: Final = 32 * 2**20  # ours: of the latest posts' shared parts that are kept
QUEUE_PATIENCE: Final = timedelta(seconds=30)  # ours: the longest time between looks at the queue
