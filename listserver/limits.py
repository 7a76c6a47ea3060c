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
QUICK_OCTETS: Final = 64 * 2**10  # ours: read or written on the event loop; more, in a thread
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
COMMAND_TIMEOUT: Final = timedelta(minutes=5)  # RFC 5321 §4.5.3.2.7; in DATA for any pause
DATA_RATE: Final = 500  # octets a second in DATA, on the whole; Postfix's smtpd_min_data_rate
LARGE_RATE: Final = (
    64 * 2**10
)  # ours, octets a second: what comes slower than it gives way where room is short ...
LARGE_PATIENCE: Final = timedelta(seconds=30)  # ours: ... but for so long a pause
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
HOST_DELAY: Final = timedelta(seconds=1)  # ours, doubling: while the relay host can't be reached
HOST_LONGEST_DELAY: Final = timedelta(minutes=1)  # ours: so soon it is found that it is back
FIRST_DELAY: Final = timedelta(minutes=5)  # ours, doubling; RFC 5321 §4.5.4.1 asks for patience
LONGEST_DELAY: Final = timedelta(hours=4)  # ours
LEAST_ATTEMPTS: Final = 12  # ours: or all that a schedule has; in five days there are about 35
LIFETIME: Final = timedelta(days=5)  # RFC 5321 §4.5.4.1: four to five days at least

# What is kept
TOKEN_LIFE: Final = timedelta(
    days=30
)  # ours: how long a return path counts, and a post's row stays
ERASED_OCTETS: Final = 16 * 2**20  # ours: of ciphertexts in one transaction: tenths of a second
ERASED_POSTS: Final = 1000  # ours: the same, in number
ERASED_HALVES: Final = 1000  # ours: of a closed list, in one transaction
ERASING_STEP: Final = timedelta(minutes=10)  # ours: how much of its time a restart may lose
CLOCK_DOUBT: Final = timedelta(days=3)  # ours: until a clock that has jumped ahead is believed

# Mail of the server's own
LETTERS: Final = 10_000  # ours: of each kind, that wait at once; a list takes what it leaves
LETTERS_OCTETS: Final = 256 * 2**20  # ours: the same, in octets
LETTER_OCTETS: Final = 2**20  # ours: of mail that is passed on to the operator
SEALED_OCTETS: Final = 8 * 2**10  # ours, at least, of a letter's content; our own words take 2 KiB
OWN_LETTER_OCTETS: Final = 64 * 2**10  # ours: room for one of those, sealed to as many as can be
HELD_LETTERS: Final = 1000  # ours: of the operator's mail, given up and held for people to see
HELD_OCTETS: Final = 64 * 2**20  # ours: of the same
BOUNCE_POINTS: Final = 3  # default of [bounces] threshold; ours: over a weekend of a daily list
BOUNCE_DAYS: Final = 180  # default of [bounces] window_days; ours: a weekly list's soft ones do
PROBES: Final = 25  # ours: members looked at in one transaction, a millisecond each
TELLING_TRIES: Final = 3  # ours: at letters about a list where more comes while they are sealed
POSTERS_TOLD: Final = 25  # ours: in one round, a few milliseconds each
NOTICE_RETRY: Final = timedelta(hours=4)  # ours: until what was said in vain is said again
NOTICE_LINES: Final = 100  # ours: of copies given up, and of members, in one notice
NOTICE_PATIENCE: Final = timedelta(hours=1)  # ours: between two notices about one list
NOTICE_WORDS: Final = 200  # ours: letters of a peer's words in a notice
PROBED_SHARE: Final = 4  # ours: of a list, every fourth member at most is in doubt at once
HOST_MEMORY: Final = timedelta(days=1)  # ours: what the relay host took tells for so long of it
FORGOTTEN: Final = 1000  # ours: bounces in one transaction, some milliseconds
SETTLED: Final = 200  # ours: posts with refusals that are looked at in one transaction, likewise
PROBE_DAYS: Final = 7  # ours: a probe that hasn't come back then has arrived; queues last 5 days
PROBE_SLACK: Final = timedelta(days=2)  # ours: beyond our own queue's lifetime, if that is longer
CLOCK_SLACK: Final = timedelta(days=1)  # ours: what is further ahead is, or was, a wrong clock's
ROUND: Final = timedelta(seconds=30)  # ours: between looks at what is to be told, probed, erased
ROUND_LEAST: Final = timedelta(seconds=2)  # ours: the same when something happened: gathers it

