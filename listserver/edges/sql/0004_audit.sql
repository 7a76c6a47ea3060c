-- What RecryptData was asked: how often, for quotas, and by whom, for the group's administrators.

CREATE TABLE recryptions (
    day          INTEGER NOT NULL,  -- days since 1970, UTC
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    member_id    INTEGER NOT NULL,  -- 0: all members of the list together
    done         INTEGER NOT NULL,
    refused      INTEGER NOT NULL,  -- of those that were written into the log
    PRIMARY KEY (day, list_id, member_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE audited (              -- how many rows a list's log has had
    list_id      INTEGER PRIMARY KEY REFERENCES lists (id),
    last         INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    list_id      INTEGER NOT NULL REFERENCES lists (id),
    seq          INTEGER NOT NULL,
    time         INTEGER NOT NULL,  -- seconds since 1970
    sealed       BLOB NOT NULL,     -- the member, its X, the envelope's epk, what came of it
    PRIMARY KEY (list_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_time ON audit (time);
