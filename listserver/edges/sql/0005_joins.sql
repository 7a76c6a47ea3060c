-- Who asks to be a member: until the address has answered, and until an administrator has decided.

CREATE TABLE joins (                -- only while they are open; what ended is erased
    token_name   BLOB PRIMARY KEY,  -- of the token that was mailed
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    name         BLOB NOT NULL,     -- of list and Identifier
    state        INTEGER NOT NULL,  -- 0 asked, 1 confirmed
    since        INTEGER NOT NULL,  -- when it came into this state; seconds since 1970
    until        INTEGER NOT NULL,
    sealed       BLOB NOT NULL      -- address and SignedProfile
) STRICT;
CREATE INDEX joins_name ON joins (name);
CREATE INDEX joins_waiting ON joins (list_id, state, name);
CREATE INDEX joins_until ON joins (until);

CREATE TABLE join_counts (          -- of what was asked on a day, for limits
    day          INTEGER NOT NULL,  -- days since 1970, UTC
    name         BLOB NOT NULL,     -- of an address, a list or a signature key
    asked        INTEGER NOT NULL,
    PRIMARY KEY (day, name)
) STRICT, WITHOUT ROWID;