# Signed requests
GROUPS_PER_PROFILE: Final = 100  # default of [service] groups_per_profile; ours
GROUPS_PER_PROFILE_MOST: Final = 10**6  # ours
PROFILE_OCTETS: Final = 64 * 2**10  # ours: of an UpdateProfile's; 32 keys of each use take 33 KiB
PROFILES_PER_DAY: Final = 20  # ours: UpdateProfile of one member's, of whatever key
RECRYPTIONS_PER_MEMBER: Final = (
    1000  # default of [service] recryptions_per_member; ours: an archive takes a few days
)
RECRYPTIONS_PER_GROUP: Final = 100_000  # default of [service] recryptions_per_group; ours
RECRYPTIONS_MOST: Final = 10**9  # ours, of both
QUOTA_DAYS: Final = 7  # ours: the largest jump of the clock that renews no quota
AUDIT_DAYS: Final = 90  # default of [service] audit_days; ours
AUDIT_DAYS_MOST: Final = 3650  # ours
AUDIT_REFUSALS: Final = 10  # ours: of a member's refusals on a day, in the audit log
JOIN_TOKEN_LIFE: Final = timedelta(days=7)  # ours: how long a token that was mailed is good
JOIN_PATIENCE: Final = timedelta(days=30)  # ours: how long a request waits for a decision
JOIN_LETTERS: Final = 3  # ours: on a day to one mailbox, whoever asks
JOIN_LETTERS_PER_DOMAIN: Final = 1500  # ours: on a day to one domain: a list of 1,000 is of one
JOINS_PER_SIGNER: Final = 10  # ours: that one key signs on a day
ANSWERS_PER_ADDRESS: Final = 5  # ours: on a day to one mailbox, of whatever lists
ANSWERS_PER_SOURCE: Final = 500  # ours: on a day to one domain; who it is can be forged
ANSWERS_PER_LIST: Final = 1000  # ours: on a day, by mail to its desk
OWNER_MAILS_PER_LIST: Final = 200  # ours: on a day, to those who administer it
OWNER_MAILS_PER_SENDER: Final = 20  # ours: on a day, of one mailbox, to whatever lists
OWNER_MAILS_PER_DOMAIN: Final = 50  # ours: on a day, of one domain, to one list
JOINS_PER_LIST: Final = 3000  # ours: on a day; so much mail strangers can have a list send
JOIN_OCTETS: Final = 4096  # ours: of a profile, in base64url; one with more counts again for each
JOINS_PER_DOMAIN: Final = 1500  # ours: of those, with an address at one domain
HELD_UNSIGNED: Final = 250  # ours: of a list, that wait for a decision and state no sender
HELD_UNPROVEN: Final = 250  # ours: of those that state one who isn't an ACTIVE member
HELD_MEMBERS: Final = 500  # ours: of ACTIVE members
MAIL_DECISIONS: Final = 20  # ours: signed decisions that one mail may hold
HELD_ENDED: Final = 100  # ours: posts over their time, in one transaction
JOINS_WAITING: Final = 2000  # ours: of a list, that wait for a decision
JOINS_WAITING_PER_DOMAIN: Final = 200  # ours: of those, with an address at one domain
INVITED_DAYS: Final = QUOTA_DAYS  # ours: in which who was mailed an invitation passes both
INVITATIONS_PER_LIST: Final = 2000  # ours: on a day, mailed by the service
INVITATION_LETTERS: Final = 2  # ours: on a day to one mailbox, of whatever lists
GREETINGS_AT_ONCE: Final = 25  # ours: sealed at once, a millisecond each
LEAVE_PATIENCE: Final = timedelta(days=7)  # ours: in which who leaves by a link may stay
LEFT_AT_ONCE: Final = 1000  # ours: members, made final in one transaction
NONCE_LIFE: Final = timedelta(days=30)  # ours: the largest jump of the clock that replays none

