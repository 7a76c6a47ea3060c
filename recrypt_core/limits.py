"""Every number of the formats, with its unit and its source."""

from datetime import timedelta
from typing import Final

ENVELOPE_LINE_OCTETS: Final = 64 * 1024  # spec §3: everything but the ciphertext, padding included
ENVELOPE_RECIPIENTS: Final = 64  # spec §3
CONTENT_OCTETS: Final = 64 * 2**20  # spec §3: larger content is a stream, spec §9

JSON_DEPTH: Final = 16  # a group's page nests to 12
JSON_VALUES: Final = 200_000  # ours: 8 MiB of member entries, of whatever devices, have fewer
REQUEST_OCTETS: Final = 8 * 2**20  # spec §5
REQUEST_ENTRIES: Final = 1000  # spec §5
REQUEST_SKEW: Final = timedelta(seconds=300)  # spec §5
NONCE_OCTETS: Final = 16  # spec §5

ADMINISTRATORS: Final = 100  # spec §4: ACTIVE with ADMIN or SUPER; each request reads them all
ADMINISTRATOR_KEYS: Final = 128  # spec §4: the JWEs; 64 of a kind reach 4,096 devices
ADMINISTRATOR_KEYS_OCTETS: Final = 2**20  # spec §4: of ciphertext; 100 past keys take 16 KiB each
DOCUMENT_OCTETS: Final = 256 * 1024  # one signed document; a profile of 32 devices is 16 KiB
DECRYPTION_KEY_OCTETS: Final = 16 * 1024  # ours: it goes into a copy's line; 32 devices take 10 KiB
PROFILE_DEVICES: Final = 32  # spec §4: EncryptionKeys
PROFILE_KEYS: Final = 32  # as many online and escrow keys as devices
PROFILE_ACCOUNTS: Final = 32  # ours
PROFILE_AHEAD: Final = timedelta(days=1)  # spec §4: Updated; no clock of a signer is so wrong
MEMBER_QUOTAS: Final = 16  # spec §4
ACCOUNT_OCTETS: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
LOCAL_PART_OCTETS: Final = 64  # RFC 5321 §4.5.3.1.1
DOMAIN_OCTETS: Final = 255  # RFC 5321 §4.5.3.1.2
LABEL_OCTETS: Final = 63  # RFC 1035 §2.3.4

KEEP_DAYS: Final = 14  # spec §7: how long a list keeps its posts, unless its Policy says
KEEP_DAYS_AT_MOST: Final = 365  # spec §7
HOLD_DAYS: Final = 7  # spec §7: how long a post waits for a decision, unless the Policy says
HOLD_DAYS_AT_MOST: Final = 30  # spec §7
SUBJECT_OCTETS: Final = 60  # spec §7: of a Policy's subject; with its name it fits a line of 78
BANNED: Final = 1000  # spec §7: profiles in a Policy; 40 KiB
INVITATION_LETTERS: Final = 960  # ours: of a token, which stands in one line (RFC 5322 §2.1.1)
INVITATION_LIFE: Final = timedelta(days=30)  # spec §6
REQUEST_INVITATIONS: Final = 100  # spec §6: in one Invite
GROUP_KEY_LIFE: Final = timedelta(days=180)  # spec §4: NotAfter
SENDER_LIFE: Final = timedelta(days=5)  # spec §7: mail waits in queues
AUTHOR_LINE_OCTETS: Final = 64 * 1024  # spec §7: Recrypt-Signature, with the profile in it

KDF_SALT_OCTETS: Final = 16  # RFC 9106 §4: 128 bits
KDF_MEMORY_KIB: Final = 2 * 2**20  # RFC 9106 §4: its first option takes 2 GiB
KDF_PASSES: Final = 16  # ours: enough for a minute
KDF_LANES: Final = 16  # ours
PASSPHRASE_LETTERS: Final = 8  # of a new one; NIST SP 800-63B, section 5.1.1.2
PASSPHRASE_OCTETS: Final = 1024  # ours
EXPORT_OCTETS: Final = 16 * 2**20  # ours: 50,000 contacts and their like
