-- The first schema. What names or describes people is sealed or named by the vault (spec §7):
-- a column `name` or `..._name` is an HMAC, a column `sealed` is AES-256-GCM. In clear stand
-- counts, sizes and times, and which row belongs to which.

CREATE TABLE vault_check (          -- one row, which opens with the right vault key
    sealed       BLOB NOT NULL
) STRICT;

CREATE TABLE authorized (           -- profiles that may create groups
    profile_name BLOB NOT NULL,     -- of the profile's Identifier
    kid_name     BLOB NOT NULL,     -- of one of its signature keys
    sealed       BLOB NOT NULL,     -- the SignedProfile
    PRIMARY KEY (kid_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    id           INTEGER PRIMARY KEY,
    name         BLOB NOT NULL UNIQUE,  -- of the GroupName
    group_name   BLOB NOT NULL UNIQUE,  -- of the Identifier
    head_seq     INTEGER NOT NULL,
    sealed       BLOB NOT NULL          -- the RecryptionGroup without members, head, list secret
) STRICT;

CREATE TABLE changes (              -- the chain
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    seq          INTEGER NOT NULL,
    sealed       BLOB NOT NULL,     -- the signed request, without halves
    PRIMARY KEY (list_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    id           INTEGER PRIMARY KEY,
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    name         BLOB NOT NULL UNIQUE,  -- of list and RecryptUDF
    served       INTEGER NOT NULL,  -- 1: ACTIVE with RECRYPT
    powerful     INTEGER NOT NULL,  -- 1: has ADMIN or SUPER
    sealed       BLOB NOT NULL      -- the MemberEntry
) STRICT;
CREATE INDEX members_page ON members (list_id, name);
CREATE INDEX members_powerful ON members (list_id) WHERE powerful;

CREATE TABLE signers (              -- who may sign: keys of the members' profiles
    -- In the order of the primary key: else SQLite 3.40's quick_check finds NULLs that aren't there.
    kid_name     BLOB NOT NULL,     -- of list and fingerprint
    member_id    INTEGER NOT NULL REFERENCES members (id),
    PRIMARY KEY (kid_name, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX signers_member ON signers (member_id);

CREATE TABLE entries (              -- the halves r; a row is erased when its entry ends
    id           INTEGER PRIMARY KEY,
    member_id    INTEGER NOT NULL REFERENCES members (id),
    key_name     BLOB NOT NULL,     -- of the group key's fingerprint
    half_name    BLOB NOT NULL UNIQUE,  -- of X's fingerprint
    own_octets   INTEGER NOT NULL,  -- of the recryption in a copy's line (spec §7)
    sealed       BLOB NOT NULL      -- address, r, split, X's fingerprint, DecryptionKey
) STRICT;
CREATE INDEX entries_member ON entries (member_id);
CREATE INDEX entries_key ON entries (key_name);

CREATE TABLE halves_seen (          -- every X ever held: none is taken twice (spec §4)
    half_name    BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE nonces (               -- of signed requests, while a replay could be fresh (spec §5)
    nonce_name   BLOB PRIMARY KEY,  -- of signer and nonce
    until        INTEGER NOT NULL   -- seconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_until ON nonces (until);

CREATE TABLE contents (             -- content ids that a list has had (spec §7)
    content_name BLOB PRIMARY KEY,  -- of list and cid
    key_name     BLOB NOT NULL      -- of the group key's fingerprint: remembered for its life
) STRICT, WITHOUT ROWID;

CREATE TABLE message_ids (          -- Message-IDs that a list has relayed
    id_name      BLOB PRIMARY KEY   -- of list and id
) STRICT, WITHOUT ROWID;

CREATE TABLE posts (
    id           INTEGER PRIMARY KEY,
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    key_name     BLOB NOT NULL,     -- of the group key's fingerprint
    accepted     INTEGER NOT NULL,  -- seconds since 1970
    held         INTEGER NOT NULL DEFAULT 0,    -- 1: it can't be read; for people to see
    sealed       BLOB NOT NULL,     -- headers and the JSON line that the copies have in common
    ciphertext   BLOB               -- NULL once every delivery is final
) STRICT;
CREATE INDEX posts_open ON posts (id) WHERE ciphertext IS NOT NULL AND NOT held;

-- The queue, for lists of any size: a post's members stand in shards, in random order, with a
-- position that lasts; rows only for what is in flight, was put off, was given up or is held.

CREATE TABLE shards (
    id           INTEGER PRIMARY KEY,
    post_id      INTEGER NOT NULL REFERENCES posts (id),
    members      BLOB NOT NULL,     -- ids of members, 6 octets each
    position     INTEGER NOT NULL   -- how many of them were claimed; the last one ends the row
) STRICT;
CREATE INDEX shards_post ON shards (post_id);

CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY,
    post_id      INTEGER NOT NULL REFERENCES posts (id),
    member_id    INTEGER NOT NULL REFERENCES members (id),
    state        INTEGER NOT NULL,  -- 0 due, 1 claimed, 2 given up, 3 held after faults of ours
    attempts     INTEGER NOT NULL,  -- begun, counted before they begin
    faults       INTEGER NOT NULL,  -- attempts that ended in a fault of ours, or with the process
    due          INTEGER NOT NULL,  -- seconds since 1970
    sealed       BLOB,              -- the peer's last words
    UNIQUE (post_id, member_id)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (due) WHERE state = 0;
CREATE INDEX deliveries_post ON deliveries (post_id, due, id) WHERE state = 0;
CREATE INDEX deliveries_open ON deliveries (post_id) WHERE state != 2;