# Requests at the service
SHORT_REQUEST_OCTETS: Final = 4096  # ours: read on the event loop, at most 2 ms; more, in a thread
HEAD_OCTETS: Final = 64 * 2**10  # ours: of a request's line and header fields
HEAD_TIMEOUT: Final = timedelta(seconds=20)  # ours: for them to come whole, or at all
PAGE_BODY_OCTETS: Final = 1024  # ours: of a form with one button (RFC 8058 §3.2)
SHOWN_LISTS: Final = 100  # ours: that the start page may have links to
PAGE_BODY_TIMEOUT: Final = timedelta(seconds=20)  # ours: for it to come

# The store and a stop
RESERVE_MIB: Final = 256  # default of [store] reserve_mib
RESERVE_MIB_MOST: Final = 2**20  # ours: a tebibyte
ROOM_TIME: Final = timedelta(seconds=0.25)  # ours: between looks at the disk; each takes some us
STORE_RETRY: Final = timedelta(seconds=1)  # ours: between attempts to write what was delivered
STORE_TROUBLES: Final = 10  # ours: so many in a row at one delivery are a fault of ours
STOP_TIMEOUT: Final = timedelta(seconds=25)  # ours: service managers kill after 90 s
PAGE_OCTETS: Final = 4 * 2**20  # ours: of changes in one answer, but for the last one
SHARD_MEMBERS: Final = 1000  # ours: of a post's members in one row of the queue
MAILS_A_CONNECTION: Final = 500  # ours: some hosts end it after as many with a 421
IN_HAND: Final = 16  # ours: copies for each connection, begun and not on the disk
LARGE_OCTETS: Final = 2**18  # ours: of a copy; larger ones don't wait for a connection
TAKEN_TO_WIDEN: Final = 20  # ours: copies taken, until one connection more is tried again
HALVES_OCTETS: Final = 10 * 2**20  # ours: of rows whose halves stay loaded, in three times as much
RECORD_DELAY: Final = timedelta(seconds=0.005)  # ours: that an outcome waits for others
ANSWER_DELAY: Final = timedelta(seconds=0.002)  # ours: that a worker's waits for others
QUICK_REPLY: Final = timedelta(seconds=0.25)  # ours: to a mail, for the next to be begun behind it
HALF_AGE: Final = timedelta(seconds=1)  # ours: that one may wait for a connection
WORKERS: Final = 0  # default of [relay] workers
WORKERS_MOST: Final = 64  # ours: processes that carry copies
WORKER_DELAY: Final = timedelta(seconds=1)  # ours, doubling: before one that died is started anew
WORKER_LONGEST_DELAY: Final = timedelta(minutes=1)  # ours
WORKER_OCTETS: Final = 2**16  # ours: that are read at once of a worker, or by it
WORKER_STOP_TIMEOUT: Final = timedelta(seconds=10)  # ours: for its QUITs; then it is killed
FAULT_DELAY: Final = timedelta(minutes=5)  # ours: until it is tried again
FAULTS: Final = 3  # ours, as Mailman: after so many of our own faults a delivery is held
BUSY_POSTS: Final = 64  # ours: looked at to find the next one; of more, the next by number
FRAMES_OCTETS: Final = 32 * 2**20  # ours: of the latest posts' shared parts that are kept
LIST_MEMORY: Final = timedelta(seconds=1)  # ours: for which RCPT believes that a list goes on
QUEUE_PATIENCE: Final = timedelta(seconds=30)  # ours: the longest time between looks at the queue
