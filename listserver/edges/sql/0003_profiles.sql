-- Profiles that members sent themselves, who is ACTIVE, and how many lists a profile created.

CREATE TABLE profiles (             -- newer than their members' entries have, until those catch up
    member_id    INTEGER PRIMARY KEY REFERENCES members (id),
    sealed       BLOB NOT NULL      -- the SignedProfile, bound to the member's name
) STRICT;

CREATE TABLE newer_signers (        -- as signers, of those profiles
    kid_name     BLOB NOT NULL,     -- of list and fingerprint
    member_id    INTEGER NOT NULL REFERENCES members (id),
    PRIMARY KEY (kid_name, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX newer_signers_member ON newer_signers (member_id);

CREATE TABLE founders (             -- how many lists were created, since this table is there
    profile_name BLOB PRIMARY KEY,  -- of the authorised profile's Identifier
    lists        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE members ADD COLUMN active INTEGER;  -- NULL: the entry says; it was written before
UPDATE members SET active = 1 WHERE served;
CREATE INDEX members_active ON members (list_id) WHERE active;
CREATE INDEX members_unlearnt ON members (list_id) WHERE active IS NULL;

DROP INDEX entries_key;             -- to count members without an entry takes both columns
CREATE INDEX entries_key ON entries (key_name, member_id);
